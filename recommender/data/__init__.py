"""Tables: ids, tracks, plays, embeddings; no models."""

"""Music recommendation that works for the track nobody has played yet."""

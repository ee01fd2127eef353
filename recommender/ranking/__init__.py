"""Candidates, the blend, filters and reasons."""

"""A world with a known right answer."""

"""Collaborative filtering, hearing, and the prior that joins them."""

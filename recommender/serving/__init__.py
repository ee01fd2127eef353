"""The recommendation API and its page."""

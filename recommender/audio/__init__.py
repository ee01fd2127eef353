"""From files to log-mel spectrograms; no weights."""

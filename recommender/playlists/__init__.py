"""Lists that are listened to in order."""

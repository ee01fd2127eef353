"""Listening histories of other services and players: one module a format, recognised by content, read as a stream."""

from recommender.data.histories.listen import NO_TIME, Broken, Entry, History, Listen
from recommender.data.histories.recognise import UNDERSTOOD, read_histories

__all__ = ["NO_TIME", "UNDERSTOOD", "Broken", "Entry", "History", "Listen", "read_histories"]

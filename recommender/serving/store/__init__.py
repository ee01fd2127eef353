"""What people did and were shown since the bundle was made: listens, verdicts, uploads and lists, in SQL."""

from recommender.serving.store.door import Store
from recommender.serving.store.records import Feedback, Listen, ListenResult, Upload

__all__ = ["Feedback", "Listen", "ListenResult", "Store", "Upload"]

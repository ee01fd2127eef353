"""What people did and were shown since the bundle was made: listens, verdicts, uploads and lists, in SQL."""

from recommender.serving.store.door import Store
from recommender.serving.store.records import (
    Erasure,
    Feedback,
    Listen,
    ListenResult,
    PersonalRecord,
    SavedPlaylist,
    UnmatchedListen,
    Upload,
)

__all__ = [
    "Erasure",
    "Feedback",
    "Listen",
    "ListenResult",
    "PersonalRecord",
    "SavedPlaylist",
    "Store",
    "UnmatchedListen",
    "Upload",
]

"""What people were shown: one line a place of a list, so that another list can be judged by what they then played.

A list is written after it was sent, and nothing but the log misses it where that fails. Lines are kept for a set number
of days. The ids are those of the store, and of it only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recommender.errors import StoreError

if TYPE_CHECKING:
    from recommender.serving.store import Store

log = logging.getLogger(__name__)
DAY_MS = 86_400_000
PRUNE_EVERY_S = 3600.0


@dataclass(frozen=True)
class ServedSlot:
    """One place of a list that somebody was shown.

    Parameters
    ----------
    request_id : str
        One a list; the same list shown again is stored once.
    served_at_ms : int
        UTC, milliseconds since 1970.
    bucket_ms : int
        Start of the span of time in which this user's draws stay the same.
    user_id, track_id, bundle : str
    rank : int
        From 1.
    score, propensity : float
        The probability that this track was shown to this user here.
    explored : bool
        Whether it came from the pool rather than the ranking.
    max_per_artist : int
        The cap of the list; 0 for none.
    """

    request_id: str
    served_at_ms: int
    bucket_ms: int
    user_id: str
    track_id: str
    bundle: str
    rank: int
    score: float
    propensity: float
    explored: bool
    max_per_artist: int


class ServedLog:
    """Writes what was shown, and deletes what is too old, once an hour at most; safe to use from many threads."""

    def __init__(self, store: Store, keep_days: float) -> None:
        self._store, self._keep_ms = store, int(keep_days * DAY_MS)
        self._lock = threading.Lock()
        self._prune_at = 0.0

    def write(self, slots: Sequence[ServedSlot]) -> None:
        """Store the places of a list; a store that does not answer is reported in the program's log only."""
        try:
            self._store.add_served(slots)
            if self._is_time_to_prune():
                self._store.forget_served(time.time_ns() // 1_000_000 - self._keep_ms)
        except StoreError as error:
            log.warning("a list that was shown is not logged: %s", error)

    def _is_time_to_prune(self) -> bool:
        with self._lock:
            if time.monotonic() < self._prune_at:
                return False
            self._prune_at = time.monotonic() + PRUNE_EVERY_S
            return True


def bucket_of(at_ms: int, every_s: float) -> int:
    """Return the start of the span of `every_s` seconds that a time lies in, in milliseconds.

    Examples
    --------
    >>> bucket_of(90_061_000, 86_400)
    86400000
    """
    every_ms = int(every_s * 1000)
    return at_ms // every_ms * every_ms


def slots_of(answer: Mapping[str, Any], at_ms: int, bucket_ms: int, max_per_artist: int) -> list[ServedSlot]:
    """Return the lines of a user's answer, the fields of `Recommendations`.

    Its id follows from what was shown to whom in which bucket.
    """
    shown = [(item["track"]["id"], item["propensity"]) for item in answer["items"]]
    text = json.dumps([answer["user"], answer["bundle"], bucket_ms, max_per_artist, shown])
    request_id = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return [
        ServedSlot(
            request_id=request_id,
            served_at_ms=at_ms,
            bucket_ms=bucket_ms,
            user_id=answer["user"],
            track_id=item["track"]["id"],
            bundle=answer["bundle"],
            rank=item["rank"],
            score=item["score"],
            propensity=item["propensity"],
            explored=item["explored"],
            max_per_artist=max_per_artist,
        )
        for item in answer["items"]
    ]

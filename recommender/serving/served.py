"""What people were shown: one line a place of a list, so that another list can be judged by what they then played.

A list is written after it was sent, and nothing but the log misses it where that fails. Lines are kept for a set number
of days. The ids are those of the store, and of it only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
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
GATHER_S = 0.04
"""How long lists are gathered for one transaction. Longer ones hold a request up that is made beside them."""

GATHER_LISTS = 500
CLOSE_S = 5.0


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
    """Writes what was shown, many lists in one transaction, from a thread of its own; safe to use from many threads.

    A request never waits for it: where more lists wait than there is room for, the new one is dropped and counted.

    Parameters
    ----------
    store : Store
    keep_days : float
        What is older is deleted, once an hour at most.
    room : int
        Lists that may wait.
    """

    def __init__(self, store: Store, keep_days: float, room: int = 5000) -> None:
        self._store, self._keep_ms = store, int(keep_days * DAY_MS)
        self._waiting: queue.Queue[Sequence[ServedSlot] | None] = queue.Queue(room)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._prune_at = 0.0
        self.dropped = 0
        """Lists that were not logged."""

    def write(self, slots: Sequence[ServedSlot]) -> None:
        """Take the places of a list; they are stored soon."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="served", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(slots)
        except queue.Full:
            self._drop(1, "too many wait")

    def close(self) -> None:
        """Store what waits, and end."""
        if self._thread is not None:
            try:
                self._waiting.put(None, timeout=CLOSE_S)
            except queue.Full:
                return
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        ended = False
        while not ended:
            lists = [self._waiting.get()]
            until = time.monotonic() + GATHER_S
            while lists[-1] is not None and len(lists) < GATHER_LISTS:
                try:
                    lists.append(self._waiting.get(timeout=max(0.0, until - time.monotonic())))
                except queue.Empty:
                    break
            ended = lists[-1] is None
            self._store_lists([slots for slots in lists if slots is not None])

    def _store_lists(self, lists: Sequence[Sequence[ServedSlot]]) -> None:
        try:
            self._store.add_served([slot for slots in lists for slot in slots])
            if time.monotonic() >= self._prune_at:
                self._prune_at = time.monotonic() + PRUNE_EVERY_S
                self._store.forget_served(time.time_ns() // 1_000_000 - self._keep_ms)
        except StoreError as error:
            self._drop(len(lists), str(error))

    def _drop(self, n_lists: int, reason: str) -> None:
        with self._lock:
            before, self.dropped = self.dropped, self.dropped + n_lists
        if before == 0 or before // 1000 < self.dropped // 1000:
            log.warning("a list that was shown is not logged, %d so far: %s", self.dropped, reason)


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

"""All users in a form that ranks them for any track; gathered when it is first asked for, and when it has aged."""

from __future__ import annotations

import threading

from recommender.ranking.audience import LEAST_SHORTLIST, Crowd, gather_crowd
from recommender.serving.live import Snapshot

MAX_LISTENS = 5000
"""After so many more listens, tastes are gathered again."""


class Crowds:
    """Holds the crowd of the bundle that answers; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[tuple[str, int], int, Crowd] | None = None

    def crowd(self, now: Snapshot) -> Crowd:
        """Return the crowd of this state, or of one shortly before it."""
        with self._lock:
            held, users = self._held, (now.manifest.version, now.last_erasure)
            if (
                held is None
                or held[0] != users
                or now.n_listens - held[1] > MAX_LISTENS
                or len(now.model.users) - len(held[2].means) > LEAST_SHORTLIST
            ):
                held = self._held = (users, now.n_listens, gather_crowd(now.model))
            return held[2]

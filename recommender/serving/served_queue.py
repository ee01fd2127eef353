"""Lists on their way into the log of what was shown: no request waits for the database, and it is asked seldom."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any

from recommender.serving.served import ServedLog, slots_of

log = logging.getLogger(__name__)
EVERY_S = 0.04
"""Rarer writes are larger, and a request that is made beside one waits for it."""
MAX_LISTS = 10_000
"""What waits at most; when the database is away for longer, further lists are not logged."""


class ServedQueue:
    """Collects lists, and hands them to the log from a thread of its own."""

    def __init__(self, served: ServedLog) -> None:
        self._served = served
        self._waiting: deque[tuple[dict[str, Any], int, int, int]] = deque()
        self._writing, self._lock = threading.Lock(), threading.Lock()
        self._wake, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._refused = 0

    def put(self, answer: dict[str, Any], at_ms: int, bucket_ms: int, max_per_artist: int) -> None:
        """Take a list as it was sent, see `slots_of`; it is written within a second."""
        if len(self._waiting) >= MAX_LISTS:
            self._refused += 1
            return
        self._waiting.append((answer, at_ms, bucket_ms, max_per_artist))
        if self._thread is None:
            self._start()
        self._wake.set()

    def flush(self) -> None:
        """Write all that waits."""
        with self._writing:
            lists = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lists:
                self._served.write([slot for one in lists for slot in slots_of(*one)])
            refused, self._refused = self._refused, 0
        if refused:
            log.warning("%d lists that were shown are not logged: the database is behind", refused)

    def close(self) -> None:
        """Write all that waits, and end."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="served-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            if not self._closed:
                time.sleep(EVERY_S)
            self.flush()

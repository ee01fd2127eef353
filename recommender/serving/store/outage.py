"""While a database is away, one request a second finds out whether it is back; the others are told at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recommender.errors import StoreError

RETRY_S = 1.0


class Outage:
    """What is known of a database's absence; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._until = 0.0
        self._asking = False

    @contextmanager
    def noticed(self, what: str, is_away: Callable[[BaseException], bool]) -> Iterator[None]:
        """Run a transaction unless the database is known to be away; learn from what becomes of it.

        Raises
        ------
        StoreError
            If it was away a moment ago, and somebody else is asking or nobody is to ask yet.
        """
        asks = self._begin(what)
        try:
            yield
        except BaseException as error:
            if is_away(error):
                self._end(str(getattr(error, "orig", None) or error).splitlines()[0])
            elif asks:
                self._end("")
            raise
        if asks:
            self._end("")

    def _begin(self, what: str) -> bool:
        with self._lock:
            if self._reason and (self._asking or time.monotonic() < self._until):
                raise StoreError(f"{what}: {self._reason}")
            self._asking = bool(self._reason)
            return self._asking

    def _end(self, reason: str) -> None:
        with self._lock:
            self._reason, self._until, self._asking = reason, time.monotonic() + RETRY_S, False

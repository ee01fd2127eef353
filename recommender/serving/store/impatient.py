"""Connections to PostgreSQL that do not wait for a server that is there and says nothing: stopped, or cut off."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

PING_S = 2.0
SILENCE_S = 8.0
"""A server may work on a statement so long before it sends anything; locks end after half of it."""


class ImpatientConnection(psycopg.Connection[Any]):
    """Ends itself where the server is silent for too long; what it was doing fails as if the server had gone."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Run a step of the protocol."""
        patience_s = PING_S if self.autocommit else SILENCE_S  # SQLAlchemy pings outside of transactions
        return super().wait(self._watched(gen, patience_s), *args, **options)

    def _watched(self, gen: Generator[Any, Any, Any], patience_s: float) -> Generator[Any, Any, Any]:
        until = time.monotonic() + patience_s
        try:
            request = next(gen)
            while True:
                ready = yield request
                if ready:
                    until = time.monotonic() + patience_s
                elif time.monotonic() > until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server did not answer within {patience_s:g} s")
                request = gen.send(ready)
        except StopIteration as end:
            return end.value


def connect_impatiently(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """Connect; a listener of SQLAlchemy's ``do_connect``."""
    return ImpatientConnection.connect(*arguments, **options)

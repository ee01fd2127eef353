"""Connections of clients that are too slow are closed: nobody keeps one by sending a letter now and then."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, for clients that send at least `LEAST_BYTES` every `EVERY_S` seconds.

    That holds while the server waits for a request, or for the rest of one; a client that waits for its answer may do
    so for as long as that takes. Between two requests uvicorn's own, shorter patience counts.
    """

    EVERY_S = 15.0
    LEAST_BYTES = 4096

    _received = 0
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._next_look = self.loop.call_later(self.EVERY_S, self._look)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        self._received += len(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End watching."""
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        waiting = self.cycle is None or (self.cycle.more_body and not self.cycle.response_complete)
        if waiting and self._received < self.LEAST_BYTES:
            self.transport.close()
            return
        self._received = 0
        self._next_look = self.loop.call_later(self.EVERY_S, self._look)

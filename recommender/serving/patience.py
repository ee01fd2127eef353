"""Connections of clients that drip, or send a head without end, are closed: they keep no line and fill no memory."""

from __future__ import annotations

import asyncio
import json
import resource

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from recommender.serving.problems import PROBLEM_TYPE, problem_document


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, for clients that send at least `LEAST_BYTES` every `EVERY_S` seconds.

    That holds while the server waits for a request, or for the rest of one; a client that waits for its answer, or for
    the server to read on, may do so for as long as that takes. Between two requests uvicorn's own, shorter patience
    counts. What is no body (addresses, headers, trailers, what stands between the pieces of a body) may have
    `MOST_HEAD_BYTES` at a time, and what was read with them; httptools itself sets no limit. Connections take
    `SHARE_OF_FILES` of the files that the process may open, and a further one is told so: else those that say nothing
    would leave none for the database.
    """

    EVERY_S = 15.0
    LEAST_BYTES = 4096
    MOST_HEAD_BYTES = 64 * 1024
    SHARE_OF_FILES = 0.75

    _received = 0
    _head = 0
    _amid = True
    """Whether a request is expected or has begun, and has not come to its end."""
    _next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch."""
        super().connection_made(transport)
        self._next_look = self.loop.call_later(self.EVERY_S, self._look)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files != resource.RLIM_INFINITY and len(self.connections) > self.SHARE_OF_FILES * files:
            self._refuse(503, f"this server has {len(self.connections) - 1} connections and takes no more; try later")

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        self._received += len(data)
        self._head += len(data)
        self._amid = True
        super().data_received(data)
        if self._head > self.MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"the head of a request may have {self.MOST_HEAD_BYTES // 1024} KiB; this one has more")

    def on_message_begin(self) -> None:
        """A request begins, perhaps in the bytes that ended the one before."""
        super().on_message_begin()
        self._amid = True

    def on_headers_complete(self) -> None:
        """A head ends."""
        self._head = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body came."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request ends."""
        self._head, self._amid = 0, False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End watching."""
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, f"{msg[:1].lower()}{msg[1:].rstrip('.')}")

    def _look(self) -> None:
        if self._amid and not self.flow.read_paused and self._received < self.LEAST_BYTES:
            self.transport.close()
            return
        self._received = 0
        self._next_look = self.loop.call_later(self.EVERY_S, self._look)

    def _refuse(self, status: int, detail: str) -> None:
        if self.cycle is None or self.cycle.response_complete:
            body = json.dumps(problem_document(status, None, detail, "", "")).encode()
            head = f"content-type: {PROBLEM_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
            later = "retry-after: 5\r\n" if status == 503 else ""
            self.transport.write(STATUS_LINE[status] + f"{head}{later}\r\n".encode() + body)
        self.transport.close()

"""Answers that are kept: a user with nothing new since the last answer gets it again, without anything being computed.

What the user does counts at once; what others do, and so what is known of the tracks, after `keep_s` at the latest.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from recommender.serving.observing import REPEATED

CACHE_CONTROL = "private, no-cache"


@dataclass(frozen=True)
class Answer:
    """The bytes of an answer in JSON, their tag, when it was made (monotonic, s) and of which state."""

    body: bytes
    etag: str
    made_at: float
    version: Hashable


class Answers:
    """Keeps the answers that were asked for last; safe to use from many threads.

    Parameters
    ----------
    most_bytes : int
        Memory that the answers may take.
    keep_s : float
        0 keeps none.
    """

    def __init__(self, most_bytes: int, keep_s: float) -> None:
        self._most_bytes, self._keep_s = most_bytes, keep_s
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    async def respond(
        self, request: Request, key: Hashable, version: Hashable, produce: Callable[[], bytes], is_quick: bool = False
    ) -> Response:
        """Answer with what is kept under `key` of this `version`, else with what `produce` makes."""
        answer = self.find(key, version)
        if answer is None:
            body = produce() if is_quick else await run_in_threadpool(produce)
            etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            answer = Answer(body, etag, time.monotonic(), version)
            self._keep(key, answer)
        else:
            REPEATED.inc()
        headers = {"ETag": answer.etag, "Cache-Control": CACHE_CONTROL}
        if answer.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(answer.body, media_type="application/json", headers=headers)

    def find(self, key: Hashable, version: Hashable) -> Answer | None:
        """Return what is kept under `key`, None if that is nothing, too old, or of another version."""
        with self._lock:
            answer = self._kept.get(key)
            if answer is None or answer.version != version or time.monotonic() - answer.made_at >= self._keep_s:
                return None
            self._kept.move_to_end(key)
            return answer

    def _keep(self, key: Hashable, answer: Answer) -> None:
        if not self._keep_s or len(answer.body) > self._most_bytes // 16:
            return
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += len(answer.body) - (0 if before is None else len(before.body))
            self._kept[key] = answer
            while self._bytes > self._most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest.body)

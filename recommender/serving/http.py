"""What holds for every request and answer: size limits, security headers, the bundle's name, errors as problems."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.serving.draining import Draining
from recommender.serving.problems import PROBLEM_TYPE, SECURITY_HEADERS, problem_document

BUNDLE_HEADER = "Firstlisten-Bundle"
MAX_DRAINED_BYTES = 32 * 1024 * 1024


class Gate:
    """The outermost middleware.

    Parameters
    ----------
    app : ASGI application
    limit_of : function of (method, path)
        How many bytes the body of such a request may have.
    bundle : function
        Returns the version of the bundle that answers now.
    draining : Draining
        Once it began, no connection is kept.
    origins : collection of str
        Other web sites whose pages may send requests.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit_of: Callable[[str, str], int],
        bundle: Callable[[], str],
        draining: Draining,
        origins: Collection[str] = (),
    ) -> None:
        self._app, self._limit_of, self._bundle, self._draining = app, limit_of, bundle, draining
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit_of(scope["method"], scope["path"])
        outgoing = _Outgoing(send, scope, self._bundle(), self._draining)
        from_elsewhere = headers.get("sec-fetch-site") == "cross-site" and headers.get("origin") not in self._origins
        if from_elsewhere and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            await _answer(outgoing, 403, "cross-site", "another web site sent this request; only this page may")
            return
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _drain(receive, int(declared))
            await _answer(outgoing, 413, "too-large", _too_large(int(declared), limit))
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _too_large(received, limit))
            return message

        await self._app(scope, counted, outgoing)


class _Outgoing:
    """Adds headers to an answer, and turns a plain-text error into a problem document."""

    def __init__(self, send: Send, scope: Scope, bundle: str, draining: Draining) -> None:
        self._send, self._scope, self._path, self._bundle = send, scope, scope["path"], bundle
        self._draining = draining
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault(BUNDLE_HEADER, self._scope.get("state", {}).get("bundle", self._bundle))
            headers.setdefault("Cache-Control", "no-store" if self._path.startswith("/v1/") else "no-cache")
            if self._draining.began:
                headers["Connection"] = "close"
            status: int = message["status"]
            if status >= 400 and not headers.get("content-type", "").startswith(PROBLEM_TYPE):
                self._replaced = True
                del headers["content-length"]
                headers["content-type"] = PROBLEM_TYPE
            await self._send_start(message, headers, status)
        elif message["type"] == "http.response.body" and self._replaced:
            if not message.get("more_body"):
                await self._send({"type": "http.response.body", "body": self._body})
        else:
            await self._send(message)

    async def _send_start(self, message: Message, headers: MutableHeaders, status: int) -> None:
        if self._replaced:
            detail = "the range asked for is not in this file" if status == 416 else "the request cannot be answered"
            document = problem_document(status, None, detail, self._path, self._bundle)
            self._body = json.dumps(document).encode()
            headers["content-length"] = str(len(self._body))
        await self._send(message)


async def _answer(send: _Outgoing, status: int, kind: str, detail: str) -> None:
    body = json.dumps(problem_document(status, kind, detail, send._path, send._bundle)).encode()
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _drain(receive: Receive, declared: int) -> None:
    """Read a refused body where it is not huge, since many clients read the answer only after they sent everything."""
    received = 0
    while declared <= MAX_DRAINED_BYTES and received < declared:
        message = await receive()
        received += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


def _too_large(size: int, limit: int) -> str:
    return f"the body has {size / 2**20:.1f} MiB or more, this server takes at most {limit / 2**20:.1f} MiB here"

"""Who may ask what. Where keys are required, every request to the API brings one, and its scopes say what it may do.

Keys are required where a setting says so, and for every connection that does not come in over loopback, whatever the
settings say. A key comes as ``Authorization: Bearer KEY`` or ``X-Api-Key: KEY``, or in the cookie that the page's login
sets; never in an address, which ends up in logs and histories.

Listening is personal: who listens to what is told only to a key that may speak of that user.

========  ==============================================================================================
scope     what a key with it may do
========  ==============================================================================================
read      the catalog: find, play and compare tracks, the model, recommendations for nobody in particular
listen    record listens and verdicts of the users that it may speak of
upload    add tracks, and see what became of them
admin     everything, of everybody
========  ==============================================================================================

What each route asks for is in `recommender.serving.rules`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.serving.keys import Key
from recommender.serving.limits import Pass, network_of
from recommender.serving.problems import Problem, problem_response, problems
from recommender.serving.rules import BEFORE_BODY, RULES, SUBSONIC, UPLOAD, Rule, rule_of_template
from recommender.serving.verifying import Verifier

COOKIE = "firstlisten_key"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_SCOPE_OF: dict[Rule, str] = {"catalog": "read", "personal": "read", "listen": "listen", "upload": "upload"}


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Parameters
    ----------
    key : Key or None
        The key that came with it, if it is valid.
    trusted : bool
        Whether nobody is asked for a key here: all is allowed.
    on_loopback : bool
        Whether it comes from this machine, with no sign of a proxy between.
    trouble : str
        Why the key that came is none; empty if none came.
    """

    key: Key | None = None
    trusted: bool = False
    on_loopback: bool = False
    trouble: str = ""

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return self.trusted or (self.key is not None and "admin" in self.key.scopes)

    def has(self, scope: str) -> bool:
        """Tell whether the key has a scope; an administrator's has all."""
        return self.is_admin or (self.key is not None and scope in self.key.scopes)

    def speaks_of(self, user_id: str | None) -> bool:
        """Tell whether the key may speak of a user; None stands for every user."""
        if self.is_admin or self.key is None:
            return self.is_admin
        return "listen" in self.key.scopes if self.key.user_id is None else self.key.user_id == user_id

    def check(self, rule: Rule, user_id: str | None = None) -> None:
        """Raise the Problem that stands in the way of a request under `rule`, if there is one."""
        if rule == "open" or self.is_admin or (rule == "metrics" and self.on_loopback):
            return
        if self.key is None:
            raise self._unknown()
        if rule == "known":
            return
        scope = _SCOPE_OF.get(rule)
        if scope is not None:
            if not self.has(scope):
                raise forbidden(f"the key {self.key.name!r} lacks the scope {scope!r}", scope)
            if rule in ("personal", "listen") and user_id is not None:
                self.check_user(user_id)
            return
        if rule == "everyone" and self.has("read") and self.speaks_of(None):
            return
        if rule == "erase" and self.has("listen") and self.key.user_id is not None and self.key.user_id == user_id:
            return
        raise forbidden(f"the key {self.key.name!r} may not do this", "read listen" if rule == "everyone" else "admin")

    def check_user(self, user_id: str) -> None:
        """Raise a Problem if the key may not speak of a user."""
        if not self.speaks_of(user_id):
            name = "" if self.key is None else self.key.name
            who = f"the key {name!r} may not speak of user {user_id!r}"
            raise forbidden(f"{who}; use one that is bound to this user, or an unbound one with 'listen'", "listen")

    def _unknown(self) -> Problem:
        error = ', error="invalid_token"' if self.trouble else ""
        detail = self.trouble or "this takes an API key; send it as 'Authorization: Bearer KEY'"
        return Problem(401, "no-key", detail, {"WWW-Authenticate": f'Bearer realm="firstlisten"{error}'})


def forbidden(detail: str, scope: str) -> Problem:
    """Return the answer to somebody who is known and may not do this; `scope` is what it takes."""
    challenge = f'Bearer realm="firstlisten", error="insufficient_scope", scope="{scope}"'
    return Problem(403, "not-allowed", detail, {"WWW-Authenticate": challenge})


class Guard:
    """The middleware that finds out who asks.

    Parameters
    ----------
    app : ASGI application
    verifier : Verifier
        Its limits hold where keys are required.
    require_keys : bool
        Whether keys are required on loopback too.
    """

    def __init__(self, app: ASGIApp, verifier: Verifier, require_keys: bool) -> None:
        self._app, self._verifier, self._require_keys = app, verifier, require_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        caller = Caller(trusted=True)
        if self._require_keys or is_public(scope.get("server")):
            headers = Headers(scope=scope)
            try:
                caller = await self._caller(scope, headers)
                send = _with_headers(send, self._let_pass(scope, caller))
                rule = BEFORE_BODY.get((scope.get("method", "GET"), scope["path"].rstrip("/")))
                if rule is not None:
                    caller.check(rule)
            except Problem as problem:
                request = Request(scope)
                answer = problem_response(
                    request, problem.status, problem.kind, problem.detail, headers=problem.headers
                )
                await answer(scope, receive, send)
                return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    def _let_pass(self, scope: Scope, caller: Caller) -> Pass | None:
        """Count a request, by its key or else by its address; raise a Problem where it is one too many."""
        who = network_of_scope(scope) if caller.key is None else f"key {caller.key.key_id}"
        is_upload = (scope.get("method"), scope["path"].rstrip("/")) == UPLOAD
        if scope["path"] == "/healthz":
            return None
        limits = self._verifier.limits
        tokens = 0.0 if caller.key is None and scope["path"].startswith(SUBSONIC) else 1.0
        passed = [limits.requests.take(who, tokens), limits.uploads.take(who) if is_upload else None]
        for one in passed:
            if one is not None and not one.allowed:
                raise one.problem()
        return passed[1] or passed[0]

    async def _caller(self, scope: Scope, headers: Headers) -> Caller:
        on_loopback = is_loopback(scope.get("client")) and not any(
            name in headers for name in ("x-forwarded-for", "forwarded", "via")
        )
        text, in_cookie = credential_of(headers)
        if text is None or (in_cookie and scope["path"].startswith(SUBSONIC)):
            return Caller(on_loopback=on_loopback)
        if in_cookie:
            _check_origin(scope["method"], headers)
        key, trouble = await self._verifier.verified(text, network_of_scope(scope))
        return Caller(key, on_loopback=on_loopback, trouble=trouble)


def credential_of(headers: Headers) -> tuple[str | None, bool]:
    """Return the key that came with a request, if one did, and whether it was in the cookie."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token"):  # ListenBrainz says "Token"
        return token.strip(), False
    if "x-api-key" in headers:
        return headers["x-api-key"].strip(), False
    for cookie in headers.get("cookie", "").split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == COOKIE and value:
            return value, True
    return None, False


def is_public(server: Any) -> bool:
    """Tell whether a connection came in at an address that other machines reach; a socket file is none."""
    address = _address(server)
    return address is not None and not address.is_loopback


def is_loopback(client: Any) -> bool:
    """Tell whether a connection comes from this machine."""
    address = _address(client)
    return address is not None and address.is_loopback


async def authorize(request: Request) -> None:
    """Let a request pass, or raise the Problem that stands in its way: a dependency of every route."""
    caller = caller_of(request)
    if not caller.trusted:
        rule = RULES.get(f"{request.method} {request.scope['route'].path}", "admin")
        caller.check(rule, request.path_params.get("user_id"))


def caller_of(request: Request) -> Caller:
    """Return who sent a request."""
    caller: Caller = request.scope.get("state", {}).get("caller", Caller())
    return caller


CallerNow = Annotated[Caller, Depends(caller_of)]


def describe_security(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI document how a key is sent, and what a request without one is answered."""
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "Where keys are required: Bearer KEY."},
        "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    }
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            rule = rule_of_template(f"{method.upper()} {path}")
            if rule != "open":
                route["security"] = [{}, {"bearer": []}, {"header": []}]
                for status, answer in problems(401, 403, 429).items():
                    route["responses"].setdefault(str(status), answer)


def _check_origin(method: str, headers: Headers) -> None:
    """Refuse a write that a cookie vouches for but this server's own page did not send: another port is another site.

    Browsers say where a request comes from, ``Sec-Fetch-Site`` over TLS and on loopback, ``Origin`` everywhere.
    """
    if method in SAFE_METHODS:
        return
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin", "").partition("://")[2]
    if site != "same-origin" and (site is not None or not origin or origin != headers.get("host")):
        raise Problem(403, "cross-site", "a login in a browser is good for this server's own page only; send the key")


def _with_headers(send: Send, passed: Pass | None) -> Send:
    if passed is None:
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in passed.headers().items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def network_of_scope(scope: Scope) -> str:
    """Return whom a request is counted for that brings no key."""
    client = scope.get("client")
    return network_of(str(client[0])) if client else "unknown"


def _address(pair: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(pair[0].partition("%")[0])
    except (TypeError, ValueError, IndexError, AttributeError):
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found

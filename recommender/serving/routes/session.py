"""The login of the page: a key becomes a cookie that scripts cannot read and other sites cannot use."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from recommender.serving.context import ServerContext
from recommender.serving.keys import SCOPES
from recommender.serving.schemas.session import SessionAnswer
from recommender.serving.security import COOKIE, Caller, CallerNow, credential_of

router = APIRouter(prefix="/v1/session", tags=["session"])


@router.get("", summary="Who am I")
def show_session(caller: CallerNow, context: ServerContext) -> SessionAnswer:
    """Show what the key that came with this request may do."""
    return _answer(caller, context)


@router.post("", summary="Log in")
def log_in(request: Request, response: Response, caller: CallerNow, context: ServerContext) -> SessionAnswer:
    """Set a cookie from the key that came in the header; it ends with the browser, or with the key."""
    text, _ = credential_of(Headers(scope=request.scope))
    if caller.key is not None and text is not None:
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, text, httponly=True, samesite="strict", secure=is_secure, path="/")
    return _answer(caller, context)


@router.delete("", summary="Log out", status_code=204)
def log_out(request: Request, response: Response) -> None:
    """Take the cookie back. The key goes on; revoke it with: firstlisten keys WORKSPACE revoke ID."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/")


def _answer(caller: Caller, context: ServerContext) -> SessionAnswer:
    key = caller.key
    return SessionAnswer(
        bundle=context.live.peek().manifest.version,
        keys_required=not caller.trusted,
        name=None if key is None else key.name,
        scopes=[scope for scope in SCOPES if caller.has(scope)],
        user=None if key is None else key.user_id,
    )

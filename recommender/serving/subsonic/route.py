"""What every route of Subsonic has: its two addresses and methods, its values in address or form, its errors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from recommender.errors import FirstListenError, UnknownIdError
from recommender.serving.problems import Problem, problems
from recommender.serving.rules import SUBSONIC
from recommender.serving.subsonic.access import admit
from recommender.serving.subsonic.envelope import (
    FORBIDDEN,
    GENERIC,
    MISSING,
    NOT_FOUND,
    SubsonicError,
    envelope,
    failure,
)

FORM = "application/x-www-form-urlencoded"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


_NAMED = (SubsonicError, RequestValidationError, Problem, FirstListenError, HTTPException)


class SubsonicRoute(APIRoute):
    """A route that asks who comes before anything else, and answers all errors in Subsonic's way."""

    def get_route_handler(self) -> Handler:
        """Return what answers a request."""
        inner, name = super().get_route_handler(), self.path.rpartition("/")[2].removesuffix(".view")

        async def handle(request: Request) -> Response:
            asked = ImmutableMultiDict(request.query_params.multi_items())
            try:
                asked = await _asked(request)
                caller, person = await admit(request, name, asked)
                known = {"caller": caller, "person": person, "form": asked.get("f", "")}
                request.scope.setdefault("state", {}).update(known)
                query = urlencode(asked.multi_items()).encode()
                return await inner(Request({**request.scope, "query_string": query}, request.receive))
            except _NAMED as error:
                return failure(asked.get("f", ""), _as_subsonic(error))

        return handle


async def _asked(request: Request) -> ImmutableMultiDict[str, str]:
    given = request.query_params.multi_items()
    if request.method == "POST" and request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
        async with request.form(max_fields=20_000) as form:
            given += [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return ImmutableMultiDict(given)


def _as_subsonic(error: Exception) -> SubsonicError:
    """Return what Subsonic calls an error; raise it where it is none of Subsonic's."""
    if isinstance(error, SubsonicError):
        return error
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = str(first["loc"][-1])
        if first["type"] == "missing":
            return SubsonicError(MISSING, f"Required parameter is missing: {where}")
        return SubsonicError(GENERIC, f"{where}: {first['msg']}")
    if isinstance(error, Problem) and error.status in (401, 403):
        return SubsonicError(FORBIDDEN, error.detail)
    if isinstance(error, UnknownIdError) or (isinstance(error, Problem) and error.status == 404):
        return SubsonicError(NOT_FOUND, str(error))
    if isinstance(error, FirstListenError) or (isinstance(error, Problem) and error.status != 429):
        return SubsonicError(GENERIC, str(error))
    if isinstance(error, HTTPException) and error.status_code == 400:
        return SubsonicError(GENERIC, f"the form cannot be read: {error.detail}")
    raise error


def _described(
    u: Annotated[str, Query(description="The user; not with apiKey.")] = "",
    p: Annotated[str, Query(description="A password, or enc: and its bytes in hexadecimal.")] = "",
    t: Annotated[str, Query(description="md5(password + s).")] = "",
    s: Annotated[str, Query(description="A salt, chosen for this request.")] = "",
    apiKey: Annotated[str, Query(description="An API key, instead of u, p, t and s.")] = "",
    v: Annotated[str, Query(description="The version that the player speaks.")] = "",
    c: Annotated[str, Query(description="The player's name.")] = "",
    f: Annotated[str, Query(description="json; XML otherwise.")] = "",
) -> None:
    """Say what every route understands; `recommender.serving.subsonic.access` reads it."""


async def _reply(request: Request) -> Callable[..., Response]:
    return functools.partial(_enveloped, request.scope["state"]["form"])


def _enveloped(form: str, **content: Any) -> Response:
    return envelope(form, content)


async def _person(request: Request) -> str | None:
    person: str | None = request.scope["state"]["person"]
    return person


Reply = Annotated[Callable[..., Response], Depends(_reply)]
MaybePerson = Annotated[str | None, Depends(_person)]
Person = Annotated[str, Depends(_person)]
"""Of routes that speak of a user, there is always one."""

ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["subsonic-response"],
    "properties": {
        "subsonic-response": {
            "type": "object",
            "required": ["status", "version", "type", "serverVersion", "openSubsonic"],
            "properties": {
                "status": {"enum": ["ok", "failed"]},
                "version": {"type": "string"},
                "type": {"type": "string"},
                "serverVersion": {"type": "string"},
                "openSubsonic": {"type": "boolean"},
                "error": {
                    "type": "object",
                    "required": ["code"],
                    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
                },
            },
        }
    },
}
CONTENT: dict[str, Any] = {
    "application/json": {"schema": ANSWER},
    "application/xml": {"schema": {"type": "string"}},
}
router = APIRouter(tags=["Subsonic"], route_class=SubsonicRoute, dependencies=[Depends(_described)])


def endpoint(name: str, summary: str, **more: Any) -> Callable[[Endpoint], Endpoint]:
    """Add a route by its name, as GET and POST, with and without ``.view``.

    Parameters
    ----------
    name, summary : str
    more
        OpenAPI entries of further answers, by their status.
    """
    responses = {200: {"description": "What was asked for, or the error.", "content": CONTENT}, **problems(413, 429)}
    answers = {**responses, **more.get("responses", {})}
    form = {"requestBody": {"content": {FORM: {"schema": {"type": "object"}}}}}

    def add(function: Endpoint) -> Endpoint:
        for path in (f"{SUBSONIC}{name}", f"{SUBSONIC}{name}.view"):
            for method in ("GET", "POST"):
                router.add_api_route(
                    path,
                    function,
                    methods=[method],
                    summary=summary,
                    responses=answers,
                    response_class=Response,
                    include_in_schema=not path.endswith(".view"),
                    openapi_extra=form if method == "POST" else None,
                )
        return function

    return add

"""Errors as RFC 9457 problem documents: what, the value, what was expected, what to do next."""

from __future__ import annotations

import errno
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from recommender.errors import (
    ArtifactError,
    AudioError,
    ConfigError,
    DataError,
    FirstListenError,
    ModelError,
    RulesError,
    StoreError,
    UnknownIdError,
)
from recommender.serving.observing import STORE_ERRORS

PROBLEM_TYPE = "application/problem+json"
LISTENBRAINZ = "/1/"
"""Under these addresses a problem also has the members ``code`` and ``error`` that clients of ListenBrainz look for."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_STATUS_OF: tuple[tuple[type[FirstListenError], int, str], ...] = (
    (UnknownIdError, 404, "unknown-id"),
    (AudioError, 422, "unusable-audio"),
    (DataError, 422, "unusable-data"),
    (RulesError, 422, "contradictory-rules"),
    (ConfigError, 422, "unusable-setting"),
    (ModelError, 409, "model-cannot-do-this"),
    (StoreError, 503, "store-unavailable"),
    (ArtifactError, 503, "bundle-unavailable"),
)


class Problem(Exception):  # noqa: N818 - it is an answer, by the name that RFC 9457 gives it
    """An answer that is an error.

    Parameters
    ----------
    status : int
    kind : str
        Short name of the problem, a part of its ``type``.
    detail : str
        One line: what, the value, what was expected, what to do next.
    headers : dict of str to str, optional
    """

    def __init__(self, status: int, kind: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of errors that a route may answer with."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_document(status: int, kind: str | None, detail: str, path: str, bundle: str) -> dict[str, Any]:
    """Return the members of a problem document."""
    document = {
        "type": f"urn:firstlisten:problem:{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
        "bundle": bundle,
    }
    return document | {"code": status, "error": detail} if path.startswith(LISTENBRAINZ) else document


def problem_response(
    request: Request,
    status: int,
    kind: str | None,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """Return a problem document as a response; `errors` names the fields that are wrong."""
    context = getattr(request.app.state, "context", None)
    bundle = "" if context is None else context.live.peek().manifest.version
    document = problem_document(status, kind, detail, request.url.path, bundle)
    if errors is not None:
        document["errors"] = errors
    return JSONResponse(document, status, headers, media_type=PROBLEM_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(FirstListenError, _on_named_error)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return problem_response(request, error.status, error.kind, error.detail, headers=error.headers)


async def _on_named_error(request: Request, error: Exception) -> JSONResponse:
    for kind_of_error, status, kind in _STATUS_OF:
        if isinstance(error, kind_of_error):
            if kind_of_error is StoreError:
                STORE_ERRORS.inc()
            headers = {"Retry-After": "5"} if status == 503 else None
            return problem_response(request, status, kind, str(error), headers=headers)
    return problem_response(request, 500, "internal", str(error))


async def _on_os_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return problem_response(
        request, 507, "disk-full", "the disk is full; nothing was kept, free some space and try again"
    )


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404:
        detail = f"there is nothing at {request.url.path}; /openapi.json lists what there is"
    elif error.status_code == 405:
        detail = f"{request.method} is not possible on {request.url.path}; /openapi.json lists what is"
    headers = dict(error.headers) if error.headers else None
    return problem_response(request, error.status_code, None, detail, headers=headers)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [{"where": ".".join(str(part) for part in e["loc"]), "message": str(e["msg"])} for e in error.errors()]
    first = f"{errors[0]['where']}: {errors[0]['message']}" if errors else "the request is not valid"
    more = f" (and {len(errors) - 1} more, see errors)" if len(errors) > 1 else ""
    return problem_response(request, 422, "invalid-request", first + more, errors=errors[:50])


async def _on_unexpected(request: Request, _error: Exception) -> JSONResponse:
    # Starlette answers these outside of all middleware, so the headers are given here
    detail = "the server failed on this request; its log says why"
    return problem_response(request, 500, "internal", detail, headers=SECURITY_HEADERS)

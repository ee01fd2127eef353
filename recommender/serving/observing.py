"""What an operator sees: one line in the log for each request, and figures for Prometheus.

A line names the route, not the address: addresses hold who listens to what. With several workers the figures of all are
added up where ``PROMETHEUS_MULTIPROC_DIR`` names an empty folder before the first worker starts; `firstlisten serve`
sees to that.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import uuid
from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("recommender.requests")
REQUEST_ID = "X-Request-Id"
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Histogram(
    "firstlisten_request_duration_seconds",
    "Time to the end of the answer.",
    ("method", "route", "status"),
    buckets=BUCKETS,
)
SHOWN = Counter("firstlisten_recommendations_shown", "Places of lists, by what put a track there.", ("source",))
COLD = Counter("firstlisten_recommendations_cold", "Places of lists that hold a track without listeners.")
REPEATED = Counter("firstlisten_answers_repeated", "Lists that were kept and given once more.")
STORE_ERRORS = Counter("firstlisten_store_errors", "Requests that failed since the listens' database did.")
LISTENS = Counter("firstlisten_listens", "Listens that were sent, by what became of them.", ("result",))
QUEUED = Gauge("firstlisten_uploads_waiting", "Uploads that wait to be heard.", multiprocess_mode="mostrecent")
MADE_AT = Gauge(
    "firstlisten_bundle_created_timestamp_seconds",
    "When the bundle that answers was made.",
    ("bundle",),
    multiprocess_mode="mostrecent",
)


class Observer:
    """The middleware that gives each request an id, a line in the log and a place in the figures.

    Parameters
    ----------
    app : ASGI application
    as_json : bool
        Lines for programs instead of people.
    """

    def __init__(self, app: ASGIApp, as_json: bool = False) -> None:
        self._app, self._as_json = app, as_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status, started, noted = 500, time.perf_counter(), False

        async def sending(message: Message) -> None:
            nonlocal status, noted
            if message["type"] == "http.response.body" and not message.get("more_body") and not noted:
                noted = True
                self._note(scope, request_id, status, time.perf_counter() - started)
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if not noted:
                self._note(scope, request_id, status, time.perf_counter() - started)

    def _note(self, scope: Scope, request_id: str, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PUT", "DELETE") else "other"
        REQUESTS.labels(method, route, str(status)).observe(took_s)
        if not log.isEnabledFor(logging.INFO):
            return
        bundle = scope["state"].get("bundle", "")
        if self._as_json:
            values = {"method": method, "route": route, "status": status, "ms": round(1e3 * took_s, 2)}
            log.info(json.dumps(values | {"request_id": request_id, "bundle": bundle}))
        else:
            log.info("%s %s %d %.1f ms %s %s", method, route, status, 1e3 * took_s, request_id, bundle)


def note_list(items: Sequence[Mapping[str, Any]]) -> None:
    """Count the places of a list that somebody is shown, the fields of `RecommendedTrack` each."""
    for source, count in Counted("explored" if item["explored"] else item["source"] for item in items).items():
        SHOWN.labels(source).inc(count)
    COLD.inc(sum(item["evidence"]["listeners"] == 0 for item in items))


def figures() -> bytes:
    """Return all figures in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    text: bytes = generate_latest(registry)
    return text

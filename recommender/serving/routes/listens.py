"""Listens: what was played or skipped, stored before it is answered and counted before the next request."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from fastapi import APIRouter

from recommender.serving.context import ServerContext
from recommender.serving.observing import LISTENS
from recommender.serving.problems import problems
from recommender.serving.schemas import ListenIn, ListenResult, ListensIn, ListensReport
from recommender.serving.security import CallerNow
from recommender.serving.store import Listen

router = APIRouter(prefix="/v1/listens", tags=["listens"])
MAX_AHEAD_MS = 10 * 60 * 1000
EARLIEST_MS = int(datetime(2000, 1, 2, tzinfo=UTC).timestamp() * 1000)
"""Clocks that were never set say 1970, 1980 or the first day of 2000; no listen is that old."""


@router.post("", summary="Record listens", responses=problems(400, 413, 422, 503))
def record_listens(batch: ListensIn, context: ServerContext, caller: CallerNow) -> ListensReport:
    """Store a batch of listens, each once, and report on each.

    The same user, track and time, or the same user and client-given id, is stored once: a batch may be sent again.
    Stored listens change that user's next recommendations, and what is known about the tracks, at once. A malformed
    listen refuses the whole batch (422) before anything is stored, as does a user that the key may not speak of (403).
    """
    for user_id in {listen.user_id for listen in batch.listens}:
        caller.check_user(user_id)
    now_ms = time.time_ns() // 1_000_000
    tracks = context.live.catch_up().model.catalog.tracks
    results: dict[int, ListenResult] = {}
    accepted: list[tuple[int, Listen]] = []
    for index, listen in enumerate(batch.listens):
        at_ms = now_ms if listen.listened_at is None else int(listen.listened_at.timestamp() * 1000)
        known = listen.track_id in tracks
        reason = _clock_problem(listen, at_ms) if known else f"unknown track {listen.track_id!r}"
        if reason is not None:
            results[index] = ListenResult(index=index, status="rejected", reason=reason)
        else:
            accepted.append((index, _to_stored(listen, at_ms)))
    outcomes = context.store.add_listens([stored for _, stored in accepted])
    for (index, stored), outcome in zip(accepted, outcomes, strict=True):
        if outcome == "conflict":
            reason = f"id {stored.client_id!r} was used by this user for another track"
            results[index] = ListenResult(index=index, status="rejected", reason=reason)
        else:
            results[index] = ListenResult(index=index, status=outcome, reason=None)
    now = context.live.catch_up()
    items = [results[index] for index in sorted(results)]
    statuses = [item.status for item in items]
    for status in statuses:
        LISTENS.labels(status).inc()
    return ListensReport(
        bundle=now.manifest.version,
        stored=statuses.count("stored"),
        duplicates=statuses.count("duplicate"),
        rejected=statuses.count("rejected"),
        items=items,
    )


def _to_stored(listen: ListenIn, at_ms: int) -> Listen:
    return Listen(listen.user_id, listen.track_id, at_ms, 0.0 if listen.skipped else 1.0, listen.id)


def _clock_problem(listen: ListenIn, at_ms: int) -> str | None:
    """Return what is wrong with the time of a listen; a server's clock that was set back counts as if it had not."""
    if listen.listened_at is None:
        return None
    now_ms = max(time.time_ns(), _STARTED_NS + time.monotonic_ns()) // 1_000_000
    if EARLIEST_MS <= at_ms <= now_ms + MAX_AHEAD_MS:
        return None
    now = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
    wrong = "before the year 2000" if at_ms < EARLIEST_MS else f"in the future, it is {now} now"
    return f"listened_at {listen.listened_at.isoformat()} is {wrong}; check the clock, and that numbers are seconds"


_STARTED_NS = time.time_ns() - time.monotonic_ns()

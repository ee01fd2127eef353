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
        reason = (
            f"unknown track {listen.track_id!r}" if listen.track_id not in tracks else _clock_problem(at_ms, now_ms)
        )
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


def _clock_problem(at_ms: int, now_ms: int) -> str | None:
    if at_ms < 0:
        return "listened_at is before 1970"
    if at_ms > now_ms + MAX_AHEAD_MS:
        at, now = (datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds") for ms in (at_ms, now_ms))
        return f"listened_at {at} is in the future, it is {now} now; check the clock"
    return None

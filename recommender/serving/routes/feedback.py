"""Feedback: what a listener loves and hates, what of it and of their skips is held against which tracks."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query

from recommender.data.interactions import DISLIKED
from recommender.ranking.distaste import blame, distaste_of
from recommender.ranking.ranker import RecommendOptions, recommend
from recommender.serving.context import Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.problems import problems
from recommender.serving.schemas import (
    MAX_TOP,
    FeedbackAnswer,
    FeedbackIn,
    FeedbackItem,
    FeedbackPage,
    HeldBack,
    Identifier,
    Verdict,
)
from recommender.serving.store import Feedback
from recommender.serving.views import history, tracks_of

router = APIRouter(prefix="/v1/users", tags=["feedback"])
VALUES = {"love": 1, "hate": -1, "clear": 0}
LOOKED_AT = 200
"""Of so many tracks, the best that the user would get without skips and dislikes, it is told what holds them back."""
SHOWN = 3


@router.put(
    "/{user_id:path}/feedback/{track_id:path}",
    summary="Love, hate or clear",
    responses=problems(400, 404, 413, 422, 503),
)
def give_feedback(
    user_id: Annotated[Identifier, Path()], track_id: str, given: FeedbackIn, context: ServerContext
) -> FeedbackAnswer:
    """Say what a user makes of a track; the last word counts, and the next list heeds it.

    *love* counts as a play. *hate* leaves the track out, no longer counts its plays as liked, and holds back what is
    like it. *clear* takes either back, and a skip of the track too: the lists are then what they were before. A user
    that is not known yet is known from now on.
    """
    context.live.catch_up().model.catalog.tracks.row(track_id)
    context.store.add_feedback(Feedback(user_id, track_id, VALUES[given.value], time.time_ns() // 1_000_000))
    now = context.live.catch_up()
    return FeedbackAnswer(
        bundle=now.manifest.version,
        user=user_id,
        track=tracks_of(now, [now.model.catalog.tracks.row(track_id)])[0],
        value=given.value,
    )


@router.get("/{user_id:path}/feedback", summary="What is held against what", responses=problems(404, 422))
def list_feedback(
    user_id: str,
    now: Now,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_TOP)] = 100,
) -> FeedbackPage:
    """List what a user hates, loves and skipped, and which of their best tracks each hate and skip holds back most."""
    verdicts = _verdicts(now, user_id)
    shown = verdicts[offset : offset + limit]
    held = _held_back(now, user_id, [row for row, verdict in shown if verdict != "loved"])
    items = [
        FeedbackItem(track=track, verdict=verdict, holds_back=held.get(row, []))
        for (row, verdict), track in zip(shown, tracks_of(now, [row for row, _ in shown]), strict=True)
    ]
    return FeedbackPage(
        bundle=now.manifest.version, user=user_id, total=len(verdicts), offset=offset, limit=limit, items=items
    )


def _verdicts(now: Snapshot, user_id: str) -> list[tuple[int, Verdict]]:
    plays, heard = history(now, user_id)
    tracks = now.model.catalog.tracks
    hated = set(heard.indices[heard.data == DISLIKED].tolist())
    loved = {
        tracks.row(track_id)
        for (user, track_id), given in now.feedback.items()
        if user == user_id and given.value > 0 and track_id in tracks
    }
    skipped = set(heard.indices.tolist()) - set(plays.indices.tolist()) - hated
    groups: tuple[tuple[Verdict, set[int]], ...] = (("hated", hated), ("loved", loved), ("skipped", skipped))
    return [(row, verdict) for verdict, rows in groups for row in sorted(rows)]


def _held_back(now: Snapshot, user_id: str, rows: list[int]) -> dict[int, list[HeldBack]]:
    plays, heard = history(now, user_id)
    distaste = distaste_of(now.model, plays, heard)
    if distaste is None or not rows:
        return {}
    plain = RecommendOptions(top=LOOKED_AT, max_per_artist=None, artist_gap=0, diversity=0, calibration=0, distaste=0)
    best = recommend(now.model, plays, heard, plain)[0].track_rows
    amounts = blame(now.model, distaste, best, 1.0)
    found = {}
    for row in rows:
        column = amounts[:, int(np.flatnonzero(distaste.track_rows == row)[0])]
        order = [int(at) for at in np.argsort(-column, kind="stable")[:SHOWN] if column[at] > 0]
        found[row] = [
            HeldBack(track=track, amount=round(float(column[at]), 4))
            for at, track in zip(order, tracks_of(now, best[order]), strict=True)
        ]
    return found

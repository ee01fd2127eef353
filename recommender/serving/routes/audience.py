"""Who would like a track, and what a track rests on for whom."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from recommender.ranking.audience import who_would_like
from recommender.ranking.shares import SHARES, shares_for
from recommender.serving.context import Now, ServerContext
from recommender.serving.problems import problems
from recommender.serving.schemas.map import FanItem, Fans, Shares, SharesAnswer
from recommender.serving.views import history, tracks_of

router = APIRouter(prefix="/v1")


@router.get(
    "/tracks/{track_id:path}/listeners", tags=["tracks"], summary="Who would like a track", responses=problems(404, 422)
)
def list_fans(track_id: str, now: Now, context: ServerContext, top: Annotated[int, Query(ge=1, le=100)] = 10) -> Fans:
    """Name the users for whom a track stands out most from everything else, among those who have not heard it.

    Scores are comparable inside one user's list only, so each is told in that user's own standard deviations.
    """
    model, row = now.model, now.model.catalog.tracks.row(track_id)
    played = np.diff(model.plays.indptr)
    items = [
        FanItem(
            user=model.users.ids[fan.user_row],
            standing=round(fan.standing, 3),
            place=fan.place,
            tracks_played=int(played[fan.user_row]),
        )
        for fan in who_would_like(model, context.crowds.crowd(now), row, top)
    ]
    return Fans(bundle=now.manifest.version, track=tracks_of(now, [row])[0], tracks=len(model.catalog), items=items)


@router.get("/users/{user_id:path}/shares", tags=["users"], summary="What tracks rest on", responses=problems(404, 422))
def list_shares(
    user_id: str, now: Now, track: Annotated[list[str], Query(min_length=1, max_length=100, description="Track ids.")]
) -> SharesAnswer:
    """Tell of each track how much listeners alike, sound, and popularity speak for it to a user."""
    plays, _ = history(now, user_id)
    found = shares_for(now.model, plays, now.model.catalog.tracks.rows(track, unknown="raise"))
    items = [
        Shares(track=each, **{name: round(float(share), 3) for name, share in zip(SHARES, row, strict=True)})
        for each, row in zip(track, found, strict=True)
    ]
    return SharesAnswer(bundle=now.manifest.version, user=user_id, items=items)

"""Who would like a track."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from recommender.ranking.audience import who_would_like
from recommender.serving.context import Now, ServerContext
from recommender.serving.problems import problems
from recommender.serving.schemas.map import FanItem, Fans
from recommender.serving.views import tracks_of

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])


@router.get("/{track_id:path}/listeners", summary="Who would like a track", responses=problems(404, 422))
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

"""Recommendations for somebody who is not a user."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Response
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.ranking.ranker import RecommendOptions, listener_of
from recommender.serving.context import Now
from recommender.serving.problems import Problem, problems
from recommender.serving.schemas import AnonymousRequest, Recommendations
from recommender.serving.views import at_once, json_answer, recommendations_for

router = APIRouter(prefix="/v1/recommendations", tags=["recommendations"])


@router.post(
    "",
    summary="Recommend from liked and disliked tracks",
    response_model=Recommendations,
    responses=problems(400, 413, 422),
)
async def recommend_to_anyone(request: AnonymousRequest, now: Now) -> Response:
    """Fold the liked tracks in as if they were plays; nothing is stored.

    Disliked tracks are left out and hold back what is like them. Without any liked track the answer is popular tracks
    and new releases by turns, and says so.
    """
    tracks = now.model.catalog.tracks
    asked = list(dict.fromkeys([*request.liked, *request.disliked]))
    unknown = [identifier for identifier in asked if identifier not in tracks]
    if asked and len(unknown) == len(asked):
        raise Problem(
            422, "unknown-id", f"none of the {len(asked)} tracks is in the catalog, the first is {asked[0]!r}"
        )
    disliked = np.unique(tracks.rows(request.disliked, unknown="drop"))
    liked = np.setdiff1d(tracks.rows(request.liked, unknown="drop"), disliked)
    options = RecommendOptions(
        top=request.top,
        max_per_artist=request.max_per_artist,
        artist_gap=request.artist_gap,
        diversity=request.diversity,
        calibration=request.calibration,
        discovery=request.discovery,
        popularity=request.popularity,
    )
    plays = _one_row(liked, len(tracks))
    heard = DISLIKED * _one_row(disliked, len(tracks))
    if not request.include_heard:
        heard = heard + plays

    def make() -> Response:
        listener = listener_of(now.model, plays, heard, options.discovery)
        return json_answer(recommendations_for(now, listener, options, user=None, unknown_tracks=unknown))

    return await at_once(make, now, max(request.top, (len(asked) + 9) // 10))


def _one_row(columns: npt.NDArray[np.integer], width: int) -> sparse.csr_matrix:
    data = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_matrix((data, columns, np.array([0, len(columns)])), shape=(1, width))

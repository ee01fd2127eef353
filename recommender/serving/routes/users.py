"""Users: who they are, what they would get, and why."""

from __future__ import annotations

import time
from typing import Annotated
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic_core import to_json

from recommender.ranking.exploration import ExploreConfig, generator_of
from recommender.ranking.ranker import RecommendOptions, explain, listener_of_user
from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.observing import note_list
from recommender.serving.problems import problems
from recommender.serving.schemas import (
    MAX_TOP,
    Contribution,
    ExplanationAnswer,
    HeldBackBy,
    Recommendations,
    SoundsLike,
    User,
    UserPage,
)
from recommender.serving.schemas.lists import ListQuery, list_query, query_parameters
from recommender.serving.served import bucket_of, slots_of
from recommender.serving.views import evidence_of, history, is_quick, recommendations_for, tracks_of, user_row

router = APIRouter(prefix="/v1/users", tags=["users"])
SHOWN_PLAYS = 5


@router.get("", summary="Find users", responses=problems(422))
def list_users(
    now: Now,
    query: Annotated[str, Query(max_length=256, description="A part of the id; all users if left out.")] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_TOP)] = 20,
) -> UserPage:
    """List users, those who played most first."""
    played = np.diff(now.model.plays.indptr)
    wanted = query.strip().casefold()
    rows = [row for row, user in enumerate(now.model.users) if wanted in user.casefold()]
    rows.sort(key=lambda row: (now.model.users.ids[row].casefold() != wanted, -played[row], row))
    more = urlencode({"query": query, "offset": offset + limit, "limit": limit})
    return UserPage(
        bundle=now.manifest.version,
        total=len(rows),
        offset=offset,
        limit=limit,
        next=f"/v1/users?{more}" if offset + limit < len(rows) else None,
        items=[
            User(id=now.model.users.ids[row], tracks_played=int(played[row])) for row in rows[offset : offset + limit]
        ],
    )


@router.get(
    "/{user_id:path}/recommendations",
    summary="Recommend to a user",
    response_model=Recommendations,
    responses={304: {"description": "What If-None-Match names is still the answer."}, **problems(404, 422)},
    openapi_extra=query_parameters(ListQuery),
)
async def recommend_to_user(
    user_id: str,
    now: Now,
    context: ServerContext,
    request: Request,
    query: Annotated[ListQuery, Depends(list_query)],
) -> Response:
    """Recommend by everything that is known now, the user's listens of this second included.

    A user without plays gets popular tracks and new releases by turns; `basis` and `note` say so. Some places try
    tracks that may be better than is known: they are marked, stay the same for a while, and every place says how
    probable it was. A list that `include_heard` or `max_listeners` changes tries nothing, and is not logged.
    """
    at_ms = time.time_ns() // 1_000_000
    bucket_ms = bucket_of(at_ms, context.settings.explore_every_s)
    return await context.answers.respond(
        request,
        (user_id, request.scope["query_string"], bucket_ms),
        now.version_of(user_id),
        lambda: _list_for(user_id, now, context, query, at_ms, bucket_ms),
        is_quick(now, query.top),
    )


def _list_for(user_id: str, now: Snapshot, context: Context, query: ListQuery, at_ms: int, bucket_ms: int) -> bytes:
    model, most, settings = now.model, query.max_listeners, context.settings
    options = RecommendOptions(
        top=query.top,
        include_heard=query.include_heard,
        candidate_rows=None if most is None else np.flatnonzero(model.evidence <= most).astype(np.int32),
        max_per_artist=query.max_per_artist or None,
        artist_gap=query.artist_gap,
        diversity=query.diversity,
        calibration=query.calibration,
        discovery=query.discovery,
        popularity=query.popularity,
        distaste=query.distaste,
    )
    listener = listener_of_user(model, user_row(now, user_id), options.discovery)
    if query.include_heard or most is not None:
        return to_json(recommendations_for(now, listener, options, user=user_id))
    rng = generator_of(settings.explore_seed, user_id, now.manifest.version, bucket_ms)
    exploring = ExploreConfig(share=settings.explore if query.explore is None else query.explore)
    answer = recommendations_for(now, listener, options, user=user_id, exploring=exploring, rng=rng)
    note_list(answer["items"])
    if settings.log_served:
        context.served_log.write(slots_of(answer, at_ms, bucket_ms, query.max_per_artist))
    return to_json(answer)


@router.get(
    "/{user_id:path}/explanations/{track_id:path}", summary="Explain a score to a user", responses=problems(404, 422)
)
def explain_to_user(user_id: str, track_id: str, now: Now) -> ExplanationAnswer:
    """Take a track's score for a user apart: which plays pulled it up, what it sounds like, what weighed how much."""
    plays, heard = history(now, user_id)
    row = now.model.catalog.tracks.row(track_id)
    found = explain(now.model, plays, row, heard=heard)
    pulled = [(played, float(amount)) for played, amount in zip(found.played_rows, found.contributions, strict=True)]
    pulled = [(played, amount) for played, amount in pulled if amount > 0 and played != row][:SHOWN_PLAYS]
    track, shown = tracks_of(now, [row])[0], found.held_back_by[:SHOWN_PLAYS]
    return ExplanationAnswer(
        bundle=now.manifest.version,
        user=user_id,
        track=track,
        score=found.score,
        parts=found.parts,
        source=found.source,
        reason=found.reason,
        heard=row in heard.indices,
        taste_weight=found.taste_weight,
        play_weight=found.play_weight,
        user_plays=found.user_plays,
        evidence=evidence_of(track),
        from_plays=[
            Contribution(track=played, amount=amount)
            for played, (_, amount) in zip(tracks_of(now, [played for played, _ in pulled]), pulled, strict=True)
        ],
        sounds_like=[
            SoundsLike(
                track=tracks_of(now, [alike.track_row])[0],
                similarity=alike.similarity,
                here_start_s=alike.query_start_s,
                there_start_s=alike.match_start_s,
            )
            for alike in found.sounds_like
        ],
        confidence=found.confidence,
        held_back_because=found.held_back_because,
        held_back_by=[
            HeldBackBy(track=track, verdict="hated" if held.disliked else "skipped", amount=held.amount)
            for held, track in zip(shown, tracks_of(now, [held.track_row for held in shown]), strict=True)
        ],
    )

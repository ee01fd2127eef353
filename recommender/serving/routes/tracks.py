"""Tracks: find them, play them, add them, and see what sounds alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import numpy as np
from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import JSONResponse

from recommender.ranking.ranker import query_of_row, similar_tracks
from recommender.ranking.retrieval import sound_scan_of
from recommender.ranking.sound import clock, similar_by_scan
from recommender.serving.context import Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.media import AudioResponse, audio_response, find_audio
from recommender.serving.problems import Problem, problems
from recommender.serving.routes.uploads import upload_status
from recommender.serving.schemas import MAX_TOP, SimilarTracks, TrackAnswer, TrackPage, UploadAnswer
from recommender.serving.schemas.uploads import UploadStatus
from recommender.serving.uploads import MAX_NAME, Tags, UploadLimits, accept_upload
from recommender.serving.views import at_once, json_answer, track_values, tracks_of

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])
AUDIO_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "A part of it, by the Range header."},
    304: {"description": "What If-None-Match names is still the file."},
}


@router.get("", summary="Find tracks", responses=problems(422))
def list_tracks(
    now: Now,
    query: Annotated[str, Query(max_length=256, description="Words of title, artist or album.")] = "",
    order: Annotated[
        Literal["relevance", "popular", "new"],
        Query(description="Without a query, relevance is the catalog's order; new: least played, then latest, first."),
    ] = "relevance",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_TOP)] = 20,
) -> TrackPage:
    """Find tracks of which every word of the query occurs in title, artist or album; case and accents do not matter."""
    evidence = now.model.evidence
    rows = np.array(now.index.find(query, evidence) if query.strip() else range(len(evidence)), dtype=np.int64)
    if order == "popular":
        rows = rows[np.argsort(-evidence[rows], kind="stable")]
    elif order == "new":
        released = now.model.catalog.table["released"].to_numpy(dtype=object)[rows].astype(str)
        rows = rows[np.lexsort((rows, released))[::-1]]
        rows = rows[np.argsort(evidence[rows], kind="stable")]
    more = urlencode({"query": query, "order": order, "offset": offset + limit, "limit": limit})
    return TrackPage(
        bundle=now.manifest.version,
        total=len(rows),
        offset=offset,
        limit=limit,
        next=f"/v1/tracks?{more}" if offset + limit < len(rows) else None,
        items=tracks_of(now, rows[offset : offset + limit]),
    )


@router.post(
    "",
    summary="Upload a track",
    status_code=201,
    response_model=UploadAnswer,
    responses={
        202: {"model": UploadStatus, "description": "It is kept, and heard in the background; see its Location."},
        200: {"model": UploadAnswer, "description": "The catalog has this content already."},
        **problems(400, 409, 413, 422, 503, 507),
    },
)
def upload_track(
    context: ServerContext,
    response: Response,
    file: Annotated[UploadFile, File(description="An audio file.")],
    title: Annotated[str, Form(max_length=MAX_NAME, description="Else from its tags, else its file name.")] = "",
    artist: Annotated[str, Form(max_length=MAX_NAME)] = "",
    album: Annotated[str, Form(max_length=MAX_NAME)] = "",
) -> UploadAnswer | Response:
    """Keep the file, listen to it, and place it among the known tracks: it can be recommended and played at once.

    A file that lasts long, or comes while others wait, is kept and heard in the background (202).
    """
    accepted = accept_upload(
        file.file,
        file.filename or "",
        Tags(title.strip(), artist.strip(), album.strip()),
        uploads_dir=context.settings.uploads_dir,
        hearing=context.hearing,
        store=context.store,
        live=context.live,
        limits=UploadLimits(context.settings.long_upload_s, context.settings.max_queued_uploads),
    )
    now = context.live.snapshot()
    if accepted.outcome == "queued":
        context.wake_uploads()
        place = f"/v1/uploads/{quote(accepted.track_id, safe='')}"
        status = upload_status(now, accepted.track_id, "queued").model_dump(mode="json")
        return JSONResponse(status, 202, {"Location": place, "Retry-After": "2"})
    response.status_code = 201 if accepted.outcome == "created" else 200
    response.headers["Location"] = f"/v1/tracks/{quote(accepted.track_id, safe='')}"
    track = tracks_of(now, [now.model.catalog.tracks.row(accepted.track_id)])[0]
    return UploadAnswer(
        bundle=now.manifest.version,
        track=track,
        created=accepted.outcome == "created",
        warnings=list(accepted.warnings),
    )


@router.get(
    "/{track_id:path}/similar",
    summary="What sounds like a track",
    response_model=SimilarTracks,
    responses=problems(404, 409, 422),
)
async def list_similar(track_id: str, now: Now, top: Annotated[int, Query(ge=1, le=MAX_TOP)] = 20) -> Response:
    """Compare by sound alone, however often tracks were played; with the seconds that match where they are known."""
    return await at_once(lambda: _similar(track_id, now, top), now, top)


def _similar(track_id: str, now: Snapshot, top: int) -> Response:
    model, row = now.model, now.model.catalog.tracks.row(track_id)
    if model.sound is None or not model.has_vector[row]:
        raise Problem(
            409,
            "unknown-sound",
            f"the sound of track {track_id!r} is not known to this model; analyse its file and train",
        )
    scan, query = sound_scan_of(model), query_of_row(model.sound, row)
    if scan is None:
        found = similar_tracks(model.sound, query, top, [row])
    else:
        found = similar_by_scan(model.sound, scan, query, top, [row])
    tracks = track_values(now, [alike.track_row for alike in found])
    items = [
        {
            "rank": place,
            "track": track,
            "similarity": round(alike.similarity, 4),
            "query_start_s": alike.query_start_s,
            "match_start_s": alike.match_start_s,
            "source": "content",
            "reason": _reason(alike.query_start_s, alike.match_start_s),
            "evidence": {"listeners": track["listeners"], "sound_known": track["heard_by_model"]},
        }
        for place, (alike, track) in enumerate(zip(found, tracks, strict=True), start=1)
    ]
    return json_answer({"bundle": now.manifest.version, "track": track_values(now, [row])[0], "items": items})


@router.get(
    "/{track_id:path}/audio",
    summary="Play a track",
    response_class=AudioResponse,
    responses={**AUDIO_RESPONSES, **problems(404, 416)},
)
def get_audio(track_id: str, now: Now, context: ServerContext) -> AudioResponse:
    """Send the file of a track of the catalog, in parts where the client asks for parts."""
    row = now.model.catalog.tracks.row(track_id)
    path = find_audio(str(now.model.catalog.table["path"].iloc[row]), context.audio_roots)
    if path is None:
        raise Problem(404, "no-audio", f"there is no file to play for track {track_id!r} in the music folders")
    return audio_response(path)


router.add_api_route("/{track_id:path}/audio", get_audio, methods=["HEAD"], include_in_schema=False)


@router.get("/{track_id:path}", summary="One track", responses=problems(404))
def get_track(track_id: str, now: Now) -> TrackAnswer:
    """Show what is known of a track."""
    row = now.model.catalog.tracks.row(track_id)
    return TrackAnswer(bundle=now.manifest.version, track=tracks_of(now, [row])[0])


def _reason(query_start_s: float | None, match_start_s: float | None) -> str:
    if query_start_s is None or match_start_s is None:
        return "it sounds alike"
    return f"from {clock(match_start_s)} it sounds like {clock(query_start_s)} of the other"

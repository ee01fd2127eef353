"""Playlists: built from tracks, users or a cluster, by rules; as JSON, or as a file that players open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query, Request, Response
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.playlists.builder import Playlist, Rules, Seeds, build_playlist
from recommender.playlists.entries import Entry
from recommender.playlists.formats import MEDIA_TYPES, Ending, file_name_of, playlist_bytes
from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.problems import problems
from recommender.serving.routes.atlas import members_of
from recommender.serving.schemas import Track
from recommender.serving.schemas.playlists import PlaylistAnswer, PlaylistRequest
from recommender.serving.security import CallerNow
from recommender.serving.views import history, tracks_of

router = APIRouter(prefix="/v1/playlists", tags=["playlists"])
LENGTH = 25
HEART = 20
"""A playlist of a cluster alone follows the taste of somebody who plays so many of its most typical tracks."""

Rows = npt.NDArray[np.int32]
ENDINGS: dict[str, Ending] = {"m3u8": ".m3u8", "xspf": ".xspf", "jspf": ".jspf"}
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The playlist.",
        "content": {
            media: {"schema": {"type": "string", "format": "binary"}}
            for media in (MEDIA_TYPES[ending] for ending in ENDINGS.values())
        },
    }
}


@router.post(
    "",
    summary="Build a playlist",
    response_model=PlaylistAnswer,
    responses={**FILES, **problems(400, 404, 409, 413, 422, 503)},
)
def make_playlist(
    asked: PlaylistRequest,
    request: Request,
    now: Now,
    context: ServerContext,
    caller: CallerNow,
    format: Annotated[  # noqa: A002 - the word that people look for in an address
        Literal["json", "m3u8", "xspf", "jspf"] | None,
        Query(description="By the Accept header if left out; the files hold this server's addresses of the audio."),
    ] = None,
) -> PlaylistAnswer | Response:
    """Choose tracks by seeds and rules and put them in an order; rules that could not be kept are named."""
    for user_id in asked.users:
        caller.check_user(user_id)
    playlist = _as_given(now, asked) if asked.as_given else _built(context, now, asked)
    tracks = tracks_of(now, now.model.catalog.tracks.rows(playlist.track_ids, unknown="raise"))
    ending = format or _accepted(request.headers.get("accept", ""))
    if ending != "json":
        return _file(playlist, tracks, ending, str(request.base_url))
    return PlaylistAnswer(
        bundle=playlist.bundle_version,
        name=playlist.name,
        made_at=playlist.made_at.isoformat(timespec="seconds"),
        seed=playlist.seed,
        minutes=round(sum(track.duration_s or 0 for track in tracks) / 60, 1),
        relaxed_rules=list(playlist.relaxed_rules),
        tracks=tracks,
    )


def _as_given(now: Snapshot, asked: PlaylistRequest) -> Playlist:
    now.model.catalog.tracks.rows(asked.tracks, unknown="raise")
    name, version = asked.name or "Playlist", now.manifest.version
    return Playlist(name, tuple(asked.tracks), datetime.now(UTC), version, asked.seed, ())


def _built(context: Context, now: Snapshot, asked: PlaylistRequest) -> Playlist:
    model, known = now.model, now.model.catalog.tracks
    seed_rows = known.rows(list(dict.fromkeys(asked.tracks)), unknown="raise").astype(np.int32)
    allowed = np.ones(len(model.catalog), dtype=bool)
    names, plays, heard = [model.catalog.label(int(row)) for row in seed_rows[:2]], None, None
    if asked.users:
        plays, heard = _joined([history(now, user) for user in dict.fromkeys(asked.users)])
        names += asked.users[:2]
    if asked.tempo_from is not None or asked.tempo_to is not None:
        tempo = now.signatures.column("tempo_bpm")
        inside = (tempo >= (asked.tempo_from or 0)) & (tempo <= (asked.tempo_to or np.inf))
        allowed &= inside | np.isin(np.arange(len(allowed)), seed_rows)
    if asked.cluster is not None:
        _, _, members = members_of(context, now, asked.cluster)
        allowed &= np.isin(np.arange(len(allowed)), np.r_[members, seed_rows])
        if plays is None and not len(seed_rows):
            plays = _one_row(members[:HEART], len(allowed))
    rules = Rules(
        length=LENGTH if asked.length is None and asked.minutes is None else asked.length,
        minutes=asked.minutes,
        max_per_artist=asked.max_per_artist,
        artist_spacing=asked.artist_spacing,
        exclude=np.r_[np.flatnonzero(~allowed), known.rows(asked.exclude, unknown="drop")].astype(np.int32),
        unheard=asked.unheard,
        ordered=asked.ordered,
        arc=asked.arc,
    )
    return build_playlist(
        model,
        Seeds(track_rows=seed_rows, plays=plays, heard=heard),
        rules,
        name=asked.name or " + ".join(names) or "Playlist",
        made_at=datetime.now(UTC),
        bundle_version=now.manifest.version,
        seed=asked.seed,
        signatures=now.signatures,
    )


def _joined(
    histories: list[tuple[sparse.csr_matrix, sparse.csr_matrix]],
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return what several users played, and heard, as if they were one; nobody's dislike is anybody's like."""
    plays = sparse.csr_matrix(sum(mine for mine, _ in histories))
    hated = sum((heard == DISLIKED).astype(np.float32) for _, heard in histories)
    plays = sparse.csr_matrix(plays - plays.multiply(hated > 0))
    plays.eliminate_zeros()
    heard = sparse.csr_matrix(sum(abs(heard) for _, heard in histories))
    return plays, heard


def _one_row(columns: npt.NDArray[np.integer], width: int) -> sparse.csr_matrix:
    columns = np.sort(columns)
    data = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_matrix((data, columns, np.array([0, len(columns)])), shape=(1, width))


def _accepted(accept: str) -> str:
    return next((name for name, ending in ENDINGS.items() if MEDIA_TYPES[ending] in accept), "json")


def _file(playlist: Playlist, tracks: list[Track], ending: str, base: str) -> Response:
    entries = [
        Entry(
            track.id,
            track.title,
            track.artist,
            track.album,
            np.nan if track.duration_s is None else track.duration_s,
            None,
            f"{base}v1/tracks/{quote(track.id, safe='')}/audio" if track.playable else "",
        )
        for track in tracks
    ]
    name = quote(f"{file_name_of(playlist.name)}.{ending}")
    disposition = f"attachment; filename=\"playlist.{ending}\"; filename*=UTF-8''{name}"
    kind = ENDINGS[ending]
    content = playlist_bytes(kind, playlist, entries)
    return Response(content, media_type=MEDIA_TYPES[kind], headers={"Content-Disposition": disposition})

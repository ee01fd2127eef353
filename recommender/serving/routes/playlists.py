"""Playlists: built from tracks, users or a cluster, by rules; as JSON, or as a file that players open."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Query, Request, Response
from scipy import sparse

from recommender.playlists.builder import Playlist, Rules, Seeds, Span, build_playlist
from recommender.playlists.entries import Entry
from recommender.playlists.formats import MEDIA_TYPES, Ending, file_name_of, playlist_bytes
from recommender.playlists.path import find_path
from recommender.serving.cluster_names import names_of
from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.problems import problems
from recommender.serving.routes.atlas import members_of
from recommender.serving.schemas import MAX_TOP, Track
from recommender.serving.schemas.playlists import PlaylistAnswer, PlaylistRequest, RelaxedRule, UserShare
from recommender.serving.security import CallerNow
from recommender.serving.views import history, tracks_of

router = APIRouter(prefix="/v1/playlists", tags=["playlists"])
cluster_router = APIRouter(prefix="/v1/clusters", tags=["playlists"])
LENGTH = 25
PATH_LENGTH = 10
HEART = 20
"""A playlist of a cluster alone follows the taste of somebody who plays so many of its most typical tracks."""

Rows = npt.NDArray[np.int32]
ENDINGS: dict[str, Ending] = {"m3u8": ".m3u8", "xspf": ".xspf", "jspf": ".jspf"}
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The playlist.",
        "content": {
            media: {"schema": {"type": "object"} if media.endswith("json") else {"type": "string", "format": "binary"}}
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
    return _answer(context, now, asked, request, format)


@cluster_router.get(
    "/{cluster_id:path}/playlist",
    summary="The playlist of a cluster",
    response_model=PlaylistAnswer,
    responses={**FILES, **problems(404, 422, 503)},
)
def play_cluster(
    cluster_id: str,
    request: Request,
    now: Now,
    context: ServerContext,
    length: Annotated[int, Query(ge=1, le=MAX_TOP)] = LENGTH,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1, description="Another one, another playlist.")] = 0,
    format: Annotated[  # noqa: A002 - as above
        Literal["json", "m3u8", "xspf", "jspf"] | None, Query(description="By the Accept header if left out.")
    ] = None,
) -> PlaylistAnswer | Response:
    """Choose from what the cluster holds now. By its name, the address stays through trainings and new tracks."""
    atlas, cluster, _ = members_of(context, now, cluster_id)
    names = names_of(context.store, now.manifest.version, atlas, now.model.catalog.tracks)
    name = names.get(cluster, f"Cluster {cluster + 1}")
    asked = PlaylistRequest(cluster=cluster_id, length=length, seed=seed, name=name, max_per_artist=None)
    return _answer(context, now, asked, request, format)


def _answer(
    context: Context, now: Snapshot, asked: PlaylistRequest, request: Request, wanted: str | None
) -> PlaylistAnswer | Response:
    if asked.as_given:
        playlist = _as_given(now, asked)
    else:
        playlist = _built(context, now, asked) if asked.to is None else _path(now, asked, asked.to)
    tracks = tracks_of(now, now.model.catalog.tracks.rows(playlist.track_ids, unknown="raise"))
    ending = wanted or _accepted(request.headers.get("accept", ""))
    if ending != "json":
        return _file(playlist, tracks, ending, str(request.base_url))
    return PlaylistAnswer(
        bundle=playlist.bundle_version,
        name=playlist.name,
        made_at=playlist.made_at.isoformat(timespec="seconds"),
        seed=playlist.seed,
        minutes=round(sum(track.duration_s or 0 for track in tracks) / 60, 1),
        relaxed_rules=list(playlist.relaxed_rules),
        relaxed=[RelaxedRule(**vars(each)) for each in playlist.relaxed],
        shortage=playlist.shortage,
        shares=[UserShare(**vars(each)) for each in playlist.shares],
        tracks=tracks,
    )


def _as_given(now: Snapshot, asked: PlaylistRequest) -> Playlist:
    now.model.catalog.tracks.rows(asked.tracks, unknown="raise")
    name, version = asked.name or "Playlist", now.manifest.version
    return Playlist(name, tuple(asked.tracks), datetime.now(UTC), version, asked.seed, ())


def _path(now: Snapshot, asked: PlaylistRequest, end: str) -> Playlist:
    known, catalog = now.model.catalog.tracks, now.model.catalog
    first, last = known.rows([asked.tracks[0], end], unknown="raise").tolist()
    excluded = known.rows(asked.exclude, unknown="drop")
    found = find_path(now.model, first, last, asked.length or PATH_LENGTH, exclude=excluded, seed=asked.seed)
    ids = tuple(known.ids_of(np.array(found.rows)))
    bridges = tuple(
        "path: no chain of near neighbours leads from "
        + " to ".join(catalog.label(row) for row in found.rows[step : step + 2])
        for step in found.bridges
    )
    name = asked.name or f"{catalog.label(first)} to {catalog.label(last)}"
    return Playlist(name, ids, datetime.now(UTC), now.manifest.version, asked.seed, bridges)


def _built(context: Context, now: Snapshot, asked: PlaylistRequest) -> Playlist:
    model, known = now.model, now.model.catalog.tracks
    seed_rows = known.rows(list(dict.fromkeys(asked.tracks)), unknown="raise").astype(np.int32)
    names, plays, heard = [model.catalog.label(int(row)) for row in seed_rows[:2]], None, None
    users, within = tuple(dict.fromkeys(asked.users)), None
    if users:
        histories = [history(now, user) for user in users]
        plays, heard = (sparse.vstack(each, format="csr") for each in zip(*histories, strict=True))
    names += [*asked.artists[:2], *users[:2]]
    if asked.cluster is not None:
        _, _, members = members_of(context, now, asked.cluster)
        within = np.zeros(len(model.catalog), dtype=bool)
        within[members] = True
        if plays is None and not len(seed_rows) and not asked.artists:
            plays = _one_row(members[:HEART], len(model.catalog))
    return build_playlist(
        model,
        Seeds(
            track_rows=seed_rows,
            artists=tuple(dict.fromkeys(asked.artists)),
            plays=plays,
            heard=heard,
            recent_rows=_recent_rows(context, now, asked),
            users=users,
        ),
        _rules(now, asked, within),
        name=asked.name or " + ".join(names) or "Playlist",
        made_at=datetime.now(UTC),
        bundle_version=now.manifest.version,
        seed=asked.seed,
        signatures=now.signatures,
    )


def _rules(now: Snapshot, asked: PlaylistRequest, within: npt.NDArray[np.bool_] | None) -> Rules:
    known = now.model.catalog.tracks
    return Rules(
        length=LENGTH if asked.length is None and asked.minutes is None else asked.length,
        minutes=asked.minutes,
        max_per_artist=asked.max_per_artist,
        artist_spacing=asked.artist_spacing,
        album_spacing=asked.album_spacing,
        include=known.rows(asked.include, unknown="raise").astype(np.int32),
        exclude=known.rows(asked.exclude, unknown="drop").astype(np.int32),
        within=within,
        exclude_artists=tuple(asked.exclude_artists),
        exclude_genres=tuple(asked.exclude_genres),
        unheard=asked.unheard,
        tempo=_span(asked.tempo_from, asked.tempo_to),
        key=tuple(asked.key),
        energy=_span(asked.energy_from, asked.energy_to),
        year=_span(asked.year_from, asked.year_to),
        genre=tuple(asked.genre),
        variety=asked.variety,
        ordered=asked.ordered,
        arc=asked.arc,
        soft=frozenset(asked.soft),
    )


def _span(low: float | None, high: float | None) -> Span | None:
    return None if low is None and high is None else Span(low, high)


def _recent_rows(context: Context, now: Snapshot, asked: PlaylistRequest) -> Rows:
    """Return what the users played in the last days, of the listens that the store holds."""
    if asked.not_played_days is None or not asked.users:
        return np.empty(0, dtype=np.int32)
    since_ms = int((time.time() - asked.not_played_days * 86_400) * 1000)
    played = context.store.played_since(tuple(asked.users), since_ms)
    return now.model.catalog.tracks.rows(sorted(played), unknown="drop").astype(np.int32)


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

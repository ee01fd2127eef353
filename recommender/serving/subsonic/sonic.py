"""What sounds like a song, what goes with it, and a path from one song to another."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import Query, Response
from scipy import sparse

from recommender.errors import UnknownIdError
from recommender.playlists.path import MAX_LENGTH, find_path
from recommender.ranking.ranker import RecommendOptions, query_of_row, recommend, similar_tracks
from recommender.serving.context import Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.shelf import Library
from recommender.serving.subsonic.browsing import Count, Id, at_most
from recommender.serving.subsonic.children import song_entries
from recommender.serving.subsonic.envelope import GENERIC, NOT_FOUND, SubsonicError
from recommender.serving.subsonic.route import MaybePerson, Reply, endpoint

TYPICAL = 20
"""So many of an artist's or an album's most played tracks stand for the whole."""


@endpoint("getSonicSimilarTracks", "What sounds like a song")
def get_sonic_similar_tracks(
    reply: Reply, now: Now, context: ServerContext, person: MaybePerson, item_id: Id, count: Count = 10
) -> Response:
    """Compare by sound alone; similarity is the cosine of the audio vectors, 0 where it is below."""
    row, model = _audible(now, item_id), now.model
    if not at_most(count) or model.sound is None:
        return reply(sonicMatch=[])
    found = similar_tracks(model.sound, query_of_row(model.sound, row), at_most(count), [row])
    matches = [(one.track_row, one.similarity) for one in found]
    return reply(sonicMatch=_matches(now, context.shelf.of(model.catalog), matches, person))


@endpoint("findSonicPath", "A path between two songs")
def find_sonic_path(
    reply: Reply,
    now: Now,
    context: ServerContext,
    person: MaybePerson,
    start_id: Annotated[str, Query(alias="startSongId")],
    end_id: Annotated[str, Query(alias="endSongId")],
    count: Count = 25,
) -> Response:
    """Go in steps that each make sense; the similarity is that of a song and the one before it."""
    start, end, model = _audible(now, start_id), _audible(now, end_id), now.model
    length = min(count, MAX_LENGTH, int(model.has_vector.sum()))
    if length < 2:
        raise SubsonicError(
            GENERIC, f"count is {count}, expected 2 or more: the path begins and ends with the two songs"
        )
    library = context.shelf.of(model.catalog)
    if start == end:
        return reply(sonicMatch=_matches(now, library, [(start, 1.0)], person))
    path = find_path(model, start, end, length)
    similarities = [1.0, *(1 - distance for distance in path.distances)]
    return reply(sonicMatch=_matches(now, library, list(zip(path.rows, similarities, strict=True)), person))


@endpoint("getSimilarSongs", "What goes with a song, an album or an artist")
def get_similar_songs(
    reply: Reply, now: Now, context: ServerContext, person: MaybePerson, item_id: Id, count: Count = 50
) -> Response:
    """Recommend to somebody who plays it."""
    return reply(similarSongs={"song": _going_with(now, context, item_id, count, person)})


@endpoint("getSimilarSongs2", "What goes with an artist")
def get_similar_songs2(
    reply: Reply, now: Now, context: ServerContext, person: MaybePerson, item_id: Id, count: Count = 50
) -> Response:
    """Recommend to somebody who plays it; an album's or a song's id does as well."""
    return reply(similarSongs2={"song": _going_with(now, context, item_id, count, person)})


def _going_with(
    now: Snapshot, context: ServerContext, item_id: str, count: int, person: str | None
) -> list[dict[str, Any]]:
    library, model = context.shelf.of(now.model.catalog), now.model
    rows = _rows_of(now, library, item_id)
    if not at_most(count):
        return []
    typical = np.sort(rows[np.argsort(-model.evidence[rows], kind="stable")][:TYPICAL])
    data, ends = np.ones(len(typical), dtype=np.float32), np.array([0, len(typical)])
    plays = sparse.csr_matrix((data, typical, ends), shape=(1, len(model.catalog)))
    ranked = recommend(model, plays, plays, RecommendOptions(top=at_most(count)))[0]
    return song_entries(now, library, ranked.track_rows, person)


def _rows_of(now: Snapshot, library: Library, item_id: str) -> np.ndarray:
    if item_id in library.artists:
        albums = library.artists[item_id].albums
    elif item_id in library.albums:
        albums = (library.albums[item_id],)
    elif item_id in now.model.catalog.tracks:
        return np.array([now.model.catalog.tracks.row(item_id)], dtype=np.int64)
    else:
        raise UnknownIdError(f"{item_id[:100]!r} is no song, album or artist of this library")
    return np.array([row for album in albums for row in album.rows], dtype=np.int64)


def _audible(now: Snapshot, item_id: str) -> int:
    row = now.model.catalog.tracks.row(item_id)
    if now.model.sound is None or not now.model.has_vector[row]:
        raise SubsonicError(NOT_FOUND, f"the sound of track {item_id[:100]!r} is not known to this model")
    return row


def _matches(
    now: Snapshot, library: Library, found: list[tuple[int, float]], person: str | None
) -> list[dict[str, Any]]:
    songs = song_entries(now, library, [row for row, _ in found], person)
    return [
        {"entry": song, "similarity": round(min(max(float(similarity), 0.0), 1.0), 4)}
        for song, (_, similarity) in zip(songs, found, strict=True)
    ]

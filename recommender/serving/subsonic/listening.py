"""What a user played and what they make of it: scrobbles are listens, a star is a love."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Query, Response

from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.observing import LISTENS
from recommender.serving.routes.listens import EARLIEST_MS
from recommender.serving.store import Feedback, Listen
from recommender.serving.subsonic.children import HATED, LOVED, song_entries
from recommender.serving.subsonic.envelope import GENERIC, MISSING, NOT_FOUND, SubsonicError
from recommender.serving.subsonic.route import Person, Reply, endpoint

MAX_AHEAD_MS = 3_600_000
MOST = 1000
Ids = Annotated[list[str], Query(alias="id")]
Times = Annotated[
    list[int], Query(alias="time", default_factory=list, description="Unix times in milliseconds, one a song.")
]
MaybeIds = Annotated[list[str], Query(alias="id", default_factory=list)]
AlbumIds = Annotated[list[str], Query(alias="albumId", default_factory=list)]
ArtistIds = Annotated[list[str], Query(alias="artistId", default_factory=list)]


@endpoint("scrobble", "Songs that were played")
def scrobble(
    reply: Reply,
    context: ServerContext,
    person: Person,
    ids: Ids,
    times: Times,
    submission: Annotated[bool, Query(description="False: it begins to play; nothing is kept.")] = True,
) -> Response:
    """Keep listens, each once: the same song at the same time is stored once.

    Where a song is not known, the others are kept, and the answer is that it was not found.
    """
    now_ms = time.time_ns() // 1_000_000
    if len(ids) > MOST or (times and len(times) != len(ids)):
        raise SubsonicError(
            GENERIC, f"{len(ids)} ids and {len(times)} times; expected at most {MOST}, and as many of both"
        )
    for at_ms in times:
        if not EARLIEST_MS <= at_ms <= now_ms + MAX_AHEAD_MS:
            raise SubsonicError(GENERIC, f"time is {at_ms}, expected milliseconds since 1970, from 2000 until now")
    tracks = context.live.catch_up().model.catalog.tracks
    if submission:
        played = zip(ids, times or [now_ms] * len(ids), strict=True)
        listens = [Listen(person, track_id, at_ms) for track_id, at_ms in played if track_id in tracks]
        for outcome in context.store.add_listens(listens):
            LISTENS.labels(outcome).inc()
        context.live.catch_up()
    unknown = [track_id for track_id in ids if track_id not in tracks]
    if unknown:
        raise SubsonicError(NOT_FOUND, f"{len(unknown)} of {len(ids)} songs are not known, the first is {unknown[0]!r}")
    return reply()


@endpoint("star", "Love songs")
def star(
    reply: Reply,
    context: ServerContext,
    person: Person,
    ids: MaybeIds,
    albums: AlbumIds,
    artists: ArtistIds,
) -> Response:
    """Love songs; whole albums and artists cannot be loved here."""
    _give(context, person, _songs(ids, albums, artists), 1)
    return reply()


@endpoint("unstar", "Love songs no more")
def unstar(
    reply: Reply,
    context: ServerContext,
    person: Person,
    ids: MaybeIds,
    albums: AlbumIds,
    artists: ArtistIds,
) -> Response:
    """Take loves back; what was hated or skipped stays so."""
    given = context.live.catch_up().feedback
    songs = _songs(ids, albums, artists)
    loved = [song for song in songs if (person, song) in given and given[person, song].value > 0]
    _check(context, songs)
    _give(context, person, loved, 0)
    return reply()


@endpoint("setRating", "Rate a song")
def set_rating(
    reply: Reply,
    context: ServerContext,
    person: Person,
    item_id: Annotated[str, Query(alias="id")],
    rating: Annotated[int, Query(ge=0, le=5)],
) -> Response:
    """Love it with 5, hate it with 1; anything between takes either back."""
    _give(context, person, [item_id], {LOVED: 1, HATED: -1}.get(rating, 0))
    return reply()


@endpoint("getStarred2", "What the user loves")
def get_starred(reply: Reply, now: Now, context: ServerContext, person: Person) -> Response:
    """List the songs that the user loves, the last one first."""
    tracks = now.model.catalog.tracks
    loved = [one for (user, _), one in now.feedback.items() if user == person and one.value > 0]
    rows = [
        tracks.row(one.track_id) for one in sorted(loved, key=lambda one: -one.given_at_ms) if one.track_id in tracks
    ]
    return reply(starred2={"song": song_entries(now, context.shelf.of(now.model.catalog), rows, person)})


def _songs(ids: list[str], albums: list[str], artists: list[str]) -> list[str]:
    if albums or artists:
        raise SubsonicError(GENERIC, "albums and artists cannot be starred here; star their songs")
    if not ids:
        raise SubsonicError(MISSING, "Required parameter is missing: id")
    return list(dict.fromkeys(ids[:MOST]))


def _check(context: Context, songs: list[str]) -> None:
    tracks = context.live.catch_up().model.catalog.tracks
    for song in songs:
        tracks.row(song)


def _give(context: Context, person: str, songs: list[str], value: int) -> None:
    _check(context, songs)
    at_ms = time.time_ns() // 1_000_000
    for song in songs:
        context.store.add_feedback(Feedback(person, song, value, at_ms))
    context.live.catch_up()

"""Playlists that players keep here."""

from __future__ import annotations

import math
import re
import secrets
import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Query, Response

from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.store import SavedPlaylist
from recommender.serving.subsonic.children import iso, song_entries
from recommender.serving.subsonic.envelope import GENERIC, MISSING, SubsonicError
from recommender.serving.subsonic.route import Person, Reply, endpoint

MAX_TRACKS = 10_000
MAX_PLAYLISTS = 1000
MAX_NAME, MAX_COMMENT = 1000, 4000
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
PlaylistId = Annotated[str, Query(alias="playlistId")]


@endpoint("getPlaylists", "The user's playlists")
def get_playlists(
    reply: Reply, now: Now, context: ServerContext, person: Person, username: Annotated[str, Query()] = ""
) -> Response:
    """List them, without their songs; other users' are not shown."""
    found = context.store.playlists_of(person) if username in ("", person) else []
    return reply(playlists={"playlist": [_entry(now, each) for each in found]})


@endpoint("getPlaylist", "A playlist and its songs")
def get_playlist(
    reply: Reply, now: Now, context: ServerContext, person: Person, playlist_id: Annotated[str, Query(alias="id")]
) -> Response:
    """Show both; a song that left the library is left out."""
    return reply(playlist=_with_songs(now, context, context.store.playlist(person, playlist_id)))


@endpoint("createPlaylist", "Make a playlist, or fill one anew")
def create_playlist(
    reply: Reply,
    now: Now,
    context: ServerContext,
    person: Person,
    songs: Annotated[list[str], Query(alias="songId", default_factory=list)],
    playlist_id: PlaylistId = "",
    name: Annotated[str, Query()] = "",
) -> Response:
    """Make one of a name, or put other songs into one."""
    tracks, at_ms, title = _known(now, songs), time.time_ns() // 1_000_000, _text(name, MAX_NAME)
    if playlist_id:

        def filled(old: SavedPlaylist) -> SavedPlaylist:
            return replace(old, name=title or old.name, track_ids=tracks, changed_at_ms=at_ms)

        return reply(playlist=_with_songs(now, context, context.store.change_playlist(person, playlist_id, filled)))
    if not title:
        raise SubsonicError(MISSING, "Required parameter is missing: name or playlistId")
    if len(context.store.playlists_of(person)) >= MAX_PLAYLISTS:
        raise SubsonicError(GENERIC, f"user {person!r} has {MAX_PLAYLISTS} playlists, which is the most; delete one")
    made = SavedPlaylist(secrets.token_hex(8), person, title, "", tracks, at_ms, at_ms)
    context.store.add_playlist(made)
    return reply(playlist=_with_songs(now, context, made))


@endpoint("updatePlaylist", "Change a playlist")
def update_playlist(
    reply: Reply,
    now: Now,
    context: ServerContext,
    person: Person,
    playlist_id: PlaylistId,
    added: Annotated[list[str], Query(alias="songIdToAdd", default_factory=list)],
    removed: Annotated[list[int], Query(alias="songIndexToRemove", default_factory=list)],
    name: Annotated[str | None, Query()] = None,
    comment: Annotated[str | None, Query()] = None,
) -> Response:
    """Change its name and comment; take songs out, by their places as they were, then add others at its end."""
    more, out, at_ms = _known(now, added), set(removed), time.time_ns() // 1_000_000

    def changed(old: SavedPlaylist) -> SavedPlaylist:
        stay = tuple(song for place, song in enumerate(old.track_ids) if place not in out)
        if len(stay) + len(more) > MAX_TRACKS:
            raise SubsonicError(GENERIC, f"a playlist has at most {MAX_TRACKS} songs")
        title = _text(name or "", MAX_NAME) or old.name
        told = old.comment if comment is None else _text(comment, MAX_COMMENT)
        return replace(old, name=title, comment=told, track_ids=(*stay, *more), changed_at_ms=at_ms)

    context.store.change_playlist(person, playlist_id, changed)
    return reply()


@endpoint("deletePlaylist", "Delete a playlist")
def delete_playlist(
    reply: Reply, context: ServerContext, person: Person, playlist_id: Annotated[str, Query(alias="id")]
) -> Response:
    """Delete it."""
    context.store.delete_playlist(person, playlist_id)
    return reply()


def _known(now: Snapshot, songs: list[str]) -> tuple[str, ...]:
    if len(songs) > MAX_TRACKS:
        raise SubsonicError(GENERIC, f"{len(songs)} songs; a playlist has at most {MAX_TRACKS}")
    for song in songs:
        now.model.catalog.tracks.row(song)
    return tuple(songs)


def _text(text: str, most: int) -> str:
    return " ".join(_NO_TEXT.sub(" ", text).split())[:most]


def _entry(now: Snapshot, playlist: SavedPlaylist) -> dict[str, Any]:
    catalog = now.model.catalog
    rows = catalog.tracks.rows(playlist.track_ids, unknown="drop").tolist()
    durations = [catalog.columns["duration_s"][row] for row in rows]
    return {
        "id": playlist.playlist_id,
        "name": playlist.name,
        "comment": playlist.comment,
        "owner": playlist.user_id,
        "public": False,
        "songCount": len(rows),
        "duration": round(sum(each for each in durations if not math.isnan(each))),
        "created": iso(playlist.created_at_ms),
        "changed": iso(playlist.changed_at_ms),
    }


def _with_songs(now: Snapshot, context: Context, playlist: SavedPlaylist) -> dict[str, Any]:
    catalog = now.model.catalog
    rows = catalog.tracks.rows(playlist.track_ids, unknown="drop").tolist()
    library = context.shelf.of(catalog)
    return {**_entry(now, playlist), "entry": song_entries(now, library, rows, playlist.user_id)}

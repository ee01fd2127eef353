"""Songs, albums and artists in Subsonic's words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from recommender.serving.live import Snapshot
from recommender.serving.media import MEDIA_TYPES
from recommender.serving.shelf import Album, Artist, Library

LOVED, HATED = 5, 1


def song_entries(now: Snapshot, library: Library, rows: Iterable[int], person: str | None) -> list[dict[str, Any]]:
    """Show the tracks of catalog rows; with what a person said of them, where there is one."""
    return [_song(now, library, int(row), person) for row in rows]


def _song(now: Snapshot, library: Library, row: int, person: str | None) -> dict[str, Any]:
    catalog = now.model.catalog
    columns, track_id, album = catalog.columns, catalog.tracks.ids[row], library.album_of[row]
    duration_s, released = columns["duration_s"][row], columns["released"][row]
    suffix = PurePath(columns["path"][row]).suffix.lower()
    found = now.signatures.row(row)
    given = None if person is None else now.feedback.get((person, track_id))
    return {
        "id": track_id,
        "parent": album.album_id,
        "isDir": False,
        "title": columns["title"][row] or track_id,
        "album": album.name,
        "albumId": album.album_id,
        "artist": columns["artist"][row] or album.artist,
        "artistId": album.artist_id,
        "year": _year(released),
        "duration": None if math.isnan(duration_s) else round(duration_s),
        "suffix": suffix[1:] or None,
        "contentType": MEDIA_TYPES.get(suffix),
        "isVideo": False,
        "type": "music",
        "mediaType": "song",
        "musicBrainzId": columns["recording_mbid"][row],
        "bpm": 0 if found is None else round(found.tempo_bpm),
        "starred": None if given is None or given.value <= 0 else iso(given.given_at_ms),
        "userRating": {1: LOVED, -1: HATED}.get(given.value) if given is not None else None,
    }


def album_entry(now: Snapshot, album: Album) -> dict[str, Any]:
    """Show an album, without its songs."""
    columns = now.model.catalog.columns
    durations = [columns["duration_s"][row] for row in album.rows]
    released = max((columns["released"][row] for row in album.rows), default="")
    return {
        "id": album.album_id,
        "name": album.name,
        "artist": album.artist,
        "artistId": album.artist_id,
        "songCount": len(album.rows),
        "duration": round(sum(each for each in durations if not math.isnan(each))),
        "created": now.manifest.created_at,
        "year": _year(released),
    }


def artist_entry(artist: Artist) -> dict[str, Any]:
    """Show an artist, without the albums."""
    return {"id": artist.artist_id, "name": artist.name, "albumCount": len(artist.albums)}


def iso(at_ms: int) -> str:
    """Return a time as Subsonic writes it.

    Examples
    --------
    >>> iso(1_700_000_000_000)
    '2023-11-14T22:13:20Z'
    """
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _year(released: str) -> int | None:
    return int(released[:4]) if released[:4].isdecimal() and released[:4].isascii() else None

"""Navidrome's database file: stars, play counts and, where it keeps them, single plays; opened for reading only.

Tables: `navidrome/navidrome`, ``model/annotation.go``, ``model/mediafile.go`` and ``db/migrations``: annotation
(play_count, starred), media_file (``mbz_recording_id``, before 2023 ``mbz_track_id``), user (only id and user_name are
read), scrobbles (single plays; since 2025). A count stands for the plays that scrobbles does not have.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from urllib.parse import quote

from recommender.data.histories.dates import seconds_of
from recommender.data.histories.listen import NO_TIME, Broken, Entry, History, Listen, Unusable, name_of, said
from recommender.data.histories.opening import Part
from recommender.errors import DataError

_MAGIC = b"SQLite format 3\0"
_TRACK = "coalesce(u.user_name, ''), m.artist, m.title, m.album, m.duration"


def read(part: Part) -> History | None:
    """Read a Navidrome database; None if the part is no database.

    Raises
    ------
    DataError
        If it is another program's database, or is inside a zip.
    """
    if not part.head.startswith(_MAGIC):
        return None
    if part.name:
        raise DataError(f"{part.path}: {part.name} is a database; take it out of the zip")
    return History("Navidrome", _entries(part))


def _entries(part: Part) -> Iterator[Entry]:
    try:
        with closing(_connected(part)) as database:
            columns = {table: _columns(database, table) for table in ("annotation", "media_file", "user", "scrobbles")}
            if (
                not {"play_count", "starred", "item_id"} <= columns["annotation"]
                or "title" not in columns["media_file"]
            ):
                raise DataError(
                    f"{part.path} is a database of another program than Navidrome: it has no plays and stars"
                )
            mbid = next((c for c in ("mbz_recording_id", "mbz_track_id") if c in columns["media_file"]), "''")
            track = f"{_TRACK}, {mbid}"
            single = "0"
            if "submission_time" in columns["scrobbles"]:
                yield from _plays(database, track)
                single = (
                    "(SELECT count(*) FROM scrobbles s WHERE s.media_file_id = a.item_id AND s.user_id = a.user_id)"
                )
            yield from _counts(database, track, single)
    except sqlite3.Error as error:
        raise DataError(
            f"{part.path} cannot be read as a Navidrome database: {error}; copy it while the server rests"
        ) from error


def _connected(part: Part) -> sqlite3.Connection:
    """Open it read-only; if it lies where not even a lock can be made, as one that nobody changes."""
    name = quote(str(part.path.resolve()))
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        database = sqlite3.connect(f"file:{name}?{mode}", uri=True)
        try:
            database.execute("PRAGMA query_only = ON")
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            database.close()
            continue
        database.text_factory = lambda text: text.decode("utf-8", "replace")
        return database
    raise sqlite3.OperationalError("it cannot be opened")


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


def _plays(database: sqlite3.Connection, track: str) -> Iterator[Entry]:
    query = (
        f"SELECT {track}, s.submission_time FROM scrobbles s JOIN media_file m ON m.id = s.media_file_id "  # noqa: S608
        "LEFT JOIN user u ON u.id = s.user_id ORDER BY s.rowid"
    )
    for number, (user, artist, title, album, length, mbid, time) in enumerate(database.execute(query), start=1):
        try:
            yield Listen(name_of(artist, title, album, mbid, length), seconds_of(time, UTC), user=user)
        except Unusable as error:
            yield Broken(f"scrobble {number}", said(error))


def _counts(database: sqlite3.Connection, track: str, single: str) -> Iterator[Entry]:
    query = (
        f"SELECT {track}, coalesce(a.play_count, 0) - {single}, a.starred FROM annotation a "  # noqa: S608
        "JOIN media_file m ON m.id = a.item_id LEFT JOIN user u ON u.id = a.user_id "
        "WHERE a.play_count > 0 OR a.starred ORDER BY a.rowid"
    )
    for number, (user, artist, title, album, length, mbid, count, starred) in enumerate(
        database.execute(query), start=1
    ):
        try:
            name = name_of(artist, title, album, mbid, length)
            if count > 0 or starred:
                yield Listen(name, NO_TIME, max(0.0, float(count)), bool(starred), user)
        except Unusable as error:
            yield Broken(f"annotation {number}", said(error))

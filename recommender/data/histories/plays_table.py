"""Tables of artist, title and time: what people export from Last.fm and Libre.fm, and tables of their own.

Known shapes: benjaminbenben.com/lastfm-to-csv (no line of names: artist, album, track, ``14 Nov 2023, 22:13``, UTC);
lastfm.ghan.nl/export (``uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid``); lastfmstats.com
(``Artist;Album;AlbumId;Track;Date#user``, ms; `felhag/lastfm-stats-web`, ``export-service.ts``); Libre.fm (``Time``,
``Artist``, ``Track``, ``Album``, lines before it; `metabrainz/listenbrainz-server`, ``listens_importer/librefm.py``).
Any other table that names these columns is read as well, separated by comma, semicolon or tab.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import islice
from typing import Any

from recommender.data.histories.dates import seconds_of
from recommender.data.histories.listen import NO_TIME, Broken, Entry, History, Listen, Unusable, name_of, said
from recommender.data.histories.opening import Part

COLUMNS = {
    "artist": ("artist", "artistname", "trackartist", "performer", "mastermetadataalbumartistname"),
    "title": ("track", "trackname", "title", "tracktitle", "song", "songtitle", "mastermetadatatrackname"),
    "album": ("album", "albumname", "albumtitle", "release", "releasename", "mastermetadataalbumalbumname"),
    "time": ("uts", "timestamp", "listenedat", "playedat", "utctime", "time", "date", "datetime", "ts", "endtime"),
    "mbid": ("trackmbid", "recordingmbid", "mbid"),
    "length": ("duration", "durations", "length", "lengths"),
    "count": ("playcount", "plays", "count", "scrobbles", "listens"),
}
_HEADERLESS = {"artist": 0, "album": 1, "title": 2, "time": 3}
_LOOKED_AT = 20


def read(part: Part, zone: tzinfo) -> History | None:
    """Read a table of plays; None if its head shows none.

    Parameters
    ----------
    part : Part
    zone : tzinfo
        Of times without a zone.
    """
    lines = part.beginning().splitlines()[: _LOOKED_AT + 1]
    if len(part.head) > 0 and len(lines) > 1 and not part.beginning().endswith("\n"):
        lines = lines[:-1] if len(lines) > _LOOKED_AT else lines
    for delimiter in (",", ";", "\t"):
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        for skipped, row in enumerate(rows):
            if at := _columns(row):
                user = next((cell.partition("#")[2] for cell in row if cell.lower().startswith("date#")), "")
                service = _service(row, user)
                return History(service, _entries(part, delimiter, at, skipped + 1, zone), user.strip())
        if rows and sum(_is_headerless(row) for row in rows) > len(rows) / 2:
            return History("Last.fm", _entries(part, delimiter, _HEADERLESS, 0, zone))
    return None


def _columns(row: Sequence[str]) -> dict[str, int] | None:
    """Return where the columns are if `row` is a line of names."""
    names = [re.sub(r"[^a-z0-9]", "", cell.partition("#")[0].lower()) for cell in row]
    at = {}
    for column, known in COLUMNS.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            at[column] = place
    return at if {"artist", "title"} <= set(at) and {"time", "count"} & set(at) else None


def _service(row: Sequence[str], user: str) -> str:
    names = [cell.strip() for cell in row]
    if "uts" in names or user or "Date#" in names:
        return "Last.fm"
    return "Libre.fm" if {"Time", "Artist", "Track", "Album"} <= set(names) else "table of plays"


def _is_headerless(row: Sequence[str]) -> bool:
    try:
        return len(row) >= 4 and bool(row[0].strip() and row[2].strip()) and seconds_of(row[3]) > 0
    except ValueError:
        return False


def _entries(part: Part, delimiter: str, at: dict[str, int], skip: int, zone: tzinfo) -> Iterator[Entry]:
    with part.text() as file:
        reader = csv.reader(file, delimiter=delimiter)
        rows = (row for row in reader if row)
        try:
            for row in islice(rows, skip, None):
                try:
                    yield _listen({name: row[place] for name, place in at.items()}, zone)
                except Unusable as error:
                    reason = f"has {len(row)} cells" if isinstance(error, IndexError) else said(error)
                    yield Broken(f"{part.place}line {reader.line_num}", reason)
        except csv.Error as error:
            yield Broken(
                f"{part.place}line {reader.line_num}", f"the rest cannot be read, a quote may be open: {error}"
            )


def _listen(cells: dict[str, Any], zone: tzinfo) -> Listen | None:
    name = name_of(cells["artist"], cells["title"], cells.get("album"), cells.get("mbid"), _length(cells.get("length")))
    time = cells.get("time", "").strip()
    if "count" not in cells:
        return Listen(name, seconds_of(time, zone))
    count = float(cells["count"] or 0)
    if not 0 <= count < 1e7:
        raise ValueError(f"count {count:g} is no count of plays")
    return Listen(name, seconds_of(time, zone) if time else NO_TIME, count) if count else None


def _length(text: str | None) -> float:
    """Return a length in seconds: seconds, milliseconds (from 10,000) or m:ss; 0 if it is none of them."""
    if found := re.fullmatch(r"(?:(\d+):)?(\d{1,2}):(\d{2})", (text or "").strip()):
        hours, minutes, seconds = (int(group or 0) for group in found.groups())
        return hours * 3600 + minutes * 60 + seconds
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value / 1000 if value >= 10_000 else value

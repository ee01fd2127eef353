"""Saved answers of a Subsonic or OpenSubsonic server: ``getStarred2``, ``getAlbum``, ``search3``, ``getPlaylist`` ...

Shapes: subsonic.org/pages/api.jsp (``<song>``, ``<entry>``: title, artist, album, duration, playCount, starred) and
opensubsonic.netlify.app, "Child" (musicBrainzId). XML and JSON say the same. Stars and play counts are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any
from xml.parsers import expat

from recommender.data.histories.listen import (
    NO_TIME,
    Broken,
    Entry,
    History,
    Listen,
    RecordFormat,
    Unusable,
    name_of,
    said,
)
from recommender.data.histories.opening import Part
from recommender.errors import DataError

_SONGS = ("song", "entry", "child", "match")
_CHUNK = 64 << 10


def _is_song(path: str, record: Mapping[str, Any]) -> bool:
    return (
        path.startswith("subsonic-response.") and "title" in record and str(record.get("isDir", "")).lower() != "true"
    )


def _song(record: Mapping[str, Any], _: tzinfo | None = None) -> Listen | None:
    count, starred = float(record.get("playCount") or 0), bool(record.get("starred"))
    if not (count > 0 or starred):
        return None
    mbid = record.get("musicBrainzId")
    name = name_of(record.get("artist"), record["title"], record.get("album"), mbid, record.get("duration"))
    return Listen(name, NO_TIME, count, starred)


def read(part: Part) -> History | None:
    """Read an answer in XML; None if the part is none.

    Raises
    ------
    DataError
        If the answer is the server's refusal.
    """
    head = part.beginning().lstrip()
    return History("Subsonic", _entries(part)) if head.startswith("<") and "<subsonic-response" in head[:2000] else None


def _entries(part: Part) -> Iterator[Entry]:
    found: list[Entry] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "error":
            raise DataError(f"{part.path}: the server refused: {attributes.get('message', 'no reason given')}")
        if tag in _SONGS and _is_song("subsonic-response.", attributes):
            try:
                found.append(_song(attributes))
            except Unusable as error:
                found.append(Broken(f"{part.place}line {parser.CurrentLineNumber}", said(error)))

    def refuse(*_: object) -> None:
        raise DataError(f"{part.path} declares a document type, which no server does; it is not read")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    with part.text() as file:
        try:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk.encode("utf-8", "replace"))
                yield from found
                found.clear()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise DataError(f"{part.path} is not XML to its end: {error}; fetch it again") from error


SONGS = RecordFormat("Subsonic", _is_song, _song)

"""Which format a part of a history is in: told by what it holds, never by its name."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import tzinfo
from itertools import chain
from pathlib import Path
from typing import Any

from recommender.data.histories import (
    lastfm,
    listenbrainz,
    maloja,
    navidrome,
    plays_table,
    scrobbler_log,
    spotify,
    subsonic,
)
from recommender.data.histories.json_stream import records
from recommender.data.histories.listen import Broken, Entry, History, RecordFormat, Unusable, said
from recommender.data.histories.opening import Part, parts_of
from recommender.errors import DataError

RECORD_FORMATS = (
    listenbrainz.FEEDBACK,
    listenbrainz.LISTENS,
    spotify.EXTENDED,
    spotify.ACCOUNT_DATA,
    maloja.SCROBBLES,
    lastfm.SCROBBLES,
    lastfm.LASTFMSTATS,
    subsonic.SONGS,
)
UNDERSTOOD = (
    "ListenBrainz (export zip, JSON lines, API JSON), Last.fm (CSV of lastfm-to-csv, lastfmstats, ghan.nl; API JSON), "
    "Libre.fm (CSV), Spotify (extended history or account data: zip, JSON), Maloja (JSON), .scrobbler.log, Navidrome "
    "(navidrome.db), Subsonic (saved answers of getStarred2 and the like), and tables with the columns artist, track "
    "and date"
)
_LINES = 20
_UNRECOGNISED_RECORDS = 1000
"""So many records of one array are looked at before it is taken for something else."""


def read_histories(path: Path, zone: tzinfo) -> Iterator[History]:
    """Step through the histories in a file or zip; each is read as it is asked for.

    Parameters
    ----------
    path : Path
    zone : tzinfo
        Of times that the file gives without one.

    Raises
    ------
    DataError
        If the file cannot be read, or nothing in it is understood; what is understood is listed.
    """
    found, why = 0, ""
    with _readable(path), parts_of(path) as parts:
        for part in parts:
            try:
                history = _history_of(part, zone)
            except ValueError as error:
                why = why or f" ({part.place}{error})"
                continue
            if history is not None:
                found += history.service != ""
                yield replace(history, entries=_guarded(path, history.entries))
    if not found:
        raise DataError(f"{path} holds no listening history{why}; understood are {UNDERSTOOD}")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path} cannot be read as a listening history: {error}") from error


def _guarded(path: Path, entries: Iterator[Entry]) -> Iterator[Entry]:
    with _readable(path):
        yield from entries


def _history_of(part: Part, zone: tzinfo) -> History | None:
    """Return what a part holds, None if it is nothing known.

    Raises
    ------
    ValueError
        If it begins like JSON and is not.
    """
    if not part.head.strip():
        if part.name:
            return None
        raise ValueError("it is empty")
    if part.head.startswith(b"SQLite format 3\0"):
        return navidrome.read(part)
    beginning = part.beginning().lstrip()
    if beginning.startswith(("{", "[")):
        lines = beginning.splitlines()[:_LINES]
        return _json_lines(part, lines[:1], zone) or _document(part, lines, zone)
    return subsonic.read(part) or scrobbler_log.read(part, zone) or plays_table.read(part, zone)


def _format_of(path: str, record: Any) -> RecordFormat | None:
    if not isinstance(record, dict):
        return None
    return next((form for form in RECORD_FORMATS if form.knows(path, record)), None)


def _json_lines(part: Part, lines: list[str], zone: tzinfo) -> History | None:
    """Take a part as JSON lines if one of `lines` is a record that is known."""
    for line in lines:
        try:
            form = _format_of("", json.loads(line))
        except (ValueError, RecursionError):
            continue
        if form is not None:
            return History(form.service, _entries_of_lines(part, form, zone))
    return None


def _entries_of_lines(part: Part, form: RecordFormat, zone: tzinfo) -> Iterator[Entry]:
    with part.text() as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield form.read(json.loads(line), zone)
                except (*Unusable, RecursionError) as error:
                    yield Broken(f"{part.place}line {number}", said(error))


def _document(part: Part, lines: list[str], zone: tzinfo) -> History | None:
    """Read the first kind of records in a document that is known; a small document may only name the owner.

    What is no document may be JSON lines whose first ones are broken.
    """
    texts: dict[str, str] = {}
    tried: dict[str, int] = {}
    try:
        if history := _first_known(part, texts, tried, zone):
            return history
    except ValueError:
        if lines[0].startswith("{") and (history := _json_lines(part, lines, zone)):
            return history
        raise
    if message := texts.get("subsonic-response.error.message"):
        raise DataError(f"{part.path}: the server refused: {message}")
    if "username" in texts and set(texts) | set(tried) <= {"username", "user_id"}:
        return History("", iter(()), texts["username"])
    return None


def _first_known(part: Part, texts: dict[str, str], tried: dict[str, int], zone: tzinfo) -> History | None:
    stream = _records(part)
    for path, record in stream:
        if isinstance(record, str):
            texts[path] = record
            continue
        tried[path] = tried.get(path, 0) + 1
        if tried[path] <= _UNRECOGNISED_RECORDS:
            for inner, one in _inside(path, record):
                if form := _format_of(inner, one):
                    owner = texts.get("username") or texts.get("payload.user_id") or ""
                    again = chain([(path, record)], stream)
                    return History(form.service, _entries_of_records(part, form, inner, again, zone), owner)
    return None


def _records(part: Part) -> Iterator[tuple[str, Any]]:
    with part.text() as file:
        yield from records(file)


def _inside(path: str, record: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a record, and the records in it: some files are lists of the pages that a server gave."""
    if isinstance(record, dict):
        yield path, record
        for key, value in record.items():
            yield from _inside(f"{path}.{key}", value)
    elif isinstance(record, list):
        for value in record:
            yield from _inside(f"{path}[]", value)


def _entries_of_records(
    part: Part, form: RecordFormat, path: str, stream: Iterator[tuple[str, Any]], zone: tzinfo
) -> Iterator[Entry]:
    number = 0
    try:
        for outer, record in stream:
            if not path.startswith(outer) or not outer.endswith("[]"):
                continue
            inside = [one for inner, one in _inside(outer, record) if inner == path] if outer != path else [record]
            for one in inside:
                number += 1
                try:
                    yield form.read(one, zone)
                except Unusable as error:
                    yield Broken(f"{part.place}entry {number}", said(error))
    except ValueError as error:
        raise DataError(f"{part.path}: {part.place}after entry {number} the file {error}; export it again") from error

"""Listening histories that other services hand out, matched to the catalog by artist and title.

Understood are ListenBrainz exports (zip or JSON lines), Last.fm exports (CSV of artist, album, track, time), and
Spotify's extended and short histories (zip or JSON). Matching is exact after normalising; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from recommender.data.catalog import Catalog
from recommender.data.tables import MAX_BROKEN, MAX_NAMED
from recommender.errors import DataError

PLAYED_MS = 30_000
"""A play this long counts, as it does for the services."""
_SKIP_ENDS = ("fwdbtn", "backbtn", "clickrow")
_FEATURING = re.compile(r"[\s(\[]+(?:feat|ft|featuring)\b\.?.*$", re.IGNORECASE)


@dataclass(frozen=True)
class Listen:
    """One play as a service tells it; `weight` 0 is a skip."""

    user: str
    artist: str
    title: str
    album: str
    time: np.datetime64
    weight: float


@dataclass(frozen=True)
class MatchReport:
    """What became of a history: ``n_read = n_matched + n_unmatched + n_unusable + n_broken``.

    Parameters
    ----------
    path : Path
    service : str
    users : tuple of str
        The users that the plays were given to.
    n_read, n_matched, n_unmatched : int
        Entries of the file; those in the result; those of tracks that the catalog does not have.
    n_unusable : int
        Entries that are no plays of music: podcasts, plays cut short by other things than a skip.
    n_broken : int
    unmatched : tuple of (str, int)
        The most frequent tracks that the catalog does not have, as ``artist - title``, and their plays.
    problems : tuple of str
        Entries that cannot be read, by place.
    """

    path: Path
    service: str
    users: tuple[str, ...]
    n_read: int
    n_matched: int
    n_unmatched: int
    n_unusable: int
    n_broken: int
    unmatched: tuple[tuple[str, int], ...] = ()
    problems: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return one line for a person."""
        counts = ((self.n_unmatched, "of tracks not in the catalog"), (self.n_unusable, "no plays of music"))
        extra = "".join(f", {count} {what}" for count, what in (*counts, (self.n_broken, "broken")) if count)
        of = ", ".join(self.users[:3]) or "nobody"
        return f"{self.path.name}: {self.service}, {self.n_matched} of {self.n_read} plays matched for {of}{extra}"


@dataclass
class _Entries:
    """Entries on their way in."""

    listens: list[Listen] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unusable: int = 0


def read_listens(path: Path, catalog: Catalog, user: str | None = None) -> tuple[pd.DataFrame, MatchReport]:
    """Read a listening history and find its tracks in the catalog.

    Parameters
    ----------
    path : Path
        ``.zip``, ``.jsonl``, ``.json`` or ``.csv``.
    catalog : Catalog
        Tracks are found by normalised artist and title; of several, the one of the same album, else the first.
    user : str, optional
        Whose history it is. Without it: the name that the file gives, else the file's own name.

    Returns
    -------
    frame : DataFrame
        user_id, item_id, weight (1, or 0 for a track that was skipped within 30 s), timestamp (datetime64[s], UTC);
        the same play is kept once.
    report : MatchReport

    Raises
    ------
    DataError
        If the file cannot be read, is of no known service, or more than a fifth of its entries is broken.
    """
    entries, name = _Entries(), ""
    try:
        service, name = _read_service(path, entries, user)
    except (OSError, zipfile.BadZipFile, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a listening history: {error}") from error
    n_read = len(entries.listens) + len(entries.broken) + entries.unusable
    if len(entries.broken) > MAX_BROKEN * n_read:
        raise DataError(
            f"{path}: {len(entries.broken)} of {n_read} entries cannot be used, at most {MAX_BROKEN:.0%} may be; "
            f"{'; '.join(entries.broken[:3])}; export the history again"
        )
    rows = _match(entries.listens, catalog)
    found = [(listen, row) for listen, row in zip(entries.listens, rows, strict=True) if row is not None]
    frame = pd.DataFrame(
        {
            "user_id": pd.Series([listen.user or name for listen, _ in found], dtype="str"),
            "item_id": pd.Series([catalog.tracks.ids[row] for _, row in found], dtype="str"),
            "weight": np.array([listen.weight for listen, _ in found], dtype=float),
            "timestamp": np.array([listen.time for listen, _ in found], dtype="datetime64[s]"),
        }
    )
    lost = Counter(f"{e.artist} - {e.title}" for e, row in zip(entries.listens, rows, strict=True) if row is None)
    problems = entries.broken[:MAX_NAMED]
    if rest := len(entries.broken) - len(problems):
        problems.append(f"and {rest} more entries")
    report = MatchReport(
        path, service, tuple(sorted(set(frame["user_id"]))), n_read, len(frame), sum(lost.values()),
        entries.unusable, len(entries.broken), tuple(lost.most_common(20)), tuple(problems),
    )  # fmt: skip
    return frame.drop_duplicates(["user_id", "item_id", "timestamp"]).reset_index(drop=True), report


def normalise(text: str) -> str:
    """Reduce spellings of one name to one: no case, accents, punctuation, leading "the" or guests.

    Examples
    --------
    >>> normalise("The Beyoncé (feat. Jay-Z)"), normalise("AC/DC"), normalise("!!!"), normalise("坂本龍一")
    ('beyonce', 'ac dc', '!!!', '坂本龍一')
    """
    plain = _FEATURING.sub("", text.strip()).replace("&", " and ").casefold()
    # Accents only: in other scripts a combining mark makes another letter.
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", plain) if not "\u0300" <= mark <= "\u036f")
    words = re.sub(r"\W+|_", " ", re.sub(r"['’`]", "", unicodedata.normalize("NFC", bare))).split()
    if len(words) > 1 and words[0] == "the" and words[1] != "the":
        words = words[1:]
    return " ".join(words) or text.strip().casefold()


def _match(listens: Iterable[Listen], catalog: Catalog) -> list[int | None]:
    rows: dict[tuple[str, str], list[int]] = {}
    columns = (catalog.table[name].tolist() for name in ("artist", "title", "album"))
    albums = []
    for row, (artist, title, album) in enumerate(zip(*columns, strict=True)):
        rows.setdefault((normalise(artist), normalise(title)), []).append(row)
        albums.append(normalise(album) if album else "")
    known: dict[tuple[str, str, str], int | None] = {}
    found = []
    for listen in listens:
        key = (listen.artist, listen.title, listen.album)
        if key not in known:
            same = rows.get((normalise(listen.artist), normalise(listen.title)), []) if all(key[:2]) else []
            album = normalise(listen.album) if listen.album else ""
            known[key] = next((row for row in same if album and albums[row] == album), same[0] if same else None)
        found.append(known[key])
    return found


def _read_service(path: Path, entries: _Entries, user: str | None) -> tuple[str, str]:
    """Read every part of a history; return the service and whose history it is, as far as the file as a whole tells."""
    services, owner = [], ""
    for name, data in _parts(path):
        place = f"{name}, " if path.suffix.lower() == ".zip" else ""
        text = data.decode("utf-8-sig", "replace")
        ending = PurePosixPath(name).suffix.lower()
        if ending == ".jsonl":
            services.append("ListenBrainz")
            _read_lines(text, place, entries)
        elif ending == ".csv":
            services.append("Last.fm")
            _read_lastfm(text, place, entries)
        elif PurePosixPath(name).name == "user.json":
            owner = _owner(text)
        elif ending == ".json" and (service := _read_json(text, place, entries)):
            services.append(service)
    if not services:
        raise DataError(
            f"{path} holds no listening history{''.join(f' ({said})' for said in entries.broken[:1])}; expected a "
            "ListenBrainz export (.zip, .jsonl), a Last.fm export (.csv) or a Spotify history (.zip, .json)"
        )
    if user is not None:
        entries.listens[:] = [Listen(user, e.artist, e.title, e.album, e.time, e.weight) for e in entries.listens]
    return services[0], user or owner or path.stem


def _parts(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.suffix.lower() != ".zip":
        yield path.name, path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if PurePosixPath(name).suffix.lower() in (".jsonl", ".json", ".csv"):
                yield name, archive.read(name)


def _owner(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    return str(value.get("username") or value.get("user_name") or "") if isinstance(value, dict) else ""


def _read_lines(text: str, place: str, entries: _Entries) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                entries.listens.append(_listenbrainz(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                entries.broken.append(f"{place}line {number}: is no listen: {_said(error)}")


def _listenbrainz(value: dict[str, Any]) -> Listen:
    data = value["track_metadata"]
    album, user = data.get("release_name") or "", value.get("user_name") or ""
    return Listen(str(user), _filled(data, "artist_name"), _filled(data, "track_name"), str(album), _unix(value), 1.0)


def _unix(value: dict[str, Any]) -> np.datetime64:
    return _plausible(np.datetime64(int(value["listened_at"]), "s"))


def _plausible(time: np.datetime64) -> np.datetime64:
    if np.isnat(time) or not np.datetime64("1970-01-02") <= time < np.datetime64("2200-01-01"):
        raise ValueError(f"{time} is no time of a play")
    return time


def _filled(data: dict[str, Any], key: str) -> str:
    if not str(data[key] or "").strip():
        raise ValueError(f"{key} is empty")
    return str(data[key])


def _read_lastfm(text: str, place: str, entries: _Entries) -> None:
    reader = csv.reader(io.StringIO(text, newline=""))
    at: dict[str, int] | None = None
    for row in reader:
        if not row:
            continue
        if at is None:
            at = _lastfm_columns(row)
            if at is not None:
                continue
            at = {"artist": 0, "album": 1, "track": 2, "time": 3}
        try:
            cells = {name: row[position].strip() for name, position in at.items()}
            time = _lastfm_time(cells["time"])
            listen = Listen("", _filled(cells, "artist"), _filled(cells, "track"), cells.get("album", ""), time, 1.0)
            entries.listens.append(listen)
        except (ValueError, IndexError) as error:
            entries.broken.append(f"{place}line {reader.line_num}: is no listen: {_said(error)}")


def _lastfm_columns(row: list[str]) -> dict[str, int] | None:
    """Return where the columns are if `row` is a line of names; None if it is a listen."""
    names = [cell.strip().lower() for cell in row]
    if not {"artist", "track"} <= set(names):
        return None
    time = next((names.index(name) for name in ("uts", "utc_time", "time", "date", "datetime") if name in names), None)
    if time is None:
        raise DataError(f"a Last.fm export needs a column uts, utc_time, time or date; found {names}")
    return {"time": time} | {name: names.index(name) for name in ("artist", "album", "track") if name in names}


def _lastfm_time(text: str) -> np.datetime64:
    if re.fullmatch(r"\d{8,11}", text):
        return _plausible(np.datetime64(int(text), "s"))
    for form in ("%d %b %Y %H:%M", "%d %b %Y, %H:%M", None):
        time = pd.to_datetime(text, format=form or "ISO8601", utc=True, errors="coerce") if text[:1].isdigit() else None
        if time is not None and not pd.isna(time):
            return _plausible(np.datetime64(int(time.timestamp()), "s"))
    raise ValueError(f"time {text!r} is not like '06 Jan 2024 13:05'")


def _read_json(text: str, place: str, entries: _Entries) -> str:
    """Read a Spotify history or a JSON list of ListenBrainz listens; return the service, ``""`` if it is neither."""
    try:
        values = json.loads(text)
    except ValueError as error:
        entries.broken.append(f"{place}is not JSON: {error}")
        return ""
    if not isinstance(values, list) or not values or not isinstance(values[0], dict):
        return ""
    first = values[0]
    if "track_metadata" in first:
        service, read = "ListenBrainz", _listenbrainz_of_json
    elif "ms_played" in first or "msPlayed" in first:
        service, read = "Spotify", _spotify
    else:
        return ""
    for number, value in enumerate(values, start=1):
        try:
            listen = read(value)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            entries.broken.append(f"{place}entry {number}: is no listen: {_said(error)}")
            continue
        if listen is None:
            entries.unusable += 1
        else:
            entries.listens.append(listen)
    return service


def _listenbrainz_of_json(value: dict[str, Any]) -> Listen | None:
    return _listenbrainz(value)


def _spotify(value: dict[str, Any]) -> Listen | None:
    """Return a play or a skip; None for a podcast, and for a short play that nobody skipped.

    Spotify's time is the moment at which the play ended.
    """
    extended = "ms_played" in value
    title = value["master_metadata_track_name" if extended else "trackName"]
    artist = value["master_metadata_album_artist_name" if extended else "artistName"]
    album = (value.get("master_metadata_album_album_name") if extended else "") or ""
    played_ms = float(value["ms_played" if extended else "msPlayed"])
    stamp = pd.to_datetime(value["ts" if extended else "endTime"], format="ISO8601", utc=True)
    time = _plausible(np.datetime64(int(stamp.timestamp()), "s"))
    if not title or not artist:
        return None
    if not 0 <= played_ms < 1e9:
        raise ValueError(f"ms_played {played_ms:g} is no length of a play")
    if played_ms >= PLAYED_MS or value.get("reason_end") == "trackdone":
        return Listen("", str(artist), str(title), str(album), time, 1.0)
    skipped = value.get("skipped") is True or value.get("reason_end") in _SKIP_ENDS
    return Listen("", str(artist), str(title), str(album), time, 0.0) if skipped else None


def _said(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)

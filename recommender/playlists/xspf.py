"""XSPF (XML) and JSPF, the same in JSON; https://xspf.org/spec."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from recommender.errors import DataError
from recommender.playlists.builder import Playlist
from recommender.playlists.entries import Entry, clean, file_at, place_uri, seconds_of, track_of, track_uri

NAMESPACE = "http://xspf.org/ns/0/"
CREATOR = "First Listen"
EXTENSION = "firstlisten:playlist"
"""What the JSPF extension with the bundle's version, the seed and the relaxed rules is found under."""

_XSPF = f"{{{NAMESPACE}}}"


def xspf_bytes(playlist: Playlist, entries: Iterable[Entry], folder: Path | None) -> bytes:
    """Write a playlist as XSPF version 1.

    Parameters
    ----------
    playlist : Playlist
    entries : iterable of Entry
        One without a file has no location; players may look for it by its title and creator.
    folder : Path or None
        What locations are relative to; None makes them ``file:`` URIs.
    """
    root = ElementTree.Element("playlist", {"version": "1", "xmlns": NAMESPACE})
    for tag, text in (("title", clean(playlist.name)), ("creator", CREATOR), ("date", _date(playlist))):
        ElementTree.SubElement(root, tag).text = text
    for key, values in _about(playlist).items():
        for value in values if isinstance(values, list) else [values]:
            meta = ElementTree.SubElement(root, "meta", {"rel": f"{EXTENSION}:{key}"})
            meta.text = clean(str(value))
    tracks = ElementTree.SubElement(root, "trackList")
    for entry in entries:
        track = ElementTree.SubElement(tracks, "track")
        for tag, value in _fields(entry, folder).items():
            ElementTree.SubElement(track, tag).text = str(value)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def jspf_bytes(playlist: Playlist, entries: Iterable[Entry], folder: Path | None) -> bytes:
    """Write a playlist as JSPF; parameters as in `xspf_bytes`."""
    tracks = [
        {key: [value] if key in ("location", "identifier") else value for key, value in _fields(entry, folder).items()}
        for entry in entries
    ]
    about = {
        "title": clean(playlist.name),
        "creator": CREATOR,
        "date": _date(playlist),
        "extension": {EXTENSION: [_about(playlist)]},
        "track": tracks,
    }
    return (json.dumps({"playlist": about}, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def read_xspf(content: bytes, folder: Path) -> tuple[str, list[Entry]]:
    """Read an XSPF of any program: its name and its entries.

    Raises
    ------
    DataError
        If it is not XML in UTF-8 with a playlist in it, or declares a document type: those can hold bombs.
    """
    try:
        text = content.decode("utf-8-sig")
        if "<!DOCTYPE" in text:
            raise DataError("an XSPF has a document type declaration, which none needs; remove it")
        root = ElementTree.fromstring(text.encode("utf-8"), ElementTree.XMLParser(encoding="utf-8"))  # noqa: S314
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise DataError(f"an XSPF cannot be read: {error}; expected XML in UTF-8") from None
    if root.tag != f"{_XSPF}playlist":
        raise DataError(f"an XSPF begins with <{root.tag}>, expected <playlist xmlns='{NAMESPACE}'>")
    found = []
    for track in root.iterfind(f"{_XSPF}trackList/{_XSPF}track"):
        values: dict[str, list[str]] = {}
        for child in track:
            values.setdefault(str(child.tag).removeprefix(_XSPF), []).append((child.text or "").strip())
        found.append(_entry(values, folder))
    return (root.findtext(f"{_XSPF}title") or "").strip(), found


def read_jspf(content: bytes, folder: Path) -> tuple[str, list[Entry]]:
    """Read a JSPF of any program: its name and its entries.

    Raises
    ------
    DataError
        If it is not JSON with a playlist in it.
    """
    try:
        about = json.loads(content.decode("utf-8-sig"))["playlist"]
        tracks = about.get("track") or []
        values = [{key: _texts(value) for key, value in track.items()} for track in tracks]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"a JSPF cannot be read: {error}; expected JSON in UTF-8") from None
    except (KeyError, TypeError, AttributeError):
        raise DataError('a JSPF has no playlist; expected {"playlist": {"title": ..., "track": [...]}}') from None
    return "".join(_texts(about.get("title"))[:1]), [_entry(each, folder) for each in values]


def _fields(entry: Entry, folder: Path | None) -> dict[str, str | int]:
    known: dict[str, str | int] = {}
    if entry.address:
        known["location"] = entry.address
    elif entry.file is not None:
        known["location"] = place_uri(entry.file, folder)
    known["identifier"] = track_uri(entry.track_id)
    known |= {
        "title": clean(entry.title or entry.track_id),
        "creator": clean(entry.artist),
        "album": clean(entry.album),
    }
    if np.isfinite(entry.duration_s) and entry.duration_s >= 0:
        known["duration"] = round(1000 * entry.duration_s)
    return {key: value for key, value in known.items() if str(value).strip()}


def _entry(values: Mapping[str, list[str]], folder: Path) -> Entry:
    first = {key: next(iter(texts), "") for key, texts in values.items()}
    track_id = next((found for uri in values.get("identifier", []) if (found := track_of(uri))), "")
    files = [file_at(location, folder, encoded=True) for location in values.get("location", [])]
    return Entry(
        track_id,
        first.get("title", ""),
        first.get("creator", ""),
        first.get("album", ""),
        seconds_of(first.get("duration", ""), 1e-3),
        next((file for file in files if file is not None), None),
    )


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if isinstance(each, str | int | float)]


def _about(playlist: Playlist) -> dict[str, Any]:
    return {
        "bundle_version": playlist.bundle_version,
        "seed": playlist.seed,
        "relaxed_rules": [clean(rule) for rule in playlist.relaxed_rules],
    }


def _date(playlist: Playlist) -> str:
    made_at = playlist.made_at if playlist.made_at.tzinfo is not None else playlist.made_at.replace(tzinfo=UTC)
    return made_at.isoformat(timespec="seconds")

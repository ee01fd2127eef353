"""Playlists as files that players open: M3U8, XSPF, JSPF, and names that every file system accepts."""

from __future__ import annotations

import json
import os
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender.data.catalog import Catalog
from recommender.data.storage import atomic_path
from recommender.playlists.builder import Playlist

MAX_NAME_BYTES = 120
"""Longest file name without its ending; file systems allow 255 bytes."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Entry:
    """One track of a playlist as a player needs it.

    Parameters
    ----------
    location : str
        An address; empty where there is no file.
    title, artist, album : str
    duration_s : float or None
    """

    location: str
    title: str
    artist: str
    album: str
    duration_s: float | None


def m3u8_text(name: str, entries: Sequence[Entry]) -> str:
    """Return a playlist as extended M3U; a track without a file is named in a comment, which players skip."""
    lines = ["#EXTM3U", f"#PLAYLIST:{_one_line(name)}"]
    for entry in entries:
        label = _one_line(f"{entry.artist} - {entry.title}" if entry.artist else entry.title)
        seconds = -1 if entry.duration_s is None else round(entry.duration_s)
        lines += [f"#EXTINF:{seconds},{label}", entry.location] if entry.location else [f"# no file: {label}"]
    return "\n".join(lines) + "\n"


def xspf_text(name: str, entries: Sequence[Entry]) -> str:
    """Return a playlist as XSPF, version 1 (https://xspf.org/spec)."""
    root = ET.Element("playlist", version="1", xmlns="http://xspf.org/ns/0/")
    ET.SubElement(root, "title").text = _xml_text(name)
    tracks = ET.SubElement(root, "trackList")
    for entry in entries:
        track = ET.SubElement(tracks, "track")
        for tag, value in _members(entry).items():
            ET.SubElement(track, tag).text = _xml_text(str(value))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def jspf_text(name: str, entries: Sequence[Entry]) -> str:
    """Return a playlist as JSPF (https://xspf.org/jspf): XSPF's members in JSON."""
    tracks: list[dict[str, Any]] = []
    for entry in entries:
        members = _members(entry)
        tracks.append(members | {"location": [members["location"]]} if "location" in members else members)
    return json.dumps({"playlist": {"title": name, "track": tracks}}, ensure_ascii=False, indent=1) + "\n"


FORMATS: dict[str, tuple[str, Callable[[str, Sequence[Entry]], str]]] = {
    "m3u8": ("application/vnd.apple.mpegurl", m3u8_text),
    "xspf": ("application/xspf+xml", xspf_text),
    "jspf": ("application/jspf+json", jspf_text),
}
"""The media type of each ending, and what writes it."""


def write_m3u8(path: Path, playlist: Playlist, catalog: Catalog, music_root: Path, *, absolute: bool = False) -> int:
    """Write a playlist as extended M3U in UTF-8, whole or not at all.

    Parameters
    ----------
    path : Path
        The ``.m3u8`` file.
    playlist : Playlist
    catalog : Catalog
        Holds every track of the playlist; its paths are relative to `music_root`, or absolute.
    music_root : Path
    absolute : bool
        Absolute paths; else they are relative to the folder of `path`, with ``/`` between their parts.

    Returns
    -------
    int
        Tracks that have a file. The others are named in a comment, which players skip.

    Raises
    ------
    UnknownIdError
        If a track is not in the catalog.

    Notes
    -----
    ``#EXTINF`` has the duration rounded to seconds, -1 where it is unknown, then ``Artist - Title``.
    """
    lines = ["#EXTM3U", f"#PLAYLIST:{_one_line(playlist.name)}"]
    written = 0
    for row in catalog.tracks.rows(playlist.track_ids, unknown="raise"):
        label = _one_line(catalog.label(int(row)))
        location = str(catalog.table["path"].iloc[row])
        if not location or _one_line(location) != location:
            lines.append(f"# no file: {label}")
            continue
        duration_s = float(catalog.table["duration_s"].iloc[row])
        lines.append(f"#EXTINF:{round(duration_s) if np.isfinite(duration_s) else -1},{label}")
        lines.append(_place(music_root / location, path.parent, absolute))
        written += 1
    with atomic_path(path) as part:
        part.write_bytes(("\n".join(lines) + "\n").encode("utf-8", errors="surrogateescape"))
    return written


def file_name_of(name: str) -> str:
    r"""Make a file name, without ending, of a playlist's name.

    Letters of all scripts stay. What a file system or a terminal cannot bear becomes ``_``: ``< > : " / \ | ? *``,
    control and direction marks, leading dots and trailing dots or spaces, and the names that Windows keeps for devices.

    Examples
    --------
    >>> file_name_of("AC/DC: live?")
    'AC_DC_ live_'
    >>> file_name_of("con.")
    '_con_'
    >>> file_name_of("  ")
    'playlist'
    """
    text = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name).strip())
    text = "".join("_" if unicodedata.category(sign)[0] == "C" and sign not in _JOINERS else sign for sign in text)
    text = re.sub(r"^\.+|[. ]+$", lambda found: "_" * len(found.group()), text)
    if _RESERVED.match(text) or _RESERVED.match(text.rstrip("_")):
        text = f"_{text}"
    while len(text.encode()) > MAX_NAME_BYTES:
        text = text[:-1].rstrip(". ")
    return text or "playlist"


def file_names_of(names: Iterable[str]) -> list[str]:
    """Make a file name of each name, all of them different even where case does not count.

    Examples
    --------
    >>> file_names_of(["Mix", "mix", "Mix"])
    ['Mix', 'mix (2)', 'Mix (3)']
    """
    taken: set[str] = set()
    made = []
    for name in names:
        base = candidate = file_name_of(name)
        count = 1
        while candidate.casefold() in taken:
            count += 1
            candidate = f"{base} ({count})"
        taken.add(candidate.casefold())
        made.append(candidate)
    return made


def _place(target: Path, folder: Path, absolute: bool) -> str:
    target = Path(os.path.abspath(target))
    if absolute:
        return str(target)
    relative = Path(os.path.relpath(target, os.path.abspath(folder))).as_posix()
    return f"./{relative}" if relative.startswith("#") else relative


def _one_line(text: str) -> str:
    return " ".join(text.split()) if any(sign in text for sign in "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029") else text


def _members(entry: Entry) -> dict[str, Any]:
    """Return what is known of a track, in the order of the XSPF schema."""
    values = {
        "location": entry.location,
        "title": entry.title,
        "creator": entry.artist,
        "album": entry.album,
        "duration": None if entry.duration_s is None else round(1000 * entry.duration_s),
    }
    return {name: value for name, value in values.items() if value not in ("", None)}


def _xml_text(text: str) -> str:
    """Return text without the signs that XML 1.0 cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)

"""Playlists as files that players open: M3U8, and names that every file system accepts."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from recommender.data.catalog import Catalog
from recommender.data.storage import atomic_path
from recommender.playlists.builder import Playlist

MAX_NAME_BYTES = 120
"""Longest file name without its ending; file systems allow 255 bytes."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
_JOINERS = "\u200c\u200d"


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

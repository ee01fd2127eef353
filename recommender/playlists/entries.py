"""One entry of a playlist's file: what it says of a track, and where the track's file is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urlsplit

import numpy as np

from recommender.data.catalog import Catalog
from recommender.playlists.builder import Playlist

TRACK_SCHEME = "firstlisten:track:"
"""What a track's id is written after, so that it is a URI."""

_LINE_BREAKS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Entry:
    """A track as a playlist's file has it.

    Parameters
    ----------
    track_id : str
        ``""`` where the file does not say.
    title, artist, album : str
        ``""`` where unknown.
    duration_s : float
        NaN where unknown.
    file : Path or None
        Absolute; None where the track has no file, or where it is somewhere on the network.
    address : str
        Where the track is on the network, written in place of `file`; ``""`` where it is not.
    """

    track_id: str
    title: str
    artist: str
    album: str
    duration_s: float
    file: Path | None
    address: str = ""

    @property
    def label(self) -> str:
        """``Artist - Title``, or what is known of it."""
        title = self.title or self.track_id
        return f"{self.artist} - {title}" if self.artist and self.artist != title else title


def entries_of(playlist: Playlist, catalog: Catalog, music_root: Path) -> Iterator[Entry]:
    """Yield the entries of a playlist; paths of the catalog are relative to `music_root`, or absolute.

    Raises
    ------
    UnknownIdError
        If a track is not in the catalog.
    """
    for row in catalog.tracks.rows(playlist.track_ids, unknown="raise").tolist():
        yield entry_of(row, catalog, music_root)


def entry_of(row: int, catalog: Catalog, music_root: Path) -> Entry:
    """Return the entry of a catalog's row; see `entries_of`."""
    columns = catalog.columns
    title, artist, album = (clean(columns[name][row]) for name in ("title", "artist", "album"))
    path = columns["path"][row]
    file = Path(os.path.abspath(music_root / path)) if _is_a_path(path) else None
    return Entry(catalog.tracks.ids[row], title, artist, album, float(columns["duration_s"][row]), file)


def clean(text: str) -> str:
    """Return text on one line, with U+FFFD in place of what is no character: half a surrogate pair, control codes."""
    text = " ".join(text.split()) if any(sign in text for sign in _LINE_BREAKS) else text
    return _NOT_XML.sub("\ufffd", text)


def place(file: Path, folder: Path | None) -> str:
    """Return a file's path with ``/`` between its parts: relative to `folder`, absolute where that is None.

    A relative path that a player could take for a comment, a URI, or for less than it is begins with ``./``.
    """
    if folder is None:
        return str(file)
    try:
        relative = Path(os.path.relpath(file, os.path.abspath(folder))).as_posix()
    except ValueError:  # another drive: there is no relative path
        return str(file)
    return f"./{relative}" if relative[0] in "# \t" or ":" in relative.split("/")[0] else relative


def place_uri(file: Path, folder: Path | None) -> str:
    """Return a file as a URI: percent-encoded and relative to `folder`, or ``file:`` where that is None."""
    text = place(file, folder)
    return file.as_uri() if os.path.isabs(text) else quote(os.fsencode(text))


def file_at(location: str, folder: Path, *, encoded: bool) -> Path | None:
    """Return the file that a location names, None where it is not in a file system.

    Parameters
    ----------
    location : str
        A path, or a URI.
    folder : Path
        Where relative ones start: that of the playlist's file.
    encoded : bool
        Whether a location without a scheme is percent-encoded.
    """
    parts = urlsplit(location) if encoded or location[:5].lower() == "file:" else None
    if parts is not None and parts.scheme.lower() == "file":
        location = os.fsdecode(unquote_to_bytes(parts.path))
        location = location[1:] if re.match(r"/[A-Za-z]:/", location) and os.name == "nt" else location
    elif parts is not None and not parts.scheme and not parts.netloc:
        location = os.fsdecode(unquote_to_bytes(parts.path))
    elif parts is not None or (_SCHEME.match(location) and "://" in location):
        return None
    return Path(os.path.abspath(folder / location)) if _is_a_path(location) else None


def track_uri(track_id: str) -> str:
    """Return a track's id as a URI.

    Examples
    --------
    >>> track_uri("a b/é")
    'firstlisten:track:a%20b%2F%C3%A9'
    """
    return TRACK_SCHEME + quote(track_id.encode("utf-8", "surrogatepass"), safe="")


def track_of(uri: str) -> str:
    """Return the track's id of `track_uri`, ``""`` where it is another URI."""
    if not uri.startswith(TRACK_SCHEME):
        return ""
    return unquote_to_bytes(uri.removeprefix(TRACK_SCHEME)).decode("utf-8", "surrogatepass")


def seconds_of(text: str, scale: float = 1.0) -> float:
    """Return a duration; NaN where it is not one, or below 0, which stands for unknown."""
    try:
        value = float(text) * scale
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) and value >= 0 else float("nan")


def _is_a_path(path: str) -> bool:
    """Tell whether the file system could have a file of that name."""
    try:
        return bool(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False

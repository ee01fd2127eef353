"""Playlists as files that players open, M3U8, XSPF and JSPF, and names that every file system accepts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from recommender.data.catalog import Catalog
from recommender.data.storage import atomic_path
from recommender.errors import ConfigError, DataError
from recommender.playlists.builder import Playlist
from recommender.playlists.entries import Entry, entries_of
from recommender.playlists.m3u import fits_m3u, m3u_bytes, read_m3u
from recommender.playlists.xspf import jspf_bytes, read_jspf, read_xspf, xspf_bytes

Ending = Literal[".m3u8", ".m3u", ".xspf", ".jspf"]
MEDIA_TYPES: dict[Ending, str] = {
    ".m3u8": "audio/x-mpegurl",
    ".m3u": "audio/x-mpegurl",
    ".xspf": "application/xspf+xml",
    ".jspf": "application/jspf+json",
}
"""Every format by its ending. What an ``.m3u`` holds is UTF-8 too: players that know the ending alone read it so."""

_WRITERS: dict[Ending, Callable[[Playlist, Iterable[Entry], Path | None], bytes]] = {
    ".m3u8": m3u_bytes,
    ".m3u": m3u_bytes,
    ".xspf": xspf_bytes,
    ".jspf": jspf_bytes,
}
_READERS: dict[Ending, Callable[[bytes, Path], tuple[str, list[Entry]]]] = {
    ".m3u8": read_m3u,
    ".m3u": read_m3u,
    ".xspf": read_xspf,
    ".jspf": read_jspf,
}

MAX_NAME_BYTES = 120
"""Longest file name without its ending; file systems allow 255 bytes."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
_DIGESTED = re.compile(r" [0-9a-f]{16}$")
_JOINERS = "\u200c\u200d"


def playlist_format(name: str | Path) -> Ending:
    """Return the format that a file's name ends with, whatever its case.

    Raises
    ------
    ConfigError
        If it is none of `MEDIA_TYPES`.
    """
    suffix = Path(name).suffix.lower()
    for ending in MEDIA_TYPES:
        if suffix == ending:
            return ending
    raise ConfigError(f"{name}: a playlist is written as {', '.join(MEDIA_TYPES)}, not {suffix or 'without an ending'}")


def playlist_bytes(ending: Ending, playlist: Playlist, entries: Iterable[Entry], folder: Path | None = None) -> bytes:
    """Return what a playlist's file holds, for example to be downloaded.

    Parameters
    ----------
    ending : str
        One of `MEDIA_TYPES`; see `playlist_format`.
    playlist : Playlist
    entries : iterable of Entry
        Its tracks, in order.
    folder : Path or None
        The folder that paths in it are relative to; None makes them absolute.
    """
    return _WRITERS[ending](playlist, entries, folder)


def write_playlist(
    path: Path, playlist: Playlist, catalog: Catalog, music_root: Path, absolute: bool | None = None
) -> int:
    """Write a playlist in the format of the path's ending, whole or not at all; a file of that name is replaced.

    Parameters
    ----------
    path : Path
    playlist : Playlist
    catalog : Catalog
        Holds every track of the playlist; its paths are relative to `music_root`, or absolute.
    music_root : Path
    absolute : bool or None
        Absolute paths, or paths relative to the folder of `path`; None for those that more players read: relative in an
        M3U, absolute in XSPF and JSPF (GNOME's parser encodes relative URIs once more).

    Returns
    -------
    int
        Tracks that have a file which the format can name.

    Raises
    ------
    ConfigError
        If there is no format of that ending.
    UnknownIdError
        If a track is not in the catalog.
    """
    ending = playlist_format(path)
    entries = list(entries_of(playlist, catalog, music_root))
    is_m3u = ending in (".m3u8", ".m3u")
    content = _WRITERS[ending](
        playlist, entries, None if (absolute is None and not is_m3u) or absolute else path.parent
    )
    with atomic_path(path) as part:
        part.write_bytes(content)
    return sum(fits_m3u(entry) if is_m3u else entry.file is not None for entry in entries)


def read_playlist(path: Path) -> tuple[str, list[Entry]]:
    """Read a playlist's file, of this program or of any other.

    Returns
    -------
    name : str
        ``""`` where the file has none.
    entries : list of Entry
        In order; the paths of files are absolute.

    Raises
    ------
    ConfigError
        If there is no format of that ending.
    DataError
        If the file cannot be read; it is named.
    """
    read = _READERS[playlist_format(path)]
    try:
        return read(path.read_bytes(), path.parent)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


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


def lasting_names_of(names: Sequence[str]) -> list[str]:
    """Make a file name of each of some different names, one that stays as others come and go.

    Names that would meet in one file, where case does not count, are told apart by a digest of what they are.

    Examples
    --------
    >>> lasting_names_of(["Ann", "ann", "Bo"])
    ['Ann def35119f486965e', 'ann 8d3adf6abf23f3a5', 'Bo']
    >>> lasting_names_of(["ann", "Bo"])
    ['ann', 'Bo']
    """
    bases = [file_name_of(name) for name in names]
    folded = [unicodedata.normalize("NFKC", base).casefold() for base in bases]
    counts = Counter(folded)
    return [
        base if counts[key] == 1 and not _DIGESTED.search(base) else f"{base} {_digest(name)}"
        for name, base, key in zip(names, bases, folded, strict=True)
    ]


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

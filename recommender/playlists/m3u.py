"""Extended M3U in UTF-8."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from recommender.playlists.builder import Playlist
from recommender.playlists.entries import Entry, clean, file_at, place, seconds_of


def m3u_bytes(playlist: Playlist, entries: Iterable[Entry], folder: Path | None) -> bytes:
    """Write a playlist as extended M3U.

    Parameters
    ----------
    playlist : Playlist
    entries : iterable of Entry
    folder : Path or None
        What paths are relative to; None makes them absolute.

    Returns
    -------
    bytes
        UTF-8, but for paths that are not: they are written as the file system has them.

    Notes
    -----
    ``#EXTINF`` has the duration rounded to seconds, -1 where it is unknown, then ``Artist - Title``. ``#EXTALB`` and
    ``#EXTART`` have what players that read them want apart. A track without a file, or one whose path has a line break,
    which no M3U can hold, is named in a comment; so is each rule that was relaxed.
    """
    return m3u_head(playlist) + b"".join(m3u_lines(entry, folder) for entry in entries)


def m3u_head(playlist: Playlist) -> bytes:
    """Write what comes before the tracks."""
    lines = ["#EXTM3U", "#EXTENC:UTF-8", f"#PLAYLIST:{clean(playlist.name)}"]
    lines.append(f"# First Listen, bundle {playlist.bundle_version}, seed {playlist.seed}")
    lines.extend(f"# {clean(rule)}" for rule in playlist.relaxed_rules)
    return _joined(lines)


def m3u_lines(entry: Entry, folder: Path | None) -> bytes:
    """Write the lines of one track."""
    where = entry.address or (place(entry.file, folder) if fits_m3u(entry) and entry.file is not None else "")
    if not where:
        return _joined([f"# no file: {clean(entry.label)}"])
    seconds = round(entry.duration_s) if np.isfinite(entry.duration_s) else -1
    tags = (("EXTALB", entry.album), ("EXTART", entry.artist))
    told = [f"#{tag}:{value}" for tag, value in tags if value.strip()]
    return _joined([f"#EXTINF:{seconds},{clean(entry.label)}", *told, where])


def fits_m3u(entry: Entry) -> bool:
    """Tell whether an M3U can name the entry's file."""
    return entry.file is not None and len(str(entry.file).splitlines()) == 1


def read_m3u(content: bytes, folder: Path) -> tuple[str, list[Entry]]:
    """Read an M3U of any program: its name, ``""`` where it has none, and its entries.

    Tags that are not UTF-8 are taken for Windows-1252, paths for the bytes that they are. ``Artist - Title`` is taken
    apart where ``#EXTART`` says how, or at the first dash between spaces.
    """
    name, tags, entries = "", dict[str, str](), []
    for line in content.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n").split(b"\n"):
        if not line.strip():
            continue
        if line.startswith(b"#"):
            tag, _, value = _text(line[1:]).partition(":")
            tags[tag.strip().upper()] = value.strip()
            continue
        name = tags.get("PLAYLIST", name)
        seconds, _, label = tags.get("EXTINF", "").partition(",")
        artist, title = _apart(label.strip(), tags.get("EXTART", ""))
        location = line.strip(b" \t").decode("utf-8", "surrogateescape")
        duration_s = seconds_of(seconds.split()[0] if seconds.split() else "")
        file = file_at(location, folder, encoded=False)
        entries.append(Entry("", title, artist, tags.get("EXTALB", ""), duration_s, file))
        tags = {}
    return tags.get("PLAYLIST", name), entries


def _apart(label: str, artist: str) -> tuple[str, str]:
    if artist:
        return artist, label.removeprefix(f"{artist} - ")
    before, dash, after = label.partition(" - ")
    return (before, after) if dash else ("", label)


def _joined(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", errors="surrogateescape")


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")

"""The files of very many playlists: what they say of a track is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recommender.data.catalog import Catalog
from recommender.playlists.builder import Playlist
from recommender.playlists.entries import Entry, entry_of
from recommender.playlists.formats import Ending, playlist_bytes
from recommender.playlists.m3u import m3u_head, m3u_lines

M3U: tuple[Ending, ...] = (".m3u8", ".m3u")


@dataclass(frozen=True, eq=False)
class BatchFiles:
    """Writes playlists as `recommender.playlists.formats.write_playlist` does, without waiting for the disk.

    Parameters
    ----------
    catalog : Catalog
    music_root : Path
    folder : Path
        Where the files will be read, which relative paths start from.
    absolute : bool or None
        See `write_playlist`.
    """

    catalog: Catalog
    music_root: Path
    folder: Path
    absolute: bool | None
    _entries: dict[int, Entry] = field(default_factory=dict)
    _lines: dict[int, bytes] = field(default_factory=dict)

    def content(self, ending: Ending, playlist: Playlist, rows: Sequence[int]) -> bytes:
        """Return what the file of a playlist holds; `rows` are the catalog rows of its tracks."""
        if ending not in M3U:
            folder = self.folder if self.absolute is False else None
            return playlist_bytes(ending, playlist, [self._entry(row) for row in rows], folder)
        return m3u_head(playlist) + b"".join([self._lines.get(row) or self._told(row) for row in rows])

    def _told(self, row: int) -> bytes:
        entry = entry_of(row, self.catalog, self.music_root)
        self._lines[row] = m3u_lines(entry, None if self.absolute else self.folder)
        return self._lines[row]

    def _entry(self, row: int) -> Entry:
        if row not in self._entries:
            self._entries[row] = entry_of(row, self.catalog, self.music_root)
        return self._entries[row]

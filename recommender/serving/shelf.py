"""The catalog as people browse it: artists, their albums, the tracks on them."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass

from recommender.data.catalog import Catalog
from recommender.serving.search import fold

UNKNOWN_ARTIST = "[Unknown Artist]"
UNKNOWN_ALBUM = "[Unknown Album]"


@dataclass(frozen=True)
class Album:
    """An album of an artist; albums of one title by two artists are two.

    Parameters
    ----------
    album_id, name, artist, artist_id : str
    folded : str
        Its name and its artist's, for searching.
    rows : tuple of int
        Its tracks in the catalog, in its order.
    """

    album_id: str
    name: str
    artist: str
    artist_id: str
    folded: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Artist:
    """An artist.

    Parameters
    ----------
    artist_id, name : str
    folded : str
        The name, for searching.
    albums : tuple of Album
        By name.
    """

    artist_id: str
    name: str
    folded: str
    albums: tuple[Album, ...]


@dataclass(frozen=True, eq=False)
class Library:
    """All of a catalog.

    Parameters
    ----------
    artists : dict of str to Artist
        By id, in the order of their names.
    albums : dict of str to Album
        By id, in the order of their artists' names and their own.
    album_of : tuple of Album
        Of each catalog row.
    """

    artists: dict[str, Artist]
    albums: dict[str, Album]
    album_of: tuple[Album, ...]

    @classmethod
    def of(cls, catalog: Catalog) -> Library:
        """Sort a catalog; what has no artist or album has one that is called unknown."""
        rows_of: dict[tuple[str, str], list[int]] = defaultdict(list)
        names: dict[tuple[str, str], tuple[str, str]] = {}
        columns = catalog.columns
        for row, (artist, album) in enumerate(zip(columns["artist"], columns["album"], strict=True)):
            artist, album = artist.strip() or UNKNOWN_ARTIST, album.strip() or UNKNOWN_ALBUM
            key = artist.casefold(), album.casefold()
            names.setdefault(key, (artist, album))
            rows_of[key].append(row)
        by_artist: dict[str, list[Album]] = defaultdict(list)
        called: dict[str, str] = {}
        for key in sorted(rows_of):
            artist, album = names[key][0], names[key][1]
            artist = called.setdefault(key[0], artist)
            artist_id = _id("ar", key[0])
            by_artist[key[0]].append(
                Album(_id("al", *key), album, artist, artist_id, fold(f"{album} {artist}"), tuple(rows_of[key]))
            )
        artists = {}
        for artist_key, of_artist in by_artist.items():
            name = called[artist_key]
            artists[of_artist[0].artist_id] = Artist(of_artist[0].artist_id, name, fold(name), tuple(of_artist))
        albums = {album.album_id: album for artist_ in artists.values() for album in artist_.albums}
        at: dict[int, Album] = {row: album for album in albums.values() for row in album.rows}
        return cls(artists, albums, tuple(at[row] for row in range(len(catalog))))


class Shelf:
    """Keeps the library of the last catalog; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[Catalog, Library] | None = None

    def of(self, catalog: Catalog) -> Library:
        """Return a catalog sorted, which is done once."""
        with self._lock:
            if self._last is None or self._last[0] is not catalog:
                self._last = catalog, Library.of(catalog)
            return self._last[1]


def _id(kind: str, *names: str) -> str:
    return f"{kind}-{hashlib.blake2b(chr(0).join(names).encode(), digest_size=10).hexdigest()}"

"""Finding tracks by words: every word must occur in title, artist or album, whatever its case or accents."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.data.catalog import Catalog


@dataclass(frozen=True, eq=False)
class TrackIndex:
    """Searchable text of each track, in catalog rows: folded title, and folded title, artist and album together."""

    titles: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, catalog: Catalog) -> TrackIndex:
        """Build the index of a catalog."""
        return cls((), ()).extended(catalog)

    def extended(self, catalog: Catalog) -> TrackIndex:
        """Return the index of a catalog of which this is the index of the first rows."""
        new = catalog.table.iloc[len(self.texts) :]
        titles = [fold(str(title)) for title in new["title"]]
        rest = [fold(f"{artist} {album}") for artist, album in zip(new["artist"], new["album"], strict=True)]
        texts = [f"{title} {other}" for title, other in zip(titles, rest, strict=True)]
        return TrackIndex((*self.titles, *titles), (*self.texts, *texts))

    def find(self, query: str, listeners: npt.NDArray[np.float32]) -> list[int]:
        """Return the rows that hold every word of the query.

        Titles that begin with the query come first, then titles that hold it, then the others; inside each, the tracks
        with most listeners, then catalog order. An empty query finds nothing.
        """
        wanted = fold(query)
        words = wanted.split()
        if not words:
            return []
        rows = [row for row, text in enumerate(self.texts) if all(word in text for word in words)]

        def place(row: int) -> tuple[int, float, int]:
            title = self.titles[row]
            return (0 if title.startswith(wanted) else 1 if wanted in title else 2, -float(listeners[row]), row)

        return sorted(rows, key=place)


def fold(text: str) -> str:
    """Return text without case, accents and doubled spaces.

    Examples
    --------
    >>> fold("  Sigur  RÓS, Straße ")
    'sigur ros, strasse'
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(plain.split())

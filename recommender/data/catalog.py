"""The catalog: what is known of every track besides its plays and its sound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

TRACK_COLUMNS = ("title", "artist", "album", "duration_s", "path", "released", "recording_mbid", "genre")
TEXT_COLUMNS = ("title", "artist", "album", "path", "released", "recording_mbid", "genre")


@dataclass(frozen=True, eq=False)
class Catalog:
    """Tracks in row order.

    Parameters
    ----------
    tracks : Vocabulary
        Kind ``"track"``.
    table : DataFrame, one row a track in the order of `tracks`
        Columns `TRACK_COLUMNS`: title, artist, album, path, released (ISO date), recording_mbid (the recording's
        MusicBrainz id) and genre (several are parted by ``;``) are str, ``""`` where unknown; duration_s is float64,
        NaN where unknown.

    Raises
    ------
    DataError
        If the table's length or columns do not fit.
    """

    tracks: Vocabulary
    table: pd.DataFrame

    def __post_init__(self) -> None:
        if len(self.table) != len(self.tracks):
            raise DataError(f"the track table has {len(self.table)} rows for {len(self.tracks)} track ids")
        if tuple(self.table.columns) != TRACK_COLUMNS:
            raise DataError(f"the track table has columns {list(self.table.columns)}, expected {list(TRACK_COLUMNS)}")

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Catalog:
        """Build a catalog from a frame with an ``item_id`` column and any of `TRACK_COLUMNS`.

        Missing columns and values become unknown; rows keep their order; other columns are left out.
        """
        if "item_id" not in frame.columns:
            raise DataError(f"a track table needs an item_id column, found {list(frame.columns)}")
        table = pd.DataFrame(index=range(len(frame)))
        for column in TRACK_COLUMNS:
            if column == "duration_s":
                values = frame[column] if column in frame.columns else np.nan
                table[column] = np.asarray(
                    pd.to_numeric(
                        pd.Series(values, index=range(len(frame))) if np.isscalar(values) else values, errors="coerce"
                    ),
                    dtype=float,
                )
            elif column in frame.columns:
                table[column] = frame[column].fillna("").astype(str).to_numpy(dtype=object)
            else:
                table[column] = ""
        return cls(Vocabulary("track", tuple(frame["item_id"].astype(str))), table)

    @classmethod
    def of_ids(cls, ids: tuple[str, ...]) -> Catalog:
        """Build a catalog of tracks of which only the id is known; the id serves as the title."""
        return cls.from_frame(pd.DataFrame({"item_id": list(ids), "title": list(ids)}, dtype=object))

    def __len__(self) -> int:
        return len(self.tracks)

    def to_frame(self) -> pd.DataFrame:
        """Return the table with a leading ``item_id`` column; `from_frame` reads it back."""
        frame = self.table.copy()
        frame.insert(0, "item_id", list(self.tracks.ids))
        return frame

    def select(self, rows: npt.NDArray[np.integer]) -> Catalog:
        """Return the catalog of the given rows, in their order."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return Catalog(Vocabulary("track", tuple(self.tracks.ids_of(rows))), table)

    @cached_property
    def artists(self) -> npt.NDArray[np.int32]:
        """What `artist_codes` returns, kept."""
        return self.artist_codes()

    @cached_property
    def albums(self) -> npt.NDArray[np.int32]:
        """What `album_codes` returns, kept."""
        return self.album_codes()

    @cached_property
    def release_ranks(self) -> npt.NDArray[np.int64]:
        """The rank of each track's release, shape (n_tracks,): later ones are higher, unknown ones 0."""
        released = self.table["released"].to_numpy(dtype=object).astype(str)
        ranks = np.unique(np.append(released, ""), return_inverse=True)[1]
        return np.asarray(ranks[:-1], dtype=np.int64)

    @cached_property
    def years(self) -> npt.NDArray[np.float64]:
        """The year of each track's release, shape (n_tracks,); NaN where unknown."""
        return pd.to_numeric(self.table["released"].str[:4], errors="coerce").to_numpy(dtype=np.float64)

    @cached_property
    def code_of_artist(self) -> dict[str, int]:
        """The code of each named artist in `artists`, by the name in lower case, without space around it."""
        names = self.table["artist"].str.casefold().str.strip()
        first = names[names != ""].drop_duplicates()
        return dict(zip(first, self.artists[first.index].tolist(), strict=True))

    @cached_property
    def genre_codes(self) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
        """The code of each track's `genre`, shape (n_tracks,), and what the codes stand for."""
        codes, genres = pd.factorize(self.table["genre"].to_numpy(dtype=object))
        return codes, tuple(map(str, genres))

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """The table's columns as lists, for looking up a few rows often."""
        return {name: self.table[name].tolist() for name in self.table.columns}

    def artist_codes(self) -> npt.NDArray[np.int32]:
        """Return one code an artist, shape (n_tracks,), int32, from 0.

        Artists are compared without regard to case. A track without an artist gets a code of its own: two unknown
        artists are not the same artist.
        """
        return self._codes("artist")

    def album_codes(self) -> npt.NDArray[np.int32]:
        """Return one code an album, as `artist_codes`; albums of one title by two artists are two albums."""
        return self._codes("artist", "album")

    def _codes(self, *columns: str) -> npt.NDArray[np.int32]:
        names = [self.table[column].str.casefold().str.strip() for column in columns]
        keys, known = names[0], names[0] != ""
        for name in names[1:]:
            keys, known = keys + "\0" + name, known & (name != "")
        alone = [f"\0{row}" for row in range(len(self))]
        return pd.factorize(np.where(known, keys, alone))[0].astype(np.int32)

    def label(self, row: int) -> str:
        """Return ``Artist - Title``, or what is known of it."""
        artist, title = self.columns["artist"][row], self.columns["title"][row]
        title = title or self.tracks.ids[row]
        return f"{artist} - {title}" if artist and artist != title else title

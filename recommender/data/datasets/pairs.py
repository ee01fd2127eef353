"""Plays of one user and track, added up while they are read: memory grows with the pairs and not with the plays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_TIME = np.iinfo(np.int64).min
"""What numpy's NaT is made of."""
_SKIPPED = 1 << 60
_ROOM = 1 << 22
"""So many rows are kept as they came before they are added up."""


@dataclass
class Codes:
    """Numbers for ids, in the order in which the ids appear."""

    code_of: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.code_of)

    def of(self, ids: pa.StringArray) -> Ints:
        """Return the code of each id, new ones included; shape (n,), int64."""
        encoded, known = ids.dictionary_encode(), self.code_of
        codes = [known.setdefault(identifier, len(known)) for identifier in encoded.dictionary.to_pylist()]
        found: Ints = np.array(codes, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
        return found

    def ids(self) -> pa.LargeStringArray:
        """Return the ids; the position of each is its code."""
        return pa.array(self.code_of, pa.large_string())


@dataclass
class Pairs:
    """One row a (user, track): the plays added up, and the time of the first one.

    A pair that was only ever skipped has weight 0, and the time of the first skip. Codes are from 0 to 2^31 - 1.
    """

    _keys: list[Ints] = field(default_factory=list)
    _weights: list[Floats] = field(default_factory=list)
    _times: list[Ints] = field(default_factory=list)
    _n_loose: int = 0

    def add(self, users: Ints, tracks: Ints, weights: Floats, times: Ints | None = None) -> None:
        """Take in rows; weight 0 is a skip, times are Unix seconds."""
        self._keys.append(users.astype(np.int64) << 32 | tracks.astype(np.int64))
        self._weights.append(weights.astype(float))
        if times is None:
            self._times.append(np.full(len(users), NO_TIME))
        else:
            self._times.append(np.where(weights > 0, times, times + _SKIPPED))
        self._n_loose += len(users)
        if self._n_loose > max(_ROOM, len(self._keys[0])):
            self._add_up()

    def result(self) -> tuple[Ints, Ints, Floats, Ints]:
        """Return users, tracks, weights and times (`NO_TIME` where there is none), sorted by user, then track."""
        self._add_up()
        if not self._keys:
            none = np.empty(0, dtype=np.int64)
            return none, none, none.astype(float), none
        keys, times = self._keys[0], self._times[0]
        return (
            keys >> 32,
            keys & 0xFFFFFFFF,
            self._weights[0],
            np.where(times >= _SKIPPED // 2, times - _SKIPPED, times),
        )

    def _add_up(self) -> None:
        if len(self._keys) > 0 and self._n_loose:
            keys = np.concatenate(self._keys)
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
            starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
            weights, times = np.concatenate(self._weights)[order], np.concatenate(self._times)[order]
            self._keys = [keys[starts]]
            self._weights = [np.add.reduceat(weights, starts) if len(starts) else weights]
            self._times = [np.minimum.reduceat(times, starts) if len(starts) else times]
        self._n_loose = 0


def plays_frame(
    users: pa.LargeStringArray, tracks: pa.LargeStringArray, pairs: tuple[Ints, Ints, Floats, Ints]
) -> pd.DataFrame:
    """Lay pairs out as `recommender.data.tables.read_interactions` does.

    Parameters
    ----------
    users, tracks : pyarrow.LargeStringArray
        The id of each code.
    pairs : tuple
        Of `Pairs.result`.

    Returns
    -------
    DataFrame
        user_id, item_id (str), weight (float64), timestamp (datetime64[s], NaT where unknown).
    """
    user_codes, track_codes, weights, times = pairs
    table = pa.table({"user_id": users.take(pa.array(user_codes)), "item_id": tracks.take(pa.array(track_codes))})
    frame: pd.DataFrame = table.to_pandas().astype("str")
    return frame.assign(weight=weights, timestamp=times.view("datetime64[s]"))

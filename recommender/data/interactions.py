"""Who played what, how much, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

DISLIKED = -1.0
"""The weight of a dislike, and what `Interactions.heard` says of a disliked pair."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Rows of (user, track, weight, time).

    Parameters
    ----------
    users, tracks : Vocabulary
    user_rows, track_rows : ndarray, shape (n,), int32
    weights : ndarray, shape (n,), float32
        Plays, >= 0. Weight 0 means heard and skipped: the track counts as heard and exposed, not as liked. Weight -1
        means disliked: so does the pair, whatever else of that user and track there is.
    times : ndarray, shape (n,), datetime64[s]
        UTC; NaT where unknown.

    Raises
    ------
    DataError
        If lengths differ, a row is out of range, or a weight is not finite, or negative and not -1.
    """

    users: Vocabulary
    tracks: Vocabulary
    user_rows: npt.NDArray[np.int32]
    track_rows: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    times: npt.NDArray[np.datetime64]

    def __post_init__(self) -> None:
        lengths = {len(self.user_rows), len(self.track_rows), len(self.weights), len(self.times)}
        if len(lengths) != 1:
            raise DataError(f"interaction columns have different lengths: {sorted(lengths)}")
        for rows, vocabulary in ((self.user_rows, self.users), (self.track_rows, self.tracks)):
            if len(rows) and (rows.min() < 0 or rows.max() >= len(vocabulary)):
                raise DataError(f"an interaction names {vocabulary.kind} row {rows.max()} of {len(vocabulary)}")
        if not np.all(np.isfinite(self.weights) & ((self.weights >= 0) | (self.weights == DISLIKED))):
            raise DataError("interaction weights must be finite and >= 0, or -1 for a dislike")

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, users: Vocabulary, tracks: Vocabulary) -> Interactions:
        """Build from a frame with user_id, item_id, weight and timestamp (datetime64, UTC, NaT where unknown).

        Rows whose user or track is in no vocabulary are left out.
        """
        user_rows, track_rows = _rows_of(users, frame["user_id"]), _rows_of(tracks, frame["item_id"])
        kept = (user_rows >= 0) & (track_rows >= 0)
        return cls(
            users,
            tracks,
            user_rows[kept],
            track_rows[kept],
            frame["weight"].to_numpy(dtype=np.float32)[kept],
            frame["timestamp"].to_numpy(dtype="datetime64[s]")[kept],
        )

    def __len__(self) -> int:
        return len(self.weights)

    def select(self, mask: npt.NDArray[np.bool_]) -> Interactions:
        """Return the interactions where `mask` (n,) is true; the vocabularies stay."""
        return Interactions(
            self.users, self.tracks, self.user_rows[mask], self.track_rows[mask], self.weights[mask], self.times[mask]
        )

    def over(self, tracks: Vocabulary) -> Interactions:
        """Return the interactions with the tracks of another vocabulary, in its rows; others are left out."""
        places = np.full(len(self.tracks), -1, dtype=np.int32)
        shared = tracks.known(self.tracks)
        places[shared] = tracks.rows(
            [i for i, is_shared in zip(self.tracks, shared, strict=True) if is_shared], unknown="raise"
        )
        kept = self.select(places[self.track_rows] >= 0)
        return Interactions(self.users, tracks, kept.user_rows, places[kept.track_rows], kept.weights, kept.times)

    def to_csr(self) -> sparse.csr_matrix:
        """Return the plays as a matrix, shape (n_users, n_tracks), float32.

        Weights of the same user and track are added up. A pair that was only ever skipped, or that is disliked, has no
        entry; see `heard`.
        """
        matrix = self._matrix(self.weights)
        if len(self) and self.weights.min() < 0:
            matrix.data[self.heard().data == DISLIKED] = 0
        matrix.eliminate_zeros()
        return matrix

    def heard(self) -> sparse.csr_matrix:
        """Return 1 for each pair that was played or skipped, `DISLIKED` for a disliked one, as `to_csr` else."""
        matrix = self._matrix(np.ones(len(self), dtype=np.float32))
        dislikes = self._matrix((self.weights < 0).astype(np.float32))  # entries as above, for the rows are the same
        matrix.data[:] = np.where(dislikes.data > 0, DISLIKED, 1)
        return matrix

    def track_evidence(self) -> npt.NDArray[np.int64]:
        """Return how many users played each track (weight > 0), shape (n_tracks,)."""
        return np.bincount(self.to_csr().indices, minlength=len(self.tracks)).astype(np.int64)

    def _matrix(self, values: npt.NDArray[np.float32]) -> sparse.csr_matrix:
        shape = (len(self.users), len(self.tracks))
        matrix = sparse.coo_matrix((values, (self.user_rows, self.track_rows)), shape=shape).tocsr()
        matrix.sum_duplicates()
        matrix.sort_indices()
        return matrix


def _rows_of(vocabulary: Vocabulary, ids: pd.Series) -> npt.NDArray[np.int32]:
    """Return the row of each id, -1 where it is unknown; each distinct id is looked up once."""
    codes, distinct = pd.factorize(ids)
    names = np.asarray(distinct, dtype=object)
    known = vocabulary.known(names)
    row_of_code = np.full(len(names) + 1, -1, dtype=np.int32)
    row_of_code[:-1][known] = vocabulary.rows(names[known], unknown="raise")
    return row_of_code[codes]

"""One listener, as ranking sees one: what `taste` and `scoring` find for a block of users, without a sparse matrix.

`tastes_of` and `user_vectors` are the readable twin; here the same numbers come from index arithmetic on one user's
entries, and what several steps need (the factored system of the fold-in, the vectors of what was played) is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg.lapack import dpotrf, dpotrs

from recommender.ranking.distaste import Distaste, distaste_of_rows
from recommender.ranking.model import Blend, Float32s, HybridModel, Standards
from recommender.ranking.scoring import DEFAULT_DISCOVERY, DISCOVERY_REACH, Side
from recommender.ranking.taste import Float64s, taste_system

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Listener:
    """What is known of one listener, and what follows from it.

    Parameters
    ----------
    model : HybridModel
    played : ndarray, shape (m,), int32
        Tracks with plays, ascending.
    confidence : ndarray, shape (m,), float32
        The weights of those plays, see `als.play_confidence`.
    heard : ndarray, shape (h,), int32
        Tracks that were played, skipped or disliked, ascending.
    verdicts : ndarray, shape (h,), float32
        As `Interactions.heard` has them.
    discovery : float, 0 to 1
        See `user_vectors`.
    """

    model: HybridModel
    played: Rows
    confidence: Float32s
    heard: Rows
    verdicts: Float32s
    discovery: float

    @cached_property
    def known_plays(self) -> int:
        """Plays of tracks that the model knows something about."""
        return int((self.model.has_vector[self.played] | (self.model.evidence[self.played] > 0)).sum())

    @cached_property
    def played_sound(self) -> Float32s:
        """Unit sound vectors of what was played, shape (m, dim)."""
        return self.model.sound_vectors[self.played]

    @cached_property
    def _system(self) -> tuple[Float64s, Float64s]:
        """The Cholesky factor of the fold-in's matrix, and the weighted factors of the plays (m, d)."""
        matrix, played = taste_system(self.model, self.played, self.confidence)
        factor, failed = dpotrf(matrix, lower=True, clean=False)
        assert not failed, "a ridge was added"
        return factor, played

    @property
    def is_folded_in(self) -> bool:
        """Whether there are plays, and factors to fold them into."""
        return len(self.played) > 0 and self.model.knows_plays

    def factors(self) -> Float32s:
        """Return the folded-in factors, shape (d,); the twin of `taste.fold_in`."""
        if not self.is_folded_in:
            return np.zeros(self.model.posterior_factors.shape[1], dtype=np.float32)
        matrix, played = self._system
        return np.asarray(dpotrs(matrix, played.sum(axis=0), lower=True)[0], dtype=np.float32)

    def contributions(self, track_rows: npt.NDArray[np.integer]) -> Float64s:
        """Return what each play adds to the dot product of factors for some tracks, shape (k, m).

        Notes
        -----
        ``x = A^-1 sum_j w_j y_j``, so ``y_i . x = sum_j w_j y_i' A^-1 y_j``; section 5 of Hu, Koren & Volinsky, ICDM
        2008.
        """
        if not self.is_folded_in:
            return np.zeros((len(track_rows), len(self.played)))
        matrix, played = self._system
        wanted = self.model.posterior_factors[track_rows].astype(np.float64)
        shares: Float64s = dpotrs(matrix, wanted.T, lower=True)[0].T @ played.T
        return shares

    @cached_property
    def side(self) -> Side:
        """The listener's side of the score; the twin of `scoring.user_vectors`."""
        model, standards, blend = self.model, self.model.standards, self.model.blend
        squared = float(self.known_plays) ** 2
        v = squared / (squared + blend.user_half**2 + 1e-12) if squared else 0.0
        factors = self.factors().astype(np.float64)
        cf, cf_mean = _standardised(factors, standards.cf_mean, standards.cf_covariance)
        near_rows, near, near_mean = self._near()
        share = blend.neighbour_share if len(near_rows) else 0.0
        content, content_mean = _likeness(factors, self._sound(), standards, blend)
        offset = blend.content_offset + 2 * DISCOVERY_REACH * (self.discovery - DEFAULT_DISCOVERY)
        gain = blend.content_gain
        vector = np.concatenate(
            [
                v * (1 - share) * cf,
                [-v * ((1 - share) * cf_mean + share * near_mean)],
                v * gain * content,
                [v * (offset - gain * content_mean), 1 - v + v * blend.popularity_gain],
            ]
        )
        assert len(vector) == 2 * model.posterior_factors.shape[1] + model.sound_vectors.shape[1] + 3
        return Side(vector.astype(np.float32), near_rows, (v * share * near).astype(np.float32), v)

    def held(self, strength: float) -> Distaste | None:
        """Return what the listener holds against tracks; None if nothing, or where `strength` is 0."""
        return distaste_of_rows(self.model, self.played, self.heard, self.verdicts) if strength else None

    def _sound(self) -> Float64s:
        """Return the mean of the unit sound vectors of what was played, shape (dim,)."""
        with_sound = max(1, int(self.model.has_vector[self.played].sum()))
        return np.asarray(self.played_sound.sum(axis=0) / np.float32(with_sound), dtype=np.float64)

    def _near(self) -> tuple[npt.NDArray[np.integer], Float64s, float]:
        """Return what the plays say for their tracks' neighbours, of standard deviation 1: rows, values, mean."""
        links = self.model.neighbours
        starts, ends = links.indptr[self.played], links.indptr[self.played + 1]
        counts = ends - starts
        total = int(counts.sum())
        if not total:
            return np.empty(0, dtype=np.int32), np.empty(0), 0.0
        places = np.arange(total) + np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        rows, values = links.indices[places], np.repeat(self.confidence, counts) * links.data[places]
        order = np.argsort(rows)
        rows, values = rows[order], values[order]
        first = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        near = np.add.reduceat(values, first).astype(np.float64)
        n = max(1, self.model.standards.n_known_tracks)
        mean = float(near.sum()) / n
        spread = float(np.sqrt(max(float(near @ near) / n - mean**2, 0)))
        factor = 1 / spread if spread > 1e-12 else 0.0
        return rows[first], near * factor, mean * factor


def listener_of(
    model: HybridModel,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    discovery: float = DEFAULT_DISCOVERY,
) -> Listener:
    """Read a listener from the entries of two matrices (1, n_tracks), as `recommend` takes them."""
    return _listener(model, _entries(plays, 0), _entries(heard, 0), discovery)


def listener_of_user(model: HybridModel, user_row: int, discovery: float = DEFAULT_DISCOVERY) -> Listener:
    """Read a user of the model."""
    return _listener(model, _entries(model.plays, user_row), _entries(model.heard, user_row), discovery)


def _listener(
    model: HybridModel, plays: tuple[Rows, Float32s], heard: tuple[Rows, Float32s], discovery: float
) -> Listener:
    rows, values = plays
    played = values > 0
    rows, values = (rows, values) if played.all() else (rows[played], values[played])
    return Listener(model, rows, play_weights(values, model.factors.config.play_emphasis), *heard, discovery)


def play_weights(counts: Float32s, emphasis: float) -> Float32s:
    """Weigh one user's plays (m,), all above 0, by their rank: `als.play_confidence` of a single row.

    Examples
    --------
    >>> play_weights(np.array([30, 1, 2, 2], dtype=np.float32), 1.0).tolist()
    [1.375, 0.625, 1.0, 1.0]
    """
    if not emphasis or not len(counts) or counts.min() == counts.max():
        return np.ones(len(counts), dtype=np.float32)
    ordered = np.sort(counts)
    middle = (np.searchsorted(ordered, counts, "left") + np.searchsorted(ordered, counts, "right")) / 2
    return np.asarray(1 + emphasis * (middle / len(counts) - 0.5), dtype=np.float32)


def _entries(matrix: sparse.csr_matrix, row: int) -> tuple[Rows, Float32s]:
    """Return columns and values of a row of a matrix, ascending, each column once."""
    start, end = matrix.indptr[row : row + 2]
    columns, values = matrix.indices[start:end], matrix.data[start:end]
    if len(columns) > 1 and (columns[1:] <= columns[:-1]).any():
        columns, place = np.unique(columns, return_inverse=True)
        values = np.bincount(place, values)
    return columns.astype(np.int32, copy=False), values.astype(np.float32, copy=False)


def _likeness(factors: Float64s, sound: Float64s, standards: Standards, blend: Blend) -> tuple[Float64s, float]:
    """Return the content part of the side, and its mean over tracks.

    Each half is brought to unit spread before the two are mixed, and the mix once more; the spread of the mix follows
    from those of the halves and what they have in common.
    """
    d = len(factors)
    mean, covariance = standards.content_mean, standards.content_covariance
    own, _ = _standardised(factors, mean[:d], covariance[:d, :d])
    heard, _ = _standardised(sound, mean[d:], covariance[d:, d:])
    halves = np.concatenate([blend.prior_share * own, (1 - blend.prior_share) * heard])
    shared = 2 * blend.prior_share * (1 - blend.prior_share) * float(own @ covariance[:d, d:] @ heard)
    squares = (blend.prior_share * own.any()) ** 2 + ((1 - blend.prior_share) * heard.any()) ** 2
    return _scaled(halves, mean, squares + shared)


def _standardised(vector: Float64s, mean: Float64s, covariance: Float64s) -> tuple[Float64s, float]:
    """Scale a vector so that its scores over the tracks have standard deviation 1; also return their mean."""
    return _scaled(vector, mean, float(vector @ covariance @ vector))


def _scaled(vector: Float64s, mean: Float64s, variance: float) -> tuple[Float64s, float]:
    spread = sqrt(max(variance, 0.0))
    scaled = vector / spread if spread > 1e-9 else np.zeros(len(vector))
    return scaled, float(scaled @ mean)

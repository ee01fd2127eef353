"""What is known of a user: factors folded in from plays, and the mean sound of what was played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.models.als import one_blas_thread, play_confidence, quadratic_weight, row_ridges

if TYPE_CHECKING:
    from recommender.ranking.model import HybridModel

Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Taste:
    """Tastes of a block of users.

    Parameters
    ----------
    factors : ndarray, shape (b, d), float32
        Folded in; zeros for a user without known plays.
    sound : ndarray, shape (b, dim), float32
        Mean of the unit sound vectors of the tracks played.
    neighbours : csr_matrix, shape (b, n_tracks), float32
        What the plays say for their tracks' neighbours.
    known_plays : ndarray, shape (b,), int64
        Plays of tracks that the model knows something about.
    """

    factors: npt.NDArray[np.float32]
    sound: npt.NDArray[np.float32]
    neighbours: sparse.csr_matrix
    known_plays: npt.NDArray[np.int64]


def tastes_of(model: HybridModel, plays: sparse.csr_matrix) -> Taste:
    """Find users' tastes from their plays (b, n_tracks), what they play most first: see `als.play_confidence`."""
    presence = binary(plays)
    confidence = play_confidence(plays, model.factors.config.play_emphasis)
    played = presence.indices
    with_sound = np.maximum(_sums(presence, model.has_vector[played]), 1)
    known_plays = _sums(presence, model.has_vector[played] | (model.evidence[played] > 0))
    sound = (presence @ model.sound_vectors) / with_sound[:, None]
    neighbours = sparse.csr_matrix(confidence @ model.neighbours, dtype=np.float32)
    return Taste(
        fold_in(model, confidence),
        np.asarray(sound, dtype=np.float32),
        neighbours,
        known_plays,
    )


def fold_in(model: HybridModel, confidence: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    """Solve for users' factors while the tracks' factors stay fixed.

    Parameters
    ----------
    model : HybridModel
    confidence : csr_matrix, shape (b, n_tracks)
        A weight for each play.

    Returns
    -------
    ndarray, shape (b, d), float32

    Notes
    -----
    The equation of `recommender.models.als.fold_in_users` over the factors that ALS was trained with, so that a user of
    the training data gets back what ALS found. A played track that ALS has not seen counts with its posterior factors,
    so that a play of a new track says something; the pull of unobserved scores towards 0 comes from the trained tracks
    alone, so that adding tracks changes nobody's taste.
    """
    factors = np.zeros((confidence.shape[0], model.posterior_factors.shape[1]), dtype=np.float32)
    if not model.knows_plays:
        return factors
    with one_blas_thread():  # the systems are too small to be worth sharing
        for user in np.flatnonzero(np.diff(confidence.indptr)):
            mine = slice(confidence.indptr[user], confidence.indptr[user + 1])
            matrix, played = taste_system(model, confidence.indices[mine], confidence.data[mine])
            factors[user] = np.linalg.solve(matrix, played.sum(axis=0))
    return factors


def taste_system(
    model: HybridModel, track_rows: npt.NDArray[np.integer], weights: npt.NDArray[np.floating]
) -> tuple[Float64s, Float64s]:
    """Return the matrix A and the weighted factors Y of the plays, of which a user's factors are ``A^-1 sum Y``.

    Parameters
    ----------
    model : HybridModel
    track_rows : ndarray, shape (m,), int
        What the user played.
    weights : ndarray, shape (m,), float
        Of the plays.

    Returns
    -------
    matrix : ndarray, shape (d, d), float64
    played : ndarray, shape (m, d), float64
    """
    played = model.factors.track_factors[track_rows].astype(np.float64)
    unseen = np.flatnonzero(~played.any(axis=1))
    if len(unseen):
        played[unseen] = model.posterior_factors[track_rows[unseen]]
    config, standards = model.factors.config, model.standards
    ridge = row_ridges(np.array([len(track_rows)]), standards.n_known_tracks, config)[0]
    matrix: Float64s = config.unobserved_weight * standards.gram
    matrix += (played.T * quadratic_weight(weights.astype(np.float64), config)) @ played
    matrix.flat[:: len(matrix) + 1] += ridge
    return matrix, played * weights[:, None]


def _sums(matrix: sparse.csr_matrix, values: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Count the true ones among values that belong to the entries of a matrix, by row."""
    upto = np.r_[0, np.cumsum(values)]
    return np.asarray(upto[matrix.indptr[1:]] - upto[matrix.indptr[:-1]], dtype=np.int64)


def binary(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return 1 for each play of weight > 0, as a sorted matrix of the same shape."""
    presence = sparse.csr_matrix(plays, dtype=np.float32, copy=True)
    presence.sum_duplicates()
    presence.data = (presence.data > 0).astype(np.float32)
    presence.eliminate_zeros()
    return presence

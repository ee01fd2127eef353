"""What a place in a list rests on, in three parts: other listeners, sound, popularity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.ranking.model import HybridModel
from recommender.ranking.scoring import score_parts, user_vectors
from recommender.ranking.taste import tastes_of

SHARES = ("listeners", "sound", "popularity")


def shares_for(
    model: HybridModel, plays: sparse.csr_matrix, track_rows: npt.NDArray[np.integer]
) -> npt.NDArray[np.float32]:
    """Tell of tracks what speaks for them to one user, part by part.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (1, n_tracks)
    track_rows : ndarray, shape (k,), int

    Returns
    -------
    ndarray, shape (k, 3), float32
        Columns as in `SHARES`, rows sum to 1. Parts that speak against a track count 0; where all do, each has what it
        says. A row of zeros where nothing is said.
    """
    users = user_vectors(tastes_of(model, plays), model.standards, model.blend)
    parts = score_parts(model, users, 0, np.asarray(track_rows))
    joined = np.column_stack([parts[:, 0] + parts[:, 1], parts[:, 2:]])
    speaks = np.maximum(joined, 0)
    speaks = np.where(speaks.any(axis=1, keepdims=True), speaks, np.abs(joined))
    total = speaks.sum(axis=1, keepdims=True)
    shares = np.divide(speaks, total, out=np.zeros_like(speaks), where=total > 0)
    return np.asarray(shares, dtype=np.float32)

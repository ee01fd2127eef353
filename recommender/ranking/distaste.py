"""What a listener skipped or disliked holds back what is like it, unless what they liked is as near.

For a track i, with likeness k(i, j) = max(0, cosine of `alike_vectors`) ** `SHARPNESS`::

    against = SKIP sum_skipped k(i, s) + DISLIKE sum_disliked k(i, s)        favour = sum_liked k(i, j)
    penalty = STRENGTH * against / (1 + against) * against / (against + favour)

The first quotient adds skips up and saturates; the second is the share of what is near that speaks against. A penalty
is shared among the tracks that cause it as their terms are shared in `against`, so that the shares add up to it.
The constants were chosen by ``benchmarks/lists.py`` on the demo world, whose listeners skip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.ranking.diversity import alike_vectors
from recommender.ranking.model import Float32s, HybridModel

Float64s = npt.NDArray[np.float64]

SHARPNESS = 6
SKIP, DISLIKE = 1.0, 5.0
STRENGTH = 2.0
"""Most that a track can lose, in standard deviations of a listener's scores."""


@dataclass(frozen=True, eq=False)
class Distaste:
    """What one listener holds against tracks.

    Parameters
    ----------
    track_rows : ndarray, shape (m,), int32
        Skipped and never played, or disliked.
    disliked : ndarray, shape (m,), bool
    vectors : ndarray, shape (m, width), float32
    liked_vectors : ndarray, shape (l, width), float32
        Of what they played.
    """

    track_rows: npt.NDArray[np.int32]
    disliked: npt.NDArray[np.bool_]
    vectors: Float32s
    liked_vectors: Float32s


def distaste_of(model: HybridModel, plays: sparse.csr_matrix, heard: sparse.csr_matrix) -> Distaste | None:
    """Return what a listener holds against tracks, None if nothing.

    Parameters
    ----------
    model : HybridModel
    plays, heard : csr_matrix, shape (1, n_tracks)
        As `recommender.data.interactions` makes them: heard and not played is a skip, `DISLIKED` a dislike.
    """
    return distaste_of_rows(model, plays.indices[plays.data > 0], heard.indices, heard.data)


def distaste_of_rows(
    model: HybridModel,
    played: npt.NDArray[np.integer],
    heard: npt.NDArray[np.integer],
    verdicts: npt.NDArray[np.floating],
) -> Distaste | None:
    """Do what `distaste_of` does, from the rows that were played (m,) and those that were heard, with verdicts (h,)."""
    disliked = verdicts == DISLIKED
    if len(heard) == len(played) and not disliked.any() and np.array_equal(heard, played):
        return None
    against = disliked | ~np.isin(heard, played)
    if not against.any():
        return None
    rows = heard[against].astype(np.int32)
    liked = np.setdiff1d(played, rows)
    return Distaste(rows, disliked[against], alike_vectors(model, rows), alike_vectors(model, liked))


def penalties(model: HybridModel, distaste: Distaste, track_rows: npt.NDArray[np.integer], strength: float) -> Float64s:
    """Return what tracks lose, shape (k,), >= 0; see the module. `strength` scales it, 0 switches it off."""
    return np.asarray(blame(model, distaste, track_rows, strength).sum(axis=1))


def blame(model: HybridModel, distaste: Distaste, track_rows: npt.NDArray[np.integer], strength: float) -> Float64s:
    """Share what tracks lose among the skips and dislikes that cause it.

    Returns
    -------
    ndarray, shape (k, m), float64
        Columns are ``distaste.track_rows``; rows add up to the penalties.
    """
    vectors = alike_vectors(model, track_rows)
    weights = np.where(distaste.disliked, DISLIKE, SKIP)
    terms = weights * _likeness(vectors, distaste.vectors)
    against = terms.sum(axis=1, keepdims=True)
    favour = _likeness(vectors, distaste.liked_vectors).sum(axis=1, keepdims=True)
    shares: Float64s = strength * STRENGTH * terms / (1 + against) * against / np.maximum(against + favour, 1e-12)
    return shares


def _likeness(vectors: Float32s, others: Float32s) -> Float64s:
    return np.asarray(np.maximum(vectors @ others.T, 0).astype(np.float64) ** SHARPNESS)

"""What a ranked list is worth: to a user (recall, NDCG, MRR, novelty) and to the catalog (coverage, Gini, popularity).

Lists are rows of an int32 matrix, best first, shorter ones filled up with `NOTHING`. Every metric is read on the full
ranking of all candidates, never against sampled negatives. Relevance is binary. A user without any relevant track has
no value (NaN) rather than zero.

Differences from other implementations: recall divides by ``min(k, |relevant|)``, so that a perfect list scores 1 at
every k (plain recall is lower wherever a user has more than k relevant tracks); NDCG's ideal list is cut at k too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.errors import DataError

Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NOTHING = -1
"""Fills the end of a list that is shorter than the others."""


def pad_lists(lists: Sequence[npt.NDArray[np.integer]], k: int) -> Int32s:
    """Lay ragged lists out as one matrix.

    Parameters
    ----------
    lists : sequence of n integer arrays
        Track rows, best first.
    k : int > 0
        Longer lists are cut here.

    Returns
    -------
    ndarray, shape (n, k), int32
        `NOTHING` behind the end of a short list.

    Examples
    --------
    >>> pad_lists([np.array([4, 2]), np.array([], dtype=int)], 3).tolist()
    [[4, 2, -1], [-1, -1, -1]]
    """
    padded = np.full((len(lists), k), NOTHING, dtype=np.int32)
    for row, ranked in enumerate(lists):
        kept = ranked[:k]
        padded[row, : len(kept)] = kept
    return padded


def find_hits(ranked: Int32s, relevant: sparse.csr_matrix) -> Bools:
    """Mark the relevant tracks of each list.

    Parameters
    ----------
    ranked : ndarray, shape (n, k), int32
        Track rows or `NOTHING`.
    relevant : csr_matrix, shape (n, n_tracks)
        A stored nonzero marks a relevant track; one row a list.

    Returns
    -------
    ndarray, shape (n, k), bool

    Raises
    ------
    DataError
        If the row counts differ or a list names a track twice, which would count one hit twice.
    """
    n = len(ranked)
    if relevant.shape[0] != n:
        raise DataError(f"{n} ranked lists do not fit {relevant.shape[0]} rows of relevant tracks")
    in_order = np.sort(ranked, axis=1)
    repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != NOTHING)
    if repeated.any():
        row, column = np.argwhere(repeated)[0]
        raise DataError(f"ranked list {row} names track row {in_order[row, column + 1]} more than once")
    n_tracks = relevant.shape[1]
    marked = relevant.tocoo()
    nonzero = marked.data != 0
    wanted = marked.row[nonzero].astype(np.int64) * n_tracks + marked.col[nonzero]
    keys = np.arange(n, dtype=np.int64)[:, None] * n_tracks + ranked
    hits: Bools = np.isin(keys, wanted) & (ranked != NOTHING)
    return hits


def count_relevant(relevant: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Return how many tracks are relevant in each row, shape (n,)."""
    return np.asarray((relevant != 0).sum(axis=1)).ravel().astype(np.int64)


def recall_at_k(hits: Bools, n_relevant: npt.NDArray[np.int64], k: int) -> Floats:
    """Return the share of the relevant tracks, of at most k, that are among the first k.

    Parameters
    ----------
    hits : ndarray, shape (n, >= k or shorter if the lists are), bool
    n_relevant : ndarray, shape (n,), int64
    k : int > 0

    Returns
    -------
    ndarray, shape (n,), float64
        In [0, 1]; NaN where nothing is relevant.
    """
    return _divide(hits[:, :k].sum(axis=1).astype(np.float64), np.minimum(n_relevant, k))


def ndcg_at_k(hits: Bools, n_relevant: npt.NDArray[np.int64], k: int) -> Floats:
    """Return the normalised discounted cumulative gain of the first k, binary gains, discount ``1 / log2(1 + rank)``.

    Parameters and return as `recall_at_k`.

    Notes
    -----
    Järvelin & Kekäläinen, TOIS 2002, with the base-2 discount from rank 1 on that is in common use.
    """
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    gains = hits[:, :k] @ discount[: hits[:, :k].shape[1]]
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(n_relevant, k)]
    # Sums in another order may exceed the ideal by a rounding error.
    return np.minimum(_divide(gains, ideal), 1.0)


def reciprocal_rank_at_k(hits: Bools, n_relevant: npt.NDArray[np.int64], k: int) -> Floats:
    """Return 1 / rank of the first relevant track, 0 if the first k hold none; its mean is the MRR.

    Parameters and return as `recall_at_k`.
    """
    top = hits[:, :k]
    found = top.any(axis=1)
    reciprocal = np.where(found, 1.0 / (1.0 + top.argmax(axis=1)), 0.0)
    return np.where(n_relevant > 0, reciprocal, np.nan)


def novelty_at_k(ranked: Int32s, listeners: npt.NDArray[np.int64], n_users: int, k: int) -> Floats:
    """Return the mean self-information of the first k tracks, in bits: how surprising they are.

    Parameters
    ----------
    ranked : ndarray, shape (n, >= k), int32
    listeners : ndarray, shape (n_tracks,), int64
        How many users played each track in training.
    n_users : int
    k : int > 0

    Returns
    -------
    ndarray, shape (n,), float64
        >= 0; NaN for an empty list.

    Notes
    -----
    ``-log2 p(track)`` of Zhou et al., PNAS 2010, with ``p = (listeners + 1) / (n_users + 1)``: the added one keeps a
    track without plays finite.
    """
    bits = -np.log2((listeners + 1.0) / (n_users + 1.0))
    return _mean_over_list(bits, ranked[:, :k])


def popularity_lift(ranked: Int32s, plays: sparse.csr_matrix, listeners: npt.NDArray[np.int64], k: int) -> float:
    """Return by how much the lists are more popular than what their users play: 0 as popular, 1 twice as popular.

    Parameters
    ----------
    ranked : ndarray, shape (n, >= k), int32
    plays : csr_matrix, shape (n, n_tracks)
        What the same users played in training.
    listeners : ndarray, shape (n_tracks,), int64
    k : int > 0

    Returns
    -------
    float
        >= -1; NaN if no user has both a list and plays.

    Notes
    -----
    ``(GAP_list - GAP_profile) / GAP_profile`` of Abdollahpouri et al. 2020, over all users as one group; the group
    average popularity GAP is a mean over users of the mean number of listeners of their tracks.
    """
    played = (plays != 0).astype(np.float64)
    profile = _divide(np.asarray(played @ listeners.astype(np.float64)).ravel(), count_relevant(plays))
    lists = _mean_over_list(listeners.astype(np.float64), ranked[:, :k])
    both = np.isfinite(profile) & np.isfinite(lists)
    if not both.any() or profile[both].mean() == 0:
        return float("nan")
    return float(lists[both].mean() / profile[both].mean() - 1.0)


def coverage_at_k(ranked: Int32s, candidate_rows: Int32s, k: int) -> float:
    """Return the share of the candidates that are among anyone's first k."""
    return float(np.mean(_exposure(ranked, candidate_rows, k) > 0))


def gini_at_k(ranked: Int32s, candidate_rows: Int32s, k: int) -> float:
    """Return the Gini coefficient of the exposure in the first k: 0 all candidates alike, towards 1 a few have all.

    Returns
    -------
    float
        In [0, 1); NaN if nothing was shown.
    """
    exposure = np.sort(_exposure(ranked, candidate_rows, k))
    n, total = len(exposure), exposure.sum()
    if total == 0:
        return float("nan")
    return float(2.0 * (np.arange(1, n + 1) @ exposure) / (n * total) - (n + 1) / n)


def _exposure(ranked: Int32s, candidate_rows: Int32s, k: int) -> Floats:
    shown = ranked[:, :k][ranked[:, :k] != NOTHING]
    size = int(max(candidate_rows.max(initial=0), shown.max(initial=0))) + 1
    return np.bincount(shown, minlength=size)[candidate_rows].astype(np.float64)


def _mean_over_list(values: Floats, ranked: Int32s) -> Floats:
    shown = ranked != NOTHING
    return _divide(np.where(shown, values[ranked], 0.0).sum(axis=1), shown.sum(axis=1))


def _divide(numerator: Floats, denominator: npt.NDArray[np.number]) -> Floats:
    quotient = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient

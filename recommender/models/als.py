"""Implicit ALS after Rendle et al. 2021, computed by the `implicit` library; `als_reference` is its readable twin.

The loss over users u and tracks i, where S are the pairs with a play::

    (1 + a0) sum_S w_ui (x_u.y_i - 1 / (1 + a0))^2 + a0 sum_not_S (x_u.y_i)^2
        + lam sum_u (n_u + a0 N_tracks)^nu |x_u|^2 + lam sum_i (n_i + a0 N_users)^nu |y_i|^2

n is the number of plays of a row, N counts the rows of the other side that have any. w_ui is 1 on average over each
user's plays (`play_confidence`); where all are 1 the loss is Rendle's, ``sum_S (x.y - 1)^2 + a0 sum_all (x.y)^2``, but
for a constant. `implicit` minimises the same loss over sqrt(1 + a0) times our factors if its ``alpha`` is ``1 + 1/a0``
and its regularization of a row is ours times ``(1 + a0) / a0``.

We differ from Rendle in four ways: what a user plays most weighs more than what they play least, by rank, because raw
counts do harm and no counts lose something; a row without plays has the zero vector and counts nowhere, so that a new
track changes nobody's factors; the regularization of a row is rounded to a fixed grid (`RIDGE_STEP`), so that rows can
be solved in groups that share it; and rows are improved by a few conjugate gradient steps a pass instead of solved
exactly (``cg_steps=0`` solves exactly).

What only training needs is imported there: a server reads these weights and ridges, and has no use for `implicit`.
"""

from __future__ import annotations

import copy
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import ThreadpoolController

from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.errors import DataError, ModelError
from recommender.models.factors import AlsConfig, Factors, Float32s

__all__ = [
    "RIDGE_STEP",
    "AlsConfig",
    "Factors",
    "fit_als",
    "fold_in_tracks",
    "fold_in_users",
    "initial_factors",
    "keep_one_blas_thread",
    "one_blas_thread",
    "play_confidence",
    "quadratic_weight",
    "row_ridges",
]

RIDGE_STEP = 1.1
"""Ratio of neighbouring grid values of the regularization; rounding changes a row's by 5 % at most."""


def fit_als(
    interactions: Interactions, config: AlsConfig, progress: Progress | None = None, num_threads: int = 0
) -> Factors:
    """Factorise who played what.

    Parameters
    ----------
    interactions : Interactions
        Weight > 0 is a play; weight 0 is left out. How the weights of a user are ordered matters, their sizes do not.
    config : AlsConfig
    progress : Progress, optional
        Called after each iteration.
    num_threads : int >= 0
        0 uses all cores. The result does not depend on it.

    Returns
    -------
    Factors
        Over the vocabularies of `interactions`, rows without plays as zeros.

    Raises
    ------
    ModelError
        If there is no play, or the factors do not stay finite.
    """
    from implicit.recommender_base import ModelFitError

    from recommender.models.grouped_als import GroupedAls

    plays = play_confidence(interactions.to_csr(), config.play_emphasis)
    users, tracks = _rows_by_plays(plays), _rows_by_plays(plays.T.tocsr())
    if len(users) == 0:
        raise ModelError(
            f"ALS needs plays: none of the {len(interactions)} interactions has a weight above 0; add listens"
        )
    compact = plays[users][:, tracks]
    compact.sort_indices()
    scale = _scale(config)
    user_start, track_start = initial_factors(len(users), len(tracks), config)
    report = progress or silent
    workers = num_threads or os.cpu_count() or 1
    with one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        model = GroupedAls(config, pool, workers)
        model.user_factors, model.item_factors = user_start * scale, track_start * scale
        try:
            model.fit(compact, show_progress=False, callback=lambda done, *_: report(done + 1, config.iterations))
        except ModelFitError as error:
            raise ModelError(f"ALS left the finite numbers: {error}; raise its regularization") from error
    user_factors = np.zeros((plays.shape[0], config.factors), dtype=np.float32)
    track_factors = np.zeros((plays.shape[1], config.factors), dtype=np.float32)
    user_factors[users], track_factors[tracks] = model.user_factors / scale, model.item_factors / scale
    return Factors(interactions.users, interactions.tracks, user_factors, track_factors, config)


def fold_in_users(
    confidence: sparse.csr_matrix, track_factors: Float32s, config: AlsConfig, num_threads: int = 0
) -> Float32s:
    """Solve for the factors of users while the track factors stay fixed.

    Parameters
    ----------
    confidence : csr_matrix, shape (n_users, n_tracks)
        A weight > 0 for each play, as `play_confidence` makes them. Columns follow the rows of `track_factors`.
    track_factors : ndarray, shape (n_tracks, d), float32
    config : AlsConfig
        The settings that made `track_factors`.
    num_threads : int >= 0
        0 uses all cores.

    Returns
    -------
    ndarray, shape (n_users, d), float32
        A user without plays gets the zero vector.

    Raises
    ------
    DataError
        If the column count of `confidence` is not n_tracks.

    Notes
    -----
    Eq. 4 of Hu, Koren & Volinsky, ICDM 2008, with the regularization of Rendle et al. 2021. Rows are solved exactly,
    so a user of the training data gets the vector that training converges to.
    """
    if confidence.shape[1] != len(track_factors):
        raise DataError(
            f"plays have {confidence.shape[1]} columns for {len(track_factors)} track factors; use one vocabulary"
        )
    return _fold_in(sparse.csr_matrix(confidence), track_factors, config, num_threads)


def fold_in_tracks(
    confidence: sparse.csr_matrix, user_factors: Float32s, config: AlsConfig, num_threads: int = 0
) -> Float32s:
    """Solve for the factors of tracks while the user factors stay fixed.

    Parameters
    ----------
    confidence : csr_matrix, shape (n_users, n_tracks)
        A weight > 0 for each play. Rows follow the rows of `user_factors`.
    user_factors : ndarray, shape (n_users, d), float32
    config : AlsConfig
    num_threads : int >= 0

    Returns
    -------
    ndarray, shape (n_tracks, d), float32
        A track without plays gets the zero vector; `cold_start` knows better.

    Raises
    ------
    DataError
        If the row count of `confidence` is not n_users.
    """
    if confidence.shape[0] != len(user_factors):
        raise DataError(
            f"plays have {confidence.shape[0]} rows for {len(user_factors)} user factors; use one vocabulary"
        )
    return _fold_in(sparse.csr_matrix(confidence).T.tocsr(), user_factors, config, num_threads)


def row_ridges(counts: npt.NDArray[Any], n_other: int, config: AlsConfig) -> npt.NDArray[np.float64]:
    """Return the regularization of rows, ``lam (n + a0 N)^nu``, rounded to the grid of `RIDGE_STEP` unless nu is 0.

    Parameters
    ----------
    counts : ndarray, shape (n,)
        Plays of each row (n).
    n_other : int
        Rows of the other side that have plays (N).
    config : AlsConfig

    Returns
    -------
    ndarray, shape (n,), float64
    """
    exact = config.regularization * (counts + config.unobserved_weight * n_other) ** config.frequency_exponent
    if config.frequency_exponent == 0:
        return np.asarray(exact, dtype=np.float64)
    step = np.log(RIDGE_STEP)
    return np.asarray(np.exp(np.round(np.log(exact) / step) * step), dtype=np.float64)


def initial_factors(n_users: int, n_tracks: int, config: AlsConfig) -> tuple[Float32s, Float32s]:
    """Return the random start, N(0, .1 / sqrt(d)) as in Rendle et al. 2021; users first, then tracks."""
    rng = np.random.default_rng(config.seed)
    deviation = 0.1 / np.sqrt(config.factors)
    users = rng.normal(0, deviation, (n_users, config.factors)).astype(np.float32)
    return users, rng.normal(0, deviation, (n_tracks, config.factors)).astype(np.float32)


def _fold_in(plays: sparse.csr_matrix, others: Float32s, config: AlsConfig, num_threads: int) -> Float32s:
    from implicit.cpu.als import AlternatingLeastSquares

    from recommender.models.grouped_als import cut, groups_of

    if others.ndim != 2 or others.shape[1] != config.factors:
        raise DataError(f"factors have shape {others.shape}, the configuration says {config.factors} factors")
    plays = only_positive(plays)
    folded = np.zeros((plays.shape[0], config.factors), dtype=np.float32)
    order = _rows_by_plays(plays)
    if len(order) == 0:
        return folded
    scale = _scale(config)
    n_other = int(np.count_nonzero(others.any(axis=1)))
    workers = num_threads or os.cpu_count() or 1
    pieces = cut(groups_of(np.diff(plays.indptr)[order], n_other, config), -(-len(order) // workers))
    with one_blas_thread():
        model = AlternatingLeastSquares(factors=config.factors, alpha=1 + 1 / config.unobserved_weight, num_threads=1)
        model.item_factors = np.ascontiguousarray(others, dtype=np.float32) * scale
        _ = model.YtY  # computed here once, kept by the copies below

        def solve(piece: tuple[slice, float]) -> None:
            rows, mine = order[piece[0]], copy.copy(model)
            mine.regularization = piece[1]
            folded[rows] = mine.recalculate_user(rows, plays[rows]) / scale

        if len(pieces) == 1:
            solve(pieces[0])
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(solve, pieces))
    return folded


def play_confidence(plays: sparse.csr_matrix, emphasis: float) -> sparse.csr_matrix:
    """Weigh each user's plays by their rank among that user's own.

    Parameters
    ----------
    plays : csr_matrix, shape (n_users, n_tracks)
        How often; rows must hold all that the user played. What is not above 0 is no play.
    emphasis : float, 0 to 1
        0 gives every play the weight 1.

    Returns
    -------
    csr_matrix, shape (n_users, n_tracks), float32
        ``1 + emphasis (q - 1/2)``, q the mid-rank of the play among the user's, from 0 (least) to 1; equal counts have
        equal weights. A user's weights have the mean 1.

    Examples
    --------
    >>> play_confidence(sparse.csr_matrix([[30, 1, 0, 2, 2]]), 1.0).toarray().tolist()
    [[1.375, 0.625, 0.0, 1.0, 1.0]]
    """
    played = only_positive(plays)
    if not emphasis or not played.nnz:
        played.data[:] = 1
        return played
    counts = np.diff(played.indptr)
    users = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((played.data, users))
    in_order = played.data[order]
    first = np.flatnonzero(np.r_[True, (in_order[1:] != in_order[:-1]) | (users[1:] != users[:-1])])
    sizes = np.diff(np.r_[first, len(order)])
    middle = np.repeat(first + sizes / 2, sizes) - played.indptr[users]
    played.data[order] = 1 + emphasis * (middle / counts[users] - 0.5)
    return played


def quadratic_weight(confidence: npt.NDArray[np.floating], config: AlsConfig) -> npt.NDArray[Any]:
    """Return what ``y y'`` of a play of weight w counts in a row's matrix beside ``a0 sum_all y y'``: 1 for w = 1."""
    return np.asarray((1 + config.unobserved_weight) * confidence - config.unobserved_weight)


def only_positive(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return a copy that holds the entries above 0 and nothing else, shape unchanged, float32."""
    played = sparse.csr_matrix(plays, dtype=np.float32, copy=True)
    played.sum_duplicates()
    played.data[~(played.data > 0)] = 0
    played.eliminate_zeros()
    played.sort_indices()
    return played


def _rows_by_plays(plays: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Return the rows that have plays, fewest plays first."""
    counts = np.diff(plays.indptr)
    order: npt.NDArray[np.int64] = np.argsort(counts, kind="stable")
    return np.asarray(order[counts[order] > 0])


def _scale(config: AlsConfig) -> np.float32:
    """Return what `implicit`'s factors are multiplied by, in comparison to ours."""
    return np.float32(np.sqrt(1 + config.unobserved_weight))


def one_blas_thread() -> AbstractContextManager[Any]:
    """Leave the cores to `implicit`'s own threads, and the sums in one order whatever their number."""
    if _kept:
        return nullcontext()
    limit: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limit


def keep_one_blas_thread() -> None:
    """Do that for the rest of the process: a server's requests are many and small."""
    if not _kept:
        _kept.append(_blas().limit(limits=1, user_api="blas"))


_kept: list[Any] = []


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()

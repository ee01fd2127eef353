"""Baselines that know who played what and nothing of sound: for known tracks, and for new users with a few plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from recommender.errors import ModelError
from recommender.evaluation.methods import Fits, Scores, rank_by
from recommender.evaluation.metrics import Int32s
from recommender.evaluation.protocol import Rank, Task
from recommender.models.als import one_blas_thread
from recommender.ranking.taste import binary

MAX_TRACKS = 20_000
"""These compare all tracks with all: with more, memory and time are out of proportion."""

EASE_RIDGE = 100.0
RP3_BETA = 0.6
SHRINKAGE = 10.0
NEIGHBOURS = 100
_BLOCK = 512


def plain_implicit(task: Task, fits: Fits) -> Rank:
    """ALS as the `implicit` library does it unless told otherwise, on raw play counts."""

    def fit() -> Any:
        with one_blas_thread():
            model = AlternatingLeastSquares(random_state=fits.seed, num_threads=1)
            model.fit(fits.trained.plays, show_progress=False)
        return model

    model = fits.once("plain implicit", fit)
    users = model.user_factors.copy()
    untrained = np.diff(fits.trained.plays.indptr) == 0
    users[untrained] = 0
    arrived = np.flatnonzero(untrained & (np.diff(fits.plays.indptr) > 0))
    if len(arrived):
        with one_blas_thread():
            users[arrived] = model.recalculate_user(arrived, fits.plays[arrived])
    played = (fits.trained.evidence > 0)[:, None]
    tracks = np.where(played, model.item_factors, 0)[task.candidate_rows].T
    return rank_by(lambda rows: users[rows] @ tracks, task, fits)


def ease(task: Task, fits: Fits) -> Rank:
    """EASE (Steck 2019): a linear map from what was played to what is played, the diagonal zero.

    Raises
    ------
    ModelError
        With more than `MAX_TRACKS` tracks.
    """
    return _by_likeness("EASE", _ease, task, fits)


def rp3beta(task: Task, fits: Fits) -> Rank:
    """RP3beta (Paudel et al. 2017): a walk of three steps over who played what, popular tracks divided down.

    Raises
    ------
    ModelError
        With more than `MAX_TRACKS` tracks.
    """
    return _by_likeness("RP3beta", _walk, task, fits)


def item_knn(task: Task, fits: Fits) -> Rank:
    """By the cosine of tracks' listeners, shrunk, over the nearest neighbours.

    Raises
    ------
    ModelError
        With more than `MAX_TRACKS` tracks.
    """
    return _by_likeness("item-kNN", _cosine, task, fits)


def _by_likeness(name: str, compare: Callable[[sparse.csr_matrix], sparse.csr_matrix], task: Task, fits: Fits) -> Rank:
    """Rank by the sum of a candidate's likeness to what a user played; tracks without plays are like nothing."""
    known = np.flatnonzero(fits.trained.evidence > 0)
    if len(known) > MAX_TRACKS:
        raise ModelError(f"{name} is made for {MAX_TRACKS} tracks at most, {len(known)} have plays; leave it out")
    likeness = fits.once(name, lambda: compare(binary(fits.trained.plays[:, known])))
    place = np.full(len(task.train.tracks), -1)
    place[known] = np.arange(len(known))
    among = place[task.candidate_rows]
    shown = likeness[:, among[among >= 0]]
    liked = binary(fits.plays[:, known])

    def score(users: Int32s) -> Scores:
        scores = np.zeros((len(users), len(among)))
        found = liked[users] @ shown
        scores[:, among >= 0] = found.toarray() if sparse.issparse(found) else found
        return scores

    return rank_by(score, task, fits)


def _ease(plays: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    gram = (plays.T @ plays).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += EASE_RIDGE
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights, dtype=np.float32)


def _walk(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    by_track = sparse.csr_matrix(plays.T)
    of_track, of_user = np.diff(by_track.indptr), np.diff(plays.indptr)
    to_users = sparse.diags(1.0 / of_track) @ by_track
    to_tracks = sparse.diags(1.0 / np.maximum(of_user, 1)) @ plays @ sparse.diags(1.0 / of_track**RP3_BETA)
    return _nearest(sparse.csr_matrix(to_users), sparse.csr_matrix(to_tracks))


def _cosine(plays: sparse.csr_matrix) -> sparse.csr_matrix:
    by_track = sparse.csr_matrix(plays.T)
    lengths = np.sqrt(np.diff(by_track.indptr))

    def cosine(together: npt.NDArray[Any], rows: slice) -> npt.NDArray[Any]:
        return np.asarray(together / (lengths[rows, None] * lengths[None, :] + SHRINKAGE))

    return _nearest(by_track, plays, cosine)


def _nearest(
    left: sparse.csr_matrix,
    right: sparse.csr_matrix,
    change: Callable[[npt.NDArray[Any], slice], npt.NDArray[Any]] | None = None,
) -> sparse.csr_matrix:
    """Return the `NEIGHBOURS` largest values of each row of ``left @ right``, the diagonal left out."""
    n = left.shape[0]
    count, kept = min(NEIGHBOURS, n), []
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        block = (left[rows] @ right).toarray()
        if change is not None:
            block = change(block, rows)
        block[np.arange(len(block)), np.arange(start, rows.stop)] = 0
        near = np.argpartition(-block, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(block, near, axis=1).astype(np.float32)
        indptr = np.arange(0, near.size + 1, count)
        kept.append(sparse.csr_matrix((values.ravel(), near.ravel(), indptr), shape=block.shape))
    nearest = sparse.vstack(kept).tocsr()
    nearest.eliminate_zeros()
    return nearest

"""NDCG of dense score blocks, for choosing parameters; the judge of finished models is `recommender.evaluation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

Group = Literal["all", "warm", "cold"]


@dataclass(frozen=True, eq=False)
class Lists:
    """What a block of users heard, and what was hidden from the model.

    Parameters
    ----------
    heard, warm, cold : csr_matrix, shape (n_users, n_tracks)
        Training pairs; hidden pairs of known tracks; hidden pairs of hidden tracks.
    is_cold : ndarray, shape (n_tracks,), bool
    """

    heard: sparse.csr_matrix
    warm: sparse.csr_matrix
    cold: sparse.csr_matrix
    is_cold: npt.NDArray[np.bool_]


def ndcg(scores: npt.NDArray[np.float32], lists: Lists, candidates: Group, relevant: Group, top: int) -> float:
    """Rank candidates, count only some of the hits.

    Parameters
    ----------
    scores : ndarray, shape (n_users, n_tracks), float32
    lists : Lists
    candidates : {"all", "warm", "cold"}
        What may be in the lists, besides heard tracks, which may not.
    relevant : {"all", "warm", "cold"}
        Which hidden pairs count as hits; users without any are left out.
    top : int

    Returns
    -------
    float
        Mean over users of binary NDCG at `top`; 0 if no user has a relevant pair.

    Notes
    -----
    DCG of Järvelin & Kekäläinen 2002 with gains 0 and 1, divided by the best possible one.
    """
    columns = np.arange(scores.shape[1])
    if candidates != "all":
        columns = np.flatnonzero(lists.is_cold == (candidates == "cold"))
    hidden = {"warm": lists.warm, "cold": lists.cold, "all": lists.warm + lists.cold}[relevant]
    users = np.flatnonzero(np.diff(hidden.indptr))
    if len(users) == 0 or len(columns) == 0:
        return 0.0
    scores = np.array(scores[users] if candidates == "all" else scores[np.ix_(users, columns)])
    heard = lists.heard[users][:, columns].tocoo()
    scores[heard.row, heard.col] = -np.inf
    depth = min(top, len(columns))
    best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    hits = np.take_along_axis(hidden[users][:, columns].toarray() > 0, best, axis=1)
    hits &= np.take_along_axis(scores, best, axis=1) > -np.inf
    discounts = 1 / np.log2(np.arange(top) + 2)
    ideal = np.cumsum(discounts)[np.minimum(np.diff(hidden.indptr)[users], top) - 1]
    return float((hits @ discounts[:depth] / ideal).mean())


@dataclass(frozen=True)
class MixedFigures:
    """NDCG of lists in which known and hidden tracks stand together, at one or several lengths.

    Parameters
    ----------
    total, known, new : tuple of float
        A value for each length. `known` and `new` count only hits of their kind, over the users who have some.
    """

    total: tuple[float, ...]
    known: tuple[float, ...]
    new: tuple[float, ...]


def mixed_figures(scores: npt.NDArray[np.float32], lists: Lists, tops: tuple[int, ...]) -> MixedFigures:
    """Rank all candidates once, and read the lists in every way; see `ndcg`.

    Parameters
    ----------
    scores : ndarray, shape (n_users, n_tracks), float32
    lists : Lists
    tops : tuple of int
    """
    scores = scores.copy()
    heard = lists.heard.tocoo()
    scores[heard.row, heard.col] = -np.inf
    depth = min(max(tops), scores.shape[1])
    best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    offered = np.take_along_axis(scores, best, axis=1) > -np.inf
    discounts = 1 / np.log2(np.arange(max(tops)) + 2)
    ideal = np.cumsum(discounts)
    figures = []
    for hidden in (lists.warm + lists.cold, lists.warm, lists.cold):
        counts = np.diff(hidden.indptr)
        users = np.flatnonzero(counts)
        rows = np.repeat(np.arange(len(best)), depth)
        hits = np.asarray(hidden[rows, best.ravel()]).reshape(best.shape).astype(bool) & offered
        figures.append(
            tuple(
                float(
                    (
                        hits[users, :top] @ discounts[: min(top, depth)] / ideal[np.minimum(counts[users], top) - 1]
                    ).mean()
                )
                if len(users)
                else 0.0
                for top in tops
            )
        )
    return MixedFigures(*figures)

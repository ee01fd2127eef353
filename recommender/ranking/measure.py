"""NDCG of dense score blocks, for choosing parameters; the judge of finished models is `recommender.evaluation`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

Bools = npt.NDArray[np.bool_]
Group = Literal["all", "warm", "cold"]


@dataclass(frozen=True, eq=False)
class Lists:
    """What a block of users heard, and what was hidden from the model.

    Parameters
    ----------
    heard, warm, cold : csr_matrix, shape (n_users, n_tracks)
        Training pairs, any value but 0; hidden pairs of known tracks; hidden pairs of hidden tracks.
    is_cold : ndarray, shape (n_tracks,), bool
        The hidden tracks.
    is_known : ndarray, shape (n_tracks,), bool
        The tracks with training plays. What is neither known nor hidden is truly new: nobody can say yet whether it
        belongs into a list, so it is in none.
    """

    heard: sparse.csr_matrix
    warm: sparse.csr_matrix
    cold: sparse.csr_matrix
    is_cold: Bools
    is_known: Bools

    @cached_property
    def hidden(self) -> dict[Group, Bools]:
        """The hidden pairs by group, dense."""
        warm, cold = (self.warm.toarray() > 0) & self.is_known, (self.cold.toarray() > 0) & self.is_cold
        return {"warm": warm, "cold": cold, "all": warm | cold}

    @cached_property
    def columns(self) -> dict[Group, npt.NDArray[np.intp]]:
        """The tracks that may be in a list, by what the list is made of."""
        return {
            "warm": np.flatnonzero(self.is_known),
            "cold": np.flatnonzero(self.is_cold),
            "all": np.flatnonzero(self.is_known | self.is_cold),
        }

    @cached_property
    def closed(self) -> dict[Group, Bools]:
        """The pairs that were heard, in `columns`, dense."""
        return {group: self.heard[:, columns].toarray() != 0 for group, columns in self.columns.items()}


def best_of(scores: npt.NDArray[np.float32], lists: Lists, candidates: Group, top: int) -> npt.NDArray[np.intp]:
    """Return the best `top` rows of each user, best first, shape (n_users, top); -1 where there are no more."""
    columns = lists.columns[candidates]
    depth = min(top, len(columns))
    if depth == 0:
        return np.full((len(scores), top), -1)
    open_scores = np.where(lists.closed[candidates], np.float32(-np.inf), scores[:, columns])
    best = np.argpartition(-open_scores, depth - 1, axis=1)[:, :depth]
    values = np.take_along_axis(open_scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    best = np.where(np.take_along_axis(values, order, axis=1) == -np.inf, -1, columns[best])
    return np.pad(best, ((0, 0), (0, top - depth)), constant_values=-1)


def ndcg_of(best: npt.NDArray[np.intp], lists: Lists, relevant: Group, top: int) -> float:
    """Mean over users of `ndcgs_of`; users without a relevant pair are left out. 0 if no user is left."""
    values = ndcgs_of(best, lists, relevant, top)
    measured = ~np.isnan(values)
    return float(values[measured].mean()) if measured.any() else 0.0


def ndcgs_of(best: npt.NDArray[np.intp], lists: Lists, relevant: Group, top: int) -> npt.NDArray[np.float64]:
    """Return each user's binary NDCG of the first `top` of their list, shape (n_users,); NaN without a relevant pair.

    DCG of Järvelin & Kekäläinen 2002 with gains 0 and 1, divided by the best possible one.
    """
    hidden = lists.hidden[relevant]
    counts = hidden.sum(axis=1)
    first = best[:, :top]
    hits = np.take_along_axis(hidden, np.maximum(first, 0), axis=1) & (first >= 0)
    discounts = 1 / np.log2(np.arange(top) + 2)
    ideal = np.cumsum(discounts)[np.clip(counts, 1, top) - 1]
    return np.where(counts > 0, hits @ discounts / ideal, np.nan)


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
    """
    return ndcg_of(best_of(scores, lists, candidates, top), lists, relevant, top)

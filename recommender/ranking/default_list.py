"""The list of somebody of whom nothing is known: popular tracks and new releases by turns, unlike each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recommender.ranking.candidates import best_rows
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.model import Float32s, HybridModel
from recommender.ranking.recommendation import Source

Places = npt.NDArray[np.intp]

NEW_EVERY = 3
"""One place in so many is for a track that nobody has played, as long as there are both kinds."""


def default_order(
    model: HybridModel, scores: Float32s, candidates: npt.NDArray[np.int32], top: int, size: int, diversity: float
) -> Places:
    """Order candidates for somebody without plays.

    Parameters
    ----------
    model : HybridModel
    scores : ndarray, shape (n,), float32
        Of the candidates; -inf leaves one out. Popularity decides them, and what was skipped or disliked.
    candidates : ndarray, shape (n,), int32
        Catalog rows.
    top : int
        Length of the list that is wanted.
    size : int
        So many popular and so many new tracks are looked at.
    diversity : float in [0, 1]
        As in `RecommendOptions`, among the popular and among the new ones.

    Returns
    -------
    ndarray, shape (k,), intp
        Places in `candidates`, best first: more than `top` where there are, for rules that leave some out.
    """
    evidence = model.evidence[candidates]
    popular = best_rows(np.where(evidence > 0, scores, -np.inf).astype(np.float32), size, evidence)
    new = _latest(model, candidates, np.flatnonzero((evidence == 0) & (scores > -np.inf)))[:size]
    # the latest first, as far as skips and dislikes have nothing against them
    recency = np.linspace(1, -1, len(new), dtype=np.float32) + scores[new] - scores[new].max(initial=-np.inf)
    return _by_turns(
        _unlike(model, candidates, popular, scores[popular], top, diversity),
        _unlike(model, candidates, new, recency, top, diversity),
    )


def default_sources(model: HybridModel, track_rows: npt.NDArray[np.integer]) -> tuple[Source, ...]:
    """Name who put tracks into a default list: their popularity, or that they are new."""
    return tuple("popularity" if listeners else "new" for listeners in model.evidence[track_rows])


def _unlike(
    model: HybridModel,
    candidates: npt.NDArray[np.int32],
    places: Places,
    relevance: Float32s,
    top: int,
    diversity: float,
) -> Places:
    """Put `top` places that are unlike each other before the others."""
    chosen = choose(relevance, alike_vectors(model, candidates[places]), top, diversity)
    others = np.setdiff1d(np.arange(len(places)), chosen)
    return np.asarray(places[np.r_[chosen, others].astype(np.intp)])


def _latest(model: HybridModel, candidates: npt.NDArray[np.int32], places: Places) -> Places:
    """Order places by release, the latest first; those without a date come last."""
    ranks = model.catalog.release_ranks[candidates[places]]
    return np.asarray(places[np.lexsort((places, -ranks))])


def _by_turns(popular: Places, new: Places) -> Places:
    """Give every `NEW_EVERY`-th place to a new track, and the rest of the longer side to the end."""
    pairs, each = np.divmod(np.arange(len(popular)), NEW_EVERY - 1)
    turns = np.r_[pairs * NEW_EVERY + each, np.arange(len(new)) * NEW_EVERY + NEW_EVERY - 1]
    return np.asarray(np.r_[popular, new][np.argsort(turns, kind="stable")])

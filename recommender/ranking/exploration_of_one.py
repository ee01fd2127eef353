"""Exploration for one listener: what `recommender.ranking.exploration.explore` does, looking only at what it takes."""

from __future__ import annotations

import threading
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.models.posterior import Floats
from recommender.models.uncertainty import (
    Uncertainty,
    sampled_factors,
    sampled_variances,
    score_variances,
)
from recommender.ranking.confidence import confidences
from recommender.ranking.distaste import penalties
from recommender.ranking.exploration import (
    EXACT_LISTENERS,
    MAX_POOL,
    ExploreConfig,
    ExploredList,
    chances_of_places,
    columns_of,
    deal,
    most_hopeful,
    uncertainty_of,
)
from recommender.ranking.learned import side_corrections
from recommender.ranking.listener import Listener
from recommender.ranking.model import HybridModel, Standards
from recommender.ranking.recommendation import RankedList, RecommendOptions
from recommender.ranking.retrieval import estimated_best
from recommender.ranking.scan import Products
from recommender.ranking.scoring import dialled_fame, side_parts, sources_of

HOPEFUL = 4
"""The pool is looked for among so many times as many of the best by score; among more where that is not enough."""

_COUNTS = np.unique(np.r_[np.arange(64), np.geomspace(64, 1e7, 60).astype(np.int64)])
"""Listeners for which deviations are computed; counts between two of them have that of the smaller."""

_uncertainties: WeakKeyDictionary[Standards, Uncertainty] = WeakKeyDictionary()
_sampled_of: WeakKeyDictionary[Uncertainty, Floats] = WeakKeyDictionary()
_measuring = threading.Lock()


def explore_one(
    listener: Listener,
    uncertainty: Uncertainty,
    ranked: RankedList,
    options: RecommendOptions,
    config: ExploreConfig,
    rng: np.random.Generator,
    estimated: Products | None = None,
) -> ExploredList:
    """Do what `explore` does, and look only at what it takes: the pool by estimates, chances where something is tried.

    Parameters
    ----------
    listener : Listener
        That `ranked` was made for.
    uncertainty : Uncertainty
        By `base_uncertainty`. A track with other listeners than it had then has the variance of a fair sample of them.
    ranked, options, config, rng
        As in `explore`; the same draws have the same meaning.
    estimated : Products, optional
        By `retrieval.estimates`, where it is there already.

    Returns
    -------
    ExploredList
    """
    propensities, explored = np.ones(len(ranked)), np.zeros(len(ranked), dtype=bool)
    if config.share == 0 or len(ranked) == 0:
        return ExploredList(ranked, propensities, explored)
    model, side = listener.model, listener.side
    direction = side.vector[: model.posterior_factors.shape[1]]
    pool = _hopeful(listener, uncertainty, direction, ranked, options, config, estimated)
    hands = deal(len(pool), len(ranked), config.hand, rng)
    drawn, there = rng.random((len(ranked), 1)), hands >= 0
    propensities[there.any(axis=1)] = 1 - config.share
    places = np.flatnonzero(drawn[:, 0] >= propensities)
    if not len(places):
        return ExploredList(ranked, propensities, explored)
    rows = pool[hands[places]]
    held = listener.held(options.distaste)
    every = rows.ravel()
    parts = side_parts(model, side, every)
    lost = penalties(model, held, every, options.distaste) if held is not None else np.zeros(len(every))
    means = parts.sum(axis=1) + options.popularity * dialled_fame(model, model.evidence[every]) - lost
    spreads = np.sqrt(_variances(model, uncertainty, direction, every))
    policy = chances_of_places(means.reshape(rows.shape), spreads.reshape(rows.shape), there[places], config)
    columns = columns_of(policy, drawn[places])
    explored[places] = columns > 0
    propensities[places] = policy[np.arange(len(places)), columns]
    chosen = (np.arange(len(places)) * config.hand + columns - 1)[columns > 0]
    places, tried = places[columns > 0], every[chosen]
    shown, scores, sources = ranked.track_rows.copy(), ranked.scores.copy(), list(ranked.sources)
    corrections = side_corrections(model, side, listener.played, tried)
    shown[places], scores[places] = tried, parts[chosen].sum(axis=1) + corrections - lost[chosen]
    for place, source in zip(places, sources_of(parts[chosen]), strict=True):
        sources[place] = source
    found = confidences(model, ranked.plays_known, shown)
    changed = replace(ranked, track_rows=shown, scores=scores, sources=tuple(sources), confidences=found)
    return ExploredList(changed, propensities, explored)


def base_uncertainty(model: HybridModel) -> Uncertainty:
    """Return the uncertainty of a model as it was when this was first asked, without what only well-known tracks need.

    Plays that come later change what is known of the tracks that they concern: `explore_one` sees that by their
    listeners. What has no plays at all is measured again, so that the first ones count.
    """
    with _measuring:
        found = _uncertainties.get(model.standards)
        if found is None or not found.noise:
            found = uncertainty_of(model)
            kept = np.diff(found.by_track.indptr) <= EXACT_LISTENERS
            young = sparse.csr_matrix(sparse.diags(kept.astype(np.float32)) @ found.by_track, dtype=np.float32)
            young.eliminate_zeros()
            found = replace(found, by_track=young, listeners=found.listeners.astype(np.float32))
            _uncertainties[model.standards] = found
            vars(model).pop("confidence", None)
        return found


def keep_uncertainty(model: HybridModel, found: Uncertainty) -> None:
    """Use an uncertainty that was measured before, by `base_uncertainty` of this very model."""
    with _measuring:
        _uncertainties[model.standards] = found


def _variances(
    model: HybridModel, uncertainty: Uncertainty, direction: npt.NDArray[np.floating], rows: npt.NDArray[np.int32]
) -> Floats:
    """Return the variance of tracks' scores: of young ones exactly, if their listeners are those of `uncertainty`."""
    counts = model.evidence[rows].astype(np.int64)
    found = sampled_variances(uncertainty, direction, counts)
    inside = np.minimum(rows, uncertainty.by_track.shape[0] - 1)
    seen = np.where(rows == inside, uncertainty.by_track.indptr[inside + 1] - uncertainty.by_track.indptr[inside], -1)
    exact = np.flatnonzero((seen == counts) & (counts <= EXACT_LISTENERS))
    found[exact] = score_variances(uncertainty, direction, rows[exact])
    return found


def _sampled(uncertainty: Uncertainty) -> Floats:
    """Return what `sampled_variances` makes of squares in the basis for `_COUNTS`, shape (n, d)."""
    found = _sampled_of.get(uncertainty)
    if found is None:
        found = _sampled_of[uncertainty] = sampled_factors(uncertainty, _COUNTS)
    return found


def _hopeful(
    listener: Listener,
    uncertainty: Uncertainty,
    direction: npt.NDArray[np.floating],
    ranked: RankedList,
    options: RecommendOptions,
    config: ExploreConfig,
    estimated: Products | None,
) -> npt.NDArray[np.int32]:
    """Return the pool of a listener: the most hopeful tracks by their estimated scores."""
    model = listener.model
    size = min(config.hand * len(ranked), MAX_POOL)
    deviations = np.sqrt(_sampled(uncertainty) @ (direction @ uncertainty.basis) ** 2)
    bonus, depth = config.optimism * deviations, HOPEFUL * size
    while True:
        values, rows, bound = estimated_best(listener, depth, options, estimated, ranked.track_rows)
        evidence = model.evidence[rows]
        hopes = values + bonus[_COUNTS.searchsorted(evidence.astype(np.int64), side="right") - 1]
        pool = most_hopeful(model, rows, hopes, ranked, options, size)
        if bound == -np.inf or (len(pool) == size and hopes[rows == pool[-1]][0] > bound + bonus.max()):
            return pool
        depth *= 8

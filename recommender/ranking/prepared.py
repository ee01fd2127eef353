"""What a model needs to answer for one listener quickly, found out once; and that answer, from end to end."""

from __future__ import annotations

from weakref import WeakSet

import numpy as np

from recommender.ranking.calibration import kinds_of
from recommender.ranking.diversity import alike_vectors
from recommender.ranking.exploration import ExploreConfig, ExploredList, base_uncertainty, explore_one
from recommender.ranking.listener import Listener
from recommender.ranking.model import HybridModel, Standards
from recommender.ranking.ranker import recommend_one
from recommender.ranking.recommendation import RecommendOptions
from recommender.ranking.retrieval import LEAST_TRACKS, estimates, index_of, sound_scan_of

_prepared: WeakSet[Standards] = WeakSet()


def prepare(model: HybridModel) -> None:
    """Find out what all answers of a model, and of what live plays make of it, have in common."""
    catalog = model.catalog
    _ = (catalog.texts, catalog.release_ranks, model.artist_codes, catalog.durations_s)
    if len(catalog) >= LEAST_TRACKS:
        index_of(model)
        sound_scan_of(model)
    kinds_of(model, alike_vectors)
    base_uncertainty(model)
    if model.sound is not None:
        _ = model.sound.clips_from
    if model.learned is not None:
        _ = model.learned.booster
    _prepared.add(model.standards)


def is_prepared(model: HybridModel) -> bool:
    """Tell whether the model, or one that it came from by live plays, is prepared."""
    return model.standards in _prepared


def recommend_and_explore(
    listener: Listener,
    options: RecommendOptions,
    exploring: ExploreConfig | None = None,
    rng: np.random.Generator | None = None,
) -> ExploredList:
    """Recommend to one listener, and let some places try what may be better than is known, where that is wanted."""
    model = listener.model
    short = len(model.catalog) >= LEAST_TRACKS and (listener.known_plays > 0 or exploring is not None)
    estimated = estimates(listener) if short else None
    ranked = recommend_one(listener, options, estimated)
    if exploring is None or rng is None or exploring.share == 0:
        return ExploredList(ranked, np.ones(len(ranked)), np.zeros(len(ranked), dtype=bool))
    return explore_one(listener, base_uncertainty(model), ranked, options, exploring, rng, estimated)

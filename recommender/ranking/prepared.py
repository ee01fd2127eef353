"""What a model needs to answer for one listener quickly, found out once; and that answer, from end to end."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakSet

import numpy as np
from scipy import sparse

from recommender.data.storage import Array, load_arrays, save_arrays
from recommender.errors import ArtifactError
from recommender.models.uncertainty import Uncertainty
from recommender.ranking.calibration import keep_kinds, kinds_of
from recommender.ranking.diversity import alike_vectors
from recommender.ranking.exploration import ExploreConfig, ExploredList
from recommender.ranking.exploration_of_one import base_uncertainty, explore_one, keep_uncertainty
from recommender.ranking.listener import Listener
from recommender.ranking.model import HybridModel, Standards
from recommender.ranking.ranker import recommend_one
from recommender.ranking.recommendation import RecommendOptions
from recommender.ranking.retrieval import estimates, is_large, keep_sound, sound_scan_of
from recommender.ranking.scan import Coded

KIND = "prepared"
_CODED = ("graph", "center", "steps")
_CSR = ("data", "indices", "indptr")
_prepared: WeakSet[Standards] = WeakSet()


def prepare(model: HybridModel) -> None:
    """Find out what all answers of a model, and of what live plays make of it, have in common."""
    catalog = model.catalog
    _ = (catalog.columns, catalog.release_ranks, model.artist_codes)
    if model.retrieval is not None:
        _ = model.retrieval.scan
        sound_scan_of(model)
    kinds_of(model, alike_vectors)
    base_uncertainty(model)
    if model.sound is not None:
        model.sound.clips_of(0)
    if model.learned is not None:
        _ = model.learned.booster
    _prepared.add(model.standards)


def save_prepared(path: Path, model: HybridModel, version: str) -> None:
    """Write what takes long to find out, for a model as it was trained; `load_prepared` reads it."""
    uncertainty = base_uncertainty(model)
    arrays: dict[str, Array] = {
        "kinds": kinds_of(model, alike_vectors),
        "uncertainty.basis": uncertainty.basis,
        "uncertainty.spectrum": uncertainty.spectrum,
        "uncertainty.listeners": uncertainty.listeners,
    }
    if model.sound is not None:
        coded = Coded.of(model.sound.vectors)
        arrays |= {f"sound.{part}": getattr(coded, part) for part in _CODED}
    arrays |= {f"young.{part}": getattr(uncertainty.by_track, part) for part in _CSR}
    save_arrays(path, KIND, version, arrays, {"noise": uncertainty.noise, "n_users": uncertainty.n_users})


def load_prepared(path: Path, version: str, model: HybridModel) -> None:
    """Read what `save_prepared` wrote of this model, and use it.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged.
    VersionError
        If it belongs to another version.
    """
    arrays, settings = load_arrays(path, KIND, version, mapped=True)
    try:
        shape = (len(model.catalog), len(model.users))
        young = sparse.csr_matrix(tuple(arrays[f"young.{part}"] for part in _CSR), shape)
        uncertainty = Uncertainty(
            young,
            arrays["uncertainty.listeners"],
            arrays["uncertainty.basis"],
            arrays["uncertainty.spectrum"],
            settings["noise"],
            settings["n_users"],
            model.factors.config,
            model.posterior,
        )
        if model.sound is not None:
            keep_sound(model, Coded(*(arrays[f"sound.{part}"] for part in _CODED)))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is of another version or damaged ({error}); train again") from error
    keep_kinds(model, arrays["kinds"])
    keep_uncertainty(model, uncertainty)


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
    short = is_large(model) and (listener.known_plays > 0 or exploring is not None)
    estimated = estimates(listener) if short else None
    ranked = recommend_one(listener, options, estimated)
    if exploring is None or rng is None or exploring.share == 0:
        return ExploredList(ranked, np.ones(len(ranked)), np.zeros(len(ranked), dtype=bool))
    return explore_one(listener, base_uncertainty(model), ranked, options, exploring, rng, estimated)

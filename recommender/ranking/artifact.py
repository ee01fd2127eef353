"""A hybrid model on disk: one safetensors file, so that nothing of one model can be mixed with another's."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.storage import Array, load_arrays, save_arrays
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError, DataError, ModelError
from recommender.models.als import AlsConfig
from recommender.models.cold_start import PosteriorConfig, Prior, PriorConfig
from recommender.models.factors import Factors
from recommender.models.neighbours import NeighboursConfig
from recommender.ranking.learned import Learned
from recommender.ranking.model import Blend, HybridModel, RankerConfig, Standards
from recommender.ranking.retrieval import CodedTracks
from recommender.ranking.scan import Coded
from recommender.ranking.sound import Sound

KIND = "hybrid"

_SOUND = ("vectors", "has_vector", "clip_vectors", "clip_tracks", "clip_starts_s", "center", "spread")
_CODED = ("graph", "center", "steps")
_STANDARDS = ("cf_mean", "cf_covariance", "content_mean", "content_covariance", "gram")


def save_hybrid(path: Path, model: HybridModel, version: str) -> None:
    """Write a model, whole or not at all.

    Parameters
    ----------
    path : Path
        One safetensors file.
    model : HybridModel
    version : str
        Of the bundle that it belongs to.
    """
    arrays: dict[str, Array] = {
        "users": _encode(list(model.users.ids)),
        "tracks": _encode(_columns_of(model.catalog)),
        "evidence": model.evidence,
        "user_factors": model.factors.user_factors,
        "track_factors": model.factors.track_factors,
        "posterior_factors": model.posterior_factors,
        "prior_means": model.prior_means,
    }
    for name, matrix in (("plays", model.plays), ("heard", model.heard), ("neighbours", model.neighbours)):
        arrays |= {f"{name}.{part}": getattr(matrix, part) for part in ("indptr", "indices", "data")}
    arrays |= {f"standards.{name}": getattr(model.standards, name) for name in _STANDARDS}
    settings: dict[str, Any] = {
        "als": asdict(model.factors.config),
        "posterior": asdict(model.posterior),
        "blend": asdict(model.blend),
        "config": asdict(model.config),
        "validation": model.validation,
        "popularity_mean": model.standards.popularity_mean,
        "popularity_std": model.standards.popularity_std,
        "n_known_tracks": model.standards.n_known_tracks,
        "sound_version": None,
        "prior": None,
    }
    if model.sound is not None:
        arrays |= {f"sound.{name}": getattr(model.sound, name) for name in _SOUND}
        settings["sound_version"] = model.sound.version
    if model.prior is not None:
        prior_arrays, settings["prior"] = _take_apart(model.prior)
        arrays |= {f"prior.{name}": array for name, array in prior_arrays.items()}
    if model.retrieval is not None:
        arrays |= {"retrieval.basis": model.retrieval.basis, "retrieval.dual": model.retrieval.dual}
        arrays |= {f"retrieval.{name}": getattr(model.retrieval.coded, name) for name in _CODED}
    if model.learned is not None:
        arrays["learned"] = _encode(model.learned.text)
    save_arrays(path, KIND, version, arrays, settings)


def load_hybrid(path: Path, version: str | None, *, mapped: bool = False) -> HybridModel:
    """Read what `save_hybrid` wrote.

    Parameters
    ----------
    path : Path
    version : str or None
        The version that is expected; None accepts any.
    mapped : bool
        See `recommender.data.storage.load_arrays`.

    Raises
    ------
    ArtifactError
        If the file is missing or damaged.
    VersionError
        If it belongs to another version; both are named.
    """
    arrays, settings = load_arrays(path, KIND, version, mapped=mapped)
    try:
        frame = pd.DataFrame(_decode(arrays["tracks"]))
        users = Vocabulary("user", tuple(_decode(arrays["users"])))
        return _put_together(Catalog.from_frame(frame), users, arrays, settings)
    except (KeyError, TypeError, ValueError, DataError, ModelError, ConfigError) as error:
        raise ArtifactError(
            f"{path} holds a model of another version or a damaged one ({error}); train again"
        ) from error


def _put_together(
    catalog: Catalog, users: Vocabulary, arrays: dict[str, Array], settings: dict[str, Any]
) -> HybridModel:
    n_tracks = len(catalog)
    matrices = {
        name: sparse.csr_matrix(
            tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr")), (n_rows, n_tracks)
        )
        for name, n_rows in (("plays", len(users)), ("heard", len(users)), ("neighbours", n_tracks))
    }
    sound = None
    if settings["sound_version"] is not None:
        sound = Sound(**{name: arrays[f"sound.{name}"] for name in _SOUND}, version=settings["sound_version"])
    config = settings["config"]
    return HybridModel(
        catalog=catalog,
        users=users,
        plays=matrices["plays"],
        heard=matrices["heard"],
        evidence=arrays["evidence"],
        factors=Factors(
            users, catalog.tracks, arrays["user_factors"], arrays["track_factors"], AlsConfig(**settings["als"])
        ),
        neighbours=matrices["neighbours"],
        posterior_factors=arrays["posterior_factors"],
        prior=_build_prior(arrays, settings["prior"]),
        prior_means=arrays["prior_means"],
        sound=sound,
        posterior=PosteriorConfig(**settings["posterior"]),
        blend=Blend(**settings["blend"]),
        standards=Standards(
            **{name: arrays[f"standards.{name}"] for name in _STANDARDS},
            popularity_mean=settings["popularity_mean"],
            popularity_std=settings["popularity_std"],
            n_known_tracks=settings["n_known_tracks"],
        ),
        config=RankerConfig(
            **(
                config
                | {
                    "als": AlsConfig(**config["als"]),
                    "neighbours": NeighboursConfig(**config["neighbours"]),
                    "prior": PriorConfig(**config["prior"]),
                    "posterior": PosteriorConfig(**config["posterior"]),
                }
            )
        ),
        validation=settings["validation"],
        index=_index_in(arrays),
        learned=Learned(_decode(arrays["learned"])) if "learned" in arrays else None,
    )


def _index_in(arrays: dict[str, Array]) -> CodedTracks | None:
    """Return the index; None where there is none, or one of before, which is made again."""
    if "retrieval.graph" not in arrays:
        return None
    coded = Coded(*(arrays[f"retrieval.{name}"] for name in _CODED))
    return CodedTracks(arrays["retrieval.basis"], arrays["retrieval.dual"], coded)


def _take_apart(prior: Prior) -> tuple[dict[str, Array], dict[str, Any]]:
    """Split a prior's fields into arrays and numbers; an infinite number is written as None, which JSON has."""
    values = {field.name: getattr(prior, field.name) for field in fields(prior)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    numbers = {name: value if np.isfinite(value) else None for name, value in values.items() if name not in arrays}
    return arrays, numbers


def _build_prior(arrays: dict[str, Array], numbers: dict[str, Any] | None) -> Prior | None:
    if numbers is None:
        return None
    values: dict[str, Any] = dict(numbers)
    values = {name: np.inf if value is None else value for name, value in values.items()}
    for name, array in arrays.items():
        if name.startswith("prior."):
            values[name.removeprefix("prior.")] = array
    return Prior(**values)


def _columns_of(catalog: Catalog) -> dict[str, list[Any]]:
    frame = catalog.to_frame()
    columns = {name: frame[name].to_numpy(dtype=object).tolist() for name in frame.columns}
    columns["duration_s"] = [value if np.isfinite(value) else None for value in columns["duration_s"]]
    return columns


def _encode(value: Any) -> Array:
    return np.frombuffer(json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), dtype=np.uint8)


def _decode(encoded: Array) -> Any:
    return json.loads(encoded.tobytes())

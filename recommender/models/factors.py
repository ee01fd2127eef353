"""Collaborative factors: the value that ALS returns, and the settings that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.data.storage import load_arrays, save_arrays
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError, DataError

Float32s = npt.NDArray[np.float32]

_KIND = "factors"


@dataclass(frozen=True)
class AlsConfig:
    """Settings of implicit ALS; the names of Rendle et al. 2021 are in brackets.

    Parameters
    ----------
    factors : int > 0
        Length of a factor vector (d).
    unobserved_weight : float > 0
        Weight of the pull of every score towards 0, per (user, track) pair (alpha_0).
    regularization : float > 0
        L2 weight (lambda).
    frequency_exponent : float, 0 to 1
        How strongly the regularization of a row grows with its number of plays (nu).
    iterations : int > 0
        Passes over users and tracks.
    play_emphasis : float, 0 to 1
        How much more a user's most played tracks count than the least played ones: from ``1 - e/2`` to ``1 + e/2``.
    cg_steps : int >= 0
        Conjugate gradient steps a row and pass; 0 solves every row exactly, about seven times slower at 128 factors.
    seed : int >= 0
        Of the random start.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    factors: int = 128
    unobserved_weight: float = 0.03
    regularization: float = 0.03
    frequency_exponent: float = 1.0
    iterations: int = 16
    play_emphasis: float = 1.0
    cg_steps: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("factors", "iterations", "unobserved_weight", "regularization"):
            value = getattr(self, name)
            if not (value > 0 and np.isfinite(value)):
                raise ConfigError(f"ALS {name} is {value}, expected a number > 0")
        for name in ("cg_steps", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"ALS {name} is {getattr(self, name)}, expected an integer >= 0")
        for name in ("frequency_exponent", "play_emphasis"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"ALS {name} is {getattr(self, name)}, expected 0 to 1")
        if self.unobserved_weight > 1:
            raise ConfigError(f"ALS unobserved_weight is {self.unobserved_weight}, expected at most 1: a play's weight")


@dataclass(frozen=True, eq=False)
class Factors:
    """What ALS learned: one vector a user and one a track, whose dot product is the score.

    Parameters
    ----------
    users, tracks : Vocabulary
    user_factors : ndarray, shape (n_users, d), float32
        Zeros for a user without plays.
    track_factors : ndarray, shape (n_tracks, d), float32
        Zeros for a track without plays.
    config : AlsConfig
        The settings that made them; fold-in must use the same.

    Raises
    ------
    DataError
        If shapes do not fit or a value is not finite.

    Notes
    -----
    The scale is that of Rendle's loss, in which a play wants the score 1 and everything else the score 0.
    """

    users: Vocabulary
    tracks: Vocabulary
    user_factors: Float32s
    track_factors: Float32s
    config: AlsConfig

    def __post_init__(self) -> None:
        for vocabulary, vectors in ((self.users, self.user_factors), (self.tracks, self.track_factors)):
            expected = (len(vocabulary), self.config.factors)
            if vectors.shape != expected:
                raise DataError(f"{vocabulary.kind} factors have shape {vectors.shape}, expected {expected}")
            if not np.all(np.isfinite(vectors)):
                raise DataError(f"{vocabulary.kind} factors hold NaN or infinity; train again")

    @property
    def dim(self) -> int:
        """Length of a factor vector."""
        return self.config.factors


def save_factors(path: Path, factors: Factors, version: str) -> None:
    """Write factors with their ids and settings to one safetensors file, whole or not at all.

    Parameters
    ----------
    path : Path
    factors : Factors
    version : str
        Of the bundle that they belong to.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "user_factors": factors.user_factors,
        "track_factors": factors.track_factors,
        "user_ids": _encode_ids(factors.users),
        "track_ids": _encode_ids(factors.tracks),
    }
    save_arrays(path, _KIND, version, arrays, {"config": asdict(factors.config)})


def load_factors(path: Path, version: str | None) -> Factors:
    """Read what `save_factors` wrote.

    Parameters
    ----------
    path : Path
    version : str or None
        The version that is expected; None accepts any.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged or holds something else.
    VersionError
        If it belongs to another version.
    """
    arrays, metadata = load_arrays(path, _KIND, version)
    try:
        return Factors(
            _decode_ids("user", arrays["user_ids"]),
            _decode_ids("track", arrays["track_ids"]),
            arrays["user_factors"],
            arrays["track_factors"],
            _config_of(metadata["config"]),
        )
    except (KeyError, TypeError, ValueError, DataError, ConfigError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; train again") from error


def _config_of(values: Mapping[str, Any]) -> AlsConfig:
    return AlsConfig(**values)


def _encode_ids(vocabulary: Vocabulary) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(vocabulary.ids, ensure_ascii=False).encode(), dtype=np.uint8)


def _decode_ids(kind: str, encoded: npt.NDArray[np.uint8]) -> Vocabulary:
    return Vocabulary(kind, tuple(json.loads(encoded.tobytes())))

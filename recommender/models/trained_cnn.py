"""What training the CNN gives, and the file that keeps it; no torch is needed to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender.audio.augment import AugmentConfig
from recommender.audio.mel import MelConfig
from recommender.data.storage import Array, digest_of, load_arrays, save_arrays
from recommender.errors import ArtifactError, ConfigError
from recommender.models.cnn_config import CnnConfig, TrainCnnConfig

KIND = "cnn"


@dataclass(frozen=True, eq=False)
class TrainedCnn:
    """A trained network.

    Parameters
    ----------
    weights : dict of str to ndarray
        Of `SpectrogramCNN`.
    config : TrainCnnConfig
    history : list of dict
        One entry an epoch: epoch, and train_ and val_ losses and measures (see `train_cnn`).
    best_epoch : int
        The epoch that the weights are of.
    held_out : tuple of str
        Ids of the tracks that validated: their plays and sound never touched the weights.
    version : str
        A digest of the weights and the shape: equal versions give comparable embeddings.
    started_from : str
        Version of the network that training began with; ``""`` from scratch.
    stopped_because : str
        Why there were no more epochs.
    """

    weights: dict[str, Array]
    config: TrainCnnConfig
    history: list[dict[str, float]]
    best_epoch: int
    held_out: tuple[str, ...]
    version: str
    started_from: str = ""
    stopped_because: str = ""


def version_of(weights: dict[str, Array], config: CnnConfig) -> str:
    """Return the version of a network: a digest of its weights and its shape."""
    names = np.array([*sorted(weights), repr(config)], dtype=object)
    return "cnn-" + digest_of(names, *(weights[name] for name in sorted(weights)))


def save_cnn(trained: TrainedCnn, path: Path) -> None:
    """Write a trained network to a safetensors file, whole or not at all."""
    metadata = {
        "config": asdict(trained.config),
        "history": trained.history,
        "best_epoch": trained.best_epoch,
        "held_out": list(trained.held_out),
        "started_from": trained.started_from,
        "stopped_because": trained.stopped_because,
    }
    save_arrays(path, KIND, trained.version, trained.weights, metadata)


def load_trained(path: Path, version: str | None = None) -> TrainedCnn:
    """Read what `save_cnn` wrote.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, of another kind, or its weights are not those that its version names.
    VersionError
        If `version` is given and the file is of another.
    """
    weights, metadata = load_arrays(path, KIND, version)
    try:
        config = _config_from(metadata["config"])
        history, best_epoch, held_out = metadata["history"], int(metadata["best_epoch"]), tuple(metadata["held_out"])
        past = str(metadata.get("started_from", "")), str(metadata.get("stopped_because", ""))
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path} does not describe a CNN that this program knows: {error}; train again") from error
    return TrainedCnn(weights, config, history, best_epoch, held_out, version_of(weights, config.cnn), *past)


def _config_from(settings: dict[str, Any]) -> TrainCnnConfig:
    cnn = {**settings["cnn"], "mel": MelConfig(**settings["cnn"]["mel"])}
    augment = AugmentConfig(**settings["augment"])
    return TrainCnnConfig(**{**settings, "cnn": CnnConfig(**cnn), "augment": augment})

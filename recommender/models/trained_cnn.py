"""What training the CNN takes and what comes out of it, and the file that keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recommender.audio.augment import AugmentConfig
from recommender.audio.mel import MelConfig
from recommender.data.storage import Array, digest_of, load_arrays, save_arrays
from recommender.errors import ArtifactError, ConfigError
from recommender.models.cnn import MIN_FRAMES, CnnConfig

KIND = "cnn"


@dataclass(frozen=True)
class TrainCnnConfig:
    """How the CNN is trained.

    Parameters
    ----------
    cnn : CnnConfig
    epochs : int
        At most; an epoch takes two crops of every track.
    patience : int
        Epochs without a better validation score after which training stops.
    batch_tracks : int
        Tracks a batch; each is told apart from the others of its batch.
    crop_frames : int
        Frames of a crop; 150 are 3.5 s.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises over the first epoch and falls along a half cosine to zero.
    temperature : float
        Of both losses: low, and only the most similar others count.
    contrastive_weight, alignment_weight : float
        Of the two losses; 0 leaves one out.
    min_evidence : int
        Users who must have played a track before its factors are worth predicting.
    held_out : float
        Share of the tracks that validate and do not train; 0 trains on all, for all epochs.
    augment : AugmentConfig
        What may change between the two crops of a track.
    seed : int
    threads : int
        Of the CPU; part of the result, see `reproducible`.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """

    cnn: CnnConfig = field(default_factory=CnnConfig)
    epochs: int = 30
    patience: int = 8
    batch_tracks: int = 32
    crop_frames: int = 150
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    temperature: float = 0.1
    contrastive_weight: float = 1.0
    alignment_weight: float = 1.0
    min_evidence: int = 3
    held_out: float = 0.15
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0
    threads: int = 2
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("patience", 1), ("batch_tracks", 2), ("threads", 1), ("min_evidence", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)}, expected {least} or more")
        if self.crop_frames < MIN_FRAMES:
            raise ConfigError(f"train_cnn crop_frames is {self.crop_frames}, expected {MIN_FRAMES} or more")
        for name in ("learning_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)}, expected a number above 0")
        for name in ("contrastive_weight", "alignment_weight", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.held_out <= 0.5:
            raise ConfigError(f"train_cnn held_out is {self.held_out}, expected a share from 0 to 0.5")


@dataclass(frozen=True, eq=False)
class TrainedCnn:
    """A trained network.

    Parameters
    ----------
    weights : dict of str to ndarray
        Of `SpectrogramCNN`.
    config : TrainCnnConfig
    history : list of dict
        One entry an epoch: epoch, learning_rate, and train_/val_ losses and measures (see `train_cnn`).
    best_epoch : int
        The epoch that the weights are of.
    held_out : tuple of str
        Ids of the tracks that validated: their plays and sound never touched the weights.
    version : str
        A digest of the weights and the shape: equal versions give comparable embeddings.
    """

    weights: dict[str, Array]
    config: TrainCnnConfig
    history: list[dict[str, float]]
    best_epoch: int
    held_out: tuple[str, ...]
    version: str


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
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ArtifactError(f"{path} does not describe a CNN that this program knows: {error}; train again") from error
    return TrainedCnn(weights, config, history, best_epoch, held_out, version_of(weights, config.cnn))


def _config_from(settings: dict[str, Any]) -> TrainCnnConfig:
    cnn = {**settings["cnn"], "mel": MelConfig(**settings["cnn"]["mel"])}
    augment = AugmentConfig(**settings["augment"])
    return TrainCnnConfig(**{**settings, "cnn": CnnConfig(**cnn), "augment": augment})

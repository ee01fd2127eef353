"""The settings of the CNN and of its training; apart from them, so that reading a config imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from recommender.audio.augment import AugmentConfig
from recommender.audio.mel import MelConfig
from recommender.errors import ConfigError

MIN_FRAMES = 8
"""Fewest frames of a spectrogram that the network hears."""

BANDS_A_GROUP = 8
"""Bands of a spectrogram that are summed up together by the network's statistics."""

OBJECTIVES = ("none", "regression", "factors", "listeners", "towers")
"""How embeddings are aligned with taste; see `recommender.models.objectives.alignment_loss`."""

TRAINS = ("all", "upper", "head")
"""What is trained of a network that was trained before: all of it, all but its first layers, its last layer only."""


@dataclass(frozen=True)
class CnnConfig:
    """The shape of the network; stored with its weights.

    Parameters
    ----------
    mel : MelConfig
        What the spectrograms are that it hears.
    dim : int
        Length of the embedding.
    pitch_channels : int
        Filters of the first layer.
    channels : int
        Filters of the last of three blocks; the one before has half, the first a quarter as many. A multiple of 4.
    events : int
        What is told apart at every moment, of all pitches.
    dynamic_range_db : float
        What lies further than this below a clip's own level is not heard.

    Raises
    ------
    ConfigError
        If a value is not positive.
    """

    mel: MelConfig = field(default_factory=MelConfig)
    dim: int = 192
    pitch_channels: int = 16
    channels: int = 96
    events: int = 256
    dynamic_range_db: float = 80.0

    def __post_init__(self) -> None:
        for name in ("dim", "pitch_channels", "channels", "events", "dynamic_range_db"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"cnn {name} is {getattr(self, name)}, expected a number above 0")
        if self.channels % 4:
            raise ConfigError(f"cnn channels is {self.channels}, expected a multiple of 4")


@dataclass(frozen=True)
class TrainCnnConfig:
    """How the CNN is trained.

    Parameters
    ----------
    cnn : CnnConfig
    start_from : str
        ``"shipped"`` (the network that comes with this package, where it has the shape of `cnn`), ``"scratch"``, or the
        path of another trained network. `train_cnn` is given what it names.
    trains : str
        One of `TRAINS`: how much is trained of a network that is started from. From scratch all of it is.
    body_rate : float
        Learning rate of the layers that were trained before and are not the last, as a share of `learning_rate`.
    epochs : int
        At most, from scratch; an epoch takes two crops of every track.
    adapt_epochs : int
        At most, of a network that is started from.
    patience : int
        Epochs without a lower validation loss after which training stops.
    batch_tracks : int
        Tracks a batch; each is told apart from the others of its batch.
    crop_frames : int
        Frames of a crop; 150 are 3.5 s.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises over the first epoch and falls along a half cosine to zero.
    temperature : float
        Of the contrast between crops: low, and only the most similar others count.
    artist_weight, album_weight : float
        How much two tracks of one artist, and of one album, belong together where two crops of one track do so by 1.
    objective : str
        One of `OBJECTIVES`: how embeddings are aligned with taste.
    alignment_temperature : float
        Of the contrastive ones among them.
    contrastive_weight, alignment_weight : float
        Of the two losses; 0 leaves one out.
    min_evidence : int
        Users who must have played a track before its factors are worth predicting.
    held_out : float
        Share of the tracks that validate and do not train, whole artists where they are known; 0 trains on all, for
        all epochs.
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
    start_from: str = "shipped"
    trains: str = "head"
    body_rate: float = 0.1
    epochs: int = 30
    adapt_epochs: int = 20
    patience: int = 8
    batch_tracks: int = 32
    crop_frames: int = 150
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    temperature: float = 0.1
    artist_weight: float = 0.0
    album_weight: float = 0.0
    objective: str = "factors"
    alignment_temperature: float = 0.1
    contrastive_weight: float = 0.1
    alignment_weight: float = 1.0
    min_evidence: int = 3
    held_out: float = 0.15
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0
    threads: int = 2
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("adapt_epochs", 1),
            ("patience", 1),
            ("batch_tracks", 2),
            ("threads", 1),
            ("min_evidence", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)}, expected {least} or more")
        if self.crop_frames < MIN_FRAMES:
            raise ConfigError(f"train_cnn crop_frames is {self.crop_frames}, expected {MIN_FRAMES} or more")
        for name, known in (("objective", OBJECTIVES), ("trains", TRAINS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")
        if not self.start_from:
            raise ConfigError("train_cnn start_from is empty, expected shipped, scratch or the path of a network")
        for name in ("learning_rate", "temperature", "alignment_temperature", "body_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)}, expected a number above 0")
        for name in ("contrastive_weight", "alignment_weight", "weight_decay", "artist_weight", "album_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"train_cnn {name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.held_out <= 0.5:
            raise ConfigError(f"train_cnn held_out is {self.held_out}, expected a share from 0 to 0.5")


@dataclass(frozen=True)
class PretrainConfig:
    """How the shipped network is trained; see `recommender.models.pretrain`.

    Parameters
    ----------
    cnn : CnnConfig
    epochs, steps : int
        Epochs, and batches an epoch.
    batch_recordings : int
        Recordings a batch, two clips each.
    batch_artists, tracks_an_artist : int
        Rendered artists a batch, and tracks of each, two clips each.
    crop_frames : int
        Frames of a crop; 215 are 5 s.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises over 100 steps and falls along a half cosine to zero.
    dropout : float
        Before the heads that are thrown away.
    temperature : float
        Of the contrast.
    artist_weight, truth_weight : float
        Of finding the artist, and of telling what a clip is of, beside the 1 of finding the track.
    codec_share : float
        Share of the clips that are heard through a codec.
    held_out : float
        Share of the rendered artists that the convolutions do not learn from: they validate, and place the last layer.
    statistics_weight, codec_weight, shrinkage : float
        Of the last layer: how much the statistics weigh beside what was learned, how much more a codec's changes count
        than other differences within a track, and how far the scatter within is shrunk.
    augment : AugmentConfig
    seed, threads : int
    device : str
    """

    cnn: CnnConfig = field(default_factory=CnnConfig)
    epochs: int = 16
    steps: int = 200
    batch_recordings: int = 16
    batch_artists: int = 20
    tracks_an_artist: int = 3
    crop_frames: int = 215
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    dropout: float = 0.2
    temperature: float = 0.1
    artist_weight: float = 0.5
    truth_weight: float = 0.3
    codec_share: float = 0.4
    held_out: float = 0.28
    statistics_weight: float = 2.0
    codec_weight: float = 10.0
    shrinkage: float = 0.2
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(tilt_db=6.0, low_pass_hz=4500.0))
    seed: int = 0
    threads: int = 2
    device: str = "auto"

"""SpectrogramCNN: a few seconds of log-mel spectrogram in, one unit vector out; no training here."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recommender.errors import ModelError
from recommender.models.cnn_config import BANDS_A_GROUP, MIN_FRAMES, CnnConfig

__all__ = ["MIN_FRAMES", "CnnConfig", "SpectrogramCNN", "set_level"]

CUT = 6.0
"""Pooled values further than so many standard deviations out are cut off: odd music is odd, not infinitely so."""


class SpectrogramCNN(nn.Module):
    """Hear log-mel spectrograms.

    1. *Level*: each clip's mean power is set to 0 dB, so that gain is not heard.
    2. *Pitch*: small filters over frequency and time, the same at every pitch, for partials, onsets and glides.
    3. *Patterns*: three residual blocks (He et al., CVPR 2016), each halving both axes and widening.
    4. *Events*: all pitches at once, at every moment.
    5. *Pooling* of each event over time: its mean, its maximum and its standard deviation, so that any number of frames
       gives one vector.
    6. *Statistics* of the spectrogram itself go along past the convolutions (see `Statistics`): on real music they tell
       tracks apart better than a small network alone.
    7. *Embedding*: one linear layer, and unit length.

    Parameters
    ----------
    config : CnnConfig
    version : str
        Of the weights; it goes with every vector that they make.
    """

    def __init__(self, config: CnnConfig, version: str = "untrained") -> None:
        super().__init__()
        self.config = config
        self.version = version
        first, widths = config.pitch_channels, (config.channels // 4, config.channels // 2, config.channels)
        self.pitch = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        self.patterns = nn.Sequential(
            *(_Block(before, after) for before, after in zip((first, *widths[:2]), widths, strict=True))
        )
        heights = -(-config.mel.n_mels // 16)
        self.events = nn.Sequential(
            nn.Conv1d(config.channels * heights, config.events, 1, bias=False),
            nn.BatchNorm1d(config.events),
            nn.ReLU(),
        )
        self.statistics = Statistics(config.mel.n_mels)
        n_pooled = 3 * config.events + self.statistics.n_values
        self.embed = nn.Sequential(nn.BatchNorm1d(n_pooled, affine=False), nn.Linear(n_pooled, config.dim))

    def forward(self, mels: Tensor) -> Tensor:
        """Embed a batch of clips.

        Parameters
        ----------
        mels : Tensor, shape (batch, n_mels, n_frames), float32
            Log-mel spectrograms in dB, any reference level; n_frames >= `MIN_FRAMES`.

        Returns
        -------
        Tensor, shape (batch, dim), float32
            Unit vectors.

        Raises
        ------
        ModelError
            If the shape does not fit.
        """
        return self.place(self.pool(mels))

    def place(self, pooled: Tensor) -> Tensor:
        """Embed what `pool` gives, (batch, n_pooled), in unit vectors: the last layer."""
        standardised, linear = self.embed
        return nn.functional.normalize(linear(standardised(pooled).clamp(-CUT, CUT)), dim=1)

    def pool(self, mels: Tensor) -> Tensor:
        """Return what the layers before the last make of a batch of clips, shape (batch, n_pooled), float32.

        The first 3 `config.events` values are those of `pool_events`, the others are `Statistics`.
        """
        heard = self._level(mels)
        return torch.cat([self._events(heard), self.statistics(heard)], dim=1)

    def pool_events(self, mels: Tensor) -> Tensor:
        """Return what is learned of what `pool` returns, shape (batch, 3 `config.events`)."""
        return self._events(self._level(mels))

    def _level(self, mels: Tensor) -> Tensor:
        if mels.ndim != 3 or mels.shape[1] != self.config.mel.n_mels or mels.shape[2] < MIN_FRAMES:
            raise ModelError(
                f"the CNN hears (batch, {self.config.mel.n_mels}, at least {MIN_FRAMES}) spectrograms, got "
                f"{tuple(mels.shape)}; analyse the audio with the settings that the model was trained with"
            )
        return set_level(mels, self.config.dynamic_range_db)

    def _events(self, heard: Tensor) -> Tensor:
        scaled = heard * (2 / self.config.dynamic_range_db) + 1
        events = self.events(self.patterns(self.pitch(scaled[:, None])).flatten(1, 2))
        return torch.cat([events.mean(2), events.amax(2), _deviation(events)], dim=1)


class Statistics(nn.Module):
    """What can be said of a spectrogram without learning anything.

    Of each band: the mean, standard deviation and skewness of its level, the deviation and the mean rise from frame to
    frame, and how far it stands out from its neighbours. Of each group of `BANDS_A_GROUP` bands: the mean and deviation
    of the distance from its lowest to its highest band, and the power of the level's modulation at nine rates.

    Parameters
    ----------
    n_mels : int
    """

    waves: Tensor
    members: Tensor

    WINDOW = 128
    """Frames of a window for modulation, 3 s; windows begin every half of it."""
    RATES = (1, 2, 3, 4, 6, 9, 14, 22, 40, 64)
    """Edges of the bands of modulation, in periods a window."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        time = np.arange(self.WINDOW)
        taper = np.hanning(self.WINDOW)
        waves = [
            wave(2 * np.pi * rate * time / self.WINDOW) * taper
            for rate in range(self.RATES[0], self.RATES[-1])
            for wave in (np.cos, np.sin)
        ]
        level_free = np.array([wave - taper * (wave.sum() / taper.sum()) for wave in waves], dtype=np.float32)
        of_rate = np.repeat(np.arange(self.RATES[0], self.RATES[-1]), 2)
        bands = np.searchsorted(self.RATES, of_rate, side="right") - 1
        members = np.eye(len(self.RATES) - 1, dtype=np.float32)[bands]
        self.register_buffer("waves", torch.from_numpy(level_free)[:, None], persistent=False)
        self.register_buffer("members", torch.from_numpy(members), persistent=False)
        self.n_groups = max(1, n_mels // BANDS_A_GROUP)
        self.n_values = 5 * n_mels + (n_mels - 2) + self.n_groups * (2 + members.shape[1])

    def forward(self, heard: Tensor) -> Tensor:
        """Return shape (batch, n_values), of about unit size, of levels in dB (batch, n_mels, n_frames)."""
        mean = heard.mean(2)
        centred = heard - mean[:, :, None]
        steps = heard[:, :, 1:] - heard[:, :, :-1]
        third = (centred**3).mean(2)
        skewness = third.sign() * (third.abs() + 1e-3) ** (1 / 3)
        stands_out = (heard[:, 2:] - 2 * heard[:, 1:-1] + heard[:, :-2]).abs().mean(2)
        size = heard.shape[1] // self.n_groups
        groups = heard[:, : size * self.n_groups].unflatten(1, (self.n_groups, size))  # type: ignore[no-untyped-call]
        span = groups.amax(2) - groups.amin(2)
        return torch.cat(
            [
                mean / 20 + 2,
                _deviation(heard) / 5 - 2,
                skewness / 10,
                _deviation(steps) / 2 - 2,
                steps.clamp_min(0).mean(2) - 2,
                stands_out / 2 - 2,
                span.mean(2) / 5 - 3,
                _deviation(span) / 2 - 2,
                self._modulation(groups.mean(2)) / 2 - 4,
            ],
            dim=1,
        )

    def _modulation(self, levels: Tensor) -> Tensor:
        centred = levels - levels.mean(2, keepdim=True)
        half = self.WINDOW // 2
        waves = nn.functional.conv1d(centred.flatten(0, 1)[:, None], self.waves, stride=half, padding=half)
        power = (waves**2).mean(2) @ self.members
        logarithms: Tensor = (power + 1).log().unflatten(0, (-1, self.n_groups))  # type: ignore[no-untyped-call]
        return logarithms.flatten(1)


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a short cut; both axes are halved."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.short = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=2, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, signals: Tensor) -> Tensor:
        return nn.functional.relu(self.body(signals) + self.short(signals))


def set_level(mels: Tensor, dynamic_range_db: float) -> Tensor:
    """Shift each clip so that its mean power is 0 dB, and cut its quietest parts off.

    Parameters
    ----------
    mels : Tensor, shape (batch, n_mels, n_frames), dB
    dynamic_range_db : float

    Returns
    -------
    Tensor, shape (batch, n_mels, n_frames), dB
        Never below -`dynamic_range_db`.
    """
    top_db = mels.amax((1, 2), keepdim=True)
    level_db = top_db + 10 * torch.log10((10 ** ((mels - top_db) / 10)).mean((1, 2), keepdim=True))
    return (mels - level_db).clamp_min(-dynamic_range_db)


def _deviation(signals: Tensor) -> Tensor:
    """Return the standard deviation over time, with a gradient that stays finite where nothing varies."""
    return (signals.var(2, correction=0) + 1e-4).sqrt()

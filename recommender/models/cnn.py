"""SpectrogramCNN: a few seconds of log-mel spectrogram in, one unit vector out; no training here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recommender.errors import ModelError
from recommender.models.cnn_config import MIN_FRAMES, CnnConfig

__all__ = ["MIN_FRAMES", "CnnConfig", "SpectrogramCNN", "set_level"]


class SpectrogramCNN(nn.Module):
    """Hear log-mel spectrograms.

    1. *Level*: each clip's mean power is set to 0 dB, so that gain is not heard.
    2. *Pitch*: small filters over frequency and time, the same at every pitch, for partials, onsets and glides.
    3. *Time*: 1-D convolutions over time that see all pitches at once, after Dieleman's "Recommending music on Spotify
       with deep learning" (2014); ours are smaller, and with batch normalisation.
    4. *Pooling* of each filter over all frames: its mean, its maximum and its standard deviation, so that any number of
       frames gives one vector (Dieleman pools mean, maximum and L2 norm). The spectrogram's own mean and deviation in
       each band go along past the convolutions: a small library teaches little more than how to weigh these.
    5. *Embedding*: one linear layer, and unit length.

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
        pitches = (config.mel.n_mels + 1) // 2
        self.pitch = nn.Sequential(
            nn.Conv2d(1, config.pitch_channels, (9, 5), stride=2, padding=(4, 2)),
            nn.BatchNorm2d(config.pitch_channels),
            nn.ReLU(),
        )
        self.time = nn.Sequential(
            _time_layer(config.pitch_channels * pitches, config.channels, stride=1),
            _time_layer(config.channels, config.channels, stride=2),
            _time_layer(config.channels, config.channels, stride=2),
        )
        n_pooled = 3 * config.channels + 2 * config.mel.n_mels
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
        return nn.functional.normalize(self.embed(pooled), dim=1)

    def pool(self, mels: Tensor) -> Tensor:
        """Return what the layers before the last make of a batch of clips, shape (batch, n_pooled), float32."""
        if mels.ndim != 3 or mels.shape[1] != self.config.mel.n_mels or mels.shape[2] < MIN_FRAMES:
            raise ModelError(
                f"the CNN hears (batch, {self.config.mel.n_mels}, at least {MIN_FRAMES}) spectrograms, got "
                f"{tuple(mels.shape)}; analyse the audio with the settings that the model was trained with"
            )
        heard = set_level(mels, self.config.dynamic_range_db)
        partials = self.pitch(heard[:, None]).flatten(1, 2)
        events = self.time(partials)
        pooled = [events.mean(2), events.amax(2), _deviation(events), heard.mean(2), _deviation(heard)]
        return torch.cat(pooled, dim=1)


def set_level(mels: Tensor, dynamic_range_db: float) -> Tensor:
    """Shift each clip so that its mean power is 0 dB, cut its quietest parts off, and scale to about unit size.

    Parameters
    ----------
    mels : Tensor, shape (batch, n_mels, n_frames), dB
    dynamic_range_db : float

    Returns
    -------
    Tensor, shape (batch, n_mels, n_frames)
        0 at `dynamic_range_db` below the level, 1 at half of that range below it, 2 at the level.
    """
    top_db = mels.amax((1, 2), keepdim=True)
    level_db = top_db + 10 * torch.log10((10 ** ((mels - top_db) / 10)).mean((1, 2), keepdim=True))
    return (mels - level_db + dynamic_range_db).clamp_min(0) * (2 / dynamic_range_db)


def _time_layer(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(n_in, n_out, 3, stride, padding=1), nn.BatchNorm1d(n_out), nn.ReLU())


def _deviation(signals: Tensor) -> Tensor:
    """Return the standard deviation over time, with a gradient that stays finite where nothing varies."""
    return (signals.var(2, correction=0) + 1e-4).sqrt()

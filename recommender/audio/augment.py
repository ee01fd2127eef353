"""What may change without changing the music: level, tone, bandwidth, and a little that is not heard at all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from recommender.audio.mel import DB_FLOOR, MelConfig, band_centres_hz
from recommender.errors import ConfigError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AugmentConfig:
    """How far a spectrogram may change; 0 leaves that change out.

    Parameters
    ----------
    gain_db : float
        Level of the whole, up or down by up to this.
    tilt_db : float
        Tone: the lowest band down and the highest up by up to this or the reverse, the bands between in proportion.
    band_limit_share : float in [0, 1]
        Share of clips that lose everything above a random frequency, and share that lose everything below one, as
        codecs and small loudspeakers do.
    low_pass_hz : float
        The lowest frequency above which everything may be lost.
    high_pass_hz : float
        The highest frequency below which everything may be lost.
    time_mask, band_mask : float in [0, 1]
        One stretch of frames, and one of bands, of up to this share of all is replaced by the clip's mean level
        (SpecAugment: Park et al., Interspeech 2019).

    Raises
    ------
    ConfigError
        If a value is negative or a share is above 1.
    """

    gain_db: float = 6.0
    tilt_db: float = 4.0
    band_limit_share: float = 0.25
    low_pass_hz: float = 5000.0
    high_pass_hz: float = 120.0
    time_mask: float = 0.1
    band_mask: float = 0.1

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self)):
            value = getattr(self, name)
            most = 1.0 if name in ("band_limit_share", "time_mask", "band_mask") else float("inf")
            if not 0 <= value <= most:
                raise ConfigError(f"augment {name} is {value}, expected 0 to {most:g}")


def augment(level_db: torch.Tensor, config: AugmentConfig, mel: MelConfig, generator: torch.Generator) -> torch.Tensor:
    """Change each clip of a batch by its own random amounts.

    Parameters
    ----------
    level_db : Tensor, shape (batch, n_mels, n_frames), float32
        As `recommender.audio.mel.log_mel_spectrogram` gives; not changed in place.
    config : AugmentConfig
    mel : MelConfig
        What the bands are.
    generator : torch.Generator
        On the CPU; the amounts do not depend on where `level_db` is.

    Returns
    -------
    Tensor, shape (batch, n_mels, n_frames), float32
        Never below `DB_FLOOR`.
    """
    import torch

    batch, n_mels, n_frames = level_db.shape
    if n_mels != mel.n_mels:
        raise ConfigError(f"spectrograms have {n_mels} bands, expected {mel.n_mels}")
    # One fixed number of draws a call, so that one setting does not move the randomness of another.
    draws = torch.rand((10, batch, 1, 1), generator=generator).to(level_db.device)
    signed = 2 * draws - 1
    bands = torch.arange(n_mels, device=level_db.device).view(1, -1, 1)
    frames = torch.arange(n_frames, device=level_db.device).view(1, 1, -1)
    hz = torch.from_numpy(band_centres_hz(mel).astype(np.float32)).to(level_db.device).view(1, -1, 1)

    mean = level_db.mean(dim=(1, 2), keepdim=True)
    masked = _stretch(frames, draws[0], draws[1], config.time_mask) | _stretch(
        bands, draws[2], draws[3], config.band_mask
    )
    changed = torch.where(masked, mean, level_db)

    slope = bands / max(n_mels - 1, 1) * 2 - 1
    changed = changed + signed[4] * config.gain_db + signed[5] * config.tilt_db * slope

    top_hz = config.low_pass_hz + draws[6] * max(mel.f_max_hz - config.low_pass_hz, 0.0)
    bottom_hz = draws[7] * config.high_pass_hz
    lost = (draws[8] < config.band_limit_share) & (hz > top_hz)
    lost = lost | ((draws[9] < config.band_limit_share) & (hz < bottom_hz))
    return torch.where(lost, DB_FLOOR, changed).clamp(min=DB_FLOOR)


def _stretch(positions: torch.Tensor, place: torch.Tensor, size: torch.Tensor, most: float) -> torch.Tensor:
    """Mark up to the share `most` of `positions`, one stretch a clip."""
    length = positions.numel()
    width = (size * (most * length + 1)).floor().clamp(max=int(most * length))
    first = (place * (length - width + 1)).floor()
    return (positions >= first) & (positions < first + width)

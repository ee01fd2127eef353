"""Log-mel spectrograms: what a network hears of a waveform."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recommender.errors import AudioError, ConfigError

if TYPE_CHECKING:
    import torch

DB_FLOOR = -100.0
"""The quietest level that is told from silence, re a full-scale sine."""

DB_STEP = 0.5
"""Step of the stored levels; 255 steps reach from `DB_FLOOR` to +27.5 dB."""


@dataclass(frozen=True)
class MelConfig:
    """How a waveform becomes a log-mel spectrogram.

    Parameters
    ----------
    sample_rate_hz : int
    n_fft : int
        Samples of a Hann window.
    hop : int
        Samples from one frame to the next.
    n_mels : int
        Triangular bands, evenly spaced on Slaney's mel scale (linear below 1 kHz), with a peak of 1 each.
    f_min_hz, f_max_hz : float
        Where the lowest band begins and the highest ends.

    Raises
    ------
    ConfigError
        If a value is not positive, the bands do not lie between 0 Hz and half the sample rate, or a band is so narrow
        that it holds no bin of the FFT and would always be silent.
    """

    sample_rate_hz: int = 22050
    n_fft: int = 1024
    hop: int = 512
    n_mels: int = 96
    f_min_hz: float = 30.0
    f_max_hz: float = 11025.0

    def __post_init__(self) -> None:
        for name in ("sample_rate_hz", "n_fft", "hop", "n_mels"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"mel {name} is {getattr(self, name)}, expected a number above 0")
        if not 0 <= self.f_min_hz < self.f_max_hz <= self.sample_rate_hz / 2:
            raise ConfigError(
                f"mel bands from {self.f_min_hz} to {self.f_max_hz} Hz do not lie between 0 and "
                f"{self.sample_rate_hz / 2} Hz, half the sample rate"
            )
        edges_hz = _band_edges_hz(self)
        bins_hz = np.arange(self.n_fft // 2 + 1) * (self.sample_rate_hz / self.n_fft)
        n_bins = np.searchsorted(bins_hz, edges_hz[2:]) - np.searchsorted(bins_hz, edges_hz[:-2], side="right")
        if n_bins.min() < 1:
            raise ConfigError(
                f"{int((n_bins < 1).sum())} of {self.n_mels} mel bands hold no FFT bin (n_fft {self.n_fft} resolves "
                f"{bins_hz[1]:.0f} Hz); use fewer bands or a longer window"
            )

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames a waveform of `n_samples` gives; the first is centred on the first sample."""
        return 1 + n_samples // self.hop


def log_mel_spectrogram(waveform: torch.Tensor, config: MelConfig) -> torch.Tensor:
    """Compute mel-band levels in dB.

    Parameters
    ----------
    waveform : Tensor, shape (..., n_samples), float32
        Full scale is 1.
    config : MelConfig

    Returns
    -------
    Tensor, shape (..., n_mels, n_frames), float32
        dB re the power of a full-scale sine in one FFT bin; never below `DB_FLOOR`. A sine of amplitude 1 between two
        bands' centres reads between about -6 and +2 dB in the nearest.

    Raises
    ------
    AudioError
        If the waveform is shorter than half a window, which is what the reflection at its ends needs.

    Notes
    -----
    ``librosa.feature.melspectrogram(pad_mode="reflect", norm=None)`` divided by ``(n_fft / 4) ** 2``: half the sum of a
    Hann window is the magnitude of a full-scale sine.
    """
    import torch
    from torchaudio.functional import spectrogram

    if waveform.shape[-1] <= config.n_fft // 2:
        raise AudioError(f"a waveform has {waveform.shape[-1]} samples, expected more than {config.n_fft // 2}")
    window, bands = _window_and_bands(config)
    power = spectrogram(
        waveform,
        pad=0,
        window=window.to(waveform.device),
        n_fft=config.n_fft,
        hop_length=config.hop,
        win_length=config.n_fft,
        power=2.0,
        normalized=False,
        center=True,
        pad_mode="reflect",
    )
    mel = bands.to(waveform.device) @ power
    return 10.0 * torch.log10(torch.clamp(mel / (config.n_fft / 4) ** 2, min=10 ** (DB_FLOOR / 10)))


def band_centres_hz(config: MelConfig) -> npt.NDArray[np.float64]:
    """Return the frequency of each band's peak, shape (n_mels,), float64, Hz."""
    return _band_edges_hz(config)[1:-1]


def quantise(level_db: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Round levels in dB to stored steps of `DB_STEP` from `DB_FLOOR`; what lies outside becomes the nearest end.

    Examples
    --------
    >>> quantise(np.array([-200.0, -100.0, -99.4, 0.0, 99.0], dtype=np.float32)).tolist()
    [0, 0, 1, 200, 255]
    """
    steps: npt.NDArray[np.float32] = np.clip(np.rint((level_db - DB_FLOOR) / DB_STEP), 0, 255)
    return steps.astype(np.uint8)


def dequantise(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return stored steps as levels in dB, float32.

    Examples
    --------
    >>> dequantise(np.array([0, 1, 200, 255], dtype=np.uint8)).tolist()
    [-100.0, -99.5, 0.0, 27.5]
    """
    return steps.astype(np.float32) * np.float32(DB_STEP) + np.float32(DB_FLOOR)


@lru_cache(maxsize=4)
def _window_and_bands(config: MelConfig) -> tuple[torch.Tensor, torch.Tensor]:
    import torch
    from torchaudio.functional import melscale_fbanks

    with warnings.catch_warnings():
        # It warns of empty bands by a heuristic; MelConfig has made sure that there are none.
        warnings.simplefilter("ignore")
        bands = melscale_fbanks(
            config.n_fft // 2 + 1,
            config.f_min_hz,
            config.f_max_hz,
            config.n_mels,
            config.sample_rate_hz,
            norm=None,
            mel_scale="slaney",
        ).T.contiguous()
    return torch.hann_window(config.n_fft, periodic=True), bands


def _band_edges_hz(config: MelConfig) -> npt.NDArray[np.float64]:
    """Return shape (n_mels + 2,): each band begins at one edge, peaks at the next and ends at the one after.

    Slaney's scale: 3 mel per 200 Hz up to 1 kHz, then 27 mel per factor of 6.4.
    """

    def to_mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)

    mel = np.linspace(to_mel(config.f_min_hz), to_mel(config.f_max_hz), config.n_mels + 2)
    edges: npt.NDArray[np.float64] = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    return edges

"""Log-mel spectrograms: what a network hears of a waveform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft

from recommender.errors import AudioError, ConfigError

Float32s = npt.NDArray[np.float32]

DB_FLOOR = -100.0
"""The quietest level that is told from silence, re a full-scale sine."""

DB_STEP = 0.5
"""Step of the stored levels; 255 steps reach from `DB_FLOOR` to +27.5 dB."""

BLOCK_FRAMES = 128
"""Frames that are transformed together: few enough to stay in the processor's cache."""

BLOCK_BANDS = 16
"""Bands that are summed up together, over the FFT bins that they hear."""


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


def log_mel_spectrogram(waveform: Float32s, config: MelConfig) -> Float32s:
    """Compute mel-band levels in dB.

    Parameters
    ----------
    waveform : ndarray, shape (..., n_samples), float32
        Full scale is 1.
    config : MelConfig

    Returns
    -------
    ndarray, shape (..., n_mels, n_frames), float32
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
    waveform = np.asarray(waveform, dtype=np.float32)
    if waveform.shape[-1] <= config.n_fft // 2:
        raise AudioError(f"a waveform has {waveform.shape[-1]} samples, expected more than {config.n_fft // 2}")
    window, blocks = _window_and_blocks(config)
    clips = waveform.reshape(-1, waveform.shape[-1])
    level_db = np.empty((len(clips), config.n_mels, config.n_frames(clips.shape[1])), dtype=np.float32)
    for clip, mel in zip(clips, level_db, strict=True):
        padded = np.pad(clip, config.n_fft // 2, mode="reflect")
        frames = sliding_window_view(padded, config.n_fft)[:: config.hop]
        for first in range(0, len(frames), BLOCK_FRAMES):
            block = slice(first, first + BLOCK_FRAMES)
            spectrum = rfft(frames[block] * window)
            power = spectrum.real**2
            power += spectrum.imag**2
            for bands, bins, weights in blocks:
                np.matmul(weights, power[:, bins].T, out=mel[bands, block])
    level_db *= np.float32((4 / config.n_fft) ** 2)
    np.log10(np.maximum(level_db, np.float32(10 ** (DB_FLOOR / 10)), out=level_db), out=level_db)
    level_db *= 10
    return np.maximum(level_db, np.float32(DB_FLOOR)).reshape(*waveform.shape[:-1], *level_db.shape[1:])


def mel_bands(config: MelConfig) -> Float32s:
    """Return the weight of each FFT bin's power in each band, shape (n_mels, n_fft // 2 + 1), float32."""
    edges_hz = _band_edges_hz(config)
    bins_hz = np.arange(config.n_fft // 2 + 1) * (config.sample_rate_hz / config.n_fft)
    slopes = (bins_hz - edges_hz[:, np.newaxis]) / np.diff(edges_hz, append=np.inf)[:, np.newaxis]
    rising, falling = slopes[:-2], 1 - slopes[1:-1]
    weights: Float32s = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    return weights


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
def _window_and_blocks(config: MelConfig) -> tuple[Float32s, tuple[tuple[slice, slice, Float32s], ...]]:
    """Return a Hann window, and the bands in blocks with the bins that they hear: a fifth of the whole product."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
    weights, blocks = mel_bands(config), []
    for first in range(0, config.n_mels, BLOCK_BANDS):
        bands = slice(first, first + BLOCK_BANDS)
        heard = np.flatnonzero(weights[bands].any(axis=0))
        bins = slice(int(heard[0]), int(heard[-1]) + 1)
        blocks.append((bands, bins, np.ascontiguousarray(weights[bands, bins])))
    return window.astype(np.float32), tuple(blocks)


def _band_edges_hz(config: MelConfig) -> npt.NDArray[np.float64]:
    """Return shape (n_mels + 2,): each band begins at one edge, peaks at the next and ends at the one after.

    Slaney's scale: 3 mel per 200 Hz up to 1 kHz, then 27 mel per factor of 6.4.
    """

    def to_mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)

    mel = np.linspace(to_mel(config.f_min_hz), to_mel(config.f_max_hz), config.n_mels + 2)
    edges: npt.NDArray[np.float64] = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    return edges

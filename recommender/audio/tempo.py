"""Tempo: onsets, and the beat that they repeat with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, signal

from recommender.audio.stretch import Waveform

Floats = npt.NDArray[np.floating]

N_FFT, HOP = 1024, 512
N_BANDS, LOWEST_HZ, HIGHEST_HZ = 40, 30.0, 10_000.0
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
USUAL_BPM, SPREAD_OCTAVES = 135.0, 1.0
"""The prior over tempi: log-normal. It is wide, and decides between octaves only."""

MULTIPLES = {0.25: 0.3, 0.5: 0.3, 1.0: 1.0, 2.0: 0.5, 4.0: 1.0}
"""In beats: after which times a piece repeats itself, and what each counts. Sixteenths up to a bar of four."""

OCTAVES = (1 / 3, 0.5, 2.0, 3.0)
WITHIN = 0.04
"""Tempi whose ratio is within this of 1 are the same."""

PEAK_SHARE, PEAK_FLOOR = 0.05, 0.07
"""An onset is a peak of at least this share of the track's strongest, and of this strength: steady noise has few."""

CONFIDENCE = (-0.8, 2.7)
"""Fitted to generated tracks and folk tunes: the log odds of the right tempo, by the share of agreeing stretches."""

NOISE_PULSE = 0.05
_SMOOTH_HZ = 10.0
_GRID_BPM = np.exp(np.arange(np.log(SLOWEST_BPM), np.log(FASTEST_BPM), 0.01))
_PRIOR = np.exp(-0.5 * (np.log2(_GRID_BPM / USUAL_BPM) / SPREAD_OCTAVES) ** 2)


@dataclass(frozen=True)
class Tempo:
    """A tempo, how sure it is, and the other level at which the same music may be counted.

    Parameters
    ----------
    bpm : float
    confidence : float in [0, 1]
    rival_bpm : float
        The best of a half, a third, twice and three times the tempo, or whichever of them lies in the range.
    pulse : float in [0, 1]
        How alike the onsets are one, two and four beats later: 1 is a machine, 0 has no beat.
    """

    bpm: float
    confidence: float
    rival_bpm: float
    pulse: float


def spectra(sound: Waveform, n_fft: int, hop: int) -> npt.NDArray[np.float32]:
    """Return the magnitudes of Hann-windowed frames, shape (n_frames, n_fft // 2 + 1): a full-scale sine reads 1.

    A sound shorter than a frame is followed by silence.
    """
    if len(sound) < n_fft:
        sound = np.pad(sound, (0, n_fft - len(sound)))
    frames = np.lib.stride_tricks.sliding_window_view(sound, n_fft)[::hop]
    window = signal.get_window("hann", n_fft).astype(np.float32) * np.float32(4 / n_fft)
    return np.asarray(np.abs(fft.rfft(frames * window, axis=-1)), dtype=np.float32)


def onset_strength(magnitudes: npt.NDArray[np.float32], sample_rate_hz: int, level: float) -> Floats:
    """Return how much louder the bands get, above what is usual there and then.

    Parameters
    ----------
    magnitudes : ndarray, shape (n_frames, N_FFT // 2 + 1)
        From `spectra` with `N_FFT` and `HOP`.
    sample_rate_hz : int
    level : float
        Root mean square of the track, so that loud and quiet masters give the same.

    Returns
    -------
    ndarray, shape (n_frames,), >= 0

    Notes
    -----
    Spectral flux of compressed mel bands, less its mean over .4 s.
    """
    bands = np.log1p((magnitudes @ _bands(sample_rate_hz).T) * np.float32(250.0 / max(level, 1e-7)))
    rise = np.maximum(np.diff(bands, axis=0, prepend=bands[:1]), 0).mean(axis=1)
    about = ndimage.uniform_filter1d(rise, int(0.4 * sample_rate_hz / HOP) | 1, mode="nearest")
    return np.asarray(np.maximum(rise - about, 0))


def onsets_a_second(strengths: Sequence[Floats], sample_rate_hz: int) -> list[float]:
    """Return the density of onsets of each stretch: peaks that stand out for 50 ms."""
    rate = sample_rate_hz / HOP
    wide = int(0.05 * rate) | 1
    everything = np.concatenate(strengths)
    floor = max(PEAK_SHARE * float(np.quantile(everything, 0.98)), PEAK_FLOOR) if len(everything) else PEAK_FLOOR
    return [
        float(np.sum((each >= floor) & (each == ndimage.maximum_filter1d(each, wide)))) / (len(each) / rate)
        for each in strengths
    ]


def find_tempo(strengths: Sequence[Floats], sample_rate_hz: int) -> Tempo:
    """Find the tempo of stretches of one track.

    Parameters
    ----------
    strengths : sequence of ndarray, shape (n_frames,)
        From `onset_strength`; stretches need not be in step with each other.
    sample_rate_hz : int

    Returns
    -------
    Tempo

    Notes
    -----
    The autocorrelations of the stretches are averaged; a tempo scores by their values at `MULTIPLES` of its beat,
    times a prior. Confidence rests on how many stretches have this tempo by themselves, and is 0 for noise.
    """
    rate = sample_rate_hz / HOP
    longest = int(rate * 60 / SLOWEST_BPM * max(MULTIPLES)) + 2
    each = np.array([_autocorrelation(strength, rate, longest) for strength in strengths])
    alone = [_GRID_BPM[int(_rated(one, rate).argmax())] for one in each]
    together = each.mean(axis=0)
    rated = _rated(together, rate)
    bpm = float(_GRID_BPM[int(rated.argmax())])
    again = np.interp(np.array([1.0, 2.0, 4.0]) * 60 / bpm * rate, np.arange(longest + 1), together)
    pulse = float(np.clip(again.mean(), 0, 1))
    rivals = [bpm * factor for factor in OCTAVES if SLOWEST_BPM <= bpm * factor <= FASTEST_BPM]
    rival = max(rivals, key=lambda other: float(rated[np.abs(_GRID_BPM - other).argmin()]))
    agreeing = (sum(abs(one / bpm - 1) <= WITHIN for one in alone) + 0.5) / (len(alone) + 1)
    sure = 1 / (1 + np.exp(-(CONFIDENCE[0] + CONFIDENCE[1] * agreeing)))
    return Tempo(bpm, float(sure * np.clip((pulse - NOISE_PULSE) / (2 * NOISE_PULSE), 0, 1)), rival, pulse)


def _rated(again: Floats, rate: float) -> Floats:
    """Return how well each tempo of the grid explains an autocorrelation."""
    beats = 60 / _GRID_BPM * rate
    lags = np.arange(len(again))
    score = sum(weight * np.interp(beats * times, lags, again) for times, weight in MULTIPLES.items())
    return np.asarray((np.maximum(score, 0) / sum(MULTIPLES.values()) + 1e-6) * _PRIOR)


def _autocorrelation(strength: Floats, rate: float, longest: int) -> Floats:
    """Return shape (longest + 1,): 1 at lag 0, 0 behind the end of what was heard."""
    smooth = signal.lfilter(*signal.butter(2, _SMOOTH_HZ, fs=rate), strength)
    smooth = smooth - smooth.mean()
    size = fft.next_fast_len(len(smooth) + longest, real=True)
    raw = fft.irfft(np.abs(fft.rfft(smooth, size)) ** 2, size)[: longest + 1]
    whole = np.maximum(1 - np.arange(longest + 1) / len(smooth), 0.2)
    return np.asarray(raw / whole / raw[0]) if raw[0] > 1e-12 else np.zeros(longest + 1)


@lru_cache(maxsize=4)
def _bands(sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Triangular bands, evenly spaced on the mel scale but no narrower than two bins, shape (N_BANDS, bins)."""
    bins_hz = np.arange(N_FFT // 2 + 1) * sample_rate_hz / N_FFT
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOWEST_HZ, min(HIGHEST_HZ, 0.45 * sample_rate_hz)))
    edges = 700 * (10 ** (np.linspace(low, high, N_BANDS + 2) / 2595) - 1)
    edges[1:] = np.maximum(edges[1:], edges[:-1] + bins_hz[1])
    up = (bins_hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins_hz) / (edges[2:] - edges[1:-1])[:, None]
    bands = np.maximum(0, np.minimum(up, down))
    return np.asarray(bands / np.maximum(bands.sum(axis=1, keepdims=True), 1e-9), dtype=np.float32)

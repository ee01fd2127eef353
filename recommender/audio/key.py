"""Key: which of the 24 major and minor keys a track's notes are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

N_FFT, HOP = 8192, 4096
LOWEST_HZ, HIGHEST_HZ = 50.0, 2100.0
MELODY_FROM_HZ, BASS_TO_HZ = 175.0, 250.0
BASS_SHARE = 0.15
PEAK_RANGE = 1e-3
"""Peaks below this share of a frame's loudest, -60 dB, are no notes."""

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
Mode = Literal["major", "minor"]
MODES: tuple[Mode, Mode] = ("major", "minor")

PROFILES = np.array(
    [
        [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
        [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
    ]
)
"""How often each note above the tonic sounds, major and minor: Albrecht & Shanahan, Music Perception 31 (2013)."""

CONFIDENCE = (-1.45, 0.7, 2.0)
"""Fitted to generated tracks and folk tunes: the log odds that the key is right, by margin and agreeing stretches."""

NOISE_CORRELATION = 0.2


@dataclass(frozen=True)
class Key:
    """A key: `tonic` 0 (C) to 11 (B), its mode, and how sure both are, in [0, 1]."""

    tonic: int
    mode: Mode
    confidence: float


def find_key(stretches: Sequence[npt.NDArray[np.float32]], sample_rate_hz: int) -> Key:
    """Find the key of a track.

    Parameters
    ----------
    stretches : sequence of ndarray, shape (n_frames, N_FFT // 2 + 1)
        From `recommender.audio.tempo.spectra` with `N_FFT` and `HOP`.
    sample_rate_hz : int

    Returns
    -------
    Key
        Modes other than major and minor count as the one whose third they have.

    Notes
    -----
    Correlation of the chroma with `PROFILES`, the melody's and the bass's weighted. Confidence rests on the margin over
    the second best key and on how many stretches are in this key by themselves, and is 0 for the chroma of noise.
    """
    melody, bass = chromas(stretches, sample_rate_hz)
    alone = (1 - BASS_SHARE) * _correlations(melody) + BASS_SHARE * _correlations(bass)
    weights = [len(each) for each in stretches]
    score = (1 - BASS_SHARE) * _correlations(np.average(melody, axis=0, weights=weights)) + BASS_SHARE * _correlations(
        np.average(bass, axis=0, weights=weights)
    )
    second, best = (int(row) for row in np.argsort(score)[-2:])
    agreeing = (np.sum(alone.argmax(axis=-1) == best) + 0.5) / (len(alone) + 1)
    log_odds = CONFIDENCE[0] + CONFIDENCE[1] * (score[best] - score[second]) + CONFIDENCE[2] * agreeing
    tonal = np.clip((score[best] - NOISE_CORRELATION) / NOISE_CORRELATION, 0, 1)
    return Key(best % 12, MODES[best // 12], float(tonal / (1 + np.exp(-log_odds))))


def chromas(
    stretches: Sequence[npt.NDArray[np.float32]], sample_rate_hz: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return how much of each pitch class sounds in the melody's and in the bass's range.

    Returns
    -------
    melody, bass : ndarray, shape (n_stretches, 12)
        Rows sum to 1, or to 0 where nothing sounds.

    Notes
    -----
    Of each frame the spectral peaks, at their interpolated frequencies, after the tuning that fits best; every
    frame counts alike however loud.
    """
    lengths = [len(each) for each in stretches]
    frames, hz, strengths = _peaks(np.concatenate(stretches), sample_rate_hz)
    weights = np.sqrt(strengths)
    pitches = 69 + 12 * np.log2(hz / 440)
    tuning = np.angle(np.sum(weights * np.exp(2j * np.pi * pitches))) / (2 * np.pi)
    notes = np.rint(pitches - tuning)
    weights = weights * np.cos(np.pi * (pitches - tuning - notes)) ** 2
    cells = frames * 12 + notes.astype(np.int64) % 12
    melody, bass = (
        _chroma(np.bincount(cells[part], weights[part], minlength=12 * sum(lengths)), lengths)
        for part in (hz >= MELODY_FROM_HZ, hz < BASS_TO_HZ)
    )
    return melody, bass


def key_name(tonic: int, mode: Mode) -> str:
    """Return a key's name.

    Examples
    --------
    >>> key_name(9, "minor")
    'A minor'
    """
    return f"{NAMES[tonic]} {mode}"


def camelot(tonic: int, mode: Mode) -> str:
    """Return a key's place on the Camelot wheel, where neighbours mix well.

    Examples
    --------
    >>> camelot(0, "major"), camelot(9, "minor"), camelot(7, "major")
    ('8B', '8A', '9B')
    """
    relative = tonic if mode == "major" else tonic + 3
    return f"{(7 * relative + 7) % 12 + 1}{'B' if mode == 'major' else 'A'}"


def _peaks(
    magnitudes: npt.NDArray[np.float32], sample_rate_hz: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the frame, the frequency and the height of each spectral peak; a parabola through three levels in dB."""
    first, last = (int(hz / sample_rate_hz * N_FFT) for hz in (LOWEST_HZ, HIGHEST_HZ))
    part = magnitudes[:, first - 1 : last + 2]
    left, middle, right = part[:, :-2], part[:, 1:-1], part[:, 2:]
    floor = np.maximum(part.max(axis=1, keepdims=True) * PEAK_RANGE, 1e-7)
    frames, bins = np.nonzero((middle > left) & (middle >= right) & (middle > floor))
    a, b, c = (np.log(each[frames, bins].astype(np.float64) + 1e-12) for each in (left, middle, right))
    offset = 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9)
    hz = (bins + first + np.clip(offset, -0.5, 0.5)) * sample_rate_hz / N_FFT
    return frames, hz, middle[frames, bins].astype(np.float64)


def _chroma(cells: npt.NDArray[Any], lengths: Sequence[int]) -> npt.NDArray[np.float64]:
    table = _shares(cells.reshape(-1, 12))
    return _shares(np.stack([each.sum(axis=0) for each in np.split(table, np.cumsum(lengths)[:-1])]))


def _shares(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    totals = table.sum(axis=-1, keepdims=True)
    return np.asarray(table / np.where(totals > 0, totals, 1), dtype=np.float64)


def _correlations(chroma: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the correlation of chromas (..., 12) with each key's profile, (..., 24): C to B major, then minor."""
    centred = chroma - chroma.mean(axis=-1, keepdims=True)
    spread = centred.std(axis=-1, keepdims=True)
    return np.asarray(centred / np.where(spread > 1e-9, spread, 1) @ _ROTATED.T / 12)


def _standardised(profiles: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    return np.stack([np.roll((p - p.mean()) / p.std(), tonic) for p in profiles for tonic in range(12)])


_ROTATED = _standardised(list(PROFILES))

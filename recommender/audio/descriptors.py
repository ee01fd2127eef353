"""Describe a track in words and numbers: from its clips to its signature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recommender.audio import key as keys
from recommender.audio import tempo as tempi
from recommender.audio.loudness import QUIETEST_LUFS, block_powers, integrated_lufs
from recommender.audio.signatures import Signature
from recommender.audio.stretch import Waveform

ENOUGH_S = 10.0
"""Seconds heard at which a steady track's loudness, brightness and density are 63 % sure."""


def describe(waveforms: Sequence[Waveform], sample_rate_hz: int) -> Signature:
    """Describe a track by its clips.

    Parameters
    ----------
    waveforms : sequence of ndarray, shape (n_samples,), float32
        Mono, finite, full scale 1; lengths may differ. At least one.
    sample_rate_hz : int
        At least 8000.

    Returns
    -------
    Signature
        Finite whatever the sound; silence has confidence 0 throughout.

    Notes
    -----
    Loudness, brightness and density are as sure as the clips agree and as much was heard:
    ``exp(-spread / scale) (1 - exp(-heard_s / 10))``, with the spread of the clips' values in 6 LU, an octave, and the
    mean density. The pulse is as sure as as much was heard.
    """
    level = float(np.sqrt(np.mean([float(np.mean(each.astype(np.float64) ** 2)) for each in waveforms])))
    heard_s = sum(map(len, waveforms)) / sample_rate_hz
    blocks = [block_powers(each, sample_rate_hz) for each in waveforms]
    loudness = integrated_lufs(blocks)
    amount = 1 - float(np.exp(-heard_s / ENOUGH_S)) if loudness > QUIETEST_LUFS else 0.0

    strengths, centroids, sums = [], [], np.zeros(tempi.N_FFT // 2 + 1)
    bins_hz = np.arange(len(sums)) * sample_rate_hz / tempi.N_FFT
    for each in waveforms:
        short = tempi.spectra(each, tempi.N_FFT, tempi.HOP)
        strengths.append(tempi.onset_strength(short, sample_rate_hz, level))
        total = short.sum(axis=0, dtype=np.float64)
        sums += total
        centroids.append(float(bins_hz @ total / total.sum()) if total.sum() else 0.0)
    tempo = tempi.find_tempo(strengths, sample_rate_hz)
    densities = tempi.onsets_a_second(strengths, sample_rate_hz)
    key = keys.find_key([tempi.spectra(each, keys.N_FFT, keys.HOP) for each in waveforms], sample_rate_hz)

    density = float(np.average(densities, weights=[len(each) for each in strengths]))
    loudnesses = [integrated_lufs([each]) for each in blocks]
    return Signature(
        tempo_bpm=tempo.bpm,
        tempo_confidence=tempo.confidence * _or_none(amount),
        rival_bpm=tempo.rival_bpm,
        tonic=key.tonic,
        mode=key.mode,
        key_confidence=key.confidence * _or_none(amount),
        loudness_lufs=loudness,
        loudness_confidence=_steadiness(loudnesses, 6.0) * amount,
        brightness_hz=float(bins_hz @ sums / sums.sum()) if sums.sum() else 0.0,
        brightness_confidence=_steadiness([float(np.log2(max(hz, 1.0))) for hz in centroids], 1.0) * amount,
        density_hz=density,
        density_confidence=_steadiness(densities, max(density, 0.1)) * amount,
        pulse=tempo.pulse,
        pulse_confidence=amount,
    )


def _steadiness(values: Sequence[float], scale: float) -> float:
    return float(np.exp(-np.std(values) / scale))


def _or_none(amount: float) -> float:
    return 1.0 if amount else 0.0

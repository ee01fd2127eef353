"""Loudness: how loud a sound is to people, in LUFS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import signal

from recommender.audio.stretch import Waveform

QUIETEST_LUFS = -70.0
"""What lies below is silence to BS.1770, and no loudness below it is told."""

GATE_LU = -10.0
BLOCK_S, STEP_S = 0.4, 0.1


def k_weighted(sound: Waveform, sample_rate_hz: int) -> npt.NDArray[np.float64]:
    """Weight a mono signal by what the ear makes of each frequency (ITU-R BS.1770-4).

    Parameters
    ----------
    sound : ndarray, shape (n,)
    sample_rate_hz : int

    Returns
    -------
    ndarray, shape (n,), float64
    """
    return np.asarray(signal.lfilter(*_k_weighting(sample_rate_hz), sound.astype(np.float64)))


def ungated_lufs(sound: Waveform, sample_rate_hz: int) -> float:
    """Return the loudness of a mono signal, pauses included; -inf for silence."""
    return _lufs(float(np.mean(k_weighted(sound, sample_rate_hz) ** 2)))


def block_powers(sound: Waveform, sample_rate_hz: int) -> npt.NDArray[np.float64]:
    """Return the K-weighted power of each block of 0.4 s, one every 0.1 s; of all of it where it is shorter."""
    step = round(STEP_S * sample_rate_hz)
    power = k_weighted(sound, sample_rate_hz) ** 2
    n_steps = len(power) // step
    each = round(BLOCK_S / STEP_S)
    if n_steps < each:
        return np.array([float(power.mean()) if len(power) else 0.0])
    steps = power[: n_steps * step].reshape(n_steps, step).mean(axis=1)
    blocks: npt.NDArray[np.float64] = np.convolve(steps, np.full(each, 1 / each), "valid")
    return blocks


def integrated_lufs(blocks: Sequence[npt.NDArray[np.float64]]) -> float:
    """Return the integrated loudness of stretches of one track.

    Parameters
    ----------
    blocks : sequence of ndarray
        What `block_powers` returned of each stretch.

    Returns
    -------
    float
        LUFS of a mono track, at least `QUIETEST_LUFS`. A sine of 1 kHz and full scale reads -3.01.

    Notes
    -----
    ITU-R BS.1770-4: the mean power of the blocks above -70 LUFS that lie less than 10 LU below the mean of those. A
    stereo track, whose channels' powers are added there, reads 3.01 dB more than the mean of two equal channels.
    """
    powers = np.concatenate(blocks)
    heard = powers[powers > _power(QUIETEST_LUFS)]
    if not len(heard):
        return QUIETEST_LUFS
    gate = heard.mean() * 10 ** (GATE_LU / 10)
    return max(_lufs(float(heard[heard > gate].mean())), QUIETEST_LUFS)


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power) if power > 0 else -math.inf


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))


@lru_cache(maxsize=8)
def _k_weighting(sample_rate_hz: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both stages as one filter, from the analogue prototypes of BS.1770's filters for 48 kHz."""
    k, q, gain = (
        math.tan(math.pi * 1681.974450955533 / sample_rate_hz),
        0.7071752369554196,
        10 ** (3.999843853973347 / 20),
    )
    middle, a0 = gain**0.4996667741545416, 1 + k / q + k * k
    shelf = (
        [(gain + middle * k / q + k * k) / a0, 2 * (k * k - gain) / a0, (gain - middle * k / q + k * k) / a0],
        [1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0],
    )
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate_hz), 0.5003270373238773
    a0 = 1 + k / q + k * k
    rumble = ([1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])
    b, a = (np.convolve(first, second) for first, second in zip(shelf, rumble, strict=True))
    return b, a

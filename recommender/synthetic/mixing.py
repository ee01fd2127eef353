"""What happens between the instruments and the record: rooms, echoes, amplifiers, levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, signal

from recommender.audio.loudness import k_weighted, ungated_lufs
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform

CEILING = 0.94


def loudness_db(sound: Waveform) -> float:
    """Return the K-weighted loudness of a mono signal, ungated, in LUFS (ITU-R BS.1770-4); -inf for silence."""
    return ungated_lufs(sound, SAMPLE_RATE_HZ)


def level_of(part: Waveform) -> float:
    """Return how loud a part is where it plays: its K-weighted level over all 0.4 s within 20 dB of the loudest."""
    weighted = k_weighted(part, SAMPLE_RATE_HZ)
    block = min(len(part), int(0.4 * SAMPLE_RATE_HZ))
    power = np.mean(weighted[: len(part) // block * block].reshape(-1, block) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power >= 0.01 * power.max()])))


def room(sound: Waveform, size: float, rng: np.random.Generator) -> Waveform:
    """Return what a room adds: early reflections, then noise that dies away, its highs sooner.

    Parameters
    ----------
    sound : ndarray, shape (n,)
    size : float in [0, 1]
        The larger, the longer and darker.
    rng : Generator
    """
    ring_s = 0.25 + 2.6 * size
    n = int(ring_s * SAMPLE_RATE_HZ)
    t = np.arange(n) / SAMPLE_RATE_HZ
    noise = rng.normal(0, 1, n)
    dark = signal.lfilter(*_BELOW_1K5, noise)
    tail = dark * np.exp(-t / ring_s * 6) + 0.5 * (noise - dark) * np.exp(-t / ring_s * 14)
    tail *= np.minimum(1, t / (0.004 + 0.02 * size))
    tail /= np.sqrt(np.sum(tail**2))
    for at_s, gain in ((0.007, 0.5), (0.013, -0.4), (0.019, 0.35), (0.029, -0.25), (0.041, 0.2)):
        tail[int(at_s * (0.6 + size) * SAMPLE_RATE_HZ)] += 0.5 * gain
    wet = _convolve(sound, tail.astype(np.float32))
    return np.asarray(signal.lfilter(*_ABOVE_150, wet), dtype=np.float32)


def echo(sound: Waveform, every_s: float, feedback: float) -> Waveform:
    """Return what a tape echo adds: repeats every `every_s` that get quieter, thinner and darker."""
    wet, again = np.zeros_like(sound), sound
    delay, gain = int(every_s * SAMPLE_RATE_HZ), np.float32(1.0)
    for turn in range(1, 7):
        if delay * turn >= len(sound) or gain < 0.03:
            break
        again = np.asarray(signal.lfilter(*_TAPE, again), dtype=np.float32)
        wet[delay * turn :] += gain * again[: len(sound) - delay * turn]
        gain = np.float32(gain * feedback)
    return wet


def amplifier(sound: Waveform, drive: float) -> Waveform:
    """Overdrive a whole part, so that its notes mix as they do in a valve, and play it through a speaker."""
    tight = signal.lfilter(*_ABOVE_90, sound) / (level_of(sound) or 1.0)
    driven = np.tanh(tight * (1 + 9 * drive) + 0.15) - np.tanh(0.15)
    heard = signal.lfilter(*_SPEAKER, driven)
    return np.asarray(heard + 0.4 * signal.lfilter(*_PRESENCE, heard), dtype=np.float32)


def wooden_body(sound: Waveform) -> Waveform:
    """Let the box of a guitar resonate."""
    low, high = signal.lfilter(*_BODY_LOW, sound), signal.lfilter(*_BODY_HIGH, sound)
    return np.asarray(sound + 0.9 * low + 0.5 * high, dtype=np.float32)


def chorus(sound: Waveform, depth: float) -> Waveform:
    """Double a part with a copy that wavers in time."""
    n = len(sound)
    at = np.arange(n) - SAMPLE_RATE_HZ * (
        0.012 + 0.003 * depth * np.sin(2 * np.pi * 0.7 * np.arange(n) / SAMPLE_RATE_HZ)
    )
    copy = np.interp(at, np.arange(n), sound)
    return np.asarray(sound * (1 - 0.3 * depth) + 0.6 * depth * copy, dtype=np.float32)


def ducked(sound: Waveform, kicks_s: npt.NDArray[np.float64], depth: float, back_s: float) -> Waveform:
    """Press a part down at each kick: it is back after `back_s`."""
    gain = np.ones(len(sound), dtype=np.float32)
    n = int(back_s * SAMPLE_RATE_HZ)
    dip = (1 - depth * np.cos(np.linspace(0, np.pi / 2, n)) ** 2).astype(np.float32)
    dip[:60] = np.linspace(1, dip[60], 60)
    for start in np.maximum(0, kicks_s * SAMPLE_RATE_HZ - 40).astype(int):
        end = min(len(sound), start + n)
        if end > start:
            gain[start:end] = np.minimum(gain[start:end], dip[: end - start])
    return sound * gain


def opened(sound: Waveform, openness: Waveform) -> Waveform:
    """Low-pass a part; `openness` (n,) in [0, 1] tells how far the filter is open at each sample."""
    dark = np.asarray(signal.lfilter(*_BELOW_500, sound), dtype=np.float32)
    return dark + openness * (sound - dark)


def compressed(sound: Waveform, amount: float) -> Waveform:
    """Press loud passages towards the rest; `amount` in [0, 1] is 1 - 1/ratio."""
    pole = np.exp(-1 / (0.06 * SAMPLE_RATE_HZ))
    power = signal.lfilter([1 - pole], [1, -pole], sound.astype(np.float64) ** 2)
    typical = float(np.mean(power)) or 1.0
    return np.asarray(sound * (np.maximum(power, typical) / typical) ** (-amount / 2), dtype=np.float32)


def master(sound: Waveform, tilt_db: float, loudness: float, glue: float) -> Waveform:
    """Make the record: tilt treble against bass, compress, set the loudness in LUFS, limit the peaks to `CEILING`."""
    steady = signal.lfilter(*_ABOVE_28, sound)
    low = signal.lfilter(*_BELOW_800, steady)
    tilted = low * 10 ** (-tilt_db / 40) + (steady - low) * 10 ** (tilt_db / 40)
    mix = compressed(np.asarray(tilted, dtype=np.float32), glue)
    now = loudness_db(mix)
    if np.isfinite(now):
        mix = mix * np.float32(10 ** ((loudness - now) / 20))
    return limited(mix)


def limited(sound: Waveform) -> Waveform:
    """Turn the gain down around peaks, 5 ms ahead, so that no sample exceeds `CEILING`."""
    ahead = 2 * int(0.005 * SAMPLE_RATE_HZ) + 1
    peaks = ndimage.maximum_filter1d(np.abs(sound), ahead)
    gain = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
    return np.asarray(sound * ndimage.uniform_filter1d(gain, ahead // 2), dtype=np.float32)


def _filter(kind: str, hz: float | tuple[float, float], order: int = 1) -> tuple[npt.NDArray[np.float64], ...]:
    return tuple(signal.butter(order, hz, kind, fs=SAMPLE_RATE_HZ))


_BELOW_500, _BELOW_800, _BELOW_1K5 = _filter("low", 500, 2), _filter("low", 800), _filter("low", 1500)
_ABOVE_28, _ABOVE_90, _ABOVE_150 = _filter("high", 28, 2), _filter("high", 90), _filter("high", 150)
_TAPE, _SPEAKER = _filter("band", (250, 2600)), _filter("low", 4200, 3)
_PRESENCE = _filter("band", (1800, 3200))
_BODY_LOW, _BODY_HIGH = _filter("band", (85, 125)), _filter("band", (190, 260))


def _convolve(sound: Waveform, tail: Waveform) -> Waveform:
    size = fft.next_fast_len(len(sound) + len(tail) - 1, real=True)
    return np.asarray(fft.irfft(fft.rfft(sound, size) * fft.rfft(tail, size), size)[: len(sound)], dtype=np.float32)

"""What parts and records go through; whole windows at once, filters as spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from recommender.synthetic.corpus.artists import Record
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform

Spectrum = npt.NDArray[np.complex64]
Curve = npt.NDArray[np.float32]
CEILING = 0.94


def curve(
    hz: Curve, bands: Sequence[tuple[float, float, float]], low_cut_hz: float, high_cut_hz: float, order: int = 2
) -> Curve:
    """Return the gain of an equalizer at the frequencies `hz`: bells of (Hz, dB, octaves) and two cuts."""
    octaves = np.log2(np.maximum(hz, 1.0))
    level_db = np.zeros_like(hz)
    for centre, gain, width in bands:
        level_db += np.float32(gain) * np.exp(-0.5 * ((octaves - np.log2(centre)) / width) ** 2).astype(np.float32)
    low = 1 / np.sqrt(1 + (low_cut_hz / np.maximum(hz, 1.0)) ** (2 * order))
    high = 1 / np.sqrt(1 + (hz / high_cut_hz) ** (4 * order))
    return np.asarray(10 ** (level_db / 20) * low * high, dtype=np.float32)


def reverb(record: Record, n: int, rng: np.random.Generator) -> Waveform:
    """Return the impulse response of a room, shape (n,): noise that dies away, its highs sooner."""
    length = min(n, int(1.3 * record.ring_s * SAMPLE_RATE_HZ) + 400)
    t = np.arange(length, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
    noise = rng.normal(0, 1, length).astype(np.float32)
    b, a = signal.butter(1, min(record.damping_hz, 0.45 * SAMPLE_RATE_HZ), fs=SAMPLE_RATE_HZ)
    dull = np.asarray(signal.lfilter(b.astype(np.float32), a.astype(np.float32), noise))
    rate = np.float32(6.9 / record.ring_s)
    tail = dull * np.exp(-rate * t) + (noise - dull) * np.exp(-3 * rate * t)
    ahead = int(rng.uniform(0.0, 0.03) * SAMPLE_RATE_HZ)
    response = np.zeros(n, dtype=np.float32)
    response[ahead:length] = tail[: length - ahead]
    for _ in range(6):
        response[int(rng.uniform(0.003, 0.06) * SAMPLE_RATE_HZ)] += np.float32(rng.normal(0, 4))
    return response / np.float32(np.sqrt(np.sum(response**2)))


def echo(record: Record, beat_s: float, n: int) -> Waveform:
    """Return the impulse response of repeats, shape (n,)."""
    response = np.zeros(n, dtype=np.float32)
    delay = max(0.06, record.echo_beats * beat_s)
    for turn in range(1, 8):
        at = int(turn * delay * SAMPLE_RATE_HZ)
        if at >= n:
            break
        response[at] = record.feedback ** (turn - 1)
    return response


def drive(sound: Waveform, amount: float) -> Waveform:
    """Overdrive, a little lopsided."""
    pushed = sound * np.float32((1 + 14 * amount**2) / (_level(sound) or 1.0))
    return np.asarray(np.tanh(0.8 * pushed + np.float32(0.15)) - np.tanh(np.float32(0.15)), dtype=np.float32)


def crush(sound: Waveform, bits: int) -> Waveform:
    """Keep only a few bits."""
    peak = float(np.max(np.abs(sound))) or 1.0
    steps = np.float32(2 ** (bits - 1) / peak)
    return np.asarray(np.round(sound * steps) / steps, dtype=np.float32)


def chorus(sound: Waveform, depth: float, rate_hz: float) -> Waveform:
    """Double with a copy that wavers in time; shape (windows, n)."""
    n = sound.shape[-1]
    t = np.arange(n) / SAMPLE_RATE_HZ
    delay = SAMPLE_RATE_HZ * (0.010 + 0.004 * depth * np.sin(2 * np.pi * rate_hz * t))
    return np.asarray(0.75 * sound + 0.6 * _read_at(sound, np.arange(n) - delay), dtype=np.float32)


def flutter(sound: Waveform, depth: float, rng: np.random.Generator) -> Waveform:
    """Let a tape's speed waver by the share `depth`."""
    n = sound.shape[-1]
    t = np.arange(n) / SAMPLE_RATE_HZ
    drift = np.zeros(n)
    for rate_hz, share in ((0.6, 0.6), (3.1, 0.3), (7.9, 0.1)):
        turn = 2 * np.pi * rate_hz * rng.uniform(0.8, 1.2)
        drift += share * depth / turn * np.sin(turn * t + rng.uniform(0, 6.28))
    return _read_at(sound, np.arange(n) + drift * SAMPLE_RATE_HZ)


def tremolo(sound: Waveform, depth: float, rate_hz: float) -> Waveform:
    """Let the level waver."""
    t = np.arange(sound.shape[-1], dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
    wave = np.sin(np.float32(2 * np.pi * rate_hz) * t)
    return np.asarray(sound * (1 - np.float32(0.5 * depth) * (1 + wave)), dtype=np.float32)


def pumped(sound: Waveform, kicks: Sequence[Sequence[float]], depth: float, back_s: float) -> Waveform:
    """Press each window down at its kicks."""
    gain = np.ones_like(sound)
    n = int(back_s * SAMPLE_RATE_HZ)
    dip = (1 - depth * np.cos(np.linspace(0, np.pi / 2, n)) ** 2).astype(np.float32)
    dip[:60] = np.linspace(1, dip[min(60, n - 1)], 60)
    for row, times in zip(gain, kicks, strict=True):
        for at_s in times:
            start = max(0, int(at_s * SAMPLE_RATE_HZ) - 40)
            stretch = row[start : start + n]
            np.minimum(stretch, dip[: len(stretch)], out=stretch)
    return sound * gain


def compressed(sound: Waveform, amount: float) -> Waveform:
    """Press loud passages towards the rest; `amount` in [0, 1) is 1 - 1/ratio."""
    if amount <= 0.02:
        return sound
    hop = 256
    n = sound.shape[-1]
    padded = np.pad(sound, ((0, 0), (0, -n % hop)))
    power = np.mean(padded.reshape(len(sound), -1, hop) ** 2, axis=-1)
    smooth = ndimage.uniform_filter1d(power, 9, axis=-1, mode="nearest")
    typical = np.float32(np.mean(smooth)) or np.float32(1.0)
    gain = (np.maximum(smooth, typical) / typical) ** np.float32(-amount / 2)
    return sound * _stretched(gain, n)


def saturated(sound: Waveform, amount: float) -> Waveform:
    """Round off the peaks."""
    if amount <= 0.02:
        return sound
    scale = np.float32(_level(sound) * (6 - 5 * amount)) or np.float32(1.0)
    return np.asarray(np.tanh(sound / scale) * scale, dtype=np.float32)


def limited(sound: Waveform) -> Waveform:
    """Turn the gain down around peaks, so that no sample exceeds `CEILING`."""
    hop = 64
    n = sound.shape[-1]
    padded = np.pad(np.abs(sound), ((0, 0), (0, -n % hop)))
    peaks = padded.reshape(len(sound), -1, hop).max(axis=-1)
    if peaks.max() <= CEILING:
        return sound
    gain = CEILING / np.maximum(ndimage.maximum_filter1d(peaks, 5, axis=-1), CEILING)
    gain = _stretched(ndimage.uniform_filter1d(gain, 3, axis=-1, mode="nearest"), n)
    return np.asarray(np.clip(sound * gain, -CEILING, CEILING))


def loudness_db(sound: Waveform) -> npt.NDArray[np.float64]:
    """Return the K-weighted level of each window, in LUFS without gates; -inf for silence."""
    power = np.mean(signal.lfilter(*_K, sound, axis=-1) ** 2, axis=-1, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10 * np.log10(power))


def _level(sound: Waveform) -> float:
    """Root mean square where something sounds: over the tenths of a second within 20 dB of the loudest."""
    hop = SAMPLE_RATE_HZ // 10
    flat = sound.reshape(-1)
    power = np.mean(flat[: len(flat) // hop * hop].reshape(-1, hop) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power >= 0.01 * power.max()])))


def levelled(sound: Waveform, level_db: float) -> Waveform:
    """Bring a part to a level in dB re full scale where it plays, its lows counted less, as ears do."""
    heard = _level(sound[..., 1:] - np.float32(0.85) * sound[..., :-1])
    return sound * np.float32(0.35 * 10 ** (level_db / 20) / heard) if heard > 1e-9 else sound


def medium(record: Record, shape: tuple[int, int], rng: np.random.Generator) -> Waveform:
    """Return what a record or tape adds by itself: hiss, hum and clicks."""
    sound = np.zeros(shape, dtype=np.float32)
    if np.isfinite(record.noise_db):
        hiss = rng.normal(0, 1, shape).astype(np.float32)
        colour = np.float32(rng.uniform(0, 0.95))
        hiss = np.asarray(signal.lfilter(np.array([1 - colour], np.float32), np.array([1, -colour], np.float32), hiss))
        sound += hiss * np.float32(10 ** (record.noise_db / 20) / (np.std(hiss) or 1.0))
    if np.isfinite(record.hum_db):
        t = np.arange(shape[1]) / SAMPLE_RATE_HZ
        base = float(rng.choice([50.0, 60.0]))
        hum = sum(np.sin(2 * np.pi * base * k * t) / k for k in (1, 2, 3, 5))
        sound += np.asarray(hum, dtype=np.float32) * np.float32(10 ** (record.hum_db / 20))
    if record.crackle:
        count = rng.poisson(record.crackle * shape[1] / SAMPLE_RATE_HZ, shape[0])
        for row, clicks in zip(sound, count, strict=True):
            at = rng.integers(0, shape[1], clicks)
            row[at] += (rng.normal(0, 1, clicks) * rng.exponential(0.02, clicks)).astype(np.float32)
    return sound


def _read_at(sound: Waveform, at: npt.NDArray[np.float64]) -> Waveform:
    at = np.clip(at, 0, sound.shape[-1] - 2)
    whole = at.astype(np.int64)
    part = (at - whole).astype(np.float32)
    rows = [np.take(row, whole) * (1 - part) + np.take(row, whole + 1) * part for row in sound]
    return np.asarray(rows, dtype=np.float32)


def _stretched(gain: npt.NDArray[np.floating], n: int) -> Waveform:
    """Draw a curve of shape (windows, points) through n samples."""
    hop = -(-n // gain.shape[-1])
    ramp = np.arange(hop, dtype=np.float32) / np.float32(hop)
    points = np.append(gain, gain[:, -1:], axis=-1).astype(np.float32)[..., None]
    drawn = points[:, :-1] + (points[:, 1:] - points[:, :-1]) * ramp
    return np.asarray(drawn.reshape(len(gain), -1)[:, :n], dtype=np.float32)


def _k_weighting() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A shelf above 1.7 kHz and a cut below 60 Hz: nearly BS.1770, first order each."""
    k = np.tan(np.pi * 1700 / SAMPLE_RATE_HZ)
    gain = 10 ** (4 / 20)
    shelf_b, shelf_a = np.array([gain + k, k - gain]), np.array([1 + k, k - 1])
    cut_b, cut_a = signal.butter(1, 60, "high", fs=SAMPLE_RATE_HZ)
    return np.convolve(shelf_b, cut_b).astype(np.float32), np.convolve(shelf_a, cut_a).astype(np.float32)


_K = _k_weighting()

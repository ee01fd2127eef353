"""Drums and cymbals: a brightness in, one hit out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform, shape

Hit = Callable[[float, np.random.Generator], Waveform]


@dataclass(frozen=True)
class Kit:
    """Which sound each line of a groove strikes.

    Parameters
    ----------
    kick, snare, hat : Hit
    open_hat : Hit
        What an ``O`` in the line of the hat strikes.
    crash : Hit or None
        At the start of a section.
    """

    kick: Hit
    snare: Hit
    hat: Hit
    open_hat: Hit
    crash: Hit | None = None


def kick(brightness: float, rng: np.random.Generator) -> Waveform:
    """A sine that falls in pitch, and the beater's click."""
    t = _time(0.4)
    sound = _fall(t, 47, 75 + 90 * brightness, 26) * np.exp(-t * 8.5)
    return shape(1.1 * sound + brightness * rng.normal(0, 0.25, len(t)) * np.exp(-t * 400), 0.36, 0.0006, 0.04)


def kick_tight(brightness: float, rng: np.random.Generator) -> Waveform:
    """Short and clicking, for many in a row."""
    t = _time(0.18)
    sound = _fall(t, 58, 120, 45) * np.exp(-t * 20)
    return shape(sound + (0.4 + 0.6 * brightness) * rng.normal(0, 0.3, len(t)) * np.exp(-t * 260), 0.15, 0.0006, 0.03)


def kick_soft(_brightness: float, _rng: np.random.Generator) -> Waveform:
    """A felt beater on a loose head."""
    t = _time(0.35)
    return shape(0.8 * _fall(t, 52, 30, 30) * np.exp(-t * 11), 0.3, 0.006, 0.05)


def timpani(_brightness: float, rng: np.random.Generator) -> Waveform:
    """A big drum far away."""
    t = _time(1.4)
    modes = ((1.0, 1.0, 2.6), (1.5, 0.5, 3.5), (1.99, 0.3, 5.0))
    drum = sum(level * np.sin(2 * np.pi * 73 * ratio * t) * np.exp(-t * decay) for ratio, level, decay in modes)
    thud = signal.lfilter(*_BELOW_900, rng.normal(0, 0.6, len(t))) * np.exp(-t * 35)
    return shape(0.6 * drum + thud, 1.1, 0.002, 0.3)


def snare(brightness: float, rng: np.random.Generator) -> Waveform:
    """A drum head and the wires below it."""
    t = _time(0.3)
    wires = signal.lfilter([1, -0.8 * brightness], [1], rng.normal(0, 0.32, len(t))) * np.exp(
        -t * (22 - 8 * brightness)
    )
    head = 0.5 * np.sin(2 * np.pi * 186 * t) * np.exp(-t * 26) + 0.25 * np.sin(2 * np.pi * 331 * t) * np.exp(-t * 32)
    return shape(wires + head, 0.27, 0.0008, 0.03)


def snare_gated(brightness: float, rng: np.random.Generator) -> Waveform:
    """A large room that is cut off."""
    t = _time(0.42)
    room = signal.lfilter(*_BELOW_6K, rng.normal(0, 0.3 + 0.1 * brightness, len(t))) * np.exp(-t * 4)
    return shape(room + 0.6 * np.sin(2 * np.pi * 170 * t) * np.exp(-t * 22), 0.26, 0.0008, 0.06)


def clap(brightness: float, rng: np.random.Generator) -> Waveform:
    """Several hands, not quite together."""
    t = _time(0.32)
    hands = sum(np.exp(-np.maximum(t - d, 0) * r) * (t >= d) for d, r in ((0, 250), (0.011, 250), (0.022, 22)))
    noise = signal.lfilter(*_AROUND_1K5, rng.normal(0, 1, len(t)))
    return shape(noise * hands * (0.55 + 0.3 * brightness), 0.28, 0.0006, 0.04)


def rim(brightness: float, rng: np.random.Generator) -> Waveform:
    """A stick on the rim."""
    t = _time(0.09)
    wood = np.sin(2 * np.pi * 1650 * t) * np.exp(-t * 90) + 0.7 * np.sin(2 * np.pi * 480 * t) * np.exp(-t * 70)
    return shape(0.6 * wood + rng.normal(0, 0.1 + 0.2 * brightness, len(t)) * np.exp(-t * 300), 0.07, 0.0006, 0.02)


def hat(brightness: float, rng: np.random.Generator) -> Waveform:
    """High noise, gone at once."""
    return _cymbal(0.09, 85 - 40 * brightness, 0.35, rng)


def hat_open(brightness: float, rng: np.random.Generator) -> Waveform:
    """High noise that is let ring until the next stroke."""
    return _cymbal(0.34, 14 - 5 * brightness, 0.3, rng)


def ride(brightness: float, rng: np.random.Generator) -> Waveform:
    """The ping of a stick, then a long shimmer."""
    t = _time(0.7)
    ping = (
        sum(np.sin(2 * np.pi * f * t) for f in (3120, 4273, 5381, 6718)) * np.exp(-t * 14) * (0.03 + 0.03 * brightness)
    )
    wash = signal.lfilter(*_ABOVE_5K, rng.normal(0, 0.09, len(t))) * np.exp(-t * 6)
    return shape(ping + wash, 0.6, 0.001, 0.1)


def crash(brightness: float, rng: np.random.Generator) -> Waveform:
    """A large cymbal at the start of a section."""
    t = _time(1.9)
    noise = signal.lfilter(*_ABOVE_2K, rng.normal(0, 0.22, len(t)))
    return shape(noise * np.exp(-t * (3.2 - brightness)), 1.6, 0.002, 0.3)


def brush(brightness: float, rng: np.random.Generator) -> Waveform:
    """A soft sweep."""
    t = _time(0.24)
    noise = signal.lfilter(*_ABOVE_2K, rng.normal(0, 0.16, len(t)))
    return shape(noise * np.exp(-t * (20 - 8 * brightness)), 0.2, 0.02, 0.04)


def shaker(brightness: float, rng: np.random.Generator) -> Waveform:
    """Seeds in a shell: it takes a moment to be loud."""
    t = _time(0.1)
    noise = signal.lfilter(*_ABOVE_5K, rng.normal(0, 0.22, len(t)))
    return shape(noise * np.exp(-((t - 0.03) ** 2) / (0.0005 + 0.0003 * brightness)), 0.08, 0.008, 0.02)


def chip_kick(_brightness: float, _rng: np.random.Generator) -> Waveform:
    """A triangle that falls."""
    t = _time(0.14)
    return shape(0.9 * np.arcsin(_fall(t, 45, 230, 30)) * 2 / np.pi * np.exp(-t * 9), 0.12, 0.001, 0.02)


def chip_snare(brightness: float, rng: np.random.Generator) -> Waveform:
    """Noise at a low rate."""
    return _held_noise(0.13, 3 + int(3 * (1 - brightness)), 18, rng)


def chip_hat(_brightness: float, rng: np.random.Generator) -> Waveform:
    """Noise at a high rate."""
    return _held_noise(0.04, 1, 70, rng)


_ABOVE_7K = signal.butter(2, 7000, "high", fs=SAMPLE_RATE_HZ)
_ABOVE_5K = signal.butter(2, 5000, "high", fs=SAMPLE_RATE_HZ)
_ABOVE_2K = signal.butter(2, 2000, "high", fs=SAMPLE_RATE_HZ)
_AROUND_1K5 = signal.butter(1, (900, 2600), "band", fs=SAMPLE_RATE_HZ)
_BELOW_6K = signal.butter(1, 6000, "low", fs=SAMPLE_RATE_HZ)
_BELOW_900 = signal.butter(1, 900, "low", fs=SAMPLE_RATE_HZ)


def _fall(t: npt.NDArray[np.float64], low_hz: float, extra_hz: float, rate: float) -> npt.NDArray[np.float64]:
    """A sine that falls from low + extra to low."""
    return np.asarray(np.sin(2 * np.pi * (low_hz * t + extra_hz / rate * (1 - np.exp(-rate * t)))))


def _cymbal(length_s: float, decay: float, level: float, rng: np.random.Generator) -> Waveform:
    t = _time(length_s)
    noise = signal.lfilter(*_ABOVE_7K, rng.normal(0, level, len(t)))
    return shape(noise * np.exp(-t * decay), length_s - 0.02, 0.0006, 0.02)


def _held_noise(length_s: float, hold: int, decay: float, rng: np.random.Generator) -> Waveform:
    t = _time(length_s)
    noise = np.repeat(rng.choice([-0.4, 0.4], len(t) // hold + 1), hold)[: len(t)]
    return shape(noise * np.exp(-t * decay), length_s - 0.01, 0.0006, 0.01)


def _time(length_s: float) -> npt.NDArray[np.float64]:
    return np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ

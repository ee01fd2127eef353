"""Instruments: a pitch and a length in, a waveform out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

SAMPLE_RATE_HZ = 22_050
Waveform = npt.NDArray[np.float32]
_TABLE = 2048


@dataclass(frozen=True)
class Touch:
    """How an artist plays an instrument.

    Parameters
    ----------
    brightness : float in [0, 1]
        Share of the upper harmonics that is let through.
    detune : float
        Spread of the voices, as a share of the frequency.
    attack_s, release_s : float
    """

    brightness: float = 0.5
    detune: float = 0.003
    attack_s: float = 0.01
    release_s: float = 0.15


Instrument = Callable[[float, float, Touch, np.random.Generator], Waveform]


def frequency_hz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch; 69 is 440 Hz."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def pluck(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Karplus & Strong's plucked string (Computer Music Journal, 1983): noise in a delay line that loses its highs."""
    f_hz = frequency_hz(pitch)
    n = int((length_s + 0.6) * SAMPLE_RATE_HZ)
    delay = max(2, round(SAMPLE_RATE_HZ / f_hz - 0.5))
    burst = np.zeros(n)
    burst[:delay] = signal.lfilter([0.3 + 0.7 * touch.brightness], [1, -0.7 + 0.7 * touch.brightness],
                                   rng.uniform(-1, 1, delay))  # fmt: skip
    loop = np.zeros(delay + 2)
    loop[0] = 1
    decay = 0.5 * 0.996 ** (440 / max(f_hz, 110))
    loop[delay] = loop[delay + 1] = -decay
    return _shape(signal.lfilter([1.0], loop, burst), length_s + 0.45, 0.001, 0.15) * 0.8


def piano(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """Stretched partials, the higher the sooner gone, and two strings slightly apart."""
    f_hz = frequency_hz(pitch)
    t = _time(length_s + 0.5)
    sound = np.zeros(len(t))
    for k in range(1, 11):
        partial = f_hz * k * np.sqrt(1 + 0.0004 * k * k)
        if partial > 0.45 * SAMPLE_RATE_HZ:
            break
        level = k ** -(2.1 - 1.2 * touch.brightness) * np.exp(-t * (0.9 + 0.55 * k) * (f_hz / 262) ** 0.4)
        sound += (
            level * np.sin(2 * np.pi * partial * t) * (1 + 0.15 * np.cos(2 * np.pi * 0.7 * t * k * touch.detune * 60))
        )
    return _shape(sound * 0.55, length_s + 0.25, 0.003, 0.25)


def electric_piano(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """Two-operator FM (Chowning, 1973) with a bright tine at the attack."""
    f_hz, t = frequency_hz(pitch), _time(length_s + 0.4)
    index = (0.6 + 2.2 * touch.brightness) * np.exp(-t * 3)
    body = np.sin(2 * np.pi * f_hz * t + index * np.sin(2 * np.pi * f_hz * t))
    tine = 0.25 * touch.brightness * np.sin(2 * np.pi * f_hz * 7 * t) * np.exp(-t * 18)
    tremolo = 1 + 0.12 * np.sin(2 * np.pi * 5.1 * t)
    return _shape((body * np.exp(-t * 1.1) + tine) * tremolo * 0.6, length_s + 0.2, 0.004, 0.2)


def bell(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """FM with a ratio that is not whole."""
    f_hz, t = frequency_hz(pitch), _time(length_s + 1.0)
    index = (1 + 2 * touch.brightness) * np.exp(-t * 2.2)
    sound = np.sin(2 * np.pi * f_hz * t + index * np.sin(2 * np.pi * f_hz * 3.53 * t)) * np.exp(-t * 2.4)
    return _shape(sound * 0.4, length_s + 0.8, 0.002, 0.3)


def saw(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Three detuned sawtooth voices."""
    return _voices(pitch, length_s, touch, rng, lambda k: 1.0 / k, 3) * 0.5


def square(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """One pulse voice: the sound of a chip."""
    plain = Touch(1.0, 0.0, 0.002, min(touch.release_s, 0.03))
    return _voices(pitch, length_s, plain, rng, lambda k: np.where(k % 2 == 1, 1.0 / k, 0.0), 1) * 0.45


def pad(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Slow voices that drift against each other."""
    slow = Touch(touch.brightness * 0.5, touch.detune + 0.004, min(0.5, length_s * 0.3), 0.6)
    return _voices(pitch, length_s, slow, rng, lambda k: 1.0 / k**1.6, 4) * 0.55


def strings(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Bowed voices: a section with vibrato."""
    bowed = Touch(0.25 + 0.5 * touch.brightness, touch.detune + 0.002, min(0.12, length_s * 0.3), 0.25)
    sound = _voices(pitch, length_s, bowed, rng, lambda k: 1.0 / k**1.25, 4)
    vibrato = np.float32(1) + np.float32(0.1) * np.sin(np.float32(2 * np.pi * 5.6) * _time_like(sound))
    return np.asarray(sound * vibrato * np.float32(0.5))


def organ(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Drawbars: a few octaves and fifths."""
    drawn = {1: 1.0, 2: 0.8, 3: 0.5, 4: 0.35, 6: 0.3 * touch.brightness, 8: 0.4 * touch.brightness}
    still = Touch(1.0, 0.0008, 0.008, 0.05)
    return _voices(pitch, length_s, still, rng, lambda k: np.array([drawn.get(int(i), 0.0) for i in k]), 2) * 0.4


def guitar_drive(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A fifth through a saturated amplifier and its speaker."""
    chord = pluck(pitch, length_s, touch, rng)
    fifth = pluck(pitch + 7, length_s, touch, rng)
    n = min(len(chord), len(fifth))
    driven = np.tanh((chord[:n] + fifth[:n]) * (6 + 10 * touch.brightness))
    return _shape(signal.lfilter(*_BELOW_5K, driven) * 0.5, length_s, 0.002, 0.04)


def sub(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """A sine with a little grit: a bass that is felt."""
    t = _time(length_s + 0.05)
    sound = np.tanh((1.2 + touch.brightness) * np.sin(2 * np.pi * frequency_hz(pitch) * t))
    return _shape(sound * 0.7, length_s, 0.008, 0.05)


def bass_saw(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A sawtooth whose filter closes."""
    sound = _voices(pitch, length_s, Touch(0.5 + 0.5 * touch.brightness, 0.001, 0.004, 0.05), rng, lambda k: 1.0 / k, 2)
    return np.asarray(sound * np.exp(-_time_like(sound) * np.float32(2.5)) * np.float32(0.9))


def bass_pluck(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A finger on a thick string."""
    return pluck(pitch, length_s, Touch(touch.brightness * 0.5), rng) * 1.1


def kick(length_s: float, brightness: float, _rng: np.random.Generator) -> Waveform:
    """A sine that falls in pitch."""
    t = _time(length_s)
    phase = 2 * np.pi * (48 * t + (70 + 90 * brightness) / 28 * (1 - np.exp(-28 * t)))
    return _shape(np.sin(phase) * np.exp(-t * 9) * 1.1, length_s, 0.001, 0.02)


def snare(length_s: float, brightness: float, rng: np.random.Generator) -> Waveform:
    """A drum head and the wires below it."""
    t = _time(length_s)
    wires = signal.lfilter([1, -0.85 * brightness], [1], rng.normal(0, 0.35, len(t))) * np.exp(
        -t * (26 - 10 * brightness)
    )
    return _shape(wires + 0.5 * np.sin(2 * np.pi * 190 * t) * np.exp(-t * 30), length_s, 0.001, 0.02)


def hat(length_s: float, brightness: float, rng: np.random.Generator) -> Waveform:
    """High noise, gone at once."""
    t = _time(length_s)
    noise = signal.lfilter(*_ABOVE_6K, rng.normal(0, 0.35, len(t)))
    return _shape(noise * np.exp(-t * (75 - 45 * brightness)), length_s, 0.001, 0.01)


def brush(length_s: float, brightness: float, rng: np.random.Generator) -> Waveform:
    """A soft sweep."""
    t = _time(length_s)
    noise = signal.lfilter(*_ABOVE_2K, rng.normal(0, 0.16, len(t)))
    return _shape(noise * np.exp(-t * (22 - 8 * brightness)), length_s, 0.015, 0.04)


_BELOW_5K = signal.butter(2, 4500, "low", fs=SAMPLE_RATE_HZ)
_ABOVE_6K = signal.butter(2, 6000, "high", fs=SAMPLE_RATE_HZ)
_ABOVE_2K = signal.butter(2, 2000, "high", fs=SAMPLE_RATE_HZ)


def _voices(
    pitch: float,
    length_s: float,
    touch: Touch,
    rng: np.random.Generator,
    levels: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    count: int,
) -> Waveform:
    """Add up voices that read one period from a table, band-limited and therefore free of aliases."""
    f_hz = frequency_hz(pitch)
    top = max(1, int((0.12 + 0.33 * touch.brightness) * SAMPLE_RATE_HZ / f_hz))
    k = np.arange(1.0, min(top, _TABLE // 4) + 1)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=complex)
    spectrum[1 : len(k) + 1] = -0.5j * levels(k) / (1 + (k / (top * (0.25 + 0.75 * touch.brightness))) ** 2)
    table = np.fft.irfft(spectrum) * _TABLE
    n = int((length_s + touch.release_s) * SAMPLE_RATE_HZ)
    sound = np.zeros(n)
    for voice in range(count):
        ratio = 1 + touch.detune * (2 * (voice + 0.5) / count - 1)
        phase = (np.arange(n) * (f_hz * ratio / SAMPLE_RATE_HZ) + rng.random()) * _TABLE
        sound += table[phase.astype(np.int64) % _TABLE]
    return _shape(sound / count**0.7, length_s, touch.attack_s, touch.release_s)


def _shape(sound: npt.NDArray[np.floating], length_s: float, attack_s: float, release_s: float) -> Waveform:
    n = min(len(sound), int((length_s + release_s) * SAMPLE_RATE_HZ))
    shaped = np.array(sound[:n], dtype=np.float32)
    rise, fall = (
        min(n // 2, max(8, int(attack_s * SAMPLE_RATE_HZ))),
        min(n // 2, max(8, int(release_s * SAMPLE_RATE_HZ))),
    )
    shaped[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    shaped[n - fall :] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2
    return shaped


def _time(length_s: float) -> npt.NDArray[np.float64]:
    return np.arange(max(16, int(length_s * SAMPLE_RATE_HZ))) / SAMPLE_RATE_HZ


def _time_like(sound: Waveform) -> Waveform:
    return np.arange(len(sound), dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)

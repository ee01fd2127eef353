"""Pitched instruments: a pitch and a length in, a waveform out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

SAMPLE_RATE_HZ = 22_050
Waveform = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
_TABLE = 2048
_NYQUIST_HZ = 0.45 * SAMPLE_RATE_HZ


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
    """A nylon or steel string."""
    return shape(_string(pitch, length_s + 0.4, touch.brightness, 3.2, rng), length_s + 0.15, 0.001, 0.25)


def bass_pluck(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A finger on a thick string."""
    return shape(_string(pitch, length_s + 0.1, 0.25 * touch.brightness, 2.2, rng) * 1.2, length_s, 0.003, 0.08)


def electric_string(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """The bare string of an electric guitar: the amplifier is in the mix. Short notes are muted by the palm."""
    muted = length_s < 0.16
    sound = _string(
        pitch, length_s + 0.05, (0.3 if muted else 0.6) + 0.3 * touch.brightness, 1.2 if muted else 7.0, rng
    )
    return shape(sound, length_s, 0.001, 0.03)


def piano(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Stretched partials, the higher the sooner gone; two strings slightly apart; the hammer's knock."""
    f_hz, exact = frequency_hz(pitch), _time(length_s + 0.3)
    t = exact.astype(np.float32)
    sound = np.zeros(len(t), dtype=np.float32)
    apart = 1 + 0.0006 * (0.4 + touch.detune * 100)
    for k in range(1, 15):
        partial = f_hz * k * np.sqrt(1 + 0.0003 * k * k)
        if partial > _NYQUIST_HZ:
            break
        level = k ** -(1.9 - 0.9 * touch.brightness) * (1 - 0.55 * (k % 7 == 0))
        soon, late = np.float32(-(1.1 + 0.45 * k) * (f_hz / 262) ** 0.4), np.float32(-(0.3 + 0.12 * k))
        fading = np.float32(0.75 * level) * np.exp(soon * t) + np.float32(0.25 * level) * np.exp(late * t)
        sound += fading * (_sine(partial * exact) + np.float32(0.6) * _sine(partial * apart * exact))
    knock = rng.normal(0, 0.25, len(t)) * np.exp(-t * 90)
    return shape(0.3 * sound + signal.lfilter(*_BELOW_1K, knock), length_s, 0.002, 0.3)


def electric_piano(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """Two-operator FM (Chowning, 1973) with a bright tine at the attack."""
    f_hz, t = frequency_hz(pitch), _time(length_s + 0.3)
    index = (0.5 + 1.8 * touch.brightness) * np.exp(-t * 3) * min(1.0, 500 / f_hz)
    body = np.sin(2 * np.pi * f_hz * t + index * np.sin(2 * np.pi * f_hz * t))
    tine_hz = f_hz * 7
    tine = 0.2 * touch.brightness * np.sin(2 * np.pi * tine_hz * t) * np.exp(-t * 18) * (tine_hz < _NYQUIST_HZ)
    tremolo = 1 + 0.15 * np.sin(2 * np.pi * 4.6 * t)
    return shape((body * np.exp(-t * 1.1) + tine) * tremolo * 0.6, length_s, 0.004, 0.25)


def bell(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """FM with a ratio that is not whole."""
    f_hz, t = frequency_hz(pitch), _time(length_s + 1.0)
    index = (0.7 + 1.6 * touch.brightness) * np.exp(-t * 2.6) * min(1.0, 600 / f_hz)
    sound = np.sin(2 * np.pi * f_hz * t + index * np.sin(2 * np.pi * f_hz * 3.53 * t)) * np.exp(-t * 2.2)
    return shape(sound * 0.4, length_s + 0.5, 0.002, 0.5)


def vibraphone(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """A metal bar and its fourth partial, the motor turning."""
    f_hz, t = frequency_hz(pitch), _time(length_s + 0.8)
    bar = np.sin(2 * np.pi * f_hz * t) * np.exp(-t * 1.6)
    top = (0.15 + 0.3 * touch.brightness) * np.sin(2 * np.pi * f_hz * 3.98 * t) * np.exp(-t * 7)
    return shape((bar + top) * (1 + 0.25 * np.sin(2 * np.pi * 5.5 * t)) * 0.5, length_s + 0.3, 0.002, 0.4)


def saw(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Five detuned sawtooth voices whose filter closes a little."""
    dark, bright = _voices(pitch, length_s, touch, rng, _sawtooth, 5, (0.35, 0.8))
    opened = np.exp(-_time_like(dark) * np.float32(3.0))
    return shape((dark + opened * (bright - dark)) * 0.5, length_s, touch.attack_s, touch.release_s)


def pad(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Slow voices that drift against each other; the filter opens and closes with the breath."""
    spread = Touch(touch.brightness * 0.6, touch.detune + 0.003, release_s=0.9)
    dark, bright = _voices(pitch, length_s, spread, rng, _sawtooth, 4, (0.2, 0.6))
    swell = 0.5 - 0.5 * np.cos(_time_like(dark) * np.float32(2 * np.pi / max(length_s, 1.0)))
    return shape((dark + swell * (bright - dark)) * 0.55, length_s, min(0.6, length_s * 0.3), 0.9)


def choir(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Voices that sing an open vowel: three formants."""
    f_hz = frequency_hz(pitch)

    formants = ((700, 130, 1.0), (1150, 160, 0.5), (2700, 300, 0.05 + 0.2 * touch.brightness))

    def vowel(k: Floats) -> Floats:
        levels = 0.25 / k
        for at_hz, width_hz, gain in formants:
            levels = levels + gain * np.exp(-(((k * f_hz - at_hz) / width_hz) ** 2))
        return np.asarray(levels / k**0.3)

    (sound,) = _voices(pitch, length_s, Touch(0.9, 0.006, release_s=0.7), rng, vowel, 4, (1.0,), vibrato=0.004)
    return shape(sound * 0.6, length_s, min(0.35, length_s * 0.3), 0.7)


def strings(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A bowed section with vibrato; short notes are bitten off."""
    bowed = Touch(0.3 + 0.5 * touch.brightness, touch.detune + 0.002, release_s=0.25)
    (sound,) = _voices(pitch, length_s, bowed, rng, lambda k: k**-1.2, 4, (0.8,), vibrato=0.003)
    return shape(sound * 0.5, length_s, min(0.14, length_s * 0.25), min(0.3, 0.1 + length_s * 0.2))


def horn(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A brass voice: the louder, the brighter, a moment after the attack."""
    blown = Touch(0.3 + 0.4 * touch.brightness, 0.0015, release_s=0.15)
    dark, bright = _voices(pitch, length_s, blown, rng, lambda k: k**-1.1, 3, (0.15, 0.6), vibrato=0.001)
    t = _time_like(dark)
    opened = np.exp(-(((t - np.float32(0.18)) / np.float32(0.2)) ** 2)) * np.float32(0.7) + np.float32(0.2)
    return shape((dark + opened * (bright - dark)) * 0.5, length_s, 0.06, 0.15)


def flute(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A nearly pure tone, late vibrato, some breath."""

    def levels(k: Floats) -> Floats:
        return np.select([k == 1, k == 2, k == 3], [1.0, 0.25 + 0.3 * touch.brightness, 0.12], 0.03 / k)

    (sound,) = _voices(pitch, length_s, Touch(1.0, 0.0, release_s=0.12), rng, levels, 1, (1.0,), vibrato=0.005)
    breath = signal.lfilter(*_ABOVE_2K, rng.normal(0, 0.02 + 0.02 * touch.brightness, len(sound)))
    return shape(sound * 0.6 + breath, length_s, 0.05, 0.12)


def reed(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A melodica."""
    plain = Touch(0.4 + 0.5 * touch.brightness, 0.001, release_s=0.06)
    (sound,) = _voices(pitch, length_s, plain, rng, lambda k: np.where(k % 2 == 1, 1.0, 0.5) / k**0.9, 2, (0.7,), 0.002)
    return shape(sound * 0.4, length_s, 0.025, 0.06)


def organ(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Drawbars: a few octaves and fifths."""
    drawn = {1: 1.0, 2: 0.8, 3: 0.5, 4: 0.35, 6: 0.3 * touch.brightness, 8: 0.4 * touch.brightness}
    still = Touch(1.0, 0.0008, release_s=0.05)

    def levels(k: Floats) -> Floats:
        return np.array([drawn.get(int(i), 0.0) for i in k])

    (sound,) = _voices(pitch, length_s, still, rng, levels, 2, (1.0,))
    return shape(sound * 0.4, length_s, 0.008, 0.05)


def square(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """One pulse voice, its width a half, a quarter or an eighth: the sound of a chip."""
    width = (0.5, 0.25, 0.125)[min(2, int(touch.brightness * 3))]
    plain = Touch(1.0, 0.0, release_s=0.02)
    (sound,) = _voices(pitch, length_s, plain, rng, lambda k: np.sin(np.pi * k * width) / k, 1, (1.0,), vibrato=0.003)
    return shape(sound * 0.45, length_s, 0.002, 0.02)


def triangle(pitch: float, length_s: float, _touch: Touch, rng: np.random.Generator) -> Waveform:
    """The bass of a chip."""
    plain = Touch(0.6, 0.0, release_s=0.02)
    (sound,) = _voices(pitch, length_s, plain, rng, lambda k: np.where(k % 2 == 1, 1 / k**1.7, 0.0), 1, (1.0,))
    return shape(sound * 0.8, length_s, 0.002, 0.02)


def sub(pitch: float, length_s: float, touch: Touch, _rng: np.random.Generator) -> Waveform:
    """A sine with a little grit: a bass that is felt."""
    t = _time(length_s + 0.06)
    sound = np.tanh((1.0 + 1.5 * touch.brightness) * np.sin(2 * np.pi * frequency_hz(pitch) * t))
    return shape(sound * 0.7, length_s, 0.008, 0.06)


def bass_saw(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """A sawtooth whose filter closes."""
    plain = Touch(0.4 + 0.5 * touch.brightness, 0.0015, release_s=0.04)
    dark, bright = _voices(pitch, length_s, plain, rng, _sawtooth, 2, (0.06, 0.5))
    opened = np.exp(-_time_like(dark) * np.float32(9.0))
    return shape((dark + opened * (bright - dark)) * 0.8, length_s, 0.003, 0.04)


def reese(pitch: float, length_s: float, touch: Touch, rng: np.random.Generator) -> Waveform:
    """Sawtooth voices that beat against each other, dark: the bass of drum and bass."""
    wide = Touch(0.25 + 0.3 * touch.brightness, 0.012 + touch.detune, release_s=0.05)
    (growl,) = _voices(pitch + 12, length_s, wide, rng, _sawtooth, 3, (0.15,))
    low = np.sin(2 * np.pi * frequency_hz(pitch) * _time_like(growl))
    return shape(0.5 * growl + 0.7 * low, length_s, 0.006, 0.05)


def shape(sound: npt.NDArray[np.floating], length_s: float, attack_s: float, release_s: float) -> Waveform:
    """Let a sound rise and, from `length_s`, fall, without a click at either end."""
    n = min(len(sound), int((length_s + release_s) * SAMPLE_RATE_HZ))
    shaped = np.array(sound[:n], dtype=np.float32)
    rise = min(n // 2, max(8, int(attack_s * SAMPLE_RATE_HZ)))
    fall = min(n // 2, max(8, int(release_s * SAMPLE_RATE_HZ)))
    shaped[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    shaped[n - fall :] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2
    return shaped


_BELOW_1K = signal.butter(1, 1000, "low", fs=SAMPLE_RATE_HZ)
_ABOVE_2K = signal.butter(1, 2000, "high", fs=SAMPLE_RATE_HZ)


def _string(pitch: float, length_s: float, brightness: float, ring_s: float, rng: np.random.Generator) -> Floats:
    """Karplus & Strong's string (1983), tuned by an all-pass as Jaffe & Smith do (Computer Music Journal, 1983).

    The loop is a delay, a two-point low-pass whose second weight sets the damping and an all-pass for the part of
    the period that is no whole sample. `ring_s` is the time to -60 dB of the fundamental at 220 Hz.
    """
    f_hz = frequency_hz(pitch)
    period = SAMPLE_RATE_HZ / f_hz
    damping = 0.5 - 0.35 * brightness
    whole = int(period - damping - 0.3)
    rest = period - damping - whole
    c = (1 - rest) / (1 + rest)
    gain = 0.001 ** (1 / (f_hz * ring_s * (220 / f_hz) ** 0.5))
    loop = np.zeros(whole + 3)
    loop[0], loop[1] = 1, c
    loop[whole:] -= gain * np.convolve([1 - damping, damping], [c, 1])
    burst = np.zeros(int(length_s * SAMPLE_RATE_HZ))
    picked = signal.lfilter([0.25 + 0.75 * brightness], [1, -0.75 + 0.75 * brightness], rng.uniform(-1, 1, whole))
    burst[:whole] += picked
    place = max(1, int(0.18 * whole))
    burst[place : place + whole] -= 0.8 * picked
    return np.asarray(signal.lfilter([1, c], loop, burst))


def _sawtooth(k: Floats) -> Floats:
    return 1.0 / k


def _voices(
    pitch: float,
    length_s: float,
    touch: Touch,
    rng: np.random.Generator,
    levels: Callable[[Floats], Floats],
    count: int,
    cutoffs: tuple[float, ...],
    vibrato: float = 0.0,
) -> list[Waveform]:
    """Add up voices that read one period from a table, band-limited and therefore free of aliases.

    One sound comes back for each of `cutoffs` (a share of the band), in the same phases: mixing them in time is a
    filter that moves.
    """
    f_hz = frequency_hz(pitch)
    top = max(1, int((0.12 + 0.33 * touch.brightness) * SAMPLE_RATE_HZ / f_hz))
    k = np.arange(1.0, min(top, _TABLE // 4) + 1)
    tables = []
    for cutoff in cutoffs:
        spectrum = np.zeros(_TABLE // 2 + 1, dtype=complex)
        corner = max(2.0, top * cutoff * (0.25 + 0.75 * touch.brightness))
        spectrum[1 : len(k) + 1] = -0.5j * levels(k) / (1 + (k / corner) ** 2)
        tables.append((np.fft.irfft(spectrum) * _TABLE).astype(np.float32))
    t = np.arange(int((length_s + touch.release_s) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    bend = vibrato * np.clip(t * 2.5 - 0.4, 0, 1) * np.sin(2 * np.pi * 5.4 * t) / (2 * np.pi * 5.4) if vibrato else 0.0
    sounds = [np.zeros(len(t), dtype=np.float32) for _ in tables]
    for voice in range(count):
        ratio = 1 + touch.detune * (2 * (voice + 0.5) / count - 1)
        phase = ((t * ratio + bend) * f_hz + rng.random() + 1) * _TABLE
        index = phase.astype(np.int64) & (_TABLE - 1)
        for sound, table in zip(sounds, tables, strict=True):
            sound += table[index]
    return [sound / np.float32(count**0.7) for sound in sounds]


def _sine(cycles: Floats) -> Waveform:
    """Sines of whole turns: turns are taken off in double precision, the rest is fast in single."""
    return np.sin(((cycles - np.floor(cycles)) * (2 * np.pi)).astype(np.float32))


def _time(length_s: float) -> Floats:
    return np.arange(max(16, int(length_s * SAMPLE_RATE_HZ))) / SAMPLE_RATE_HZ


def _time_like(sound: Waveform) -> Waveform:
    return np.arange(len(sound), dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)

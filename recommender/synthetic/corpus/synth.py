"""Synthesizers: play the notes of a patch that no soundfont has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import signal

from recommender.synthetic.corpus.patches import Patch
from recommender.synthetic.corpus.soundfont import Played
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform, frequency_hz

_BITS = 11
_TABLE = 1 << _BITS
_CYCLE = float(1 << 32)
_TAKES = 3
_NYQUIST_HZ = 0.46 * SAMPLE_RATE_HZ
Phase = npt.NDArray[np.uint32]


class Player:
    """Plays one patch; notes of one pitch and nearly one length share their sound.

    Parameters
    ----------
    patch : Patch
        Of another engine than ``font``.
    rng : Generator
        For phases, breath and syllables.
    tuning : float
        Semitones.
    """

    def __init__(self, patch: Patch, rng: np.random.Generator, tuning: float = 0.0) -> None:
        self._patch, self._rng, self._tuning = patch, rng, tuning
        self._sounds: dict[tuple[float, int, int], Waveform] = {}

    def play(self, notes: Sequence[Played], n: int) -> Waveform:
        """Return the notes' sum, shape (n,), float32; what rings longer is cut off."""
        part = np.zeros(n, dtype=np.float32)
        takes = _TAKES if self._patch.engine == "voice" else 1
        for index, note in enumerate(notes):
            start = int(note.at_s * SAMPLE_RATE_HZ)
            length_s = min(note.length_s, n / SAMPLE_RATE_HZ)
            key = (note.pitch, round(length_s * 40), index % takes)
            if key not in self._sounds:
                self._sounds[key] = self._sound(note.pitch, max(0.03, length_s))
            sound = self._sounds[key][max(0, -start) : n - start]
            start = max(0, start)
            if len(sound):
                part[start : start + len(sound)] += np.float32(note.level**1.5) * sound
        return part

    def _sound(self, pitch: float, length_s: float) -> Waveform:
        patch, rng, f_hz = self._patch, self._rng, frequency_hz(pitch + self._tuning)
        n = int((length_s + patch.release_s) * SAMPLE_RATE_HZ)
        t = np.arange(n, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
        if patch.engine == "fm":
            sound = _fm(patch, f_hz, t, rng)
        elif patch.engine == "voice":
            sound = _sing(patch, f_hz, t, rng)
        else:
            dark, bright = (_table(patch, f_hz, corner) for corner in (patch.dark, patch.bright))
            phases = _phases(patch, f_hz, t, rng)
            opened = np.exp(-t / np.float32(patch.sweep_s))
            low = _read(dark, phases)
            sound = low if patch.dark == patch.bright else low + opened * (_read(bright, phases) - low)
        if patch.noise:
            sound = sound + np.float32(patch.noise) * _breath(f_hz, n, rng)
        return sound * _envelope(patch, t, length_s)


def _envelope(patch: Patch, t: Waveform, length_s: float) -> Waveform:
    level = patch.sustain + (1 - patch.sustain) * np.exp(-t / np.float32(max(patch.decay_s, 0.01)))
    rise = min(patch.attack_s, 0.5 * length_s)
    level *= np.clip(t / np.float32(max(rise, 0.001)), 0, 1)
    level *= np.clip((length_s + patch.release_s - t) / np.float32(max(patch.release_s, 0.005)), 0, 1) ** 2
    return np.asarray(level, dtype=np.float32)


def _phases(patch: Patch, f_hz: float, t: Waveform, rng: np.random.Generator) -> list[Phase]:
    """The phase of each voice in turns of 2**32, so that whole turns fall away by themselves."""
    ramp = np.arange(len(t), dtype=np.uint32)
    bend = np.zeros(0)
    if patch.vibrato:
        late = np.clip(t * 3 - 0.3, 0, 1)
        turn = 2 * np.pi * patch.vibrato_hz
        bend = late * np.sin(np.float32(turn) * t) * np.float32(patch.vibrato * f_hz / turn)
        if patch.engine == "voice":
            bend = bend - np.float32(0.02 * f_hz * 0.04) * (1 - np.exp(-t / np.float32(0.04)))
    phases = []
    for voice in range(patch.voices):
        ratio = 1 + patch.detune * (2 * (voice + 0.5) / patch.voices - 1)
        phase = ramp * np.uint32(f_hz * ratio / SAMPLE_RATE_HZ * _CYCLE) + np.uint32(rng.integers(1 << 32))
        if len(bend):
            phase = phase + (bend * _CYCLE).astype(np.int64).astype(np.uint32)
        phases.append(phase)
    return phases


def _read(table: Waveform, phases: list[Phase]) -> Waveform:
    total = table[phases[0] >> np.uint32(32 - _BITS)]
    for phase in phases[1:]:
        total = total + table[phase >> np.uint32(32 - _BITS)]
    return np.asarray(total / np.float32(len(phases) ** 0.6), dtype=np.float32)


def _table(patch: Patch, f_hz: float, corner: float) -> Waveform:
    """One period of the partials below half the sample rate, filtered at `corner` times the fundamental."""
    levels = np.array(patch.harmonics)[: max(1, int(_NYQUIST_HZ / f_hz))]
    k = np.arange(1.0, len(levels) + 1)
    return _period(levels / (1 + (k / corner) ** 3))


def _period(levels: npt.NDArray[np.float64]) -> Waveform:
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=complex)
    spectrum[1 : len(levels) + 1] = -0.5j * levels
    wave = np.fft.irfft(spectrum) * _TABLE
    return np.asarray(0.3 * wave / (np.sqrt(np.mean(wave**2)) or 1.0), dtype=np.float32)


def _fm(patch: Patch, f_hz: float, t: Waveform, rng: np.random.Generator) -> Waveform:
    """Two operators (Chowning, 1973); the higher the note, the fewer side bands."""
    seconds = np.arange(len(t)) / SAMPLE_RATE_HZ
    depth = np.float32(min(patch.index, 0.4 * SAMPLE_RATE_HZ / (f_hz * (1 + patch.ratio))))
    index = depth * (0.25 + 0.75 * np.exp(-t / np.float32(patch.sweep_s)))
    modulator = np.sin(_turns(seconds * f_hz * patch.ratio * (1 + patch.detune)))
    wave = np.sin(_turns(seconds * f_hz + rng.random()) + index * modulator)
    return np.asarray(0.42 * wave, dtype=np.float32)


def _turns(cycles: npt.NDArray[np.float64]) -> Waveform:
    return ((cycles - np.floor(cycles)) * (2 * np.pi)).astype(np.float32)


def _sing(patch: Patch, f_hz: float, t: Waveform, rng: np.random.Generator) -> Waveform:
    """A syllable: perhaps a consonant, then one vowel that moves to another."""
    first, then = (patch.formants[int(i)] for i in rng.integers(len(patch.formants), size=2))
    phases = _phases(patch, f_hz, t, rng)
    start, end = (_read(_vowel(patch, f_hz, formants), phases) for formants in (first, then))
    when = np.float32(rng.uniform(0.05, 0.4))
    sound = start + np.clip((t - when) / np.float32(0.15), 0, 1) * (end - start)
    if rng.random() < 0.5:
        hiss = _breath(float(rng.uniform(400, 2500)), min(len(t), int(rng.uniform(0.03, 0.1) * SAMPLE_RATE_HZ)), rng)
        sound[: len(hiss)] = 0.3 * sound[: len(hiss)] + np.float32(rng.uniform(0.1, 0.7)) * hiss
    return np.asarray(sound, dtype=np.float32)


def _vowel(patch: Patch, f_hz: float, formants: tuple[float, float, float]) -> Waveform:
    levels = np.array(patch.harmonics)[: max(1, int(_NYQUIST_HZ / f_hz))]
    hz = f_hz * np.arange(1.0, len(levels) + 1)
    gain = np.full(len(levels), 0.02)
    for formant, width, peak in zip(formants, (90.0, 110.0, 170.0), (1.0, 0.6, 0.35), strict=True):
        gain += peak / (1 + ((hz - formant) / width) ** 2)
    return _period(levels * gain)


def _breath(f_hz: float, n: int, rng: np.random.Generator) -> Waveform:
    noise = rng.normal(0, 0.4, n).astype(np.float32)
    centre = float(np.clip(2 * f_hz, 200, 0.35 * SAMPLE_RATE_HZ))
    b, a = signal.butter(1, (0.6 * centre, min(1.5 * centre, _NYQUIST_HZ)), "band", fs=SAMPLE_RATE_HZ)
    return np.asarray(signal.lfilter(b, a, noise), dtype=np.float32)

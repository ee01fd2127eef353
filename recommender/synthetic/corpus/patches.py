"""Timbres: programs of a soundfont and synthesizer patches drawn at random, each of a family of instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAMILIES = (
    "piano", "guitar", "distorted guitar", "bass", "strings", "brass", "woodwind",
    "organ", "synth lead", "pad", "chip", "mallet", "drums", "voice",
)  # fmt: skip
"""What the truth names: a track has some of these."""

PROGRAMS: dict[str, tuple[tuple[int, int], ...]] = {
    "piano": (*((0, p) for p in (0, 0, 0, 1, 1, 2, 3)),),
    "electric piano": (*((0, p) for p in (4, 4, 5, 5, 7)), (8, 4), (8, 5)),
    "harpsichord": ((0, 6), (8, 6)),
    "guitar": (*((0, p) for p in (24, 24, 25, 25, 26, 27, 27, 28)), (8, 25), (8, 24), (16, 25), (8, 28)),
    "world plucked": (*((0, p) for p in (46, 46, 104, 105, 106, 107, 15)), (8, 107), (8, 24), (16, 25)),
    "distorted guitar": ((0, 29), (0, 30), (0, 27), (0, 26), (0, 28), (0, 29)),
    "bass": (*((0, p) for p in (32, 33, 33, 34, 34, 35, 36, 37)),),
    "synth bass": ((0, 38), (0, 39), (8, 38), (8, 39)),
    "strings": (*((0, p) for p in (40, 41, 42, 44, 45, 48, 48, 49, 49, 50, 110)), (8, 48), (8, 50)),
    "low strings": ((0, 42), (0, 43), (0, 48), (0, 45)),
    "brass": (*((0, p) for p in (56, 57, 58, 59, 60, 60, 61, 61, 62, 63)), (8, 61), (8, 62), (8, 63)),
    "woodwind": (*((0, p) for p in (64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 73, 74, 75, 77, 79, 22, 109, 111)),),
    "organ": (*((0, p) for p in (16, 17, 18, 18, 19, 20, 21, 23)), (8, 16), (8, 17), (8, 19), (8, 21)),
    "church organ": ((0, 19), (0, 20), (8, 19)),
    "synth lead": (*((0, p) for p in (80, 81, 82, 83, 84, 85, 86, 87)),),
    "pad": (*((0, p) for p in (88, 89, 90, 91, 92, 93, 94, 95, 97, 99, 100, 101, 102, 103)),),
    "texture": (*((0, p) for p in (96, 97, 99, 101, 103, 119, 120, 121, 122, 122, 123, 124, 126, 127)),),
    "chip": ((0, 80), (8, 80)),
    "mallet": (*((0, p) for p in (8, 9, 10, 11, 11, 12, 13, 14, 98, 108, 112, 114)), (8, 14)),
    "voice": ((0, 52), (0, 52), (0, 53), (0, 54), (0, 91)),
}
"""(bank, program) of General MIDI, by group; a group that is repeated is drawn more often."""

FAMILY_OF = {
    "electric piano": "piano", "harpsichord": "piano", "world plucked": "guitar", "synth bass": "bass",
    "low strings": "strings", "church organ": "organ", "texture": "pad",
}  # fmt: skip
SYNTHESIZED = {
    "synth bass": 0.85, "synth lead": 0.85, "pad": 0.65, "chip": 0.95, "voice": 0.6, "organ": 0.2, "strings": 0.08,
    "electric piano": 0.3, "mallet": 0.3, "brass": 0.06, "bass": 0.05,
}  # fmt: skip
"""Share of a group's patches that a synthesizer plays."""

VOWELS = (
    (730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240), (660, 1720, 2410),
    (490, 1350, 1690),
)  # fmt: skip
"""Formants of spoken vowels in Hz (Peterson and Barney, 1952)."""


@dataclass(frozen=True)
class Patch:
    """One timbre.

    Parameters
    ----------
    family : str
        Of `FAMILIES`.
    engine : str
        ``font``, or a synthesizer: ``table`` (a spectrum of harmonics through a filter), ``fm`` or ``voice``.
    bank, program : int
        Of the soundfont.
    harmonics : tuple of float
        Levels of the ``table``'s partials.
    voices, detune : int, float
        How many, and their spread as a share of the frequency.
    dark, bright : float
        The filter's corner in multiples of the fundamental, at rest and at the attack.
    sweep_s : float
        How long the filter stays open.
    attack_s, decay_s, sustain, release_s : float
        Envelope; `decay_s` to fall to the level `sustain`.
    vibrato, vibrato_hz : float
        Depth as a share of the frequency.
    ratio, index : float
        Of ``fm``: the modulator's frequency and depth.
    noise : float
        Level of breath.
    formants : tuple of (float, float, float)
        Vowels of a ``voice``, in Hz.
    """

    family: str
    engine: str = "font"
    bank: int = 0
    program: int = 0
    harmonics: tuple[float, ...] = ()
    voices: int = 1
    detune: float = 0.0
    dark: float = 8.0
    bright: float = 8.0
    sweep_s: float = 0.3
    attack_s: float = 0.005
    decay_s: float = 1.0
    sustain: float = 1.0
    release_s: float = 0.1
    vibrato: float = 0.0
    vibrato_hz: float = 5.5
    ratio: float = 1.0
    index: float = 1.0
    noise: float = 0.0
    formants: tuple[tuple[float, float, float], ...] = ()


def draw_patch(group: str, rng: np.random.Generator) -> Patch:
    """Draw a timbre of a group of `PROGRAMS`."""
    family = FAMILY_OF.get(group, group)
    if rng.random() >= SYNTHESIZED.get(group, 0.0):
        bank, program = PROGRAMS[group][int(rng.integers(len(PROGRAMS[group])))]
        return Patch(family, "font", bank, program)
    if group == "voice":
        return _singer(rng)
    if group in ("electric piano", "mallet") or (group in ("synth bass", "synth lead", "pad") and rng.random() < 0.22):
        return _fm(family, group, rng)
    return _table(family, group, rng)


def _singer(rng: np.random.Generator) -> Patch:
    size = float(rng.uniform(0.9, 1.25))
    chosen = rng.choice(len(VOWELS), int(rng.integers(2, 6)), replace=False)
    crowd = rng.random() < 0.35
    return Patch(
        "voice",
        "voice",
        harmonics=tuple(float(k ** -rng.uniform(0.6, 1.4)) for k in range(1, 49)),
        voices=int(rng.integers(3, 6)) if crowd else 1,
        detune=float(rng.uniform(0.004, 0.012)) if crowd else 0.001,
        attack_s=float(rng.uniform(0.02, 0.3 if crowd else 0.08)),
        release_s=float(rng.uniform(0.05, 0.4)),
        vibrato=float(rng.uniform(0, 0.012)),
        vibrato_hz=float(rng.uniform(4.5, 6.5)),
        noise=float(rng.uniform(0.0, 0.25)),
        formants=tuple((a * size, b * size, c * size) for a, b, c in (VOWELS[int(i)] for i in chosen)),
    )


def _fm(family: str, group: str, rng: np.random.Generator) -> Patch:
    struck = group in ("electric piano", "mallet") or rng.random() < 0.3
    whole = rng.random() < (0.5 if group == "mallet" else 0.85)
    return Patch(
        family,
        "fm",
        ratio=float(rng.choice([0.5, 1, 1, 2, 3, 4, 5, 7, 14])) if whole else float(rng.uniform(1.2, 6)),
        index=float(rng.uniform(0.3, 5)),
        detune=float(rng.uniform(0, 0.006)),
        sweep_s=float(np.exp(rng.uniform(np.log(0.05), np.log(1.5)))),
        attack_s=float(rng.uniform(0.002, 0.01)) if struck else _attack(group, rng),
        decay_s=float(rng.uniform(0.3, 2.5)),
        sustain=0.0 if struck else float(rng.uniform(0.4, 1)),
        release_s=float(rng.uniform(0.05, 0.8)) if group != "pad" else float(rng.uniform(0.4, 1.5)),
        vibrato=float(rng.uniform(0, 0.006)) if rng.random() < 0.3 else 0.0,
    )


def _table(family: str, group: str, rng: np.random.Generator) -> Patch:
    plain = group == "chip"
    bright = float(np.exp(rng.uniform(np.log(3), np.log(60))))
    struck = group in ("synth bass", "synth lead", "chip", "bass") and rng.random() < 0.45
    return Patch(
        family,
        "table",
        harmonics=_spectrum(group, rng),
        voices=1 if plain or rng.random() < 0.3 else int(rng.integers(2, 6)),
        detune=0.0 if plain else float(np.exp(rng.uniform(np.log(0.0008), np.log(0.014)))),
        dark=40.0 if plain else bright * float(rng.uniform(0.1, 1)),
        bright=40.0 if plain else bright,
        sweep_s=float(np.exp(rng.uniform(np.log(0.04), np.log(2.5)))),
        attack_s=0.002 if plain else _attack(group, rng),
        decay_s=float(np.exp(rng.uniform(np.log(0.08), np.log(1.5)))),
        sustain=float(rng.uniform(0, 0.4)) if struck else float(rng.uniform(0.5, 1)),
        release_s=float(rng.uniform(0.4, 2)) if group == "pad" else float(rng.uniform(0.02, 0.35)),
        vibrato=float(rng.uniform(0, 0.008)) if rng.random() < 0.4 else 0.0,
        vibrato_hz=float(rng.uniform(3, 7.5)),
        noise=float(rng.uniform(0, 0.3)) if group == "pad" and rng.random() < 0.4 else 0.0,
    )


def _attack(group: str, rng: np.random.Generator) -> float:
    if group in ("pad", "strings"):
        return float(rng.uniform(0.05, 1.2))
    return float(np.exp(rng.uniform(np.log(0.002), np.log(0.03))))


def _spectrum(group: str, rng: np.random.Generator) -> tuple[float, ...]:
    """Levels of up to 64 partials: classic waves, drawbars, or any at all."""
    k = np.arange(1.0, 65.0)
    wave = "drawbars" if group == "organ" else str(rng.choice(["saw", "pulse", "triangle", "sine", "any"]))
    if group == "chip":
        wave = str(rng.choice(["pulse", "pulse", "pulse", "triangle", "saw"]))
    if wave == "saw":
        levels = 1 / k
    elif wave == "pulse":
        levels = np.sin(np.pi * k * rng.choice([0.5, 0.5, 0.25, 0.125, rng.uniform(0.1, 0.5)])) / k
    elif wave == "triangle":
        levels = np.where(k % 2 == 1, k**-1.8, 0.0)
    elif wave == "sine":
        levels = np.where(k == 1, 1.0, rng.uniform(0, 0.15) / k)
    elif wave == "drawbars":
        levels = np.zeros(64)
        levels[[0, 1, 2, 3, 5, 7]] = rng.uniform(0, 1, 6) * (1, 1, 0.7, 0.7, 0.5, 0.5)
        levels[0] += 0.2
    else:
        levels = rng.exponential(1, 64) / k ** rng.uniform(0.7, 1.8)
    return tuple(float(level) for level in levels)

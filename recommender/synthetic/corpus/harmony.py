"""Scales, chords and how they follow each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "hijaz": (0, 1, 4, 5, 7, 8, 10),
    "hungarian": (0, 2, 3, 6, 7, 8, 11),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "in sen": (0, 1, 5, 7, 10),
    "whole tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}
VOICINGS = {
    "power": (0, 4), "octave": (0,), "triad": (0, 2, 4), "suspended": (0, 3, 4), "seventh": (0, 2, 4, 6),
    "ninth": (0, 2, 4, 6, 8), "quartal": (0, 3, 6), "cluster": (0, 1, 2, 4), "sixth": (0, 2, 4, 5),
}  # fmt: skip
"""Scale steps above a chord's root."""

VOCABULARIES = ("drone", "pair", "loop", "jazz", "blues", "wander", "chromatic", "pedal")
_LOOPS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 0), (0, 5, 2, 6), (0, 6, 5, 6), (0, 3, 5, 4), (0, 2, 3, 4),
    (0, 6, 3, 0), (0, 3, 6, 2), (0, 0, 3, 3), (3, 4, 2, 5), (0, 4, 3, 3), (0, 1, 3, 0), (0, 0, 5, 6), (0, 6, 0, 4),
)  # fmt: skip
_JAZZ = ((1, 4, 0, 0), (1, 4, 0, 5), (0, 5, 1, 4), (2, 5, 1, 4), (3, 6, 2, 5), (0, 3, 2, 5, 1, 4, 0, 0))
_BLUES = (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4)


@dataclass(frozen=True)
class Chord:
    """A chord, in semitones above the tonic.

    Parameters
    ----------
    root, bass : int
        The bass differs from the root over a pedal.
    tones : tuple of int
        Pitch classes relative to the tonic, root first.
    """

    root: int
    bass: int
    tones: tuple[int, ...]


def draw_progression(vocabulary: str, scale: str, voicing: str, rng: np.random.Generator) -> tuple[Chord, ...]:
    """Draw the chords of a section.

    Parameters
    ----------
    vocabulary : str
        Of `VOCABULARIES`.
    scale, voicing : str
        Of `SCALES` and `VOICINGS`.
    rng : Generator
    """
    if vocabulary == "chromatic":
        roots = np.cumsum([0, *rng.choice([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6], int(rng.integers(2, 6)))]) % 12
        thirds = rng.choice([3, 3, 4, 4, 5], len(roots))
        return tuple(
            Chord(int(root), int(root), (int(root), int(root + third) % 12, int(root + 7) % 12))
            for root, third in zip(roots, thirds, strict=True)
        )
    degrees = _degrees(vocabulary, rng)
    chords = tuple(chord(scale, degree, voicing) for degree in degrees)
    if vocabulary == "pedal":
        return tuple(Chord(each.root, 0, each.tones) for each in chords)
    return chords


def chord(scale: str, degree: int, voicing: str) -> Chord:
    """Return the chord on a degree (from 0) of a scale.

    Examples
    --------
    >>> chord("major", 4, "triad").tones
    (7, 11, 2)
    >>> chord("minor pentatonic", 0, "power").tones
    (0, 7)
    """
    steps = SCALES[scale]
    root = steps[degree % len(steps)]
    if voicing == "power":
        return Chord(root, root, (root, (root + 7) % 12))
    seven = steps if len(steps) == 7 else SCALES["minor" if minor(scale) else "major"]
    at = min(range(len(seven)), key=lambda i: abs(seven[i] - root))
    tones = tuple(dict.fromkeys((seven[(at + step) % 7] - seven[at] + root) % 12 for step in VOICINGS[voicing]))
    return Chord(root, root, tones)


def minor(scale: str) -> bool:
    """Tell whether a scale's third is minor."""
    return 3 in SCALES[scale] and (4 not in SCALES[scale])


def voiced(chord: Chord, key: int, centre: int, wide: bool) -> tuple[int, ...]:
    """Place a chord's tones around a pitch, lowest first; `wide` spreads them over two octaves."""
    low = centre - 6
    pitches = sorted(low + (key + tone - low) % 12 for tone in chord.tones)
    if wide:
        pitches = sorted(pitch + 12 * (place % 2) for place, pitch in enumerate(pitches))
    return tuple(pitches)


def _degrees(vocabulary: str, rng: np.random.Generator) -> tuple[int, ...]:
    if vocabulary == "drone":
        return (0,)
    if vocabulary == "pair":
        return (0, int(rng.choice([1, 3, 4, 5, 6])))
    if vocabulary == "jazz":
        return _JAZZ[int(rng.integers(len(_JAZZ)))]
    if vocabulary == "blues":
        return _BLUES
    if vocabulary in ("wander", "pedal"):
        return tuple(int(d) for d in np.cumsum([0, *rng.choice([-3, -2, -1, 1, 2, 3, 4], 7)]) % 7)
    return _LOOPS[int(rng.integers(len(_LOOPS)))]

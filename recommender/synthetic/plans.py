"""What decides how a track sounds: an artist's signature, and the plan of one track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recommender.synthetic.instruments import Touch
from recommender.synthetic.styles import Style

ENDING_S = 2.2
"""How long the last chord rings."""


@dataclass(frozen=True)
class Signature:
    """What an artist's tracks of one style have in common.

    Parameters
    ----------
    chords, bass, lead, layer, groove, form : int
        Which of the style's instruments, grooves and forms; taken modulo their number.
    touch : Touch
    tempo : float in [0, 1]
        Where in the style's range.
    keys : tuple of int
        Favourite pitch classes.
    mode : int
        Which of the style's modes.
    register : int
        Semitones that melodies lie above the style's.
    busy : float
        Factor on the melody's density.
    room, echo, swing : float
        Added to the style's.
    drums : float
        Level of the drums.
    leap : float in [0, 1]
        How far melodies jump.
    """

    chords: int
    bass: int
    lead: int
    layer: int
    groove: int
    form: int
    touch: Touch
    tempo: float
    keys: tuple[int, ...]
    mode: int
    register: int
    busy: float
    room: float
    echo: float
    swing: float
    drums: float
    leap: float


@dataclass(frozen=True)
class TrackPlan:
    """Everything that decides how a track sounds.

    Parameters
    ----------
    style : Style
    signature : Signature
        With the deviations of this track.
    tempo_bpm : float
    key : int
        Pitch class of the tonic.
    mode : str
    progression : tuple of int
    bars : int
        Before the last chord.
    tilt_db : float
        The album's mastering: treble against bass.
    level_db : float
        The album's loudness in LUFS.
    seed : int
    """

    style: Style
    signature: Signature
    tempo_bpm: float
    key: int
    mode: str
    progression: tuple[int, ...]
    bars: int
    tilt_db: float
    level_db: float
    seed: int

    @property
    def bar_s(self) -> float:
        """Four beats."""
        return 240 / self.tempo_bpm

    @property
    def length_s(self) -> float:
        """All bars and the last chord."""
        return self.bars * self.bar_s + ENDING_S

    @property
    def density(self) -> float:
        """Notes of the melody a second."""
        return self.style.lead_density * self.signature.busy * self.tempo_bpm / 60

    @property
    def room(self) -> float:
        """Size and amount of reverb, from 0 to 1."""
        return float(np.clip(self.style.room + self.signature.room, 0, 1)) if self.style.room else 0.0

    @property
    def drums(self) -> float:
        """Level of the drums."""
        return self.style.levels[4] * self.signature.drums


def draw_signature(style: Style, rng: np.random.Generator) -> Signature:
    """Draw an artist's signature in a style."""
    chords, bass, lead, layer, groove, form, mode = (int(n) for n in rng.integers(60, size=7))
    return Signature(
        chords,
        bass,
        lead,
        layer,
        groove,
        form,
        touch=Touch(float(rng.beta(2, 2)), float(rng.uniform(0.001, 0.006)), float(rng.uniform(0.004, 0.03))),
        tempo=float(rng.uniform()),
        keys=tuple(int(k) for k in rng.choice(12, 3, replace=False)),
        mode=mode % len(style.modes),
        register=int(rng.integers(-4, 5)),
        busy=float(rng.uniform(0.6, 1.5)),
        room=float(rng.uniform(-0.12, 0.15)),
        echo=float(rng.uniform(-0.1, 0.15)),
        swing=float(rng.uniform(-0.015, 0.02)),
        drums=float(rng.uniform(0.75, 1.2)),
        leap=float(rng.uniform(0.05, 0.5)),
    )


def plan_track(
    style: Style, signature: Signature, longest_s: float, tilt_db: float, level_db: float, rng: np.random.Generator
) -> TrackPlan:
    """Draw one track of an artist: mostly as they do, now and then with another groove, instrument or mode."""
    low, high = style.tempo_bpm
    share = np.clip(signature.tempo + rng.normal(0, 0.12), 0, 1)
    tempo_bpm = round(float(low + share * (high - low)), 1)
    mode = style.modes[_mostly(signature.mode, len(style.modes), 0.8, rng)]
    return TrackPlan(
        style,
        _vary(signature, rng),
        tempo_bpm=tempo_bpm,
        key=int(rng.choice(signature.keys)),
        mode=mode,
        progression=_any_of(style.harmony[mode], rng),
        bars=max(1, int((longest_s - ENDING_S) * tempo_bpm / 240)),
        tilt_db=tilt_db,
        level_db=level_db,
        seed=int(rng.integers(2**31)),
    )


def _vary(usual: Signature, rng: np.random.Generator) -> Signature:
    touch = usual.touch
    return Signature(
        usual.chords,
        usual.bass,
        _mostly(usual.lead, 60, 0.75, rng),
        _mostly(usual.layer, 60, 0.75, rng),
        _mostly(usual.groove, 60, 0.65, rng),
        int(rng.integers(60)),
        touch=Touch(float(np.clip(touch.brightness + rng.normal(0, 0.1), 0, 1)), touch.detune, touch.attack_s),
        tempo=usual.tempo,
        keys=usual.keys,
        mode=usual.mode,
        register=usual.register + int(rng.integers(-2, 3)),
        busy=usual.busy * float(rng.uniform(0.8, 1.2)),
        room=usual.room + float(rng.normal(0, 0.03)),
        echo=usual.echo,
        swing=usual.swing,
        drums=usual.drums * float(rng.uniform(0.9, 1.1)),
        leap=usual.leap,
    )


def _mostly(usual: int, count: int, share: float, rng: np.random.Generator) -> int:
    other = int(rng.integers(count))
    return usual if rng.random() < share else other


def _any_of(choices: Sequence[tuple[int, ...]], rng: np.random.Generator) -> tuple[int, ...]:
    return choices[int(rng.integers(len(choices)))]

"""Beats and rhythmic figures on a grid of a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BEATS: dict[str, dict[str, str]] = {
    "four": {"kick": "x...x...x...x...", "snare": "....x.......x...", "hat": "..x...x...x...x.",
        "open": "..?...x...?...x."},
    "rock": {"kick": "x.....?.x.x...?.", "snare": "....x.......x..?", "hat": "x.x.x.x.x.x.x.x."},
    "driving": {"kick": "x.x...x.x.x...x.", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.x.",
        "ride": "x...x...x...x..."},
    "half": {"kick": "x.....?...x...?.", "snare": "........x.......", "hat": "x.x.x.x.x.x.x.x."},
    "breaks": {"kick": "x.x.......x..?..", "snare": "....x..o.o..x..?", "hat": "x.x.x.x.x.x.x.x."},
    "dnb": {"kick": "x.........x.....", "snare": "....x..o....x.o.", "hat": "xoxoxoxoxoxoxoxo"},
    "trap": {"kick": "x.....x...?..x..", "snare": "........x.......", "hat": "xoxoxxxoxoxoxxxx",
        "open": "..........?....."},
    "hiphop": {"kick": "x......xx.?.....", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.xo"},
    "swing": {"kick": "o...o...o...o...", "snare": "...?......?...?.", "ride": "x...x..xx...x..x",
        "hat": "....x.......x..."},
    "bossa": {"kick": "x.....x.x.....x.", "perc": "x..x..x...x..x..", "shaker": "xoxoxoxoxoxoxoxo"},
    "reggae": {"kick": "........x.......", "snare": "........x.......", "hat": "x.o.x.o.x.o.x.o.",
        "perc": "......?......?.."},
    "funk": {"kick": "x..x......x..?..", "snare": "....x..o.o..x..o", "hat": "xoxoxoxoxoxoxoxo",
        "open": "......?......x.."},
    "march": {"kick": "x.......x.......", "snare": "x.xxx.x.x.xxx.xx", "crash": "?..............."},
    "blast": {"kick": "x.x.x.x.x.x.x.x.", "snare": ".x.x.x.x.x.x.x.x", "ride": "x.x.x.x.x.x.x.x."},
    "double": {"kick": "xxxxxxxxxxxxxxxx", "snare": "....x.......x...", "ride": "x...x...x...x..."},
    "tribal": {"tom": "x..xx.x.x..xx.x.", "kick": "x.......x.......", "perc": "..x...x.?.x...x.",
        "shaker": "x.x.x.x.x.x.x.x."},
    "pulse": {"kick": "x.......x.......", "perc": "....?.......?..."},
    "latin": {"kick": "x..x..x.x..x..x.", "perc": "x.xx.x.xx.xx.xx.", "shaker": "x.x.x.x.x.x.x.x.",
        "snare": "...?..x....?..x."},
    "train": {"kick": "x...x...x...x...", "snare": "oooxoooxoooxooox"},
    "taiko": {"tom": "x..x..x.x.x.x...", "kick": "x...........?...", "crash": "?..............."},
    "brushed": {"kick": "o.......o.......", "snare": "....o.......o...", "shaker": "x...x...x...x..."},
    "hats": {"hat": "x.x.x.x.x.x.x.x.", "open": "..............?."},
}  # fmt: skip
"""``x`` always, ``o`` softly, ``?`` now and then."""

_LEVEL = {"x": 1.0, "o": 0.5, "?": 0.7}


@dataclass(frozen=True)
class Meter:
    """A bar.

    Parameters
    ----------
    steps : int
        Sixteenths (or what is as long).
    beat : int
        Steps a beat.
    """

    steps: int
    beat: int


METERS = {
    "4/4": Meter(16, 4), "3/4": Meter(12, 4), "6/8": Meter(12, 6), "12/8": Meter(12, 3), "5/4": Meter(20, 4),
    "7/8": Meter(14, 4),
}  # fmt: skip


@dataclass(frozen=True)
class Beat:
    """A drum pattern: for each piece, what is struck at each step, with its level and probability."""

    strokes: tuple[tuple[str, int, float, float], ...]


def draw_beat(flavour: str, meter: Meter, busy: float, rng: np.random.Generator) -> Beat:
    """Draw a drum pattern near one of `BEATS`, fitted to the meter.

    Parameters
    ----------
    flavour : str
    meter : Meter
    busy : float in [0, 1]
        Chance to change: strokes are added, or (below a half) taken away.
    rng : Generator
    """
    strokes: list[tuple[str, int, float, float]] = []
    for piece, pattern in BEATS[flavour].items():
        line = [pattern[place] for place in _fitted(meter)]
        for step, stroke in enumerate(line):
            changed = rng.random()
            if stroke == "." and changed < 0.10 * busy and piece != "crash":
                strokes.append((piece, step, 0.6, 0.7))
            elif stroke != "." and (step == 0 or changed > 0.12 * (1 - busy)):
                strokes.append((piece, step, _LEVEL[stroke], 0.5 if stroke == "?" else 1.0))
    if rng.random() < 0.25:
        extra = str(rng.choice(["shaker", "perc", "ride", "tom"]))
        strokes += [(extra, step, 0.7, 0.95) for step in rhythm(meter, float(rng.uniform(0.15, 0.6)), rng)]
    return Beat(tuple(strokes))


def _fitted(meter: Meter) -> npt.NDArray[np.int64]:
    """For each step of a bar, a step of a bar of sixteen that is as strong."""
    if meter.beat == 4:
        return np.arange(meter.steps) % 16
    within = np.arange(meter.steps) % meter.beat
    beat = np.arange(meter.steps) // meter.beat
    per = 16 // (meter.steps // meter.beat)
    return np.asarray(beat * per + within * per // meter.beat, dtype=np.int64)


def rhythm(meter: Meter, density: float, rng: np.random.Generator) -> list[int]:
    """Draw onsets of a bar, strong steps first; `density` is the share of steps that are struck."""
    wanted = max(1, round(density * meter.steps))
    weight = 0.25 + _strength(meter) + rng.exponential(0.35, meter.steps)
    return sorted(int(step) for step in np.argsort(-weight)[:wanted])


def _strength(meter: Meter) -> npt.NDArray[np.float64]:
    steps = np.arange(meter.steps)
    half = max(1, meter.beat // 2)
    return np.asarray(0.9 * (steps == 0) + 0.6 * (steps % meter.beat == 0) + 0.4 * (steps % half == 0))


def figure(name: str, meter: Meter, density: float, rng: np.random.Generator) -> list[tuple[float, float, int]]:
    """Return a bar of an accompaniment.

    Parameters
    ----------
    name : str
        ``hold``, ``pulse`` (even strokes), ``offbeat``, ``stabs`` (a rhythm), ``strum``, ``up``, ``updown``,
        ``shuffled`` and ``alberti`` (broken chords), ``chug`` (a low rhythm) or ``flicker`` (broken so fast that
        it sounds at once).
    meter : Meter
    density : float in [0, 1]
    rng : Generator

    Returns
    -------
    list of (step, length in steps, which)
        `which` is -1 for the whole chord, else a tone, counted upwards from 0 and over the octave.
    """
    steps, beat = meter.steps, meter.beat
    if name == "hold":
        return [(0, steps, -1)]
    if name == "pulse":
        every = 1 if density > 0.85 else 2 if density > 0.4 else beat
        short = float(rng.choice([0.5, 0.9]))
        return [(step, every * short, -1) for step in range(0, steps, every)]
    if name == "offbeat":
        late = max(1, beat // 2)
        return [(step + late, late * 0.7, -1) for step in range(0, steps - late + 1, beat) if step + late < steps]
    if name in ("stabs", "strum", "chug"):
        onsets = rhythm(meter, {"stabs": 0.1, "strum": 0.25, "chug": 0.35}[name] + 0.35 * density, rng)
        gaps = np.diff([*onsets, steps])
        share = {"stabs": 0.5, "strum": 1.0, "chug": 0.6}[name]
        return [(step, float(gap) * share, -1) for step, gap in zip(onsets, gaps, strict=True)]
    every_f = 0.5 if name == "flicker" else 1.0 if density > 0.6 else 2.0
    count = int(steps / every_f)
    order = {"up": [0, 1, 2, 3], "updown": [0, 1, 2, 3, 4, 3, 2, 1], "alberti": [0, 2, 1, 2], "flicker": [0, 1, 2]}.get(
        name
    ) or [int(i) for i in rng.integers(0, 6, 8)]
    hold = float(rng.choice([0.8, 1.0, 2.5])) if name != "flicker" else 1.0
    return [(i * every_f, every_f * hold, order[i % len(order)]) for i in range(count)]


FIGURES: Mapping[str, tuple[str, ...]] = {
    "calm": ("hold", "hold", "up", "updown", "shuffled"),
    "broken": ("up", "updown", "alberti", "shuffled", "hold", "strum"),
    "band": ("strum", "pulse", "stabs", "hold", "up", "offbeat"),
    "riff": ("chug", "chug", "pulse", "strum", "stabs", "hold"),
    "club": ("stabs", "offbeat", "pulse", "hold", "up", "shuffled"),
    "chip": ("flicker", "up", "updown", "shuffled", "pulse", "offbeat"),
    "comp": ("stabs", "stabs", "hold", "pulse"),
    "skank": ("offbeat", "offbeat", "stabs", "hold"),
    "orchestra": ("hold", "pulse", "stabs", "up", "alberti", "hold"),
}

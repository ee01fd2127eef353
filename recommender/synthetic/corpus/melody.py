"""What one voice repeats through a section: chords, basses, melodies and riffs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender.synthetic.corpus.artists import Voice
from recommender.synthetic.corpus.harmony import SCALES, Chord, voiced
from recommender.synthetic.corpus.rhythm import Meter, figure, rhythm

_LONGEST_BARS = 12


@dataclass(frozen=True)
class Loop:
    """Bars that repeat: for each bar, notes as (step, length in steps, MIDI pitch, level)."""

    bars: tuple[tuple[tuple[float, float, int, float], ...], ...]


def write_loop(
    voice: Voice,
    chords: tuple[Chord, ...],
    bars_each: float,
    meter: Meter,
    scale: str,
    key: int,
    rng: np.random.Generator,
) -> Loop:
    """Write a voice's part over a progression.

    Parameters
    ----------
    voice : Voice
    chords : tuple of Chord
    bars_each : float
        How long a chord lasts; 0.5 gives a bar two chords.
    meter : Meter
    scale : str
    key : int
    rng : Generator
    """
    bars = int(min(_LONGEST_BARS, max(4, np.ceil(len(chords) * bars_each))))
    half = meter.steps / 2

    def chord_at(bar: int, step: float) -> Chord:
        place = (bar + (0.5 if bars_each < 1 and step >= half else 0.0)) / bars_each
        return chords[int(place) % len(chords)]

    if voice.role in ("lead", "counter"):
        notes = _melody(voice, bars, chord_at, meter, scale, key, rng)
    elif voice.role == "riff":
        notes = _riff(voice, bars, chord_at, meter, scale, key, rng)
    elif voice.role == "bass":
        notes = _bass(voice, bars, chord_at, meter, key, rng)
    else:
        notes = _chords(voice, bars, chord_at, bars_each, meter, key, rng)
    return Loop(tuple(tuple(bar) for bar in notes))


def _chords(voice, bars, chord_at, bars_each, meter, key, rng):
    name = voice.figures[int(rng.integers(len(voice.figures)))]
    density = float(np.clip(voice.density + rng.normal(0, 0.15), 0, 1))
    strokes = figure(name, meter, density, rng)
    if name == "hold" and bars_each < 1:
        strokes = [(0, meter.steps / 2, -1), (meter.steps / 2, meter.steps / 2, -1)]
    low = voice.centre < 54
    written = []
    for bar in range(bars):
        notes = []
        if name == "hold" and bars_each >= 2 and bar % 2 == 1:
            written.append(notes)
            continue
        for step, length, which in strokes:
            chord = chord_at(bar, step)
            if low:
                root = voice.centre - 4 + (key + chord.root - voice.centre + 4) % 12
                pitches: tuple[int, ...] = (root, root + 7, root + 12)
            else:
                pitches = voiced(chord, key, voice.centre, voice.wide)
            accent = 0.85 if step % meter.beat == 0 else 0.7
            if name == "hold" and bars_each >= 2:
                length = 2 * meter.steps
            if which < 0:
                notes += [(step, length, pitch, accent) for pitch in pitches]
            else:
                octave, tone = divmod(which, len(pitches))
                notes.append((step, length, pitches[tone] + 12 * octave, accent))
        written.append(notes)
    return written


def _bass(voice, bars, chord_at, meter, key, rng):
    name = voice.figures[int(rng.integers(len(voice.figures)))]
    steps, beat = meter.steps, meter.beat
    if name == "long":
        onsets = [0] if rng.random() < 0.6 else [0, steps // 2]
    elif name == "root":
        onsets = list(range(0, steps, beat if rng.random() < 0.5 else 2 * beat))
    elif name == "walk":
        onsets = list(range(0, steps, beat))
    elif name == "synco":
        onsets = rhythm(meter, 0.12 + 0.4 * voice.density, rng)
    else:
        onsets = list(range(0, steps, 1 if voice.density > 0.75 else 2))
    gaps = np.diff([*onsets, steps])
    short = float(rng.choice([0.6, 0.95]))
    jumps = rng.choice([0, 0, 0, 7, 12, -5], len(onsets))
    written = []
    for bar in range(bars):
        notes = []
        for place, (step, gap) in enumerate(zip(onsets, gaps, strict=True)):
            chord = chord_at(bar, step)
            root = voice.centre - 6 + (key + chord.bass - voice.centre + 6) % 12
            pitch = root
            if name == "octaves":
                pitch = root + 12 * (place % 2)
            elif name == "walk" and place:
                tones = [(tone - chord.bass) % 12 for tone in chord.tones] or [0]
                after = voice.centre - 6 + (key + chord_at(bar + 1, 0).bass - voice.centre + 6) % 12
                last = place == len(onsets) - 1
                pitch = after + int(rng.choice([-1, 1])) if last else root + int(rng.choice(tones))
            elif name == "synco" and place:
                pitch = root + int(jumps[place])
            notes.append((float(step), float(gap) * short, pitch, 0.95 if step % beat == 0 else 0.8))
        written.append(notes)
    return written


def _melody(voice, bars, chord_at, meter, scale, key, rng):
    """A motif of two bars, its repetition, an answer and a close; strong beats meet the chord."""
    ladder = _ladder(voice.centre, scale, key)
    per_bar = voice.density * meter.steps / max(4, meter.beat)
    motifs = []
    for _ in range(3):
        onsets = [rhythm(meter, min(0.9, max(0.02, per_bar / meter.steps * rng.uniform(0.6, 1.4))), rng) for _ in (0, 1)]
        moves = rng.choice([-2, -1, -1, 0, 1, 1, 2], 64)
        leaps = rng.random(64) < 0.3 * voice.leap
        moves[leaps] = rng.choice([-5, -4, -3, 3, 4, 5], int(leaps.sum()))
        motifs.append((onsets, moves))
    order = [0, 0, 1, 2, 0, 0] if rng.random() < 0.6 else [0, 1, 0, 2, 0, 1]
    legato = float(rng.choice([0.5, 0.9, 1.0]))
    rests = rng.random(bars) < 0.12
    place, written = len(ladder) // 2 + int(rng.integers(-3, 4)), []
    for bar in range(bars):
        onsets, moves = motifs[order[(bar // 2) % len(order)]]
        if bar % 2 == 0:
            count, place = 0, int(np.clip(place, 3, len(ladder) - 4))
        notes = []
        line = [] if rests[bar] else onsets[bar % 2]
        for step, gap in zip(line, np.diff([*line, meter.steps]), strict=True):
            place += int(moves[count])
            place = -place if place < 0 else 2 * (len(ladder) - 1) - place if place >= len(ladder) else place
            count += 1
            pitch = ladder[place]
            if step % meter.beat == 0:
                tones = {(key + tone) % 12 for tone in chord_at(bar, step).tones}
                pitch = min((p for p in ladder if p % 12 in tones), key=lambda p: abs(p - pitch), default=pitch)
            notes.append((float(step), max(0.5, float(gap) * legato), pitch, 0.95 if step % meter.beat == 0 else 0.8))
        written.append(notes)
    return written


def _riff(voice, bars, chord_at, meter, scale, key, rng):
    """A figure of one or two bars that repeats; it follows the chords or stays."""
    ladder = _ladder(voice.centre, scale, key)
    follows = rng.random() < 0.5
    span = int(rng.choice([1, 2]))
    density = float(np.clip(0.2 + 0.7 * voice.density, 0.15, 0.95))
    bodies = []
    for _ in range(span):
        onsets = rhythm(meter, density, rng)
        picks = rng.integers(0, 6, len(onsets)) if follows else len(ladder) // 2 + rng.integers(-4, 5, len(onsets))
        bodies.append((onsets, picks, rng.uniform(0.65, 1.0, len(onsets))))
    short = float(rng.choice([0.4, 0.8, 1.0]))
    written = []
    for bar in range(bars):
        onsets, picks, levels = bodies[bar % span]
        notes = []
        for step, gap, pick, level in zip(onsets, np.diff([*onsets, meter.steps]), picks, levels, strict=True):
            if follows:
                pitches = voiced(chord_at(bar, step), key, voice.centre, voice.wide)
                octave, tone = divmod(int(pick), len(pitches))
                pitch = pitches[tone] + 12 * min(octave, 1)
            else:
                pitch = ladder[int(np.clip(pick, 0, len(ladder) - 1))]
            notes.append((float(step), max(0.4, min(float(gap), 2.0) * short), pitch, float(level)))
        written.append(notes)
    return written


def _ladder(centre: int, scale: str, key: int) -> list[int]:
    classes = {(key + step) % 12 for step in SCALES[scale]}
    return [pitch for pitch in range(centre - 12, centre + 15) if pitch % 12 in classes]

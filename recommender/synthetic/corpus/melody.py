"""What one voice repeats through a section: chords, basses, melodies and riffs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender.synthetic.corpus.artists import Voice
from recommender.synthetic.corpus.harmony import SCALES, Chord, voiced
from recommender.synthetic.corpus.rhythm import Meter, figure, rhythm

_LONGEST_BARS = 12


Notes = list[tuple[float, float, int, float]]


@dataclass(frozen=True)
class Loop:
    """Bars that repeat: for each bar, notes as (step, length in steps, MIDI pitch, level)."""

    bars: tuple[tuple[tuple[float, float, int, float], ...], ...]


@dataclass(frozen=True)
class Ground:
    """What all voices of a section stand on.

    Parameters
    ----------
    chords : tuple of Chord
    bars_each : float
        How long a chord lasts; 0.5 gives a bar two chords.
    meter : Meter
    scale : str
    key : int
    """

    chords: tuple[Chord, ...]
    bars_each: float
    meter: Meter
    scale: str
    key: int

    @property
    def bars(self) -> int:
        """Of a loop: once through the chords, at least 4 and at most 12."""
        return int(min(_LONGEST_BARS, max(4, np.ceil(len(self.chords) * self.bars_each))))

    def at(self, bar: int, step: float) -> Chord:
        """Return the chord at a step of a bar."""
        late = self.bars_each < 1 and step >= self.meter.steps / 2
        return self.chords[int((bar + 0.5 * late) / self.bars_each) % len(self.chords)]

    def ladder(self, centre: int) -> list[int]:
        """Return the scale's pitches from an octave below `centre` to an octave above."""
        classes = {(self.key + step) % 12 for step in SCALES[self.scale]}
        return [pitch for pitch in range(centre - 12, centre + 15) if pitch % 12 in classes]


def write_loop(voice: Voice, ground: Ground, rng: np.random.Generator) -> Loop:
    """Write what a voice repeats through a section."""
    writers = {"lead": _melody, "counter": _melody, "riff": _riff, "bass": _bass}
    return Loop(tuple(tuple(bar) for bar in writers.get(voice.role, _chords)(voice, ground, rng)))


def _chords(voice: Voice, ground: Ground, rng: np.random.Generator) -> list[Notes]:
    name = voice.figures[int(rng.integers(len(voice.figures)))]
    density = float(np.clip(voice.density + rng.normal(0, 0.15), 0, 1))
    strokes = figure(name, ground.meter, density, rng)
    if name == "hold" and ground.bars_each < 1:
        strokes = [(0, ground.meter.steps / 2, -1), (ground.meter.steps / 2, ground.meter.steps / 2, -1)]
    low = voice.centre < 54
    written: list[Notes] = []
    for bar in range(ground.bars):
        notes: Notes = []
        if name == "hold" and ground.bars_each >= 2 and bar % 2 == 1:
            written.append(notes)
            continue
        for step, length, which in strokes:
            chord = ground.at(bar, step)
            if low:
                root = voice.centre - 4 + (ground.key + chord.root - voice.centre + 4) % 12
                pitches: tuple[int, ...] = (root, root + 7, root + 12)
            else:
                pitches = voiced(chord, ground.key, voice.centre, voice.wide)
            accent = 0.85 if step % ground.meter.beat == 0 else 0.7
            if name == "hold" and ground.bars_each >= 2:
                length = 2 * ground.meter.steps
            if which < 0:
                notes += [(step, length, pitch, accent) for pitch in pitches]
            else:
                octave, tone = divmod(which, len(pitches))
                notes.append((step, length, pitches[tone] + 12 * octave, accent))
        written.append(notes)
    return written


def _bass(voice: Voice, ground: Ground, rng: np.random.Generator) -> list[Notes]:
    name = voice.figures[int(rng.integers(len(voice.figures)))]
    steps, beat = ground.meter.steps, ground.meter.beat
    if name == "long":
        onsets = [0] if rng.random() < 0.6 else [0, steps // 2]
    elif name == "root":
        onsets = list(range(0, steps, beat if rng.random() < 0.5 else 2 * beat))
    elif name == "walk":
        onsets = list(range(0, steps, beat))
    elif name == "synco":
        onsets = rhythm(ground.meter, 0.12 + 0.4 * voice.density, rng)
    else:
        onsets = list(range(0, steps, 1 if voice.density > 0.75 else 2))
    gaps = np.diff([*onsets, steps])
    short = float(rng.choice([0.6, 0.95]))
    jumps = rng.choice([0, 0, 0, 7, 12, -5], len(onsets))
    written: list[Notes] = []
    for bar in range(ground.bars):
        notes: Notes = []
        for place, (step, gap) in enumerate(zip(onsets, gaps, strict=True)):
            chord = ground.at(bar, step)
            root = voice.centre - 6 + (ground.key + chord.bass - voice.centre + 6) % 12
            pitch = root
            if name == "octaves":
                pitch = root + 12 * (place % 2)
            elif name == "walk" and place:
                tones = [(tone - chord.bass) % 12 for tone in chord.tones] or [0]
                after = voice.centre - 6 + (ground.key + ground.at(bar + 1, 0).bass - voice.centre + 6) % 12
                last = place == len(onsets) - 1
                pitch = after + int(rng.choice([-1, 1])) if last else root + int(rng.choice(tones))
            elif name == "synco" and place:
                pitch = root + int(jumps[place])
            notes.append((float(step), float(gap) * short, pitch, 0.95 if step % beat == 0 else 0.8))
        written.append(notes)
    return written


def _melody(voice: Voice, ground: Ground, rng: np.random.Generator) -> list[Notes]:
    """A motif of two bars, its repetition, an answer and a close; strong beats meet the chord."""
    ladder = ground.ladder(voice.centre)
    per_bar = voice.density * ground.meter.steps / max(4, ground.meter.beat)
    motifs = []
    for _ in range(3):
        onsets = [
            rhythm(ground.meter, min(0.9, max(0.02, per_bar / ground.meter.steps * rng.uniform(0.6, 1.4))), rng)
            for _ in (0, 1)
        ]
        moves = rng.choice([-2, -1, -1, 0, 1, 1, 2], 64)
        leaps = rng.random(64) < 0.3 * voice.leap
        moves[leaps] = rng.choice([-5, -4, -3, 3, 4, 5], int(leaps.sum()))
        motifs.append((onsets, moves))
    order = [0, 0, 1, 2, 0, 0] if rng.random() < 0.6 else [0, 1, 0, 2, 0, 1]
    legato = float(rng.choice([0.5, 0.9, 1.0]))
    rests = rng.random(ground.bars) < 0.12
    place, count = len(ladder) // 2 + int(rng.integers(-3, 4)), 0
    written: list[Notes] = []
    for bar in range(ground.bars):
        onsets, moves = motifs[order[(bar // 2) % len(order)]]
        if bar % 2 == 0:
            count, place = 0, int(np.clip(place, 3, len(ladder) - 4))
        notes: Notes = []
        line = [] if rests[bar] else onsets[bar % 2]
        for step, gap in zip(line, np.diff([*line, ground.meter.steps]), strict=True):
            place += int(moves[count])
            place = -place if place < 0 else 2 * (len(ladder) - 1) - place if place >= len(ladder) else place
            count += 1
            pitch = ladder[place]
            if step % ground.meter.beat == 0:
                tones = {(ground.key + tone) % 12 for tone in ground.at(bar, step).tones}
                pitch = min((p for p in ladder if p % 12 in tones), key=lambda p: abs(p - pitch), default=pitch)
            notes.append(
                (float(step), max(0.5, float(gap) * legato), pitch, 0.95 if step % ground.meter.beat == 0 else 0.8)
            )
        written.append(notes)
    return written


def _riff(voice: Voice, ground: Ground, rng: np.random.Generator) -> list[Notes]:
    """A figure of one or two bars that repeats; it follows the chords or stays."""
    ladder = ground.ladder(voice.centre)
    follows = rng.random() < 0.5
    span = int(rng.choice([1, 2]))
    density = float(np.clip(0.2 + 0.7 * voice.density, 0.15, 0.95))
    bodies = []
    for _ in range(span):
        onsets = rhythm(ground.meter, density, rng)
        picks = rng.integers(0, 6, len(onsets)) if follows else len(ladder) // 2 + rng.integers(-4, 5, len(onsets))
        bodies.append((onsets, picks, rng.uniform(0.65, 1.0, len(onsets))))
    short = float(rng.choice([0.4, 0.8, 1.0]))
    written: list[Notes] = []
    for bar in range(ground.bars):
        onsets, picks, levels = bodies[bar % span]
        notes: Notes = []
        for step, gap, pick, level in zip(onsets, np.diff([*onsets, ground.meter.steps]), picks, levels, strict=True):
            if follows:
                pitches = voiced(ground.at(bar, step), ground.key, voice.centre, voice.wide)
                octave, tone = divmod(int(pick), len(pitches))
                pitch = pitches[tone] + 12 * min(octave, 1)
            else:
                pitch = ladder[int(np.clip(pick, 0, len(ladder) - 1))]
            notes.append((float(step), max(0.4, min(float(gap), 2.0) * short), pitch, float(level)))
        written.append(notes)
    return written

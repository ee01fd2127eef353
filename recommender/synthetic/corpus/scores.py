"""The notes of a few seconds of a track."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recommender.synthetic.corpus.kits import PIECES
from recommender.synthetic.corpus.soundfont import Played
from recommender.synthetic.corpus.tracks import Section, Track


@dataclass(frozen=True)
class Score:
    """Notes relative to the start of a window.

    Parameters
    ----------
    parts : tuple of tuples of Played
        One for each voice of the track.
    strokes : tuple of (str, Played)
        Of the drums: the piece, and when and how loud.
    """

    parts: tuple[tuple[Played, ...], ...]
    strokes: tuple[tuple[str, Played], ...]


def score(track: Track, start_s: float, length_s: float) -> Score:
    """Write out what begins, or still sounds, in a window; bars of a section repeat with small differences."""
    parts: list[list[Played]] = [[] for _ in track.voices]
    strokes: list[tuple[str, Played]] = []
    first, last = int(start_s / track.bar_s) - 3, int((start_s + length_s) / track.bar_s) + 1
    for section in track.sections:
        for bar in range(max(first, section.first_bar), min(last + 1, section.first_bar + section.bars)):
            rng = np.random.default_rng([track.seed, bar])
            for part, loop in zip(parts, section.material.loops, strict=True):
                if loop is None:
                    continue
                within = (bar - section.first_bar) % len(loop.bars)
                for step, length, pitch, level in loop.bars[within]:
                    at = _time(track, bar, step, rng)
                    lasts = max(0.04, length * track.step_s)
                    touch = float(rng.uniform(0.88, 1))
                    if at - start_s < length_s and at + lasts > start_s:
                        loud = float(np.clip(level * (0.7 + 0.3 * section.material.intensity), 0.05, 1))
                        part.append(Played(at - start_s, lasts, pitch, loud * touch))
            if bar >= first + 2:
                strokes += [
                    (piece, Played(at - start_s, 0.1, 0, level))
                    for piece, at, level in _strokes(track, section, bar, rng)
                    if start_s - 1 < at < start_s + length_s
                ]
    return Score(tuple(tuple(sorted(part)) for part in parts), tuple(sorted(strokes, key=lambda each: each[1].at_s)))


def _strokes(track: Track, section: Section, bar: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    beat = section.material.beat
    if beat is None:
        return
    within = bar - section.first_bar
    fill = within % 4 == 3 and section.bars > 2 and rng.random() < 0.5
    from_step = track.meter.steps - track.meter.beat if fill else track.meter.steps
    loud = 0.75 + 0.25 * section.material.intensity
    if within == 0 and section.first_bar and section.material.intensity > 0.4:
        yield "crash", _time(track, bar, 0, rng), 0.8 * loud
    for piece, step, level, chance in beat.strokes:
        if rng.random() < chance and (step < from_step or piece in ("kick", "hat")):
            yield piece, _time(track, bar, step, rng), loud * level * float(rng.uniform(0.85, 1))
    if fill:
        pieces = {piece for piece, *_ in beat.strokes} & {"snare", "tom", "perc"} or {"tom"}
        piece = min(pieces, key=PIECES.index)
        for step in range(from_step, track.meter.steps):
            if rng.random() < 0.7:
                yield piece, _time(track, bar, step, rng), loud * (0.55 + 0.08 * (step - from_step))


def _time(track: Track, bar: int, step: float, rng: np.random.Generator) -> float:
    """When a step of a bar comes: swing delays the second eighth, hands are not exact, and the tempo may waver."""
    artist, beat = track.artist, track.meter.beat
    if artist.swing > 0.5 and beat == 4:
        whole, within = divmod(step / beat, 1.0)
        ratio = artist.swing
        step = beat * (whole + (within * 2 * ratio if within < 0.5 else ratio + (within - 0.5) * 2 * (1 - ratio)))
    at = bar * track.bar_s + step * track.step_s
    if artist.human_s:
        at += float(rng.normal(0, artist.human_s))
    if artist.rubato:
        turn = 2 * np.pi / (4.3 * track.bar_s)
        at += artist.rubato / turn * float(np.sin(turn * at + track.seed % 7))
    return at

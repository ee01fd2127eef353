"""Render a track: play the score, mix the parts, master the record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recommender.synthetic import mixing
from recommender.synthetic.composition import Note, Score, compose
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Instrument, Touch, Waveform
from recommender.synthetic.plans import TrackPlan

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_PIECE_LEVELS = {"kick": 1.0, "snare": 0.75, "hat": 0.4, "open_hat": 0.42, "crash": 0.5}
_TAKES = 3


def render(plan: TrackPlan) -> Waveform:
    """Render a track.

    Returns
    -------
    ndarray, shape (n_samples,), float32
        Mono at `SAMPLE_RATE_HZ`, peak at most `mixing.CEILING`, silent at both ends.
    """
    rng = np.random.default_rng(plan.seed)
    score = compose(plan, rng)
    n = int(plan.length_s * SAMPLE_RATE_HZ)
    mix = _mix(plan, score, n, rng)
    record = mixing.master(mix, plan.tilt_db, plan.level_db, plan.style.glue)
    rise, fall = int(0.004 * SAMPLE_RATE_HZ), int(0.9 * SAMPLE_RATE_HZ)
    record[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    record[-fall:] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2
    return record


def _mix(plan: TrackPlan, score: Score, n: int, rng: np.random.Generator) -> Waveform:
    style, hand = plan.style, plan.signature
    chords = _play(_of(style.chords, hand.chords), score.chords, hand.touch, n, rng)
    bass = _play(_of(style.bass, hand.bass), score.bass, hand.touch, n, rng)
    lead = _play(_of(style.lead, hand.lead), score.lead, hand.touch, n, rng)
    if style.wooden:
        chords = mixing.wooden_body(chords)
    if style.drive:
        drive = min(1.0, style.drive * (0.6 + 0.8 * hand.touch.brightness))
        chords, lead = mixing.amplifier(chords, drive), mixing.amplifier(lead, drive)
    if style.chorus:
        chords = mixing.chorus(chords, style.chorus)
    chords, bass, lead = (
        _at_level(part, level) for part, level in zip((chords, bass, lead), style.levels[:3], strict=True)
    )
    if score.layer and (count := len(style.layer)):
        behind = _play(style.layer[hand.layer % count], score.layer, hand.touch, n, rng)
        chords = chords + _at_level(behind, style.levels[3])
    if style.sweep:
        chords = mixing.opened(chords, _openness(score, n))
    sent = 0.8 * chords + lead
    if style.echo:
        amount = float(np.clip(style.echo + hand.echo, 0, 1))
        echoed = mixing.echo(sent, plan.bar_s * 3 / 16, 0.25 + 0.45 * amount)
        chords, sent = chords + np.float32(0.55 * amount) * echoed, sent + np.float32(0.3 * amount) * echoed
    drums = _at_level(_strike(plan, score, n, rng), plan.drums)
    music = chords + lead + bass
    if plan.room:
        music += np.float32(0.15 + 0.6 * plan.room) * mixing.room(sent + np.float32(0.25) * drums, plan.room, rng)
    if style.pump:
        kicks = np.array([strike.at_s for strike in score.drums if strike.piece == "kick"])
        music = mixing.ducked(music, kicks, style.pump, plan.bar_s / 5)
    return music + drums


def _of(choices: Sequence[Instrument], which: int) -> Instrument:
    return choices[which % len(choices)]


def _play(instrument: Instrument, notes: Sequence[Note], touch: Touch, n: int, rng: np.random.Generator) -> Waveform:
    """Play a part; notes of one pitch and nearly one length share their sound."""
    part = np.zeros(n, dtype=np.float32)
    played: dict[tuple[int, int], Waveform] = {}
    for note in notes:
        key = (note.pitch, round(note.length_s * 40))
        if key not in played:
            played[key] = instrument(note.pitch, note.length_s, touch, rng)
        _add(part, played[key], note.at_s, note.level)
    return part


def _strike(plan: TrackPlan, score: Score, n: int, rng: np.random.Generator) -> Waveform:
    """Play the drums; each piece was struck a few times, so that no two strokes in a row are the same."""
    part = np.zeros(n, dtype=np.float32)
    takes: dict[str, list[Waveform]] = {}
    for index, strike in enumerate(score.drums):
        hit = getattr(plan.style.kit, strike.piece)
        if strike.piece not in takes:
            takes[strike.piece] = [hit(plan.signature.touch.brightness, rng) for _ in range(_TAKES)]
        _add(part, takes[strike.piece][index % _TAKES], strike.at_s, strike.level * _PIECE_LEVELS[strike.piece])
    return part


def _openness(score: Score, n: int) -> Waveform:
    """The filter opens from the start, and again through every rest of the drums."""
    openness = np.ones(n, dtype=np.float32)
    struck = [0.0, *sorted(strike.at_s for strike in score.drums if strike.piece != "crash")]
    for before, after in zip(struck, [*struck[1:], n / SAMPLE_RATE_HZ], strict=True):
        start, end = int(before * SAMPLE_RATE_HZ), min(n, int(after * SAMPLE_RATE_HZ))
        if after - before > 1.5 and end < n - SAMPLE_RATE_HZ:
            openness[start:end] = np.linspace(0.2, 1, end - start) ** 1.5
    return openness


def _at_level(part: Waveform, level: float) -> Waveform:
    loudness = mixing.level_of(part)
    return part * np.float32(0.12 * level / loudness) if loudness else part


def _add(mix: Waveform, sound: Waveform, at_s: float, level: float) -> None:
    start = max(0, int(at_s * SAMPLE_RATE_HZ))
    end = min(len(mix), start + len(sound))
    if end > start:
        mix[start:end] += np.float32(level) * sound[: end - start]

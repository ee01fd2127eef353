"""From a plan to notes: harmony, accompaniment, bass, melody and drums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.synthetic.plans import ENDING_S, TrackPlan
from recommender.synthetic.styles import MODES, Groove

STEPS = 16
_LOUDNESS = {".": 0.0, "o": 0.55, "x": 1.0}
_BASS_LOWEST = 31


@dataclass(frozen=True)
class Note:
    """One note of one part."""

    at_s: float
    length_s: float
    pitch: int
    level: float


@dataclass(frozen=True)
class Strike:
    """One stroke on one piece of the kit: kick, snare, hat, open_hat or crash."""

    at_s: float
    piece: str
    level: float


@dataclass(frozen=True)
class Score:
    """All notes of a track.

    Parameters
    ----------
    chords, bass, lead, layer : tuples of Note
    drums : tuple of Strike
    voicings : tuple of tuples of int
        The pitches of each bar's chord, lowest first; the last one ends the track.
    """

    chords: tuple[Note, ...]
    bass: tuple[Note, ...]
    lead: tuple[Note, ...]
    layer: tuple[Note, ...]
    drums: tuple[Strike, ...]
    voicings: tuple[tuple[int, ...], ...]


def compose(plan: TrackPlan, rng: np.random.Generator) -> Score:
    """Write all parts of a track."""
    degrees = [plan.progression[bar % len(plan.progression)] for bar in range(plan.bars)] + [0]
    voicings = lead_voices(plan, degrees)
    return Score(
        tuple(_accompany(plan, degrees, voicings, rng)),
        tuple(_bass(plan, degrees, rng)),
        tuple(_melody(plan, voicings, rng)),
        tuple(_layer(plan, voicings)),
        tuple(_drums(plan, rng)),
        tuple(voicings),
    )


def lead_voices(plan: TrackPlan, degrees: list[int]) -> list[tuple[int, ...]]:
    """Voice each chord so that the voices move as little as they can and stay near the style's centre."""
    scale, centre = MODES[plan.mode], plan.style.chord_centre
    voicings: list[tuple[int, ...]] = []
    for degree in degrees:
        classes = sorted({(plan.key + scale[(degree + step) % 7]) % 12 for step in plan.style.voicing})
        before = voicings[-1] if voicings else None
        voicings.append(min(_inversions(classes, centre), key=lambda voicing: _effort(voicing, before, centre)))
    return voicings


def _inversions(classes: list[int], centre: int) -> Iterator[tuple[int, ...]]:
    """Yield close positions of the pitch classes, each inversion in the octaves around `centre`."""
    for turn in range(len(classes)):
        order = classes[turn:] + classes[:turn]
        for octave in (-1, 0, 1):
            lowest = order[0] + 12 * ((centre - 6 - order[0]) // 12 + octave)
            pitches = [lowest]
            for pitch_class in order[1:]:
                pitches.append(pitches[-1] + (pitch_class - pitches[-1]) % 12)
            yield tuple(pitches)


def _effort(voicing: tuple[int, ...], before: tuple[int, ...] | None, centre: int) -> float:
    drift = abs(float(np.mean(voicing)) - centre)
    if before is None or len(before) != len(voicing):
        return drift
    return sum(abs(a - b) for a, b in zip(voicing, before, strict=True)) + 0.2 * drift**2


def _plays(plan: TrackPlan, part: str, bar: int) -> float:
    """How loud a part is in a bar by the form: 0 is silent."""
    form = plan.style.forms[plan.signature.form % len(plan.style.forms)]
    return _LOUDNESS[str(getattr(form, part))[min(7, 8 * bar // plan.bars)]]


def _groove(plan: TrackPlan) -> Groove:
    return plan.style.grooves[plan.signature.groove % len(plan.style.grooves)]


def step_s(plan: TrackPlan, bar: int, step: float) -> float:
    """Return when a sixteenth comes; with swing, the second eighth of a beat comes late."""
    beat, within = divmod(step / 4, 1.0)
    ratio = min(max(plan.style.swing + plan.signature.swing * (plan.style.swing > 0.5), 0.5), 0.7)
    warped = within * 2 * ratio if within < 0.5 else ratio + (within - 0.5) * 2 * (1 - ratio)
    return bar * plan.bar_s + (beat + warped) * plan.bar_s / 4


def _strokes(plan: TrackPlan, pattern: str, bar: int) -> Iterator[tuple[int, str, float]]:
    """Yield (step, stroke, length in s) of a bar; ``-`` prolongs."""
    for step, stroke in enumerate(pattern):
        if stroke in "-.":
            continue
        end = step + 1
        while end < STEPS and pattern[end] == "-":
            end += 1
        yield step, stroke, step_s(plan, bar, end) - step_s(plan, bar, step)


def _accompany(
    plan: TrackPlan, degrees: list[int], voicings: list[tuple[int, ...]], rng: np.random.Generator
) -> Iterator[Note]:
    style, pattern = plan.style, _groove(plan).chords
    for bar in range(plan.bars):
        loud = _plays(plan, "chords", bar)
        pitches, turn = voicings[bar], 0
        for step, stroke, length in _strokes(plan, pattern, bar):
            if not loud:
                break
            at = max(0.0, step_s(plan, bar, step) + float(rng.normal(0, style.human_s)))
            level = loud * (1.0 if step % 8 == 0 else 0.85) * float(rng.uniform(0.9, 1.0))
            if stroke == "x":
                down = step % 4 == 0 or not style.strum_s
                for offset, pitch in enumerate(pitches if down else pitches[::-1]):
                    yield Note(at + style.strum_s * offset, 0.96 * length, pitch, level)
            elif stroke == "a":
                pitch = pitches[turn % len(pitches)] + 12 * (turn // len(pitches) % 2)
                rest = plan.bar_s * (STEPS - step) / STEPS
                yield Note(at, rest if style.ring else 0.92 * length, pitch, level)
                turn += 1
            else:
                above = int(stroke) - 1 if stroke.isdigit() else 0
                root = _low(plan, degrees[bar] + above)
                short = 0.7 * min(length, 0.2) if stroke == "m" else 0.97 * length
                for pitch in (root, root + 7, root + 12)[: 2 if stroke == "m" else 3]:
                    yield Note(at, short, pitch, level * (0.8 if stroke == "m" else 1.0))
    end = plan.bars * plan.bar_s
    if style.drive:
        root = _low(plan, 0)
        yield from (Note(end, ENDING_S - 0.5, pitch, 1.0) for pitch in (root, root + 7, root + 12))
    else:
        for offset, pitch in enumerate(voicings[-1]):
            yield Note(end + 2 * style.strum_s * offset, ENDING_S - 0.6, pitch, 0.9)


def _low(plan: TrackPlan, degree: int) -> int:
    """The root of a chord in the octave of the bass."""
    pitch_class = plan.key + MODES[plan.mode][degree % 7]
    return _BASS_LOWEST + (pitch_class - _BASS_LOWEST) % 12


def _above(plan: TrackPlan, degree: int, steps: int) -> int:
    """Semitones from the root of a chord up to the scale tone `steps` above it."""
    scale = MODES[plan.mode]
    return int((scale[(degree + steps) % 7] - scale[degree % 7]) % 12)


def _bass(plan: TrackPlan, degrees: list[int], rng: np.random.Generator) -> Iterator[Note]:
    pattern, previous = _groove(plan).bass, _low(plan, 0)
    for bar in range(plan.bars):
        loud = _plays(plan, "bass", bar)
        if not loud:
            continue
        degree, following = degrees[bar], _low(plan, degrees[bar + 1])
        root = _nearest(_low(plan, degree), previous)
        previous, beat = root, 0
        for step, stroke, length in _strokes(plan, pattern, bar):
            if stroke == "w":
                tones = (root, root + _above(plan, degree, 2), root + _above(plan, degree, 4))
                lead_in = _nearest(following, root) + (-1 if rng.random() < 0.6 else 1)
                pitch = (*(tones if rng.random() < 0.6 else (tones[0], tones[2], tones[1])), lead_in)[beat % 4]
                beat += 1
            elif stroke == "s":
                pitch = _nearest(following, root) - 2
            else:
                pitch = root + {"r": 0, "t": _above(plan, degree, 2), "f": _above(plan, degree, 4), "o": 12}[stroke]
            at = max(0.0, step_s(plan, bar, step) + float(rng.normal(0, 0.6 * plan.style.human_s)))
            yield Note(at, 0.93 * length, pitch, loud * (1.0 if step % 4 == 0 else 0.88))
    yield Note(plan.bars * plan.bar_s, ENDING_S - 0.7, _low(plan, 0), 0.95)


def _nearest(pitch: int, previous: int) -> int:
    """The octave of `pitch` that is nearest to `previous` and still a bass."""
    octaves = [p for p in (pitch - 12, pitch, pitch + 12) if _BASS_LOWEST <= p <= _BASS_LOWEST + 16]
    return min(octaves, key=lambda p: abs(p - previous))


def _layer(plan: TrackPlan, voicings: list[tuple[int, ...]]) -> Iterator[Note]:
    if not plan.style.layer:
        return
    octave = 12 if plan.style.chord_centre < 58 else 0
    for bar in range(plan.bars):
        if loud := _plays(plan, "layer", bar):
            yield from (Note(bar * plan.bar_s, plan.bar_s, pitch + octave, loud) for pitch in voicings[bar])


def _melody(plan: TrackPlan, voicings: list[tuple[int, ...]], rng: np.random.Generator) -> Iterator[Note]:
    """Phrases of two bars: a motif, its variation, an answer turned upside down, and the motif coming to rest.

    Melodies move by steps, turn back after a leap, meet the chord on strong beats and end on one of its tones.
    """
    style, hand = plan.style, plan.signature
    centre = style.lead_centre + hand.register
    lowest = (plan.key - centre) % 12 + centre - 24
    scale = [lowest + 12 * octave + s for octave in range(4) for s in MODES[plan.mode]]
    ladder = [p for p in scale if centre - 9 <= p <= centre + 10]
    rhythm, moves = _motif(plan, rng)
    place = len(ladder) // 2
    for phrase, bar in enumerate(range(0, plan.bars, 2)):
        turned = phrase % 4 == 2
        ending = phrase % 2 == 1
        if phrase and rng.random() < 0.35:
            moves = np.where(rng.random(len(moves)) < 0.3, rng.integers(-2, 3, len(moves)), moves)
        start = place
        for index, position in enumerate(rhythm):
            at_bar, step = bar + int(position) // STEPS, int(position) % STEPS
            if at_bar >= plan.bars or not (loud := _plays(plan, "lead", at_bar)):
                continue
            place += -int(moves[index]) if turned else int(moves[index])
            place = _reflect(place, len(ladder))
            pitch, last = ladder[place], index == len(rhythm) - 1
            if step % 8 == 0 or (last and ending):
                pitch = min((p for p in ladder if _in_chord(p, voicings[at_bar])), key=lambda p: abs(p - pitch))
                place = ladder.index(pitch)
            ahead = int(rhythm[index + 1] - position) if not last else 2 * STEPS - int(position)
            length = step_s(plan, at_bar, step + min(ahead, 8)) - step_s(plan, at_bar, step)
            at = max(0.0, step_s(plan, at_bar, step) + float(rng.normal(0, style.human_s)))
            level = loud * (1.0 if step % 4 == 0 else 0.82) * float(rng.uniform(0.88, 1.0))
            yield Note(at, 0.93 * length, pitch, level)
        place = start if turned else place


def _motif(plan: TrackPlan, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Onsets in two bars of sixteenths, and by how many rungs of the scale the melody moves to each."""
    per_step = np.clip(plan.style.lead_density * plan.signature.busy / 4, 0.02, 0.85)
    weight = np.tile([2.0, 0.35, 1.25, 0.4], 8)
    weight[[0, 16]] = 2.6
    wanted = int(np.clip(rng.poisson(32 * per_step), 2, 28))
    rhythm = np.sort(rng.choice(32, wanted, replace=False, p=weight / weight.sum()))
    moves = rng.choice([-2, -1, -1, 0, 1, 1, 2], wanted)
    leaps = rng.random(wanted) < 0.35 * plan.signature.leap
    moves[leaps] = rng.choice([-4, -3, 3, 4, 5], int(leaps.sum()))
    after = np.flatnonzero(leaps[:-1]) + 1
    moves[after] = -np.sign(moves[after - 1])
    return rhythm.astype(np.int64), moves.astype(np.int64)


def _reflect(place: int, count: int) -> int:
    if place < 0:
        return min(count - 1, -place)
    return max(0, 2 * (count - 1) - place) if place >= count else place


def _in_chord(pitch: int, voicing: tuple[int, ...]) -> bool:
    return any((pitch - tone) % 12 == 0 for tone in voicing)


def _drums(plan: TrackPlan, rng: np.random.Generator) -> Iterator[Strike]:
    groove = _groove(plan)
    if not any(stroke != "." for stroke in groove.kick + groove.snare + groove.hat):
        return
    rested = True
    for bar in range(plan.bars):
        loud = _plays(plan, "drums", bar)
        if not loud:
            rested = True
            continue
        if rested and bar and plan.style.kit.crash:
            yield Strike(step_s(plan, bar, 0), "crash", 0.6 * loud)
        rested = False
        fill = bar % 4 == 3 and bar + 1 < plan.bars and "x" in groove.snare and plan.style.human_s < 0.008
        for piece, pattern in (("kick", groove.kick), ("snare", groove.snare), ("hat", groove.hat)):
            for step, stroke in enumerate(pattern):
                if stroke == "." or (stroke == "?" and rng.random() < 0.5):
                    continue
                level = loud * {"x": 1.0, "O": 0.8, "o": 0.5, "?": 0.55}[stroke] * float(rng.uniform(0.88, 1.0))
                at = max(0.0, step_s(plan, bar, step) + float(rng.normal(0, 0.5 * plan.style.human_s)))
                yield Strike(at, "open_hat" if stroke == "O" else piece, level)
        if fill and rng.random() < 0.7:
            for step in (13, 14, 15)[int(rng.integers(2)) :]:
                yield Strike(step_s(plan, bar, step), "snare", loud * (0.35 + 0.12 * (step - 12)))
    if _plays(plan, "drums", plan.bars - 1):
        yield Strike(plan.bars * plan.bar_s, "kick", 0.8)
        if plan.style.kit.crash:
            yield Strike(plan.bars * plan.bar_s, "crash", 0.55)

"""Compose and render a track: a score from a style and an artist's signature, then the mix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from recommender.synthetic import instruments as play
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Touch, Waveform
from recommender.synthetic.styles import MODES, Style

STEPS = 16
KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True)
class Signature:
    """What an artist's tracks of one style have in common.

    Parameters
    ----------
    chords, bass, lead : int
        Which of the style's instruments.
    touch : Touch
    tempo : float in [0, 1]
        Where in the style's range.
    keys : tuple of int
        Favourite pitch classes.
    mode : int
        Which of the style's modes.
    register : int
        Semitones that melodies lie above the usual.
    busy : float
        Factor on the melody's density.
    reverb : float
        Added to the style's.
    drums : float
        Level of the drums.
    leap : float in [0, 1]
        How far melodies jump.
    """

    chords: int
    bass: int
    lead: int
    touch: Touch
    tempo: float
    keys: tuple[int, ...]
    mode: int
    register: int
    busy: float
    reverb: float
    drums: float
    leap: float


@dataclass(frozen=True)
class TrackPlan:
    """Everything that decides how a track sounds.

    Parameters
    ----------
    style : Style
    signature : Signature
    tempo_bpm : float
    key : int
        Pitch class of the tonic.
    mode : str
    progression : tuple of int
    length_s : float
    tilt_db : float
        The album's mastering: treble against bass.
    level_db : float
        The album's loudness, RMS in dB below full scale.
    seed : int
    """

    style: Style
    signature: Signature
    tempo_bpm: float
    key: int
    mode: str
    progression: tuple[int, ...]
    length_s: float
    tilt_db: float
    level_db: float
    seed: int


@dataclass(frozen=True)
class _Note:
    at_s: float
    length_s: float
    pitch: float
    level: float


def draw_signature(style: Style, rng: np.random.Generator) -> Signature:
    """Draw an artist's signature in a style."""
    return Signature(
        chords=int(rng.integers(len(style.chords))),
        bass=int(rng.integers(len(style.bass))),
        lead=int(rng.integers(len(style.lead))),
        touch=Touch(float(rng.beta(2, 2)), float(rng.uniform(0.001, 0.006)), float(rng.uniform(0.004, 0.03)), 0.15),
        tempo=float(rng.uniform()),
        keys=tuple(int(k) for k in rng.choice(12, 3, replace=False)),
        mode=int(rng.integers(len(style.modes))),
        register=int(rng.integers(-5, 6)),
        busy=float(rng.uniform(0.6, 1.5)),
        reverb=float(rng.uniform(-0.1, 0.15)),
        drums=float(rng.uniform(0.6, 1.1)),
        leap=float(rng.uniform(0.1, 0.6)),
    )


def plan_track(
    style: Style, signature: Signature, length_s: float, tilt_db: float, level_db: float, rng: np.random.Generator
) -> TrackPlan:
    """Draw one track of an artist."""
    low, high = style.tempo_bpm
    share = np.clip(signature.tempo + rng.normal(0, 0.12), 0, 1)
    own = rng.random() < 0.8
    return TrackPlan(
        style,
        signature,
        tempo_bpm=round(float(low + share * (high - low)), 1),
        key=int(rng.choice(signature.keys)),
        mode=style.modes[signature.mode if own else int(rng.integers(len(style.modes)))],
        progression=style.progressions[int(rng.integers(len(style.progressions)))],
        length_s=length_s,
        tilt_db=tilt_db,
        level_db=level_db,
        seed=int(rng.integers(2**31)),
    )


def render(plan: TrackPlan) -> Waveform:
    """Render a track.

    Returns
    -------
    ndarray, shape (n_samples,), float32
        Mono at `SAMPLE_RATE_HZ`, peak below 1, faded at both ends.
    """
    rng = np.random.default_rng(plan.seed)
    style, hand = plan.style, plan.signature
    n = int(plan.length_s * SAMPLE_RATE_HZ)
    bar_s = 240 / plan.tempo_bpm
    bars = int(np.ceil(plan.length_s / bar_s))
    chords = list(_chords(plan, bars))
    touch = hand.touch
    parts = (
        (style.chords[hand.chords], _comp(plan, chords, bar_s, rng), touch, 0.5),
        (style.bass[hand.bass], _bass(plan, chords, bar_s), touch, 0.62),
        (style.lead[hand.lead], _melody(plan, chords, bar_s, rng), touch, 0.5),
    )
    music = np.zeros(n, dtype=np.float32)
    for instrument, notes, how, level in parts:
        part = np.zeros(n, dtype=np.float32)
        rendered: dict[tuple[float, int], Waveform] = {}
        for note in notes:
            key = (note.pitch, round(note.length_s * 50))
            if key not in rendered:
                rendered[key] = instrument(note.pitch, note.length_s, how, rng)
            _add(part, rendered[key], note.at_s, note.level)
        loudness = float(np.sqrt(np.mean(part**2))) or 1.0
        music += part * np.float32(level * 0.16 / loudness)
    music = _echo(music, np.clip(style.reverb + hand.reverb, 0, 0.9), rng)
    music += _drums(plan, bars, bar_s, n, rng)
    return _master(music, plan)


def _chords(plan: TrackPlan, bars: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (degree, pitches) a bar, each chord near the one before."""
    scale = MODES[plan.mode]
    centre = 60.0
    for bar in range(bars):
        degree = plan.progression[bar % len(plan.progression)]
        tones = [scale[(degree + 2 * i) % 7] for i in range(plan.style.chord_size)]
        pitches = []
        for tone in tones:
            base = (plan.key + tone) % 12
            pitches.append(int(base + 12 * round((centre - base) / 12)))
        pitches = sorted(set(pitches))
        centre = 0.7 * float(np.mean(pitches)) + 0.3 * 60
        yield degree, pitches


def _active(bar: int, bars: int, part: str) -> bool:
    """The form: drums wait for the second bar pair, the melody rests in the break before the last third."""
    intro, rest = max(1, bars // 6), range(bars // 2, bars // 2 + max(1, bars // 8))
    if part == "drums":
        return bar >= intro and bar not in rest
    return part != "lead" or (bar >= intro and bar != rest[0])


def _step_s(step: int, bar_s: float, swing: float) -> float:
    """Time of a sixteenth in its bar; with swing, off-beats come late."""
    late = swing * bar_s / 16 if step % 4 >= 2 else 0.0
    return step * bar_s / STEPS + late


def _held(pattern: str, step: int) -> int:
    """Return for how many steps a stroke sounds."""
    for ahead in range(1, STEPS - step):
        if pattern[step + ahead] != "-":
            return ahead
    return STEPS - step


def _comp(
    plan: TrackPlan, chords: list[tuple[int, list[int]]], bar_s: float, rng: np.random.Generator
) -> Iterator[_Note]:
    pattern = plan.style.comping
    for bar, (_, pitches) in enumerate(chords):
        turn = 0
        for step, stroke in enumerate(pattern):
            if stroke == "-":
                continue
            at = bar * bar_s + _step_s(step, bar_s, plan.style.swing) + float(rng.normal(0, 0.004))
            length = _held(pattern, step) * bar_s / STEPS * 0.95
            if stroke == "x":
                for offset, pitch in enumerate(pitches):
                    yield _Note(at + 0.006 * offset, length, pitch, 0.8)
            else:
                yield _Note(at, length, pitches[turn % len(pitches)] + 12 * (turn // len(pitches) % 2), 0.9)
                turn += 1


def _bass(plan: TrackPlan, chords: list[tuple[int, list[int]]], bar_s: float) -> Iterator[_Note]:
    scale = MODES[plan.mode]
    for bar, (degree, _) in enumerate(chords):
        root = 36 + (plan.key + scale[degree % 7] - 4) % 12 + 4 - 12 * ((plan.key + scale[degree % 7] - 4) % 12 > 8)
        following = chords[(bar + 1) % len(chords)][0]
        for step, stroke in enumerate(plan.style.bass_line):
            if stroke == "-":
                continue
            if stroke == "w":
                beat = step // 4
                pitch = (root, root + 4 if 4 in scale else root + 3, root + 7,
                         36 + (plan.key + scale[following % 7] - 4) % 12 + 3)[beat]  # fmt: skip
            else:
                pitch = root + {"r": 0, "f": 7, "o": 12}[stroke]
            length = _held(plan.style.bass_line, step) * bar_s / STEPS * 0.9
            yield _Note(bar * bar_s + _step_s(step, bar_s, plan.style.swing), length, pitch, 1.0)


def _melody(
    plan: TrackPlan, chords: list[tuple[int, list[int]]], bar_s: float, rng: np.random.Generator
) -> Iterator[_Note]:
    """A motif of two bars, repeated and varied, drawn to the tones of the chord on strong beats."""
    scale = [12 * octave + s for octave in range(-1, 3) for s in MODES[plan.mode]]
    wanted = np.clip(plan.style.lead_density * plan.signature.busy / 4, 0.02, 0.7)
    weight = np.tile([2.2, 0.4, 1.1, 0.5], 8) * wanted
    rhythm = np.flatnonzero(rng.random(32) < weight)
    if not len(rhythm):
        rhythm = np.array([0, 14])
    moves = np.rint(rng.normal(0, 0.8 + 3 * plan.signature.leap, len(rhythm))).astype(int)
    place = 9
    for bar in range(0, len(chords), 2):
        if rng.random() < 0.3:
            moves = np.where(rng.random(len(moves)) < 0.3, np.rint(rng.normal(0, 2, len(moves))).astype(int), moves)
        for index, position in enumerate(rhythm):
            at_bar, step = bar + int(position) // STEPS, int(position) % STEPS
            if at_bar >= len(chords) or not _active(at_bar, len(chords), "lead"):
                continue
            place = int(np.clip(place + moves[index], 4, 18))
            if place in (4, 18):
                place = 11
            pitch = 60 + plan.key - (12 if plan.key > 6 else 0) + scale[place]
            if step % 4 == 0:
                pitch = min((p + 12 * o for p in chords[at_bar][1] for o in (0, 1, 2)), key=lambda p: abs(p - pitch))
            ahead = rhythm[(index + 1) % len(rhythm)] - position
            length = min(float(ahead if ahead > 0 else 4), 8.0) * bar_s / STEPS * 0.92
            at = at_bar * bar_s + _step_s(step, bar_s, plan.style.swing) + float(rng.normal(0, 0.006))
            yield _Note(at, length, pitch + plan.signature.register // 5 * 12, float(rng.uniform(0.75, 1.0)))


def _drums(plan: TrackPlan, bars: int, bar_s: float, n: int, rng: np.random.Generator) -> Waveform:
    style, brightness = plan.style, plan.signature.touch.brightness
    top = play.brush if style.brushes else play.hat
    kit = (
        (style.kick, play.kick(0.35, brightness, rng), 0.55),
        (style.snare, play.snare(0.25, brightness, rng), 0.42),
        (style.hat, top(0.3 if style.brushes else 0.12, brightness, rng), 0.3),
    )
    mix = np.zeros(n, dtype=np.float32)
    for pattern, sound, level in kit:
        for bar in range(bars):
            if not _active(bar, bars, "drums"):
                continue
            for step, stroke in enumerate(pattern):
                if stroke == "-" or (stroke == "?" and rng.random() < 0.5):
                    continue
                force = {"x": 1.0, "o": 0.55, "?": 0.6}[stroke] * rng.uniform(0.85, 1.0)
                at = bar * bar_s + _step_s(step, bar_s, style.swing) + float(rng.normal(0, 0.002))
                _add(mix, sound, at, level * force * plan.signature.drums)
    return mix


def _add(mix: Waveform, sound: Waveform, at_s: float, level: float) -> None:
    start = max(0, int(at_s * SAMPLE_RATE_HZ))
    end = min(len(mix), start + len(sound))
    if end > start:
        mix[start:end] += np.float32(level) * sound[: end - start]


def _echo(music: Waveform, amount: float, rng: np.random.Generator) -> Waveform:
    """A room: noise that dies away, darker and longer the more of it there is."""
    if amount < 0.02:
        return music
    n = int((0.3 + 1.8 * amount) * SAMPLE_RATE_HZ)
    tail = rng.normal(0, 1, n) * np.exp(-np.arange(n) / n * 6)
    tail = signal.lfilter([1 - 0.6 * amount], [1, -0.6 * amount], tail)
    wet = signal.oaconvolve(music, tail / np.sqrt(np.sum(tail**2)))[: len(music)]
    return np.asarray(music * (1 - 0.5 * amount) + 0.6 * amount * wet, dtype=np.float32)


def _master(music: Waveform, plan: TrackPlan) -> Waveform:
    """The album's tilt, gentle saturation, level and fades."""
    low = signal.lfilter(*_BELOW_800, music)
    mix: npt.NDArray[np.float64] = low * 10 ** (-plan.tilt_db / 40) + (music - low) * 10 ** (plan.tilt_db / 40)
    mix -= mix.mean()
    rms = float(np.sqrt(np.mean(mix**2))) or 1.0
    mix *= 10 ** (plan.level_db / 20) / rms
    drive = 1 + 2 * plan.style.drive
    mix = np.tanh(mix * drive) / np.tanh(drive)
    fade = min(len(mix) // 4, int(0.03 * SAMPLE_RATE_HZ)), min(len(mix) // 4, int(1.2 * SAMPLE_RATE_HZ))
    mix[: fade[0]] *= np.linspace(0, 1, fade[0])
    mix[-fade[1] :] *= np.linspace(1, 0, fade[1])
    peak = float(np.max(np.abs(mix)))
    return (mix * min(1.0, 0.97 / peak) if peak else mix).astype(np.float32)


_BELOW_800 = signal.butter(1, 800, "low", fs=SAMPLE_RATE_HZ)

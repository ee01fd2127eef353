"""Artists and their albums: habits that their tracks share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recommender.synthetic.corpus import rhythm
from recommender.synthetic.corpus.kinds import KINDS, Kind
from recommender.synthetic.corpus.kits import Kit, draw_kit
from recommender.synthetic.corpus.patches import Patch, draw_patch

_BORROWED = ("tempo", "scales", "vocabularies", "beats", "kits", "figures", "bass", "wet", "loudness", "voicings")
_ELSEWHERE = 0.12
_GUEST = 0.25


@dataclass(frozen=True)
class Insert:
    """What one part goes through before the mix.

    Parameters
    ----------
    drive : float in [0, 1]
    amplifier : bool
        Whether a guitar's loudspeaker follows.
    crush : int
        Bits that are kept; 0 keeps all.
    chorus, tremolo : float in [0, 1]
    bands : tuple of (float, float, float)
        Equalizer: Hz, dB, width in octaves.
    low_cut_hz, high_cut_hz : float
    send, echo : float
        To the reverb and to the echo.
    level_db : float
    """

    drive: float = 0.0
    amplifier: bool = False
    crush: int = 0
    chorus: float = 0.0
    tremolo: float = 0.0
    bands: tuple[tuple[float, float, float], ...] = ()
    low_cut_hz: float = 20.0
    high_cut_hz: float = 16_000.0
    send: float = 0.5
    echo: float = 0.0
    level_db: float = 0.0


@dataclass(frozen=True)
class Voice:
    """An instrument in an artist's hands: what it plays, how, and through what."""

    role: str
    patch: Patch
    insert: Insert
    figures: tuple[str, ...]
    density: float
    centre: int
    wide: bool
    leap: float


@dataclass(frozen=True)
class Record:
    """How an album was recorded and mastered.

    Parameters
    ----------
    bands : tuple of (float, float, float)
        Equalizer: Hz, dB, width in octaves.
    low_cut_hz, high_cut_hz : float
        The bandwidth.
    wet, ring_s, damping_hz : float
        Level of the reverb, how long it rings, and above what it is dull.
    echo_beats, feedback : float
    glue, saturation, pump : float in [0, 1]
    loudness : float
        LUFS.
    noise_db, hum_db, crackle : float
        Of the medium: hiss and hum relative to full scale, clicks a second; -inf and 0 for none.
    sweep : float in [0, 1]
        How far a filter wanders over the music.
    flutter : float
        Of the tape, as a share of the speed.
    """

    bands: tuple[tuple[float, float, float], ...]
    low_cut_hz: float
    high_cut_hz: float
    wet: float
    ring_s: float
    damping_hz: float
    echo_beats: float
    feedback: float
    glue: float
    saturation: float
    pump: float
    loudness: float
    noise_db: float
    hum_db: float
    crackle: float
    sweep: float
    flutter: float


@dataclass(frozen=True)
class Artist:
    """What an artist's tracks have in common.

    Parameters
    ----------
    kind : Kind
        With a few habits of another kind.
    tempo : (float, float)
    scales, vocabularies, voicings, meters, beats : tuples of str
        What the artist uses of its kind's.
    keys : tuple of int
        Favourite tonics.
    palette : tuple of Voice
    kits : tuple of Kit
        The first is the usual one; empty without drums.
    drum_insert : Insert
    busy, swing, human_s, rubato, tuning : float
        Business of the drums; place of the second eighth (0.5 is straight); spread of the timing; depth of the tempo's
        wavering; semitones from 440 Hz.
    record : Record
        What the albums' records vary.
    font : float in [0, 1)
        Which of the soundfonts.
    seed : int
    """

    kind: Kind
    tempo: tuple[float, float]
    scales: tuple[str, ...]
    vocabularies: tuple[str, ...]
    voicings: tuple[str, ...]
    meters: tuple[str, ...]
    beats: tuple[str, ...]
    keys: tuple[int, ...]
    palette: tuple[Voice, ...]
    kits: tuple[Kit, ...]
    drum_insert: Insert
    busy: float
    swing: float
    human_s: float
    rubato: float
    tuning: float
    record: Record
    font: float
    seed: int


def draw_artist(rng: np.random.Generator) -> Artist:
    """Draw an artist: the habits of one kind of music, some of another kind, and a taste of its own."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    other = KINDS[int(rng.integers(len(KINDS)))]
    borrowed = {name: getattr(other, name) for name in _BORROWED if rng.random() < _ELSEWHERE}
    kind = replace(kind, **borrowed)
    middle = rng.uniform(*kind.tempo)
    spread = 0.5 * (kind.tempo[1] - kind.tempo[0]) * rng.uniform(0.15, 0.6)
    drums = bool(kind.beats) and rng.random() < kind.drums
    flavour = str(rng.choice(kind.kits or ("acoustic",)))
    return Artist(
        kind,
        (float(max(35.0, middle - spread)), float(middle + spread)),
        _some(kind.scales, 3, rng),
        _some(kind.vocabularies, 2, rng),
        _some(kind.voicings, 2, rng),
        _some(kind.meters, 2, rng),
        _some(kind.beats, 3, rng) if drums else (),
        tuple(int(key) for key in rng.choice(12, 5, replace=False)),
        _palette(kind, other, rng),
        tuple(draw_kit(flavour, rng) for _ in range(int(rng.integers(1, 3)))) if drums else (),
        replace(_insert("drums", kind, rng), send=float(rng.uniform(0, 0.4)), amplifier=False),
        busy=float(rng.uniform()),
        swing=float(rng.uniform(0.54, 0.69)) if rng.random() < kind.swing else 0.5,
        human_s=float(rng.choice([0.0, 0.002, 0.006, 0.012]) * rng.uniform(0.5, 1.5)),
        rubato=float(rng.uniform(0.01, 0.07)) if rng.random() < kind.rubato else 0.0,
        tuning=float(rng.normal(0, 0.25)) if rng.random() < 0.25 else 0.0,
        record=_record(kind, rng),
        font=float(rng.uniform()),
        seed=int(rng.integers(1 << 31)),
    )


def album_record(artist: Artist, album: int) -> Record:
    """Return how an artist's album number `album` was recorded: near the artist's usual, never quite the same."""
    rng = np.random.default_rng([artist.seed, 7, album])
    usual = artist.record
    bands = tuple((hz, db + float(rng.normal(0, 1.2)), width) for hz, db, width in usual.bands)
    return replace(
        usual,
        bands=bands,
        wet=usual.wet * float(np.exp(rng.normal(0, 0.25))),
        loudness=usual.loudness + float(rng.normal(0, 1.5)),
        high_cut_hz=usual.high_cut_hz * float(np.exp(rng.normal(0, 0.08))),
        glue=float(np.clip(usual.glue + rng.normal(0, 0.1), 0, 0.9)),
    )


def at_hand(artist: Artist, rng: np.random.Generator) -> tuple[Voice, ...]:
    """Return who plays on a track: of two for a role mostly the first; one may stay at home, a guest may come."""
    roles: dict[str, list[Voice]] = {}
    for voice in artist.palette:
        roles.setdefault(voice.role, []).append(voice)
    chosen = [voices[0] if len(voices) == 1 or rng.random() < 0.7 else voices[1] for voices in roles.values()]
    playing = [voice for voice in chosen if rng.random() < 0.85] or chosen[:1]
    if rng.random() < _GUEST:
        role = str(rng.choice(list(artist.kind.roles)))
        group = str(rng.choice(artist.kind.roles[role][1]))
        guest = _voice(role, group, draw_patch(group, rng), artist.kind, rng)
        playing = [voice for voice in playing if voice.role != role] + [guest]
    return tuple(_set_anew(voice, rng) for voice in playing)


def _set_anew(voice: Voice, rng: np.random.Generator) -> Voice:
    """No two sessions have the same settings."""
    insert = voice.insert
    bands = tuple((hz, db + float(rng.normal(0, 1)), width) for hz, db, width in insert.bands)
    level_db, send = insert.level_db + float(rng.normal(0, 1.5)), insert.send * float(np.exp(rng.normal(0, 0.2)))
    drive = float(np.clip(insert.drive + rng.normal(0, 0.06), 0.02, 1)) if insert.drive else 0.0
    return replace(voice, insert=replace(insert, bands=bands, level_db=level_db, send=send, drive=drive))


def _some(choices: tuple[str, ...], most: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Up to `most` of the choices, the first one the favourite."""
    return tuple(str(rng.choice(choices)) for _ in range(int(rng.integers(1, most + 1))))


_OTHER_HAND = {"piano": 0.05, "guitar": 0.3, "harpsichord": 0.05, "electric piano": 0.1, "church organ": 0.2}
"""How often a second part on the same kind of instrument has a sound of its own."""

_CENTRES = {"chords": 59, "second": 62, "pad": 62, "bass": 38, "lead": 72, "counter": 69, "riff": 64}


def _palette(kind: Kind, other: Kind, rng: np.random.Generator) -> tuple[Voice, ...]:
    voices: list[Voice] = []
    hands: dict[str, Patch] = {}
    for role, (share, groups) in kind.roles.items():
        if role in other.roles and rng.random() < _ELSEWHERE:
            groups = other.roles[role][1]
        for turn in range(2 if role in ("lead", "chords") and rng.random() < 0.35 else 1):
            if turn or rng.random() < share:
                group = str(rng.choice(groups))
                if group not in hands or rng.random() < _OTHER_HAND.get(group, 0.5):
                    hands[group] = draw_patch(group, rng)
                voices.append(_voice(role, group, hands[group], kind, rng))
    return tuple(voices)


def _voice(role: str, group: str, patch: Patch, kind: Kind, rng: np.random.Generator) -> Voice:
    figures = kind.bass if role == "bass" else ("hold",) if role == "pad" else rhythm.FIGURES[kind.figures]
    centre = _CENTRES[role] + int(rng.normal(0, 4 if role != "bass" else 2))
    if group == "distorted guitar" and role in ("chords", "second"):
        centre = 44 + int(rng.integers(0, 9))
    return Voice(
        role,
        patch,
        _insert(group, kind, rng),
        _some(figures, 3, rng),
        density=float(rng.uniform(*kind.lead)) if role in ("lead", "counter") else float(rng.uniform()),
        centre=centre,
        wide=bool(rng.random() < 0.3),
        leap=float(rng.uniform()),
    )


def _insert(group: str, kind: Kind, rng: np.random.Generator) -> Insert:
    guitar = group == "distorted guitar"
    driven = guitar or rng.random() < 0.3 * kind.drive
    low = group in ("bass", "synth bass", "low strings", "drums")
    return Insert(
        drive=float(rng.uniform(0.3 if guitar else 0.05, 1.0)) if driven else 0.0,
        amplifier=guitar or (group in ("guitar", "bass") and rng.random() < 0.5),
        crush=int(rng.integers(4, 9)) if rng.random() < (0.3 if kind.name in ("chip", "glitch") else 0.02) else 0,
        chorus=float(rng.uniform(0.2, 1)) if not low and rng.random() < kind.chorus else 0.0,
        tremolo=float(rng.uniform(0.2, 0.9)) if not low and rng.random() < 0.07 else 0.0,
        bands=equalizer(2, 5.0, rng),
        low_cut_hz=20.0 if low else float(np.exp(rng.uniform(np.log(25), np.log(250)))),
        high_cut_hz=float(np.exp(rng.uniform(np.log(2500), np.log(20_000)))) if rng.random() < 0.4 else 16_000.0,
        send=0.0 if group in ("bass", "synth bass") else float(rng.uniform(0.1, 1.0)),
        echo=float(rng.uniform(0.1, 0.6)) if not low and rng.random() < kind.echo else 0.0,
        level_db=float(rng.normal(0, 2.5)),
    )


def equalizer(count: int, spread_db: float, rng: np.random.Generator) -> tuple[tuple[float, float, float], ...]:
    """Draw the bands of an equalizer: Hz, dB, width in octaves."""
    return tuple(
        (
            float(np.exp(rng.uniform(np.log(60), np.log(9000)))),
            float(rng.normal(0, spread_db)),
            float(rng.uniform(0.5, 2)),
        )
        for _ in range(count)
    )


def _record(kind: Kind, rng: np.random.Generator) -> Record:
    old = rng.random() < kind.lofi
    tilt = float(rng.normal(-0.3, 4.0))
    return Record(
        bands=((60.0, -tilt, 2.5), (9000.0, tilt, 2.5), *equalizer(3, 3.0, rng)),
        low_cut_hz=float(np.exp(rng.uniform(np.log(15), np.log(160 if old else 45)))),
        high_cut_hz=float(np.exp(rng.uniform(np.log(2800), np.log(9000)))) if old else float(rng.uniform(9000, 22_000)),
        wet=float(rng.uniform(*kind.wet)),
        ring_s=float(np.exp(rng.uniform(np.log(0.25), np.log(4.5)))),
        damping_hz=float(np.exp(rng.uniform(np.log(800), np.log(9000)))),
        echo_beats=float(rng.choice([0.5, 0.75, 1.0, 1.5])),
        feedback=float(rng.uniform(0.15, 0.7)),
        glue=float(rng.uniform(0, 0.75)),
        saturation=float(rng.uniform(0, 1) ** 2 * (1.0 if old or kind.drive > 0.5 else 0.5)),
        pump=float(rng.uniform(0.25, 0.9)) if rng.random() < kind.pump else 0.0,
        loudness=float(rng.uniform(*kind.loudness)),
        noise_db=float(rng.uniform(-75, -38)) if old or rng.random() < 0.1 else -np.inf,
        hum_db=float(rng.uniform(-75, -45)) if old and rng.random() < 0.3 else -np.inf,
        crackle=float(rng.exponential(12)) if old and rng.random() < 0.4 else 0.0,
        sweep=float(rng.uniform(0.2, 1)) if rng.random() < 0.12 + 0.3 * kind.pump else 0.0,
        flutter=float(rng.uniform(0.0005, 0.004)) if old and rng.random() < 0.5 else 0.0,
    )

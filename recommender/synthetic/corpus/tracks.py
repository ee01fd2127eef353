"""Tracks: an artist's habits turned into one piece with sections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommender.synthetic.corpus.artists import Artist, Record, Voice, album_record, at_hand
from recommender.synthetic.corpus.harmony import draw_progression, minor
from recommender.synthetic.corpus.kits import Kit
from recommender.synthetic.corpus.melody import Ground, Loop, write_loop
from recommender.synthetic.corpus.rhythm import METERS, Beat, Meter, draw_beat


@dataclass(frozen=True)
class Material:
    """What sounds in every section of one name.

    Parameters
    ----------
    intensity : float in [0, 1]
    loops : tuple of Loop or None
        For each voice of the track what it repeats; None where it rests.
    beat : Beat or None
    """

    intensity: float
    loops: tuple[Loop | None, ...]
    beat: Beat | None


@dataclass(frozen=True)
class Section:
    """Bars in a row."""

    first_bar: int
    bars: int
    material: Material


@dataclass(frozen=True)
class Track:
    """Everything that decides how a track sounds.

    Parameters
    ----------
    artist : Artist
    album : int
    tempo_bpm : float
        Of the beat that the meter counts.
    key : int
        Pitch class of the tonic.
    scale : str
    meter : Meter
    voices : tuple of Voice
    sections : tuple of Section
    kit : Kit or None
    record : Record
    seed : int
    """

    artist: Artist
    album: int
    tempo_bpm: float
    key: int
    scale: str
    meter: Meter
    voices: tuple[Voice, ...]
    sections: tuple[Section, ...]
    kit: Kit | None
    record: Record
    seed: int

    @property
    def step_s(self) -> float:
        """A step of the bar's grid."""
        per_beat = {6: 6, 3: 3}.get(self.meter.beat, 4)
        return 60 / self.tempo_bpm / per_beat

    @property
    def bar_s(self) -> float:
        """A bar."""
        return self.step_s * self.meter.steps

    @property
    def length_s(self) -> float:
        """All bars."""
        return (self.sections[-1].first_bar + self.sections[-1].bars) * self.bar_s

    @property
    def minor(self) -> bool:
        """Whether the scale's third is minor."""
        return minor(self.scale)

    @property
    def has_drums(self) -> bool:
        """Whether drums play anywhere."""
        return any(section.material.beat is not None for section in self.sections)

    @property
    def families(self) -> frozenset[str]:
        """The families of instruments that play anywhere; of `patches.FAMILIES`."""
        playing = {
            voice.patch.family
            for section in self.sections
            for voice, loop in zip(self.voices, section.material.loops, strict=True)
            if loop is not None
        }
        return frozenset(playing | ({"drums"} if self.has_drums else set()))


def draw_track(artist: Artist, rng: np.random.Generator, album: int = 0, length_s: float | None = None) -> Track:
    """Draw a track of an artist.

    Parameters
    ----------
    artist : Artist
    rng : Generator
    album : int
        Which of the artist's albums it is on: tracks of one share their record.
    length_s : float, optional
        Roughly how long; 75 to 240 s without it.
    """
    meter_name = artist.meters[int(rng.integers(len(artist.meters)))]
    meter = METERS[meter_name]
    tempo = float(np.clip(rng.uniform(*artist.tempo), 35, 220))
    if meter.beat == 6:
        tempo = max(35.0, tempo / 1.8)
    scale = artist.scales[int(rng.integers(len(artist.scales)))]
    key = int(rng.choice(artist.keys))
    voices = at_hand(artist, rng)
    wanted_s = float(rng.uniform(75, 240)) if length_s is None else length_s
    per_beat = {6: 6, 3: 3}.get(meter.beat, 4)
    bar_s = 60 / tempo / per_beat * meter.steps
    materials = _materials(artist, voices, meter, scale, key, rng)
    return Track(
        artist,
        album,
        tempo,
        key,
        scale,
        meter,
        voices,
        _form(materials, max(2, round(wanted_s / bar_s)), bar_s, rng),
        artist.kits[0 if rng.random() < 0.8 else -1] if artist.kits else None,
        album_record(artist, album),
        int(rng.integers(1 << 31)),
    )


def _materials(
    artist: Artist, voices: tuple[Voice, ...], meter: Meter, scale: str, key: int, rng: np.random.Generator
) -> list[Material]:
    flavours = [artist.beats[int(rng.integers(len(artist.beats)))] for _ in range(2)] if artist.beats else []
    materials = []
    for _ in range(int(rng.integers(2, 5))):
        intensity = float(rng.beta(2.2, 1.6))
        vocabulary = artist.vocabularies[int(rng.integers(len(artist.vocabularies)))]
        voicing = artist.voicings[int(rng.integers(len(artist.voicings)))]
        chords = draw_progression(vocabulary, scale, voicing, rng)
        bars_each = float(rng.choice([1, 1, 1, 2, 0.5] if len(chords) > 1 else [2]))
        ground = Ground(chords, bars_each, meter, scale, key)
        plays = rng.random(len(voices)) < 0.5 + 0.45 * intensity
        plays[rng.choice(len(voices), min(len(voices), 2), replace=False)] = True
        loops = tuple(write_loop(voice, ground, rng) if on else None for voice, on in zip(voices, plays, strict=True))
        drums = bool(flavours) and rng.random() < 0.35 + 0.65 * intensity
        flavour = flavours[0 if rng.random() < 0.75 else 1] if drums else ""
        busy = float(np.clip(artist.busy + rng.normal(0, 0.2), 0, 1))
        materials.append(Material(intensity, loops, draw_beat(flavour, meter, busy, rng) if drums else None))
    return materials


def _form(materials: list[Material], bars: int, bar_s: float, rng: np.random.Generator) -> tuple[Section, ...]:
    """Sections of 4 to 16 bars until the track is long enough; the calmest begins."""
    usual = 16 if bar_s < 1.6 else 8 if bar_s < 3.2 else 4
    sections, at, now = [], 0, int(np.argmin([material.intensity for material in materials]))
    while at < bars:
        length = int(min(bars - at, usual * rng.choice([0.5, 1, 1, 2]) if at else max(2, usual // 2)))
        sections.append(Section(at, max(1, length), materials[now]))
        at += max(1, length)
        if rng.random() < 0.8:
            now = int((now + rng.integers(1, len(materials))) % len(materials))
    return tuple(sections)

"""Styles: what the music of the embedded world has in common and where it differs."""

from __future__ import annotations

from dataclasses import dataclass

from recommender.synthetic import instruments as play
from recommender.synthetic.instruments import Instrument

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)
LYDIAN = (0, 2, 4, 6, 7, 9, 11)
MODES = {"major": MAJOR, "minor": MINOR, "dorian": DORIAN, "phrygian": PHRYGIAN, "lydian": LYDIAN}


@dataclass(frozen=True)
class Style:
    """A style of music.

    Parameters
    ----------
    name : str
    tempo_bpm : tuple of float
        Slowest and fastest.
    modes : tuple of str
        Keys of `MODES`.
    progressions : tuple of tuples of int
        Scale degrees from 0, a chord a bar.
    chord_size : int
        3 for triads, 4 for sevenths.
    chords, bass, lead : tuples of Instrument
        What an artist chooses from.
    comping : str
        Sixteen steps of a bar: ``x`` strikes the chord, ``a`` plays its next note alone, ``-`` holds.
    bass_line : str
        Sixteen steps: ``r`` root, ``f`` fifth, ``o`` octave, ``w`` the next step of a walk.
    kick, snare, hat : str
        Sixteen steps: ``x`` always, ``o`` softly, ``?`` now and then.
    brushes : bool
        Brushes instead of hats.
    swing : float in [0, 1)
        How late the second half of a beat comes, as a share of half a beat.
    lead_density : float
        Notes of the melody a beat.
    reverb, drive : float in [0, 1]
    """

    name: str
    tempo_bpm: tuple[float, float]
    modes: tuple[str, ...]
    progressions: tuple[tuple[int, ...], ...]
    chord_size: int
    chords: tuple[Instrument, ...]
    bass: tuple[Instrument, ...]
    lead: tuple[Instrument, ...]
    comping: str
    bass_line: str
    kick: str
    snare: str
    hat: str
    brushes: bool = False
    swing: float = 0.0
    lead_density: float = 1.0
    reverb: float = 0.2
    drive: float = 0.0


NOTHING = "-" * 16

# fmt: off
STYLES = (
    Style(
        "ambient", (56, 74), ("lydian", "major"), ((0, 3, 0, 4), (0, 5, 3, 0), (0, 1, 0, 4)), 4,
        (play.pad, play.strings), (play.sub,), (play.bell, play.electric_piano),
        "x---------------", "r---------------", NOTHING, NOTHING, NOTHING, lead_density=0.35, reverb=0.75,
    ),
    Style(
        "house", (120, 128), ("minor", "dorian"), ((0, 5, 3, 4), (0, 3, 5, 6), (0, 0, 5, 6)), 4,
        (play.organ, play.electric_piano, play.saw), (play.sub, play.bass_saw), (play.saw, play.electric_piano),
        "--x---x---x--x--", "--r---r---r--ro-", "x---x---x---x---", "----x-------x---", "--x---x---x---x?",
        lead_density=0.6, reverb=0.25,
    ),
    Style(
        "drum and bass", (168, 178), ("minor", "phrygian"), ((0, 0, 5, 5), (0, 0, 3, 6), (0, 5, 0, 6)), 3,
        (play.pad, play.strings), (play.bass_saw, play.sub), (play.bell, play.saw),
        "x-------x-------", "r--r--o---r-r---", "x---------x-----", "----x-------x--?", "x-x-x-x-x-x?x-xx",
        lead_density=0.4, reverb=0.3,
    ),
    Style(
        "folk", (88, 112), ("major", "dorian"), ((0, 4, 5, 3), (0, 3, 0, 4), (0, 5, 3, 4)), 3,
        (play.pluck,), (play.bass_pluck,), (play.pluck, play.strings),
        "a-a-a-a-a-a-a-a-", "r-------f-------", NOTHING, NOTHING, "----o-------o---", brushes=True,
        lead_density=0.9, reverb=0.22,
    ),
    Style(
        "piano ballad", (60, 78), ("major", "minor"), ((0, 4, 5, 3), (0, 5, 1, 4), (0, 2, 3, 4)), 3,
        (play.piano,), (play.piano,), (play.piano, play.strings),
        "x---a---a---a---", "r-------f-------", NOTHING, NOTHING, NOTHING, lead_density=0.8, reverb=0.4,
    ),
    Style(
        "jazz trio", (104, 168), ("major", "dorian"), ((1, 4, 0, 0), (1, 4, 0, 5), (0, 5, 1, 4)), 4,
        (play.piano, play.electric_piano), (play.bass_pluck,), (play.piano, play.electric_piano),
        "---x------x-----", "w---w---w---w---", "o---------o-----", NOTHING, "x---x-x-x---x-x-", brushes=True,
        swing=0.62, lead_density=1.7, reverb=0.18,
    ),
    Style(
        "chiptune", (132, 160), ("major", "minor"), ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4)), 3,
        (play.square,), (play.square,), (play.square,),
        "aaaaaaaaaaaaaaaa", "r-r-o-r-r-r-o-r-", "x-----x-x-------", "----x-------x---", "--x---x---x---x-",
        lead_density=2.0, reverb=0.0,
    ),
    Style(
        "synthwave", (84, 112), ("minor", "dorian"), ((0, 5, 2, 6), (0, 3, 5, 6), (5, 6, 0, 0)), 3,
        (play.saw, play.pad), (play.bass_saw,), (play.saw, play.bell),
        "x---------------", "r-r-r-r-r-r-o-r-", "x-------x-------", "----x-------x---", "x-x-x-x-x-x-x-x-",
        lead_density=0.7, reverb=0.45,
    ),
    Style(
        "dub", (68, 78), ("minor", "dorian"), ((0, 3, 0, 3), (0, 0, 4, 3), (0, 6, 0, 4)), 3,
        (play.organ, play.guitar_drive), (play.sub, play.bass_pluck), (play.organ, play.bell),
        "----x-------x---", "r--r--r---f-r---", "--------x-------", "--------x------?", "x-o-x-o-x-o-x-o-",
        swing=0.2, lead_density=0.4, reverb=0.6,
    ),
    Style(
        "metal", (136, 172), ("phrygian", "minor"), ((0, 0, 1, 0), (0, 5, 6, 1), (0, 0, 3, 1)), 3,
        (play.guitar_drive,), (play.bass_saw,), (play.guitar_drive, play.saw),
        "x-xxx-xxx-xxx-xx", "r-rrr-rrr-rrr-rr", "x-xxx-xxx-xxx-x?", "----x-------x---", "x---x---x---x---",
        lead_density=1.2, reverb=0.08, drive=0.6,
    ),
    Style(
        "bossa", (116, 138), ("major", "lydian"), ((0, 1, 4, 0), (0, 5, 1, 4), (0, 3, 2, 5)), 4,
        (play.pluck,), (play.bass_pluck,), (play.electric_piano, play.pluck),
        "x--x--x---x--x--", "r-----f-f-----r-", "o-----o-o-----o-", NOTHING, "xoxoxoxoxoxoxoxo", brushes=True,
        lead_density=1.0, reverb=0.2,
    ),
    Style(
        "orchestral", (72, 108), ("minor", "major"), ((0, 5, 2, 6), (0, 3, 4, 0), (0, 4, 5, 2)), 3,
        (play.strings,), (play.strings,), (play.strings, play.bell),
        "x-------x-------", "r-------r-------", "?---------------", NOTHING, NOTHING, lead_density=0.9, reverb=0.55,
    ),
)
# fmt: on

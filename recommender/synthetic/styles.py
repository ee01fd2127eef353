"""Styles: what the music of the embedded world has in common and where it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recommender.synthetic import drums as hit
from recommender.synthetic import instruments as play
from recommender.synthetic.drums import Kit
from recommender.synthetic.instruments import Instrument

MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}

TRIAD, SEVENTH, NINTH = (0, 2, 4), (0, 2, 4, 6), (2, 4, 6, 8)
OPEN = (0, 4, 8, 9)


@dataclass(frozen=True)
class Groove:
    """A bar of sixteen steps.

    Parameters
    ----------
    chords : str
        ``x`` strikes the chord, ``a`` its next note alone, ``p`` a fifth on its root, ``m`` the same muted by the palm,
        ``2`` to ``4`` fifths one to three scale steps above; ``-`` holds, ``.`` is silent.
    bass : str
        ``r`` root, ``t`` third, ``f`` fifth, ``o`` octave, ``w`` the next step of a walk, ``s`` leads to the next root.
    kick, snare, hat : str
        ``x`` always, ``o`` softly, ``?`` now and then, ``O`` the open hat.
    """

    chords: str
    bass: str
    kick: str = "." * 16
    snare: str = "." * 16
    hat: str = "." * 16


@dataclass(frozen=True)
class Form:
    """Which part plays in which eighth of a track: ``x`` plays, ``o`` softly, ``.`` rests."""

    chords: str
    bass: str
    lead: str
    layer: str
    drums: str


@dataclass(frozen=True)
class Style:
    """A style of music.

    Parameters
    ----------
    name : str
    tempo_bpm : tuple of float
        Slowest and fastest.
    harmony : mapping of str to tuples of tuples of int
        For each mode the progressions: scale degrees from 0, a chord a bar.
    voicing : tuple of int
        Scale steps above a chord's root.
    chords, bass, lead : tuples of Instrument
        What an artist chooses from.
    layer : tuple of Instrument
        What may hold the chords behind the rest; empty for none.
    grooves, forms : tuples of Groove and of Form
    kit : Kit
    swing : float in [0.5, 0.7]
        Where the second of two eighths begins, as a share of a beat.
    human_s : float
        Spread of the players' timing.
    lead_density : float
        Notes of the melody a beat.
    lead_centre : int
        Pitch around which melodies lie.
    chord_centre : int
        Pitch around which chords lie.
    ring : bool
        Notes of broken chords sound on until the end of their bar.
    strum_s : float
        Time between the notes of a chord.
    room, echo, pump, drive, glue, chorus : float in [0, 1]
        Of the mix: reverb, echo in dotted eighths, ducking under the kick, amplifier, compression, doubling.
    wooden : bool
        The chords go through the box of a guitar.
    sweep : bool
        A filter opens while the drums rest.
    levels : tuple of float
        Chords, bass, lead, layer, drums.
    """

    name: str
    tempo_bpm: tuple[float, float]
    harmony: Mapping[str, tuple[tuple[int, ...], ...]]
    voicing: tuple[int, ...]
    chords: tuple[Instrument, ...]
    bass: tuple[Instrument, ...]
    lead: tuple[Instrument, ...]
    layer: tuple[Instrument, ...]
    grooves: tuple[Groove, ...]
    forms: tuple[Form, ...]
    kit: Kit
    swing: float = 0.5
    human_s: float = 0.004
    lead_density: float = 1.0
    lead_centre: int = 72
    chord_centre: int = 60
    ring: bool = False
    strum_s: float = 0.0
    room: float = 0.2
    echo: float = 0.0
    pump: float = 0.0
    drive: float = 0.0
    glue: float = 0.3
    chorus: float = 0.0
    wooden: bool = False
    sweep: bool = False
    levels: tuple[float, float, float, float, float] = (0.8, 0.9, 0.75, 0.4, 1.0)

    @property
    def modes(self) -> tuple[str, ...]:
        """The scales that the style is written in."""
        return tuple(self.harmony)


# fmt: off
_CLUB = Kit(hit.kick, hit.clap, hit.hat, hit.hat_open, hit.crash)
_ROCK = Kit(hit.kick_tight, hit.snare, hit.ride, hit.hat_open, hit.crash)
_BREAKS = Kit(hit.kick, hit.snare, hit.hat, hit.ride, hit.crash)
_BRUSHES = Kit(hit.kick_soft, hit.brush, hit.brush, hit.brush)
_JAZZ = Kit(hit.kick_soft, hit.brush, hit.ride, hit.hat_open)
_LATIN = Kit(hit.kick_soft, hit.rim, hit.shaker, hit.shaker)
_DUB = Kit(hit.kick_soft, hit.rim, hit.hat, hit.hat_open)
_CHIP = Kit(hit.chip_kick, hit.chip_snare, hit.chip_hat, hit.chip_snare)
_EIGHTIES = Kit(hit.kick, hit.snare_gated, hit.hat, hit.hat_open, hit.crash)
_ORCHESTRA = Kit(hit.timpani, hit.timpani, hit.shaker, hit.shaker, hit.crash)

_CALM = (Form("xxxxxxxx", "..xxxxxx", ".xxxxxxx", "oooxxxxo", "xxxxxxxx"),
         Form("xxxxxxxx", ".xxxx.xx", "..xxx.xx", "....xxxx", "xxxxxxxx"))
_SONG = (Form("xxxxxxxx", ".xxxxxxx", ".xxx.xxx", "....xxxx", ".xxxxxxx"),
         Form("xxxxxxxx", "xxxx.xxx", "..xxoxxx", "..xx..xx", "..xx.xxx"))
_CLUBBED = (Form("oxxxoxxx", ".xxx..xx", "..xxx.xx", "....xxxx", ".xxx..xx"),
            Form("xxxxxxxx", "..xxx.xx", "...xo.xx", "xx..xxxx", "oxxxx.xx"))
_BAND = (Form("xxxxxxxx", "xxxxxxxx", ".xxx.xxx", "......xx", "xxxxxxxx"),
         Form("xxxxxxxx", ".xxxxxxx", "..xx.xxx", "....xxxx", "oxxx.xxx"))

STYLES = (
    Style(
        "ambient", (56, 74), {"lydian": ((0, 1, 0, 4), (0, 4, 1, 0)), "major": ((0, 3, 0, 4), (0, 5, 3, 0))}, OPEN,
        (play.pad, play.choir), (play.sub,), (play.bell, play.vibraphone, play.flute), (play.choir, play.pad),
        (Groove("x---------------", "r---------------"), Groove("x-------a---a---", "r-----------f---")),
        _CALM, _BRUSHES, human_s=0.02, lead_density=0.4, lead_centre=76, ring=True, strum_s=0.04,
        room=0.8, echo=0.35, glue=0.1, chorus=0.5, levels=(0.9, 0.5, 0.6, 0.6, 0.0),
    ),
    Style(
        "house", (119, 127),
        {"minor": ((0, 5, 2, 6), (0, 3, 5, 6), (0, 0, 5, 6)), "dorian": ((0, 3, 0, 3), (0, 6, 3, 0))}, SEVENTH,
        (play.electric_piano, play.organ, play.saw), (play.bass_saw, play.sub), (play.saw, play.vibraphone),
        (play.pad,),
        (Groove("..x-..x...x-.x..", "..r-..r-..r-..ro", "x...x...x...x...", "....x.......x...", "o.O.o.O.o.O.o.O?"),
         Groove("x--x--x...x--x..", "r..r..o.r..r.fo.", "x...x...x...x...", "....x.......x..?", "..O...O...O.o.O.")),
        _CLUBBED, _CLUB, swing=0.53, human_s=0.002, lead_density=0.55, room=0.28, echo=0.2, pump=0.65, glue=0.5,
        sweep=True, levels=(0.75, 0.85, 0.5, 0.45, 1.2),
    ),
    Style(
        "drum and bass", (168, 178),
        {"minor": ((0, 0, 5, 5), (0, 0, 3, 6)), "phrygian": ((0, 0, 1, 1), (0, 1, 0, 6))}, SEVENTH,
        (play.pad, play.choir), (play.reese,), (play.bell, play.flute), (play.choir, play.pad),
        (Groove("x---------------", "r-----r--.r-s---", "x.........x.....", "....x..o.o..x..?", "x.o.x.o.x.o.x.oO"),
         Groove("x-------x-------", "r---.r--r-.-f-s-", "x.x.......x.?...", "....x..o.?..x...", "o.x.o.x.o.x.o.x.")),
        _CLUBBED, _BREAKS, human_s=0.002, lead_density=0.3, lead_centre=76, room=0.45, echo=0.3, pump=0.4, glue=0.6,
        sweep=True, levels=(0.6, 1.15, 0.5, 0.35, 1.5),
    ),
    Style(
        "folk", (84, 112),
        {"major": ((0, 4, 5, 3), (0, 3, 0, 4), (0, 5, 3, 4)), "mixolydian": ((0, 6, 3, 0), (0, 3, 6, 0)),
         "dorian": ((0, 6, 3, 0), (0, 2, 6, 0))}, TRIAD,
        (play.pluck,), (play.bass_pluck,), (play.pluck, play.flute, play.strings), (play.strings,),
        (Groove("a.a.a.a.a.a.a.a.", "r-------f-------", "................", "....o.......o...", "................"),
         Groove("x---x-x-..x-x-x-", "r-------f---r---", "o.......o.......", "....x.......x...", "..o...o...o...o.")),
        _SONG, _BRUSHES, human_s=0.009, lead_density=0.8, lead_centre=74, chord_centre=57, ring=True, strum_s=0.014,
        room=0.22, glue=0.25, wooden=True, levels=(1.0, 0.55, 0.6, 0.3, 0.35),
    ),
    Style(
        "piano ballad", (58, 76),
        {"major": ((0, 4, 5, 3), (0, 5, 1, 4), (0, 2, 3, 4)), "minor": ((0, 5, 2, 6), (0, 3, 6, 2), (0, 6, 5, 6))},
        TRIAD, (play.piano,), (play.piano,), (play.piano, play.strings), (play.strings, play.choir),
        (Groove("x---x---x---x---", "r-------f-------"), Groove("a-a-a-a-a-a-a-a-", "r---------------")),
        _SONG, _BRUSHES, human_s=0.014, lead_density=0.85, lead_centre=74, chord_centre=59, ring=True, strum_s=0.01,
        room=0.42, glue=0.15, levels=(0.65, 0.6, 0.95, 0.4, 0.0),
    ),
    Style(
        "jazz trio", (108, 176),
        {"major": ((1, 4, 0, 0), (1, 4, 0, 5), (0, 5, 1, 4)), "dorian": ((0, 3, 0, 3), (0, 0, 6, 3))}, NINTH,
        (play.piano, play.electric_piano), (play.bass_pluck,), (play.piano, play.vibraphone, play.electric_piano), (),
        (Groove("..x...x-....x...", "w---w---w---w---", "o.......o.....?.", "....?..?....o..?", "x...x.x.x...x.x."),
         Groove("x-.....x-.....x-", "w---w---w---w-s-", "o...o...o...o...", "......?.......o.", "x...x.x.x...x.x.")),
        _BAND, _JAZZ, swing=0.64, human_s=0.008, lead_density=1.6, lead_centre=73, chord_centre=58, strum_s=0.004,
        room=0.18, glue=0.2, levels=(0.55, 0.85, 0.9, 0.0, 0.7),
    ),
    Style(
        "chiptune", (134, 164),
        {"major": ((0, 4, 5, 3), (0, 5, 3, 4)), "minor": ((0, 5, 2, 6), (0, 6, 5, 6), (0, 3, 6, 2))}, TRIAD,
        (play.square,), (play.triangle,), (play.square,), (),
        (Groove("aaaaaaaaaaaaaaaa", "r.r.o.r.r.r.o.r.", "x.....x.x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
         Groove("a.aa.aa.a.aa.aa.", "r.rr..o.r.rr..f.", "x...x...x...x...", "....x.......x.xx", "..x...x...x...x.")),
        _BAND, _CHIP, human_s=0.0, lead_density=1.8, lead_centre=79, chord_centre=66, room=0.0, echo=0.15, glue=0.2,
        levels=(0.45, 0.8, 0.8, 0.0, 0.9),
    ),
    Style(
        "synthwave", (82, 108),
        {"minor": ((0, 5, 2, 6), (0, 3, 5, 6), (5, 6, 0, 0)), "dorian": ((0, 2, 3, 0), (0, 6, 3, 3))}, TRIAD,
        (play.saw, play.pad), (play.bass_saw,), (play.saw, play.bell, play.reed), (play.pad,),
        (Groove("x---------------", "rrrrrrrrrrrrrrrr", "x.......x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
         Groove("a.a.a.a.a.a.a.a.", "r.rrr.rrr.rrr.ro", "x.....x.x.......", "....x.......x..?", "xoxoxoxoxoxoxoxO")),
        _BAND, _EIGHTIES, human_s=0.002, lead_density=0.65, lead_centre=76, room=0.5, echo=0.4, pump=0.3, glue=0.45,
        chorus=0.6, sweep=True, levels=(0.7, 0.8, 0.7, 0.45, 1.05),
    ),
    Style(
        "dub", (68, 80), {"minor": ((0, 3, 0, 3), (0, 6, 0, 6)), "dorian": ((0, 3, 0, 3), (0, 1, 0, 3))}, TRIAD,
        (play.organ, play.electric_piano, play.reed), (play.sub,), (play.reed, play.horn), (),
        (Groove("..x...x...x...x.", "r--r--f---r.t-f-", "....x.......x...", "....x.......x...", "x.o.x.o.x.o.x.oO"),
         Groove("..x...x...x..xx.", "r-.-r-t-f-..r---", "x...x...x...x...", "....x..?....x...", "o.x.o.x.o.x.o.x.")),
        _BAND, _DUB, swing=0.56, human_s=0.006, lead_density=0.4, lead_centre=70, chord_centre=64, room=0.45, echo=0.85,
        glue=0.4, levels=(0.6, 1.25, 0.55, 0.0, 0.9),
    ),
    Style(
        "metal", (138, 178),
        {"phrygian": ((0, 0, 1, 0), (0, 0, 0, 1)), "minor": ((0, 0, 5, 6), (0, 5, 6, 0), (0, 0, 2, 6))}, TRIAD,
        (play.electric_string,), (play.bass_pluck,), (play.electric_string,), (),
        (Groove("mmpmmmpmmm2-3-2-", "rrrrrrrrrrr-r-r-", "x.xxx.xxx.x.x.x.", "....x.......x...", "x...x...x...x..."),
         Groove("m.mmm.mmm.mmp---", "r.rrr.rrr.rrr---", "x.xxx.xxx.xxx...", "....x.......x..x", "x.x.x.x.x.x.x.x."),
         Groove("p-------mmmmp---", "r-------rrrrr---", "xxxxxxxxxxxxxxxx", "....x.......x...", "x...x...x...x...")),
        _BAND, _ROCK, human_s=0.004, lead_density=1.1, lead_centre=69, chord_centre=40, room=0.1, drive=0.75, glue=0.5,
        levels=(1.1, 0.7, 0.7, 0.0, 1.0),
    ),
    Style(
        "bossa", (116, 138),
        {"major": ((0, 5, 1, 4), (1, 4, 0, 0), (0, 3, 1, 4)), "lydian": ((0, 1, 0, 1), (0, 1, 4, 0))}, SEVENTH,
        (play.pluck,), (play.bass_pluck,), (play.flute, play.vibraphone, play.pluck), (play.strings,),
        (Groove("x..x..x-..x..x-.", "r-----f-f-----r-", "o.....o.o.....o.", "x..x..x...x..x..", "xoxoxoxoxoxoxoxo"),
         Groove("..x-.x-..x-..x-.", "r-----r-f-----f-", "o.......o.......", "..x..x....x.x...", "x.o.x.o.x.o.x.o.")),
        _BAND, _LATIN, human_s=0.007, lead_density=0.9, lead_centre=73, chord_centre=59, strum_s=0.006, room=0.25,
        glue=0.2, wooden=True, levels=(0.8, 0.75, 0.8, 0.3, 0.7),
    ),
    Style(
        "orchestral", (70, 112),
        {"minor": ((0, 5, 2, 6), (0, 3, 5, 6), (0, 6, 5, 4)), "major": ((0, 5, 3, 4), (0, 2, 3, 4))}, TRIAD,
        (play.strings,), (play.strings, play.horn), (play.strings, play.horn, play.flute), (play.horn, play.choir),
        (Groove("x-------x-------", "r-------r-------", "x...............", "............?...", "................"),
         Groove("x.x.xxx.x.x.xxx.", "r---r---r---r---", "x.......?.......", "................", "................")),
        (Form("oxxxoxxx", "xxxxxxxx", "..xx.xxx", "....xxxx", "....x.xx"),
         Form("xxxxxxxx", "..xxxxxx", ".xxxxxxx", "xx..oxxx", "..x...xx")),
        _ORCHESTRA, human_s=0.012, lead_density=0.75, lead_centre=74, chord_centre=60, room=0.6, glue=0.1,
        levels=(0.8, 0.7, 0.85, 0.5, 0.6),
    ),
)
# fmt: on

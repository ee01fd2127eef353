"""Kinds of music: where an artist's habits are drawn from, so that what goes together often goes together here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROLES = ("chords", "second", "pad", "bass", "lead", "counter", "riff")
Groups = tuple[str, ...]

_POP = ("major", "minor", "major", "minor", "mixolydian", "dorian")
_DARK = ("minor", "harmonic minor", "phrygian", "dorian", "hungarian", "minor pentatonic")
_JAZZY = ("major", "dorian", "mixolydian", "minor", "lydian")
_FILM = ("minor", "major", "lydian", "dorian", "harmonic minor", "chromatic")
_FOLKY = ("major", "mixolydian", "dorian", "minor", "pentatonic")
_EAST = ("hijaz", "phrygian", "in sen", "pentatonic", "minor pentatonic", "hungarian")
_ODD = ("phrygian", "whole tone", "chromatic", "lydian", "hungarian", "minor", "in sen")


@dataclass(frozen=True)
class Kind:
    """A kind of music.

    Parameters
    ----------
    name : str
    tempo : (float, float)
        Beats a minute.
    scales, vocabularies, voicings : tuples of str
        Of `harmony`; what is repeated is likelier.
    beats, kits : tuples of str
        Of `rhythm.BEATS` and of the flavours of `kits`; no beats: no drums.
    figures : str
        Of `rhythm.FIGURES`.
    roles : mapping of str to (probability, groups of `patches.PROGRAMS`)
        Of `ROLES`.
    bass : tuple of str
        ``long``, ``root``, ``pulse``, ``octaves``, ``walk`` or ``synco``.
    lead : (float, float)
        Density of melodies, notes a beat.
    meters : tuple of str
    drums, swing, rubato, drive, lofi, pump, chorus, echo : float in [0, 1]
        Probabilities.
    wet : (float, float)
        Level of the reverb.
    loudness : (float, float)
        LUFS.
    """

    name: str
    tempo: tuple[float, float]
    scales: Groups
    vocabularies: Groups
    voicings: Groups
    beats: Groups
    kits: Groups
    figures: str
    roles: Mapping[str, tuple[float, Groups]] = field(hash=False)
    bass: Groups = ("root", "synco", "pulse")
    lead: tuple[float, float] = (0.5, 1.6)
    meters: Groups = ("4/4",)
    drums: float = 0.95
    swing: float = 0.1
    rubato: float = 0.0
    drive: float = 0.1
    lofi: float = 0.12
    pump: float = 0.0
    chorus: float = 0.2
    echo: float = 0.2
    wet: tuple[float, float] = (0.05, 0.5)
    loudness: tuple[float, float] = (-18, -8)


# fmt: off
_EL = ("synth lead", "pad", "synth lead")
KINDS = (
    Kind("rock", (90, 165), (*_POP, "minor pentatonic"), ("loop", "loop", "pair", "blues"), ("power", "triad", "power"),
         ("rock", "driving", "half", "rock"), ("acoustic",), "band",
         {"chords": (1, ("distorted guitar",)), "second": (.5, ("guitar", "distorted guitar", "organ")),
          "bass": (1, ("bass",)), "lead": (.7, ("voice", "voice", "distorted guitar")), "counter": (.2, ("distorted guitar",)),
          "pad": (.15, ("organ", "strings"))}, drive=.8, wet=(.02, .3), loudness=(-15, -7)),
    Kind("metal", (95, 210), _DARK, ("pair", "loop", "chromatic", "drone"), ("power",),
         ("double", "blast", "driving", "half", "rock"), ("acoustic",), "riff",
         {"chords": (1, ("distorted guitar",)), "second": (.6, ("distorted guitar",)), "bass": (1, ("bass",)),
          "lead": (.6, ("distorted guitar", "voice")), "riff": (.5, ("distorted guitar",)), "pad": (.15, ("strings", "voice", "pad"))},
         bass=("pulse", "synco", "root"), lead=(.5, 3), drive=1, wet=(.02, .25), loudness=(-13, -6), meters=("4/4", "4/4", "7/8", "6/8")),
    Kind("punk", (150, 215), ("major", "minor"), ("loop",), ("power",), ("driving", "rock"), ("acoustic",), "riff",
         {"chords": (1, ("distorted guitar",)), "bass": (1, ("bass",)), "lead": (.8, ("voice",)), "second": (.3, ("distorted guitar",))},
         bass=("pulse",), lead=(1, 2), drive=1, lofi=.35, wet=(.0, .2), loudness=(-14, -6)),
    Kind("indie", (80, 150), _POP, ("loop", "loop", "pair", "wander"), ("triad", "suspended", "seventh"),
         ("rock", "four", "half", "brushed", "hiphop"), ("acoustic", "machine"), "band",
         {"chords": (1, ("guitar", "guitar", "electric piano", "piano")), "second": (.5, ("guitar", "synth lead", "mallet")),
          "bass": (.95, ("bass", "synth bass")), "lead": (.8, ("voice", "voice", "guitar", "synth lead")), "pad": (.4, ("pad", "strings", "organ"))},
         drive=.3, lofi=.25, chorus=.5, echo=.4, wet=(.1, .7)),
    Kind("folk", (70, 135), _FOLKY, ("loop", "pair", "wander"), ("triad", "suspended"), ("brushed", "train", "pulse"), ("jazz", "acoustic"), "broken",
         {"chords": (1, ("guitar",)), "second": (.4, ("guitar", "world plucked")), "bass": (.5, ("bass",)),
          "lead": (.85, ("voice", "woodwind", "strings", "guitar")), "counter": (.3, ("strings", "woodwind", "voice")), "pad": (.15, ("strings", "organ"))},
         bass=("root", "long"), meters=("4/4", "3/4", "6/8"), drums=.35, loudness=(-24, -12)),
    Kind("medieval", (70, 140), ("dorian", "mixolydian", "minor", "major"), ("pair", "drone", "loop", "pedal"), ("octave", "power", "triad"),
         ("tribal", "march", "pulse"), ("acoustic", "orchestra"), "broken",
         {"chords": (.9, ("world plucked", "guitar", "harpsichord")), "lead": (1, ("woodwind", "strings", "world plucked")),
          "counter": (.5, ("woodwind", "strings")), "pad": (.3, ("strings", "voice", "organ")), "bass": (.3, ("low strings",))},
         bass=("long", "root"), meters=("4/4", "3/4", "6/8"), drums=.55, wet=(.15, .7), loudness=(-24, -12)),
    Kind("country", (85, 150), ("major", "mixolydian", "blues"), ("loop", "blues"), ("triad",), ("train", "rock", "swing"), ("acoustic",), "band",
         {"chords": (1, ("guitar",)), "second": (.6, ("guitar", "piano", "world plucked")), "bass": (1, ("bass",)),
          "lead": (.9, ("voice", "guitar", "strings", "woodwind"))}, bass=("root",), swing=.3),
    Kind("blues", (60, 140), ("blues", "minor pentatonic", "mixolydian"), ("blues",), ("seventh", "ninth"), ("swing", "rock", "brushed"), ("acoustic", "jazz"), "comp",
         {"chords": (1, ("guitar", "piano", "organ")), "second": (.4, ("brass", "organ", "guitar")), "bass": (1, ("bass",)),
          "lead": (.95, ("guitar", "distorted guitar", "voice", "woodwind"))}, bass=("walk", "root", "pulse"), swing=.85, drive=.5, lofi=.3, meters=("4/4", "12/8")),
    Kind("jazz", (75, 220), _JAZZY, ("jazz", "jazz", "blues", "pair"), ("seventh", "ninth", "quartal"), ("swing", "swing", "brushed", "bossa"), ("jazz",), "comp",
         {"chords": (.95, ("piano", "piano", "electric piano", "guitar")), "bass": (1, ("bass",)),
          "lead": (1, ("woodwind", "brass", "piano", "mallet", "guitar")), "counter": (.25, ("brass", "woodwind"))},
         bass=("walk", "walk", "root"), lead=(1, 3), swing=.9, wet=(.05, .35), loudness=(-24, -13)),
    Kind("big band", (100, 190), _JAZZY, ("jazz", "blues", "loop"), ("seventh", "sixth", "ninth"), ("swing", "swing", "funk"), ("jazz", "acoustic"), "comp",
         {"chords": (.9, ("brass",)), "second": (.8, ("piano", "guitar")), "bass": (1, ("bass",)), "lead": (.95, ("brass", "woodwind")),
          "counter": (.6, ("woodwind", "brass")), "riff": (.3, ("brass",))}, bass=("walk",), swing=.9, lofi=.3, loudness=(-22, -12)),
    Kind("piano", (50, 130), (*_FILM, "major"), ("loop", "wander", "pair", "chromatic"), ("triad", "suspended", "seventh", "octave"), (), (), "broken",
         {"chords": (1, ("piano",)), "lead": (.95, ("piano",)), "bass": (.6, ("piano",)), "pad": (.12, ("strings", "pad"))},
         bass=("long", "root"), lead=(.6, 2.5), meters=("4/4", "3/4", "6/8"), rubato=.8, wet=(.05, .7), loudness=(-30, -14)),
    Kind("keys", (60, 140), _FILM, ("wander", "loop", "jazz", "chromatic"), ("triad", "seventh"), (), (), "broken",
         {"chords": (1, ("harpsichord", "electric piano", "organ", "church organ", "mallet")), "lead": (.9, ("harpsichord", "electric piano", "organ", "mallet", "church organ")),
          "bass": (.5, ("organ", "harpsichord", "church organ"))}, bass=("long", "root", "walk"), lead=(.6, 2.5), meters=("4/4", "3/4"), rubato=.4, wet=(.1, .9), loudness=(-26, -12)),
    Kind("guitar", (60, 130), _FOLKY, ("wander", "loop", "pair"), ("triad", "suspended", "seventh"), (), (), "broken",
         {"chords": (1, ("guitar",)), "lead": (.8, ("guitar",)), "bass": (.4, ("guitar",))}, bass=("root", "long"),
         lead=(.5, 2), meters=("4/4", "3/4", "6/8"), rubato=.5, wet=(.05, .5), loudness=(-28, -14)),
    Kind("chamber", (55, 140), _FILM, ("wander", "loop", "chromatic", "pedal"), ("triad", "octave", "seventh"), (), (), "orchestra",
         {"chords": (.9, ("strings", "woodwind", "piano", "harpsichord")), "second": (.5, ("strings", "woodwind")), "bass": (.8, ("low strings",)),
          "lead": (1, ("strings", "woodwind", "strings", "brass")), "counter": (.7, ("strings", "woodwind", "brass"))},
         bass=("long", "root", "walk"), lead=(.6, 2.2), meters=("4/4", "3/4", "6/8"), rubato=.5, wet=(.15, .8), loudness=(-30, -15)),
    Kind("orchestra", (60, 150), _FILM, ("loop", "wander", "chromatic", "pedal"), ("triad", "octave", "suspended"), ("taiko", "march", "pulse"), ("orchestra",), "orchestra",
         {"chords": (1, ("strings",)), "second": (.7, ("brass", "strings", "woodwind")), "bass": (.95, ("low strings", "low strings", "brass")),
          "lead": (.95, ("strings", "woodwind", "brass", "voice")), "counter": (.6, ("brass", "woodwind", "strings")), "pad": (.5, ("strings", "voice")),
          "riff": (.3, ("strings", "world plucked"))}, bass=("long", "root", "pulse"), meters=("4/4", "3/4", "6/8", "5/4"), drums=.5, rubato=.3, wet=(.25, 1), loudness=(-28, -12)),
    Kind("epic", (75, 160), _DARK, ("loop", "pair", "pedal", "chromatic"), ("power", "triad", "octave"), ("taiko", "tribal", "half", "march"), ("orchestra", "acoustic", "machine"), "orchestra",
         {"chords": (1, ("strings",)), "second": (.7, ("brass", "distorted guitar")), "bass": (1, ("low strings", "synth bass", "brass")),
          "lead": (.85, ("brass", "voice", "strings")), "pad": (.7, ("voice", "pad", "strings")), "riff": (.7, ("strings", "strings", "synth lead"))},
         bass=("long", "pulse", "synco"), meters=("4/4", "6/8", "3/4", "7/8"), wet=(.25, .9), loudness=(-18, -8)),
    Kind("choir", (50, 100), (*_FILM, "dorian"), ("wander", "loop", "pedal", "drone"), ("triad", "octave", "suspended"), ("pulse",), ("orchestra",), "calm",
         {"chords": (1, ("voice",)), "lead": (.7, ("voice",)), "bass": (.4, ("church organ", "low strings", "voice")), "counter": (.5, ("voice",)), "pad": (.3, ("church organ", "strings"))},
         bass=("long",), lead=(.3, 1), drums=.08, rubato=.5, wet=(.5, 1.2), loudness=(-30, -15)),
    Kind("ambient", (50, 90), (*_FILM, "pentatonic"), ("pair", "loop", "drone", "wander"), ("suspended", "ninth", "quartal", "triad"), ("pulse", "hats"), ("machine",), "calm",
         {"pad": (1, ("pad",)), "chords": (.7, ("pad", "piano", "electric piano", "mallet", "guitar")), "lead": (.6, ("mallet", "synth lead", "piano", "woodwind", "voice")),
          "bass": (.4, ("synth bass",)), "second": (.3, ("mallet", "voice", "strings")), "counter": (.15, ("strings", "woodwind"))},
         bass=("long",), lead=(.1, .7), drums=.15, rubato=.4, echo=.6, wet=(.4, 1.3), loudness=(-32, -14)),
    Kind("drone", (40, 80), _ODD, ("drone", "drone", "pair", "chromatic"), ("octave", "cluster", "power", "quartal"), ("pulse", "taiko"), ("orchestra", "machine"), "calm",
         {"pad": (1, ("pad", "strings", "voice", "organ")), "chords": (.6, ("pad", "low strings", "organ", "distorted guitar")),
          "lead": (.3, ("voice", "synth lead", "mallet", "brass")), "bass": (.6, ("synth bass", "low strings"))},
         bass=("long",), lead=(.05, .4), drums=.2, rubato=.5, lofi=.3, echo=.4, wet=(.4, 1.5), loudness=(-34, -12)),
    Kind("horror", (50, 120), _ODD, ("chromatic", "drone", "pair"), ("cluster", "octave", "triad"), ("pulse", "taiko"), ("orchestra",), "calm",
         {"pad": (.8, ("strings", "voice", "pad")), "chords": (.7, ("strings", "piano", "brass")), "lead": (.6, ("strings", "piano", "mallet", "voice")),
          "bass": (.6, ("low strings", "synth bass")), "riff": (.4, ("piano", "strings", "mallet"))}, bass=("long",), lead=(.1, 1), drums=.3, rubato=.3, wet=(.3, 1.2), loudness=(-32, -14)),
    Kind("house", (115, 130), ("minor", "dorian", "minor", "major"), ("pair", "loop", "drone"), ("seventh", "ninth", "triad"), ("four",), ("machine",), "club",
         {"chords": (.95, ("electric piano", "piano", "synth lead", "organ")), "bass": (1, ("synth bass", "synth bass", "bass")), "lead": (.5, ("synth lead", "voice", "piano")),
          "pad": (.6, ("pad", "strings")), "riff": (.5, _EL)}, bass=("synco", "octaves", "pulse"), pump=.6, echo=.4, swing=.2, loudness=(-14, -7)),
    Kind("techno", (118, 150), _DARK, ("drone", "drone", "pair"), ("power", "octave", "cluster", "triad"), ("four", "four", "hats"), ("machine",), "club",
         {"riff": (.95, ("synth lead", "synth bass", "mallet")), "bass": (.95, ("synth bass",)), "chords": (.5, ("synth lead", "pad")), "pad": (.5, ("pad",)), "lead": (.2, ("synth lead",))},
         bass=("pulse", "synco", "octaves"), pump=.7, echo=.5, lofi=.1, loudness=(-14, -6)),
    Kind("trance", (128, 145), ("minor", "minor", "phrygian", "harmonic minor"), ("loop", "loop", "pair"), ("triad", "suspended"), ("four",), ("machine",), "club",
         {"riff": (.9, ("synth lead",)), "bass": (1, ("synth bass",)), "chords": (.7, ("synth lead",)), "pad": (.8, ("pad", "voice")), "lead": (.8, ("synth lead",))},
         bass=("pulse", "octaves"), pump=.8, echo=.6, wet=(.2, .8), loudness=(-13, -6)),
    Kind("dnb", (160, 180), _DARK, ("pair", "loop", "drone"), ("seventh", "triad", "ninth"), ("dnb", "breaks"), ("machine", "acoustic"), "club",
         {"bass": (1, ("synth bass",)), "pad": (.7, ("pad", "strings")), "chords": (.5, ("electric piano", "synth lead", "piano")), "lead": (.5, ("voice", "synth lead", "mallet")), "riff": (.5, _EL)},
         bass=("long", "synco"), pump=.4, echo=.4, drive=.3, loudness=(-13, -6)),
    Kind("dubstep", (135, 150), _DARK, ("drone", "pair", "loop"), ("triad", "power"), ("half", "half", "trap"), ("machine",), "club",
         {"bass": (1, ("synth bass",)), "riff": (.8, ("synth bass", "synth lead")), "pad": (.5, ("pad", "voice")), "lead": (.5, ("synth lead", "voice")), "chords": (.4, ("synth lead", "piano"))},
         bass=("synco", "long"), pump=.5, drive=.7, loudness=(-12, -5)),
    Kind("hip hop", (75, 105), ("minor", "dorian", "minor pentatonic", "major"), ("pair", "loop", "drone", "jazz"), ("seventh", "ninth", "triad"), ("hiphop", "trap", "half"), ("machine", "acoustic"), "comp",
         {"chords": (.9, ("electric piano", "piano", "guitar", "strings")), "bass": (1, ("synth bass", "bass")), "lead": (.6, ("voice", "voice", "woodwind", "mallet")),
          "riff": (.5, ("mallet", "strings", "brass", "guitar", "synth lead")), "pad": (.3, ("pad", "strings", "voice"))},
         bass=("synco", "long"), lead=(.5, 3), swing=.5, lofi=.5, pump=.2, loudness=(-16, -8)),
    Kind("trap", (125, 160), _DARK, ("pair", "loop"), ("triad", "octave"), ("trap",), ("machine",), "broken",
         {"chords": (.7, ("pad", "piano", "mallet", "voice")), "bass": (1, ("synth bass",)), "riff": (.7, ("mallet", "synth lead", "piano", "woodwind", "guitar")), "lead": (.6, ("voice",)), "pad": (.4, ("pad", "strings"))},
         bass=("long", "synco"), lead=(.7, 2.5), echo=.3, loudness=(-14, -6)),
    Kind("synthwave", (80, 125), ("minor", "dorian", "minor", "major"), ("loop", "pair"), ("triad", "suspended", "seventh"), ("rock", "four", "driving", "half"), ("machine",), "club",
         {"chords": (.9, ("synth lead", "pad")), "bass": (1, ("synth bass",)), "pad": (.8, ("pad",)), "lead": (.85, ("synth lead", "voice", "distorted guitar", "woodwind")), "riff": (.6, ("synth lead",))},
         bass=("pulse", "octaves"), chorus=.6, echo=.6, pump=.4, wet=(.2, .8), loudness=(-15, -7)),
    Kind("chip", (100, 190), (*_POP, "harmonic minor"), ("loop", "loop", "wander", "chromatic"), ("triad",), ("rock", "driving", "four", "breaks", "half"), ("chip",), "chip",
         {"chords": (.9, ("chip",)), "bass": (1, ("chip", "synth bass")), "lead": (1, ("chip",)), "counter": (.5, ("chip",)), "riff": (.3, ("chip",)), "pad": (.1, ("pad",))},
         bass=("pulse", "octaves", "synco", "root"), lead=(.8, 3), wet=(0, .2), echo=.35, lofi=.2, drums=.85, loudness=(-20, -8)),
    Kind("game", (85, 170), (*_POP, "dorian", "lydian"), ("loop", "wander", "chromatic", "pair"), ("triad", "seventh", "suspended"), ("rock", "four", "march", "funk", "latin"), ("acoustic", "machine", "chip"), "band",
         {"chords": (1, ("piano", "guitar", "synth lead", "strings", "chip", "mallet")), "bass": (1, ("bass", "synth bass", "chip")), "lead": (1, ("woodwind", "synth lead", "brass", "chip", "mallet", "strings")),
          "pad": (.5, ("strings", "pad", "voice")), "counter": (.4, ("woodwind", "mallet", "brass", "chip")), "riff": (.3, ("chip", "mallet", "synth lead"))},
         lead=(.7, 2), meters=("4/4", "4/4", "3/4", "7/8"), wet=(.05, .6)),
    Kind("funk", (90, 125), ("dorian", "mixolydian", "minor", "blues"), ("pair", "drone", "jazz", "loop"), ("seventh", "ninth"), ("funk", "four"), ("acoustic", "machine"), "comp",
         {"chords": (1, ("guitar", "electric piano", "organ")), "second": (.6, ("brass", "guitar", "electric piano")), "bass": (1, ("bass", "synth bass")),
          "lead": (.7, ("voice", "woodwind", "brass", "synth lead")), "pad": (.3, ("strings", "organ"))}, bass=("synco", "octaves"), lead=(.5, 2)),
    Kind("reggae", (62, 95), ("minor", "major", "dorian"), ("pair", "loop"), ("triad", "seventh"), ("reggae", "half"), ("acoustic", "machine"), "skank",
         {"chords": (1, ("guitar", "organ", "piano")), "second": (.5, ("organ", "guitar")), "bass": (1, ("bass", "synth bass")), "lead": (.8, ("voice", "brass", "woodwind"))},
         bass=("synco", "root"), swing=.5, echo=.7, wet=(.1, .8)),
    Kind("latin", (85, 140), ("major", "minor", "dorian", "harmonic minor", "hijaz"), ("pair", "loop", "jazz"), ("triad", "seventh", "ninth"), ("latin", "bossa", "four"), ("acoustic", "jazz"), "comp",
         {"chords": (1, ("piano", "guitar")), "second": (.5, ("brass", "guitar", "mallet")), "bass": (1, ("bass",)), "lead": (.9, ("brass", "voice", "woodwind", "guitar", "mallet"))},
         bass=("synco", "root"), lead=(.6, 2)),
    Kind("world", (60, 140), _EAST, ("drone", "drone", "pair", "pedal"), ("power", "octave"), ("tribal", "latin", "pulse", "train"), ("acoustic", "orchestra"), "broken",
         {"chords": (.7, ("world plucked", "guitar")), "lead": (1, ("woodwind", "strings", "world plucked", "voice")), "pad": (.5, ("voice", "strings", "organ", "pad")), "bass": (.5, ("bass", "low strings")), "riff": (.5, ("world plucked", "mallet"))},
         bass=("long", "root"), meters=("4/4", "7/8", "6/8", "5/4"), drums=.7, wet=(.1, .8), loudness=(-26, -10)),
    Kind("industrial", (90, 145), _DARK, ("drone", "pair", "chromatic"), ("power", "cluster"), ("driving", "four", "half", "tribal"), ("machine",), "riff",
         {"chords": (.8, ("distorted guitar", "synth lead")), "bass": (1, ("synth bass",)), "riff": (.7, ("synth lead", "synth bass")), "lead": (.4, ("voice", "synth lead")), "pad": (.5, ("pad",))},
         bass=("pulse", "synco"), drive=.9, pump=.2, lofi=.25, loudness=(-13, -5)),
    Kind("glitch", (70, 170), _ODD, ("drone", "pair", "chromatic", "wander"), ("cluster", "seventh", "quartal", "ninth"), ("breaks", "hiphop", "dnb", "funk", "trap"), ("machine", "chip"), "club",
         {"chords": (.7, ("electric piano", "mallet", "synth lead", "pad")), "riff": (.8, ("mallet", "chip", "synth lead", "piano")), "bass": (.8, ("synth bass",)), "lead": (.4, ("synth lead", "voice", "mallet")), "pad": (.6, ("pad",))},
         bass=("synco", "long"), drive=.4, lofi=.35, echo=.6, meters=("4/4", "4/4", "7/8", "5/4"), loudness=(-18, -7)),
    Kind("lounge", (75, 120), _JAZZY, ("jazz", "pair", "loop"), ("seventh", "ninth", "sixth"), ("brushed", "bossa", "hiphop", "swing"), ("jazz", "machine"), "comp",
         {"chords": (1, ("electric piano", "piano", "guitar", "organ")), "pad": (.6, ("strings", "pad", "voice")), "bass": (1, ("bass",)), "lead": (.8, ("woodwind", "mallet", "brass", "guitar", "voice"))},
         bass=("root", "walk", "synco"), swing=.4, lofi=.4),
    Kind("pop", (75, 130), _POP, ("loop", "loop", "pair"), ("triad", "suspended", "seventh"), ("four", "rock", "half", "hiphop", "trap"), ("machine", "acoustic"), "band",
         {"chords": (1, ("piano", "guitar", "synth lead", "electric piano")), "second": (.5, ("guitar", "synth lead", "strings")), "pad": (.5, ("pad", "strings")), "bass": (1, ("synth bass", "bass")),
          "lead": (1, ("voice", "voice", "voice", "synth lead")), "counter": (.3, ("voice", "synth lead"))}, lead=(.8, 2.2), pump=.25, loudness=(-13, -6)),
    Kind("ballroom", (80, 190), ("major", "harmonic minor", "minor"), ("loop", "jazz", "wander"), ("triad", "sixth", "seventh"), ("march", "train", "brushed", "latin"), ("acoustic", "jazz", "orchestra"), "skank",
         {"chords": (1, ("organ", "piano", "strings", "brass", "guitar")), "bass": (1, ("bass", "brass", "low strings")), "lead": (1, ("organ", "strings", "woodwind", "brass")), "counter": (.5, ("woodwind", "brass", "strings"))},
         bass=("root", "walk"), lead=(.8, 2.2), meters=("3/4", "4/4", "3/4"), drums=.6, lofi=.3, loudness=(-26, -12)),
)
# fmt: on

"""Real instruments: General MIDI timbres from a soundfont."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recommender.errors import ConfigError
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform

FOLDERS = (Path("/usr/share/sounds/sf2"), Path("/usr/share/soundfonts"))
NAMES = ("FluidR3_GM.sf2", "default.sf2", "TimGM6mb.sf2")
DRUM_BANK = 128
_SILENCE = 2048


class Played(NamedTuple):
    """One note: seconds from the start of the waveform, MIDI pitch, loudness in [0, 1]."""

    at_s: float
    length_s: float
    pitch: float
    level: float


def find_soundfont(path: Path | None = None) -> Path:
    """Return a General MIDI soundfont: `path`, else the usual one of the system.

    Raises
    ------
    ConfigError
        If there is none; says what to install.
    """
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"the soundfont {path} is not a file; give the path of a .sf2 file")
        return path
    for folder in FOLDERS:
        for name in NAMES:
            if (folder / name).is_file():
                return folder / name
    raise ConfigError(
        f"no General MIDI soundfont in {' or '.join(map(str, FOLDERS))}; "
        "install one (Debian: apt install fluid-soundfont-gm) or give the path of a .sf2 file"
    )


class SoundFont:
    """A loaded soundfont that plays one part at a time.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ConfigError
        If the player is not installed or the file is not a soundfont.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tinysoundfont import Synth
        except ImportError:
            raise ConfigError(
                "tinysoundfont, which plays soundfonts, is not installed: pip install --no-deps tinysoundfont"
            ) from None
        self.path = path
        self._synth: Any = Synth(gain=-9, samplerate=SAMPLE_RATE_HZ)
        try:
            self._font = self._synth.sfload(str(path), max_voices=192)
        except (RuntimeError, OSError) as error:
            raise ConfigError(f"the soundfont {path} cannot be read: {error}; give another .sf2 file") from None

    def name(self, bank: int, program: int) -> str | None:
        """Return the name of a preset; None if the font does not have it."""
        name: str | None = self._synth.sfpreset_name(self._font, bank, program)
        return name

    def play(self, bank: int, program: int, notes: Sequence[Played], n: int, tuning: float = 0.0) -> Waveform:
        """Play notes on one preset, in mono; a preset of a variation bank that is missing falls back to the main one.

        Parameters
        ----------
        bank, program : int
            From 0; the drums are in bank `DRUM_BANK`.
        notes : sequence of Played
        n : int
            Samples at `SAMPLE_RATE_HZ`.
        tuning : float
            Semitones.

        Returns
        -------
        ndarray, shape (n,), float32
        """
        drums = bank == DRUM_BANK
        if self.name(bank, program) is None:
            bank, program = (DRUM_BANK, 0) if drums else (0, program)
        synth, channel = self._synth, 9 if drums else 0
        for each in (0, 9):
            synth.sounds_off(each)
        synth.generate_simple(_SILENCE)
        synth.program_select(channel, self._font, bank, program, drums)
        synth.set_tuning(channel, tuning)
        events = []
        for note in notes:
            start = max(0, int(note.at_s * SAMPLE_RATE_HZ))
            end = int((note.at_s + note.length_s) * SAMPLE_RATE_HZ)
            if start < n and end > 0:
                pitch = int(note.pitch)
                events.append((start, 1, pitch, max(1, min(127, int(127 * note.level)))))
                events.append((max(end, start + 64), 0, pitch, 0))
        events.sort()
        sound = bytearray(n * 8)
        view, at = memoryview(sound), 0
        for when, on, pitch, velocity in events:
            if when >= n:
                break
            if when > at:
                synth.generate_simple(when - at, buffer=view[at * 8 : when * 8])
                at = when
            if on:
                synth.noteon(channel, pitch, velocity)
            else:
                synth.noteoff(channel, pitch)
        synth.generate_simple(n - at, buffer=view[at * 8 :])
        stereo = np.frombuffer(sound, dtype=np.float32).reshape(n, 2)
        return np.asarray(0.5 * (stereo[:, 0] + stereo[:, 1]), dtype=np.float32)


@lru_cache(maxsize=4)
def load_soundfont(path: Path) -> SoundFont:
    """Load a soundfont once a process."""
    return SoundFont(path)

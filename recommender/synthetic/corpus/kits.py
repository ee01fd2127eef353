"""Drum kits: those of the soundfont, and machines whose every piece is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.synthetic import drums
from recommender.synthetic.corpus.soundfont import DRUM_BANK, Played, SoundFont
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform

PIECES = ("kick", "snare", "hat", "open", "ride", "crash", "tom", "perc", "shaker")
LEVELS = {
    "kick": 1.0, "snare": 0.8, "hat": 0.42, "open": 0.42, "ride": 0.45, "crash": 0.55, "tom": 0.7, "perc": 0.5,
    "shaker": 0.35,
}  # fmt: skip
_KEYS = {
    "kick": (35, 36), "snare": (38, 40, 37, 39), "hat": (42, 44), "open": (46,), "ride": (51, 53, 59),
    "crash": (49, 57, 55), "tom": (41, 43, 45, 47, 48, 50), "perc": (56, 60, 61, 62, 63, 64, 65, 67, 75, 76, 77, 37),
    "shaker": (54, 69, 70, 82, 80),
}  # fmt: skip
_GM_KITS = {
    "acoustic": (0, 0, 1, 2, 8, 16, 17), "jazz": (32, 33, 40, 41), "machine": (24, 25), "orchestra": (48,),
    "chip": (25,),
}  # fmt: skip
_HITS: dict[str, dict[str, tuple[drums.Hit, ...]]] = {
    "kick": {"": (drums.kick, drums.kick_tight), "chip": (drums.chip_kick,), "jazz": (drums.kick_soft,)},
    "snare": {"": (drums.snare, drums.snare_gated, drums.clap, drums.rim), "chip": (drums.chip_snare,),
              "jazz": (drums.brush, drums.rim)},
    "hat": {"": (drums.hat, drums.hat, drums.shaker), "chip": (drums.chip_hat,), "jazz": (drums.brush, drums.ride)},
    "open": {"": (drums.hat_open,), "chip": (drums.chip_snare,)},
    "ride": {"": (drums.ride,), "chip": (drums.chip_hat,)},
    "crash": {"": (drums.crash,), "chip": (drums.chip_snare,)},
    "tom": {"": (drums.timpani, drums.kick_soft), "chip": (drums.chip_kick,)},
    "perc": {"": (drums.rim, drums.clap, drums.chip_kick, drums.kick_soft)},
    "shaker": {"": (drums.shaker, drums.brush)},
}  # fmt: skip
_TAKES = 3


@dataclass(frozen=True)
class Kit:
    """A drum kit.

    Parameters
    ----------
    flavour : str
        ``acoustic``, ``jazz``, ``machine``, ``orchestra`` or ``chip``.
    program : int
        Of the soundfont's drums; -1 for a machine.
    keys : tuple of int
        Which drum of the soundfont each of `PIECES` strikes.
    hits : tuple of int
        Which sound each of `PIECES` starts from in a machine.
    pitch, decay : tuple of float
        Of a machine's pieces: factors on their rate, and 1/s by which they die away sooner.
    brightness : float in [0, 1]
    tuning : float
        Semitones, of the soundfont's drums.
    seed : int
    """

    flavour: str
    program: int
    keys: tuple[int, ...]
    hits: tuple[int, ...]
    pitch: tuple[float, ...]
    decay: tuple[float, ...]
    brightness: float
    tuning: float
    seed: int


def draw_kit(flavour: str, rng: np.random.Generator) -> Kit:
    """Draw a kit of a flavour."""
    machine = rng.random() < {"machine": 0.75, "chip": 0.85, "jazz": 0.1, "orchestra": 0.1}.get(flavour, 0.15)
    count = len(PIECES)
    return Kit(
        flavour,
        -1 if machine else int(rng.choice(_GM_KITS[flavour])),
        tuple(int(rng.choice(_KEYS[piece])) for piece in PIECES),
        tuple(int(i) for i in rng.integers(60, size=count)),
        tuple(float(p) for p in np.exp(rng.normal(0, 0.22, count))),
        tuple(float(d) for d in rng.exponential(6, count) * (rng.random(count) < 0.5)),
        float(rng.uniform()),
        float(rng.normal(0, 1.5)) if rng.random() < 0.5 else 0.0,
        int(rng.integers(1 << 31)),
    )


def strike(kit: Kit, strokes: Sequence[tuple[str, Played]], n: int, font: SoundFont) -> Waveform:
    """Play strokes, (piece, note) with the note's pitch unused; return shape (n,), float32."""
    if kit.program >= 0:
        notes = [
            Played(note.at_s, 0.3, kit.keys[PIECES.index(piece)], note.level * (0.35 + 0.65 * LEVELS[piece]))
            for piece, note in strokes
        ]
        return font.play(DRUM_BANK, kit.program, notes, n, kit.tuning)
    part = np.zeros(n, dtype=np.float32)
    sounds = machine(kit)
    for index, (piece, note) in enumerate(strokes):
        takes = sounds[piece]
        start = int(note.at_s * SAMPLE_RATE_HZ)
        sound = takes[index % len(takes)][max(0, -start) : n - start]
        start = max(0, start)
        if len(sound):
            part[start : start + len(sound)] += np.float32(LEVELS[piece] * note.level**1.3) * sound
    return part


def machine(kit: Kit) -> dict[str, list[Waveform]]:
    """Return a few takes of each piece's sound."""
    sounds = {}
    for place, piece in enumerate(PIECES):
        choices = _HITS[piece].get(kit.flavour, _HITS[piece][""])
        hit: Callable[[float, np.random.Generator], Waveform] = choices[kit.hits[place] % len(choices)]
        rng = np.random.default_rng([kit.seed, place])
        takes = []
        for _ in range(_TAKES):
            sound = hit(kit.brightness, rng)
            at = np.arange(0, len(sound) - 1, kit.pitch[place])
            fading = np.exp(-kit.decay[place] * np.arange(len(at)) / SAMPLE_RATE_HZ)
            takes.append(np.asarray(np.interp(at, np.arange(len(sound)), sound) * fading, dtype=np.float32))
        sounds[piece] = takes
    return sounds

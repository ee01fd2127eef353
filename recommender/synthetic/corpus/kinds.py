"""Kinds of music: where an artist's habits are drawn from, so that what goes together often goes together here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

Groups = tuple[str, ...]


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
        Of ``chords``, ``second`` (chords too), ``pad``, ``bass``, ``lead``, ``counter`` and ``riff``.
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


def _read(name: str, entry: dict[str, Any]) -> Kind:
    roles = {role: (float(share), tuple(groups)) for role, (share, *groups) in entry.pop("roles").items()}
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Kind(name=name, roles=roles, **values)


_TABLE = files("recommender.synthetic.corpus").joinpath("kinds.toml")
KINDS = tuple(_read(name, entry) for name, entry in tomllib.loads(_TABLE.read_text(encoding="utf-8")).items())

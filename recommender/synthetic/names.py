"""Invented names: nobody's."""

from __future__ import annotations

import numpy as np

_FIRST = (
    "Amber Átlas Birke Café Cobalt Dünen Échos Faro Glass Harbour Iris Juniper Kite Lumen Marrow Nørd Opal Paper "
    "Quartz Río Saffron Tidal Umber Velvet Wren Yarrow Zephyr Česko Łuna Ōmi Šuma Æther"
)
_SECOND = (
    "Arcade Bells Choir Drift Engine Fields Ghosts Hotel Islands Journal Kings Lanterns Machine North Orchard Parade "
    "Quarter Rivers Sisters Theory Union Valley Weather Youth Zoo"
)
_ADJECTIVE = (
    "Blue Broken Careful Distant Early Electric Empty Fallen Gentle Golden Hollow Inner Last Lonely Lucid Midnight "
    "Modern Northern Open Patient Quiet Restless Second Silver Slow Small Sudden Summer Tender Violet Warm Wild"
)
_NOUN = (
    "Afternoon Anchor Arrow Bridge Candle Circuit City Cloud Coast Compass Door Echo Ember Feather Garden Hour Kingdom "
    "Ladder Letter Mirror Morning Mountain Ocean Orbit Photograph Rain Road Season Shadow Signal Station Stone Street "
    "Thunder Tide Train Window Winter"
)


def draw_artists(count: int, rng: np.random.Generator) -> list[str]:
    """Draw distinct names of artists."""
    return _distinct(count, rng, _FIRST.split(), _SECOND.split())


def draw_titles(count: int, rng: np.random.Generator) -> list[str]:
    """Draw distinct names of tracks and albums."""
    return _distinct(count, rng, _ADJECTIVE.split(), _NOUN.split())


def _distinct(count: int, rng: np.random.Generator, first: list[str], second: list[str]) -> list[str]:
    rounds = -(-count // (len(first) * len(second)))
    names = [
        f"{a} {b}" + (f" {'I' * (turn + 1)}" if turn else "") for turn in range(rounds) for a in first for b in second
    ]
    order = np.concatenate(
        [rng.permutation(len(first) * len(second)) + turn * len(first) * len(second) for turn in range(rounds)]
    )
    return [names[index] for index in order[:count]]

"""What sets a group of tracks apart from the library: where the numbers of its signatures differ, and how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures

NOTABLE = 0.4
"""Robust standard deviations between the group's median and the library's from which a difference is told."""
MODE_SHARE = 0.2
"""Difference in the share of minor keys from which it is told."""
MOST = 3
LEAST_TRACKS = 5
WORDS = {
    "tempo_bpm": ("slower", "faster", "{:.0f} BPM"),
    "loudness_lufs": ("quieter", "louder", "{:.0f} LUFS"),
    "brightness_hz": ("darker", "brighter", "{:.0f} Hz"),
    "density_hz": ("sparser", "busier", "{:.1f} onsets/s"),
    "pulse": ("freer in time", "steadier in time", "{:.2f} pulse"),
}
_SPREAD = 1.349
"""Interquartile range of a Gaussian in standard deviations."""


@dataclass(frozen=True)
class Trait:
    """One difference.

    Parameters
    ----------
    words : str
        Such as ``faster (142 BPM)``.
    measure : str
        A column of `Signatures`, or ``"minor"``.
    here, library : float
        The group's median and that of all tracks; for "minor" the shares of tracks in minor.
    effect : float
        The difference in robust standard deviations of the library; for "minor" that of shares over `MODE_SHARE`,
        times `NOTABLE`.
    """

    words: str
    measure: str
    here: float
    library: float
    effect: float


def traits_of(signatures: Signatures, rows: npt.NDArray[np.integer]) -> list[Trait]:
    """Return what sets the tracks of some rows apart, the largest difference first, `MOST` at most.

    Parameters
    ----------
    signatures : Signatures
        Of the library.
    rows : ndarray, shape (k,), int
        The group's.

    Returns
    -------
    list of Trait
        Empty where nothing differs by `NOTABLE`, or too few tracks have a signature.
    """
    found = [trait for measure in WORDS if (trait := _of_number(signatures.column(measure), rows, measure))]
    mode = _of_mode(signatures.minor, rows)
    return sorted([*found, *([mode] if mode else [])], key=lambda trait: -abs(trait.effect))[:MOST]


def genre_of(codes: npt.NDArray[np.integer], names: Sequence[str], rows: npt.NDArray[np.integer]) -> Trait | None:
    """Return the genre that sets the tracks of some rows apart most, None where none does.

    Parameters
    ----------
    codes : ndarray, shape (n_tracks,), int
        Of what each track has, places in `names`; by `Catalog.genre_codes`.
    names : sequence of str
        Several genres are parted by ``;``; ``""`` is unknown, and counts nowhere.
    rows : ndarray, shape (k,), int
    """
    here, every = (_by_genre(np.bincount(some, minlength=len(names)), names) for some in (codes[rows], codes))
    if here[""] < LEAST_TRACKS:
        return None
    shares = {genre: (count / here[""], every[genre] / every[""]) for genre, count in here.items() if genre}
    apart = {genre: here - there for genre, (here, there) in shares.items() if here - there >= MODE_SHARE}
    if not apart:
        return None
    best = max(apart, key=lambda genre: (apart[genre], genre))
    share, library = shares[best]
    return Trait(f"{best} ({share:.0%})", "genre", share, library, NOTABLE * apart[best] / MODE_SHARE)


def _by_genre(counts: npt.NDArray[np.integer], names: Sequence[str]) -> Counter[str]:
    """Count tracks by genre; under ``""`` those that have any."""
    found = Counter[str]()
    for count, name in zip(counts.tolist(), names, strict=True):
        genres = {one.strip() for one in name.split(";") if one.strip()}
        found.update(dict.fromkeys(genres | {""} if genres else (), count))
    return found


def told(traits: Sequence[Trait]) -> str:
    """Say the differences in a line; empty where there are none."""
    return ", ".join(trait.words for trait in traits)


def _of_number(values: npt.NDArray[np.floating], rows: npt.NDArray[np.integer], measure: str) -> Trait | None:
    every, here = values[np.isfinite(values)], values[rows]
    here = here[np.isfinite(here)]
    if len(here) < LEAST_TRACKS:
        return None
    low, middle, high = np.quantile(every.astype(np.float64), (0.25, 0.5, 0.75))
    own = float(np.median(here))
    effect = (own - middle) / max((high - low) / _SPREAD, 1e-9)
    if abs(effect) < NOTABLE:
        return None
    less, more, form = WORDS[measure]
    return Trait(f"{more if effect > 0 else less} ({form.format(own)})", measure, own, float(middle), float(effect))


def _of_mode(minor: npt.NDArray[np.integer], rows: npt.NDArray[np.integer]) -> Trait | None:
    every, here = minor[minor >= 0], minor[rows]
    here = here[here >= 0]
    if len(here) < LEAST_TRACKS:
        return None
    share, library = float(here.mean()), float(every.mean())
    if abs(share - library) < MODE_SHARE:
        return None
    words = f"mostly minor ({share:.0%})" if share > library else f"mostly major ({1 - share:.0%})"
    words = words if (share > 0.5) == (share > library) else words.replace("mostly", "more often")
    return Trait(words, "minor", share, library, NOTABLE * (share - library) / MODE_SHARE)

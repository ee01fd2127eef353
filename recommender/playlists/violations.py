"""How far each track is from keeping each rule, for all tracks at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures
from recommender.playlists.energy import energies
from recommender.playlists.flow import camelot_hours
from recommender.playlists.rules import STEPS, RelaxableRule, Rows, Rules, Span, camelot_place, words_of
from recommender.ranking.model import HybridModel

Steps = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
UNKNOWN = 2**30
"""Steps to a track of which is not known whether it keeps a rule: further than all that are known."""


@dataclass(frozen=True, eq=False)
class Bound:
    """A rule that tracks keep or do not.

    Parameters
    ----------
    rule : str
    steps : ndarray, shape (n_tracks,), int32
        By so many steps the rule has to be widened for each track; 0 where it is kept, `UNKNOWN` where nothing is
        known.
    asked : str
        What is asked of a track, to be read after *is*.
    values : ndarray, shape (n_tracks,), optional
        What the rule goes by, NaN where unknown; None where it is no number.
    words : str
        What the values are, with ``{}`` in their place.
    """

    rule: str
    steps: Steps
    asked: str
    values: Floats | None = None
    words: str = "{}"


def bounds_of(
    model: HybridModel,
    signatures: Signatures | None,
    rules: Rules,
    heard: Rows,
    recent: Rows,
) -> dict[str, Bound]:
    """Return what the rules ask of single tracks, hard and soft, by the name of the rule.

    Parameters
    ----------
    heard, recent : ndarray, shape (n,), int32
        Catalog rows that a user has heard, and has heard lately.
    """
    n = len(model.catalog)
    known = signatures if signatures is not None else Signatures.of([None] * n)
    found: dict[str, Bound] = {}
    if rules.energy is not None:
        found["energy"] = _range("energy", rules.energy, energy_shares(known), "{} in energy")
    if rules.key:
        found["key"] = Bound("key", key_steps(known, rules.key), f"in a key that goes with {' or '.join(rules.key)}")
    if rules.tempo is not None:
        found["tempo"] = _range("tempo", rules.tempo, known.column("tempo_bpm").astype(np.float64), "{} BPM")
    if rules.year is not None:
        found["year"] = _range("year", rules.year, model.catalog.years, "released {}")
    if rules.genre:
        has = of_genres(model, rules.genre)
        unknown = model.catalog.table["genre"].to_numpy(dtype=object) == ""
        steps = np.where(has, 0, np.where(unknown, UNKNOWN, 1)).astype(np.int32)
        found["genre"] = Bound("genre", steps, f"in the genre {' or '.join(rules.genre)}")
    if rules.within is not None:
        found["cluster"] = Bound("cluster", (~rules.within).astype(np.int32), "in the cluster")
    if len(recent):
        found["recent"] = Bound("recent", _marked(n, recent), "not heard lately")
    if rules.unheard and len(heard):
        found["unheard"] = Bound("unheard", _marked(n, heard), "unheard")
    return found


def energy_shares(signatures: Signatures) -> Floats:
    """Return the share of the library's tracks that have less energy, (n,), 0 to 1; NaN without a signature."""
    energy = energies(signatures, np.arange(len(signatures)))
    shares, known = np.full(len(energy), np.nan), np.flatnonzero(np.isfinite(energy))
    ordered = np.sort(energy[known])
    shares[known] = np.searchsorted(ordered, energy[known]) / max(1, len(known) - 1)
    return np.asarray(np.minimum(shares, 1.0))


def key_steps(signatures: Signatures, keys: tuple[str, ...]) -> Steps:
    """Return the steps on the Camelot wheel from what goes with a key, itself and one step around it, (n,), int32."""
    hours, minor = camelot_hours(signatures.tonics, signatures.minor), signatures.minor.astype(np.int64)
    nearest = np.full(len(signatures), UNKNOWN, dtype=np.int64)
    for key in keys:
        hour, ring = camelot_place(key)
        around = np.abs(hours - hour)
        nearest = np.minimum(nearest, np.minimum(around, 12 - around) + np.abs(minor - ring))
    return np.where(signatures.known, np.maximum(nearest - 1, 0), UNKNOWN).astype(np.int32)


def of_genres(model: HybridModel, genres: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Tell which tracks have a genre that is, or holds, one of these words, shape (n_tracks,)."""
    codes, names = model.catalog.genre_codes
    wanted = [words for words in map(words_of, genres) if words.strip()]
    fits = [any(words in words_of(part) for words in wanted for part in name.split(";")) for name in names]
    return np.array(fits, dtype=bool)[codes] if fits else np.zeros(len(codes), dtype=bool)


def by_artists(model: HybridModel, artists: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Tell which tracks are by one of these artists, shape (n_tracks,)."""
    codes = [model.catalog.code_of_artist.get(artist.casefold().strip(), -1) for artist in artists]
    return np.isin(model.artist_codes, codes)


def _range(rule: RelaxableRule, span: Span, values: Floats, words: str) -> Bound:
    low, high = (-np.inf if span.low is None else span.low), (np.inf if span.high is None else span.high)
    with np.errstate(invalid="ignore"):
        outside = np.maximum(np.maximum(low - values, values - high), 0)
    steps = np.ceil(outside / STEPS[rule] - 1e-9)
    steps = np.where((steps == 0) & (outside > 0), 1, steps)
    counted = np.where(np.isnan(values), UNKNOWN, np.minimum(np.nan_to_num(steps), UNKNOWN - 1)).astype(np.int32)
    return Bound(rule, counted, words.format(span), values, words)


def _marked(n: int, rows: Rows) -> Steps:
    steps = np.zeros(n, dtype=np.int32)
    steps[rows] = 1
    return steps

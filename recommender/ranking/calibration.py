"""Calibration: a list's mix of kinds of music should follow the listener's own mix (Steck, RecSys 2018).

Kinds are clusters of what tracks are like, found by spherical k-means on the tracks that a model was trained on. They
are found when first asked for and kept beside the model; plays and uploads that come later change them not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log1p
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from recommender.ranking.model import HybridModel, Standards

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
AlikeVectors = Callable[["HybridModel", npt.NDArray[np.integer]], Float32s]

MAX_KINDS = 16
TRACKS_A_KIND = 12
"""A catalog with fewer than so many tracks for each kind gets fewer kinds."""
MAX_SAMPLE = 20_000
ROUNDS = 20
SMOOTHING = 0.01
"""alpha of Steck: the share of the wanted mix that every list is granted, so that a missing kind costs a finite sum."""

_kinds: WeakKeyDictionary[Standards, Float32s] = WeakKeyDictionary()
_kind_of: WeakKeyDictionary[HybridModel, npt.NDArray[np.int8]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Mix:
    """A mix that is wanted of a list.

    Parameters
    ----------
    groups : ndarray, shape (p,), int
        The kind of each track of the pool.
    wanted : ndarray, shape (g,), float64
        Share of each kind; sums to 1.
    weight : float in [0, 1]
        0 scores alone, 1 the mix alone.
    """

    groups: npt.NDArray[np.integer]
    wanted: Floats
    weight: float


def mix_gain(counts: Floats, wanted: Floats) -> Floats:
    """Return what a track more of each kind does for a list's mix.

    Parameters
    ----------
    counts : ndarray, shape (g,), float64
        Tracks of each kind in the list so far.
    wanted : ndarray, shape (g,), float64

    Returns
    -------
    ndarray, shape (g,), float64
        Minus the divergence ``sum_g p log(p / q)`` of the list with that track, times its length: so a track's share in
        the mix weighs alike at every place. q is smoothed with `SMOOTHING`, eq. 6 of Steck 2018.
    """
    size = counts.sum() + 1
    shares = (counts[None, :] + np.eye(len(counts))) / size
    smoothed = (1 - SMOOTHING) * shares + SMOOTHING * wanted
    present = wanted > 0
    divergence = (wanted[present] * np.log(wanted[present] / smoothed[:, present])).sum(axis=1)
    gain: Floats = -size * divergence
    return gain


class MixSoFar:
    """What each track of a pool would do for the mix of a list that grows.

    That is `mix_gain` times the weight of the mix, less what all tracks have alike: only wanted kinds differ in it.
    """

    def __init__(self, mix: Mix) -> None:
        self._mix, self._size = mix, 1
        self._groups: list[int] = mix.groups.tolist()
        self._counts = [0.0] * len(mix.wanted)
        self._wanted = [(group, share) for group, share in enumerate(mix.wanted.tolist()) if share > 0]
        self._by_group = np.zeros(len(mix.wanted))

    def gains(self) -> Floats:
        """Return what a track more would do, shape (p,)."""
        for group, share in self._wanted:
            held = (1 - SMOOTHING) * self._counts[group] + self._size * SMOOTHING * share
            self._by_group[group] = self._mix.weight * self._size * share * log1p((1 - SMOOTHING) / held)
        found: Floats = self._by_group[self._mix.groups]
        return found

    def add(self, place: int) -> None:
        """Take in that the list has a place of the pool now."""
        self._counts[self._groups[place]] += 1
        self._size += 1


def mix_of(groups: npt.NDArray[np.integer], n_groups: int) -> Floats:
    """Return the share of each kind among tracks of these kinds, shape (n_groups,); all alike where there is none."""
    counts = np.bincount(groups, minlength=n_groups).astype(np.float64)
    return counts / counts.sum() if len(groups) else np.full(n_groups, 1 / max(1, n_groups))


def kinds_of(model: HybridModel, alike: AlikeVectors) -> Float32s:
    """Return the centres of the kinds of music in a model, shape (g, width), g >= 1.

    Parameters
    ----------
    model : HybridModel
    alike : function of (model, track rows)
        `recommender.ranking.diversity.alike_vectors`.
    """
    found = _kinds.get(model.standards)
    if found is None:
        model = replace(model, posterior_factors=model.factors.track_factors)  # live plays do not move these
        rows = np.flatnonzero(model.factors.track_factors.any(axis=1) if model.knows_plays else model.has_vector)
        if len(rows) > MAX_SAMPLE:
            rows = np.sort(np.random.default_rng(model.config.seed).choice(rows, MAX_SAMPLE, replace=False))
        found = _find_kinds(alike(model, rows), model.config.seed)
        _kinds[model.standards] = found
    return found


def keep_kinds(model: HybridModel, kinds: Float32s) -> None:
    """Use kinds that were found before, of this very model."""
    _kinds[model.standards] = kinds


def nearest_kind(vectors: Float32s, kinds: Float32s) -> npt.NDArray[np.intp]:
    """Return the kind of each track, shape (k,)."""
    return np.asarray((vectors @ kinds.T).argmax(axis=1))


def kind_of_tracks(
    model: HybridModel, track_rows: npt.NDArray[np.integer], alike: AlikeVectors
) -> npt.NDArray[np.intp]:
    """Return the kind of each of some tracks, shape (k,); what was found for the same state of a model is kept."""
    known = _kind_of.get(model)
    if known is None or len(known) < len(model.catalog):
        known = _kind_of[model] = np.full(len(model.catalog), -1, dtype=np.int8)
    found = known[track_rows]
    missing = np.flatnonzero(found < 0)
    if len(missing):
        rows = track_rows[missing]
        found[missing] = known[rows] = nearest_kind(alike(model, rows), kinds_of(model, alike))
    return np.asarray(found, dtype=np.intp)


def _find_kinds(vectors: Float32s, seed: int) -> Float32s:
    """Find centres by spherical k-means (Dhillon & Modha 2001), begun with tracks that are unlike each other."""
    if not len(vectors):
        return np.zeros((1, vectors.shape[1]), dtype=np.float32)
    n_kinds = int(np.clip(len(vectors) // TRACKS_A_KIND, 1, MAX_KINDS))
    rng = np.random.default_rng(seed)
    centres = vectors[[int(rng.integers(len(vectors)))]]
    while len(centres) < n_kinds:  # k-means++ (Arthur & Vassilvitskii 2007) on cosine distances
        distance = np.maximum(1 - (vectors @ centres.T).max(axis=1), 1e-9).astype(np.float64)
        centres = np.vstack([centres, vectors[int(rng.choice(len(vectors), p=distance / distance.sum()))]])
    for _ in range(ROUNDS):
        groups = nearest_kind(vectors, centres)
        sums = (groups[None, :] == np.arange(n_kinds)[:, None]).astype(np.float32) @ vectors
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 1e-9, sums / np.maximum(length, 1e-9), centres).astype(np.float32)
    return centres

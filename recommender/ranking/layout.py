"""Vectors laid out in a plane so that neighbours stay neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from recommender.ranking.clusters import fit_clusters, nearest_centre

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

NEIGHBOURS = 10
FURTHER = 10
MID = 5
PHASES = (100, 100, 250)
SMALL = 5000
"""Up to so many vectors, neighbours are searched exactly."""

ROOM = 0.6
"""How far apart points are pushed in the end, as a share of what a regular grid of them would leave."""

PUSHES = 80

PROBES = 12
"""Beyond that, among the members of so many nearest lists."""


def nearest_neighbours(vectors: Floats, k: int, seed: int = 0) -> Ints:
    """Find each vector's nearest others by their inner product.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
        Unit vectors.
    k : int
    seed : int

    Returns
    -------
    ndarray, shape (n, min(k, n - 1)), int32
        Nearest first. Exact up to `SMALL` vectors; beyond, among the members of the `PROBES` nearest of sqrt(n) lists.
    """
    n = len(vectors)
    k = min(k, n - 1)
    lists = 1 if n <= SMALL else round(n**0.5)
    centres = vectors[:1] if lists == 1 else fit_clusters(vectors, lists, seed=seed, rounds=8, restarts=1).centres
    member_of = np.zeros(n, dtype=np.int32) if lists == 1 else nearest_centre(vectors, centres)
    members = np.split(np.argsort(member_of, kind="stable"), np.cumsum(np.bincount(member_of, minlength=lists))[:-1])
    near_lists = np.argsort(-(centres @ centres.T), axis=1, kind="stable")
    found = np.empty((n, k), dtype=np.int32)
    for mine, order in zip(members, near_lists, strict=True):
        probes = PROBES
        others = np.concatenate([members[each] for each in order[:probes]])
        while len(others) <= k:
            probes *= 2
            others = np.concatenate([members[each] for each in order[:probes]])
        for start in range(0, len(mine), 1024):
            rows = mine[start : start + 1024]
            likeness = vectors[rows] @ vectors[others].T
            likeness[rows[:, None] == others[None, :]] = -np.inf
            best = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
            values = np.take_along_axis(likeness, best, axis=1)
            found[rows] = others[np.take_along_axis(best, np.argsort(-values, axis=1, kind="stable"), axis=1)]
    return found


def principal_plane(vectors: Floats) -> Floats:
    """Return the first two principal components of vectors (n, dim), shape (n, 2), the same on any solver."""
    plane = np.zeros((len(vectors), 2), dtype=np.float32)
    moved = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(moved.T.astype(np.float64) @ moved)
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])] < 0, -1, 1)
    plane[:, : axes.shape[1]] = moved @ axes
    return plane


def lay_out(vectors: Floats, seed: int = 0) -> Floats:
    """Place unit vectors in a plane so that those which are near stay near.

    Starts from the principal plane; then each pulls its nearest neighbours, some that are neither near nor far, and
    pushes others away, by Adam, in three phases. In the end those on top of each other get room.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
        Unit vectors.
    seed : int

    Returns
    -------
    ndarray, shape (n, 2), float32
        The same for the same seed.

    Notes
    -----
    PaCMAP (Wang, Huang, Rudin & Shaposhnik, JMLR 2021) with its weights and phases. We take neighbours by cosine
    without scaling distances first, and 10 pairs that are pushed apart instead of 20, the same shifts of one
    permutation for all, so that no scattered sum is needed on one of the two sides.
    """
    n = len(vectors)
    if n < 4:
        return principal_plane(vectors) if n > 1 else np.zeros((n, 2), dtype=np.float32)
    rng = np.random.default_rng(seed)
    near = nearest_neighbours(vectors, NEIGHBOURS, seed)
    middle = _mid_near(vectors, rng)
    plane = principal_plane(vectors)
    plane = np.float32(0.01) * plane / max(float(plane.std()), 1e-9)
    first, second = np.zeros_like(plane), np.zeros_like(plane)
    step = 0
    for phase, steps in enumerate(PHASES):
        for at in range(steps):
            share = at / steps
            pull, hold = ((2.0, 1000 * (1 - share) + 3 * share), (3.0, 3.0), (1.0, 0.0))[phase]
            slope = _pulled(plane, near, pull, 10.0)
            if hold:
                slope += _pulled(plane, middle, hold, 10000.0)
            slope += _pushed(plane, rng)
            step += 1
            first = np.float32(0.9) * first + np.float32(0.1) * slope
            second = np.float32(0.999) * second + np.float32(0.001) * slope**2
            plane -= (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    return give_room(plane)


def give_room(plane: Floats) -> Floats:
    """Push points apart that lie on top of each other, until each can be seen.

    Parameters
    ----------
    plane : ndarray, shape (n, 2), float32

    Returns
    -------
    ndarray, shape (n, 2), float32
        Neighbours are `ROOM` times the step of a grid of n points apart, or nearly; what has room stays.
    """
    n = len(plane)
    if n < 3:
        return plane
    places = plane.astype(np.float64)
    angle = np.arange(n) * 2.399963  # the golden angle: points of one place leave it in different directions
    jitter = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for _ in range(PUSHES):
        least = ROOM * float(np.ptp(places, axis=0).max()) / n**0.5 or 1.0
        apart, others = KDTree(places).query(places, k=min(9, n))
        near = apart[:, 1:, None]
        away = places[:, None, :] - places[others[:, 1:]]
        direction = np.where(near > 1e-6 * least, away / np.maximum(near, 1e-12), jitter[:, None, :])
        push = (0.35 * np.maximum(least - near, 0) * direction).sum(axis=1)
        if not np.abs(push).max() > 0.01 * least:
            break
        places += push / np.maximum(np.linalg.norm(push, axis=1, keepdims=True) / least, 1)
    return places.astype(np.float32)


def trustworthiness(vectors: Floats, plane: Floats, k: int = 10) -> float:
    """Measure how far neighbours in the plane are neighbours in space: 1 if all are, .5 or so by chance.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
        Unit vectors.
    plane : ndarray, shape (n, 2), float32
    k : int < n / 2

    Notes
    -----
    Venna & Kaski, Neural Networks 2006. All pairs are compared: n should be a few thousand at most.
    """
    n = len(vectors)
    away = -(vectors @ vectors.T)
    np.fill_diagonal(away, -np.inf)
    rank = np.empty((n, n), dtype=np.int32)
    np.put_along_axis(rank, np.argsort(away, axis=1, kind="stable"), np.arange(n, dtype=np.int32)[None, :], axis=1)
    apart = ((plane[:, None, :] - plane[None, :, :]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    shown = np.argsort(apart, axis=1, kind="stable")[:, :k]
    too_far = np.maximum(np.take_along_axis(rank, shown, axis=1) - k, 0)
    return 1 - 2 * float(too_far.sum()) / (n * k * (2 * n - 3 * k - 1))


def _mid_near(vectors: Floats, rng: np.random.Generator) -> Ints:
    """Return for each of `MID` draws of six others the second nearest, shape (n, MID)."""
    n = len(vectors)
    found = np.empty((n, MID), dtype=np.int32)
    for draw in range(MID):
        for start in range(0, n, 4096):
            mine = slice(start, min(start + 4096, n))
            others = rng.integers(0, n, (mine.stop - mine.start, 6))
            likeness = np.einsum("id,ijd->ij", vectors[mine], vectors[others])
            second = np.argsort(-likeness, axis=1, kind="stable")[:, 1]
            found[mine, draw] = others[np.arange(len(others)), second]
    return found


def _pulled(plane: Floats, pairs: Ints, weight: float, reach: float) -> Floats:
    """Return the slope of ``weight (1 + d2) / (reach + 1 + d2)`` over pairs (n, k)."""
    n = len(plane)
    away = plane[:, None, :] - plane[pairs]
    squared = 1 + (away**2).sum(axis=2)
    force = away * (np.float32(2 * weight * reach) / (reach + squared) ** 2)[:, :, None]
    slope = force.sum(axis=1)
    for axis in range(2):
        slope[:, axis] -= np.bincount(pairs.ravel(), force[:, :, axis].ravel(), minlength=n).astype(np.float32)
    return np.asarray(slope, dtype=np.float32)


def _pushed(plane: Floats, rng: np.random.Generator) -> Floats:
    """Return the slope of ``1 / (2 + d2)`` over pairs by chance."""
    n, slope = len(plane), np.zeros_like(plane)
    order = rng.permutation(n)
    mine = plane[order]
    for shift in rng.choice(np.arange(1, n), min(FURTHER, n - 1), replace=False):
        away = mine - np.roll(mine, shift, axis=0)
        force = away * (np.float32(-2) / (2 + (away**2).sum(axis=1)) ** 2)[:, None]
        slope[order] += force - np.roll(force, -shift, axis=0)
    return slope

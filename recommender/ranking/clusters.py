"""Groups of tracks that sound alike: k-means, how stable each group is, and what became of it after a retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SIZES = (4, 6, 8, 10, 12, 16, 20, 24)
"""Numbers of clusters that are tried."""

STABLE = 0.75
"""Jaccard from which a cluster counts as found again (Hennig 2007)."""

PATTERN = 0.6
"""Below it, a cluster is hardly a pattern."""

LEAST_MEMBERS = 8
"""So many tracks a cluster must have on average."""

SAMPLE = 3000
RESAMPLES = 8
KEPT_OVERLAP = 0.25
"""A name goes over to a new cluster that holds such a share of what was named, and to no lesser one."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Groups of vectors.

    Parameters
    ----------
    centres : ndarray, shape (k, dim), float32
        Unit vectors, that of the largest cluster first.
    member_of : ndarray, shape (n,), int32
    """

    centres: Floats
    member_of: npt.NDArray[np.int32]


def fit_clusters(vectors: Floats, k: int, *, seed: int = 0, rounds: int = 40, restarts: int = 3) -> Clusters:
    """Group unit vectors by k-means on the sphere.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
    k : int, 1 to n
    seed : int
    rounds : int
        At most so many in one start.
    restarts : int
        The best of so many is kept.

    Returns
    -------
    Clusters

    Notes
    -----
    Dhillon & Modha, Machine Learning 2001, started by k-means++ (Arthur & Vassilvitskii, SODA 2007). A cluster that
    loses all its members takes the vector that fits worst.
    """
    best, best_fit = None, -np.inf
    for start in range(restarts):
        centres = _spread_out(vectors, k, np.random.default_rng((seed, start)))
        member_of = nearest_centre(vectors, centres)
        for _ in range(rounds):
            centres = _centres_of(vectors, member_of, centres)
            now = nearest_centre(vectors, centres)
            if np.array_equal(now, member_of):
                break
            member_of = now
        fit = float(np.einsum("id,id->i", vectors, centres[member_of]).sum())
        if fit > best_fit:
            best, best_fit = (centres, member_of), fit
    assert best is not None
    centres, member_of = best
    order = np.argsort(-np.bincount(member_of, minlength=k), kind="stable")
    place = np.empty(k, dtype=np.int32)
    place[order] = np.arange(k, dtype=np.int32)
    return Clusters(np.asarray(centres[order], dtype=np.float32), place[member_of])


def nearest_centre(vectors: Floats, centres: Floats) -> npt.NDArray[np.int32]:
    """Return the centre with the largest inner product for each vector (n, dim), shape (n,)."""
    blocks = [(vectors[at : at + 8192] @ centres.T).argmax(axis=1) for at in range(0, len(vectors), 8192)]
    return np.concatenate([*blocks, np.empty(0, dtype=np.int64)]).astype(np.int32)


def stability(vectors: Floats, clusters: Clusters, *, seed: int = 0) -> Floats:
    """Measure of each cluster whether it is found again in a part of the vectors.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
    clusters : Clusters
        Of these vectors.
    seed : int

    Returns
    -------
    ndarray, shape (k,), float32
        Mean over resamples of four fifths of the best Jaccard index with any new cluster; from `STABLE` on, a cluster
        is more than an accident.

    Notes
    -----
    Hennig, Computational Statistics & Data Analysis 2007, by subsets instead of bootstrap.
    """
    k, rng = len(clusters.centres), np.random.default_rng(seed)
    total = np.zeros(k)
    for resample in range(RESAMPLES):
        part = rng.choice(len(vectors), max(k, 4 * len(vectors) // 5), replace=False)
        again = fit_clusters(vectors[part], k, seed=seed + 1 + resample).member_of
        both = np.bincount(clusters.member_of[part] * k + again, minlength=k * k).reshape(k, k)
        either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
        total += (both / np.maximum(either, 1)).max(axis=1)
    return (total / RESAMPLES).astype(np.float32)


def choose_clusters(vectors: Floats, *, seed: int = 0) -> tuple[Clusters, Floats]:
    """Group vectors into as many clusters as are found again.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
        Unit vectors.
    seed : int

    Returns
    -------
    clusters : Clusters
        Of the largest of `SIZES` whose clusters are stable on average and none below `PATTERN`; else of the size that
        is most stable on average.
    stability : ndarray, shape (k,), float32
        Measured on `SAMPLE` vectors at most.
    """
    n = len(vectors)
    if n < 2 * LEAST_MEMBERS:
        return Clusters(vectors.mean(axis=0, keepdims=True), np.zeros(n, dtype=np.int32)), np.ones(1, dtype=np.float32)
    sample = vectors
    if n > SAMPLE:
        sample = vectors[np.sort(np.random.default_rng(seed).choice(n, SAMPLE, replace=False))]
    sizes = [size for size in SIZES if size * LEAST_MEMBERS <= n] or [2]
    found = {size: stability(sample, fit_clusters(sample, size, seed=seed), seed=seed) for size in sizes}
    stable = [size for size in sizes if found[size].mean() >= STABLE and found[size].min() >= PATTERN]
    size = max(stable) if stable else max(sizes, key=lambda each: float(found[each].mean()))
    clusters = fit_clusters(vectors, size, seed=seed)
    measured = Clusters(clusters.centres, nearest_centre(sample, clusters.centres))
    return clusters, stability(sample, measured, seed=seed)


def match_clusters(named: Mapping[str, Sequence[str]], cluster_of: Mapping[str, int]) -> dict[int, str]:
    """Find where named groups of tracks have gone.

    Parameters
    ----------
    named : mapping of str to sequence of str
        The members of each name's cluster when it was given.
    cluster_of : mapping of str to int
        The cluster of each track now.

    Returns
    -------
    dict of int to str
        At most one name a cluster and one cluster a name: the largest overlap first. A name whose members lie
        scattered, less than `KEPT_OVERLAP` of them in any one cluster that is free, is left out.
    """
    overlaps = []
    for name, members in named.items():
        found = [cluster_of[track] for track in members if track in cluster_of]
        for cluster, count in zip(*np.unique(found, return_counts=True), strict=True):
            if count >= KEPT_OVERLAP * len(found):
                overlaps.append((-int(count), name, int(cluster)))
    matched: dict[int, str] = {}
    for _, name, cluster in sorted(overlaps):
        if cluster not in matched and name not in matched.values():
            matched[cluster] = name
    return matched


def _spread_out(vectors: Floats, k: int, rng: np.random.Generator) -> Floats:
    pool = vectors if len(vectors) <= 20 * SAMPLE else vectors[rng.choice(len(vectors), 20 * SAMPLE, replace=False)]
    chosen = [int(rng.integers(len(pool)))]
    away = np.maximum(1 - pool @ pool[chosen[0]], 0).astype(np.float64)
    for _ in range(k - 1):
        total = away.sum()
        chosen.append(int(rng.choice(len(pool), p=away / total) if total > 0 else rng.integers(len(pool))))
        away = np.minimum(away, np.maximum(1 - pool @ pool[chosen[-1]], 0))
    return np.asarray(pool[chosen], dtype=np.float32)


def _centres_of(vectors: Floats, member_of: npt.NDArray[np.int32], before: Floats) -> Floats:
    k = len(before)
    order = np.argsort(member_of, kind="stable")
    counts = np.bincount(member_of, minlength=k)
    starts = np.cumsum(counts) - counts
    sums = np.zeros_like(before)
    there = counts > 0
    sums[there] = np.add.reduceat(vectors[order], starts[there], axis=0)
    if not there.all():
        fit = np.einsum("id,id->i", vectors, before[member_of])
        sums[~there] = vectors[np.argsort(fit, kind="stable")[: int((~there).sum())]]
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(np.divide(sums, length, out=before.copy(), where=length > 1e-9), dtype=np.float32)

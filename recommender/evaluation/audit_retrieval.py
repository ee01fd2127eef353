"""Is it the music? New tracks found by their sound, against chance, shuffled vectors, lazy ears and unknown artists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.splits import Split, split_cold_tracks
from recommender.errors import DataError, ModelError
from recommender.evaluation.bootstrap import interval
from recommender.evaluation.cold_splits import hide_tracks
from recommender.models.als import AlsConfig, fit_als, play_confidence
from recommender.models.cold_start import fit_prior, predict_prior
from recommender.models.smoothing import smooth_track_factors

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

TOP = 10
SHUFFLES = 8
MOST_USERS = 3000
LEAST_COLD = 8


@dataclass(frozen=True)
class Worth:
    """Mean NDCG@10 of new tracks among new tracks, with its 95 % interval over users."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Retrieval:
    """How well new tracks are found for the listeners who played them.

    Parameters
    ----------
    worth : dict of str to Worth
        ``embedding``; ``other artists only`` (nothing was learnt of the new tracks' artists); ``shuffled`` (vectors of
        other tracks); ``loudness and bandwidth`` where they are given; ``chance``.
    n_cold, n_users : int
    untouched : bool
        Whether the network was not trained on the tracks that were hidden.
    """

    worth: dict[str, Worth]
    n_cold: int
    n_users: int
    untouched: bool

    def share(self, name: str) -> float:
        """Return what `name` reaches of the embedding's gain over chance; NaN where the embedding gains nothing."""
        chance, full = self.worth["chance"].mean, self.worth["embedding"].mean
        return (self.worth[name].mean - chance) / (full - chance) if full > chance else float("nan")


@dataclass(frozen=True)
class Neighbourhood:
    """Who the nearest are.

    Parameters
    ----------
    same_artist, same_album : float
        Share of the 10 nearest that are by the same artist, on the same album.
    artist_by_chance : float
    hub_skew : float
        Skewness of how often a track is among the 10 nearest of others; the larger, the more hubs.
    hub_most : int
        How often the most frequent one is.
    orphans : float
        Share of the tracks that are nobody's neighbour.
    """

    same_artist: float
    same_album: float
    artist_by_chance: float
    hub_skew: float
    hub_most: int
    orphans: float


def cold_retrieval(
    catalog: Catalog,
    interactions: Interactions,
    vectors: Float32s,
    has_vector: Bools,
    als: AlsConfig,
    *,
    lazy: Float32s | None = None,
    untouched: npt.NDArray[np.integer] | None = None,
    seed: int = 0,
) -> Retrieval:
    """Hide tracks from the plays, predict their factors from their vectors, and rank them for those who played them.

    Parameters
    ----------
    catalog : Catalog
    interactions : Interactions
    vectors : ndarray, shape (n_tracks, dim), float32
    has_vector : ndarray, shape (n_tracks,), bool
    als : AlsConfig
    lazy : ndarray, shape (n_tracks, n_features), float32, optional
        Loudness and bandwidth of each track.
    untouched : ndarray of rows, optional
        Tracks that the network was not trained on: they are hidden if there are enough.
    seed : int

    Returns
    -------
    Retrieval

    Raises
    ------
    DataError
        If there are too few tracks with plays to hide any.
    """
    split, fresh = _hide(interactions, has_vector, untouched, seed)
    cold = split.held_rows
    test = split.test.to_csr()[:, cold]
    factors = fit_als(split.train, als)
    learnt = smooth_track_factors(play_confidence(split.train.to_csr(), als.play_emphasis), factors.user_factors, als)
    evidence = split.train.track_evidence()
    users = np.flatnonzero((np.diff(test.indptr) > 0) & factors.user_factors.any(axis=1))
    rng = np.random.default_rng(seed)
    users = np.sort(rng.permutation(users)[:MOST_USERS])
    if not len(users):
        raise DataError("no listener of the hidden tracks has other plays; more plays are needed to audit retrieval")
    relevant = np.asarray(test[users].todense()) > 0
    tastes = factors.user_factors[users]
    taught = has_vector & (evidence > 0)
    taught[cold] = False
    codes = catalog.artist_codes()

    def figure(given: Float32s, rows: Bools) -> Floats:
        try:
            prior = fit_prior(given[rows], learnt[rows], evidence[rows])
        except ModelError:
            return np.full(len(users), np.nan)
        return _ndcg(tastes @ predict_prior(prior, given[cold]).T, relevant)

    known = np.flatnonzero(has_vector)
    shuffled = []
    for _ in range(SHUFFLES):
        other = vectors.copy()
        other[known] = vectors[rng.permutation(known)]
        shuffled.append(figure(other, taught))
    values = {
        "embedding": figure(vectors, taught),
        "other artists only": figure(vectors, taught & ~np.isin(codes, codes[cold])),
        "shuffled": np.mean(shuffled, axis=0),
        "chance": np.mean([_ndcg(rng.random(relevant.shape), relevant) for _ in range(20)], axis=0),
    }
    if lazy is not None:
        values["loudness and bandwidth"] = figure(lazy, taught)
    picks = rng.integers(len(users), size=(500, len(users)))
    worth = {}
    for name, each in values.items():
        low, high = interval(each[picks].mean(axis=1)[:, None])
        worth[name] = Worth(float(each.mean()), float(low[0]), float(high[0]))
    return Retrieval(worth, len(cold), len(users), fresh)


def neighbourhood(
    vectors: Float32s, artists: npt.NDArray[np.integer], albums: npt.NDArray[np.integer]
) -> Neighbourhood:
    """Look at the 10 nearest of every track.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float32
    artists, albums : ndarray, shape (n,), int
        One number each; a track without one has a number of its own.
    """
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    n, k = len(unit), min(TOP, len(unit) - 1)
    nearest = np.empty((n, k), dtype=np.intp)
    for start in range(0, n, 1024):
        likeness = unit[start : start + 1024] @ unit.T
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = -np.inf
        nearest[start : start + 1024] = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
    often = np.bincount(nearest.ravel(), minlength=n).astype(np.float64)
    spread = float(often.std())
    _, of, counts = np.unique(artists, return_inverse=True, return_counts=True)
    return Neighbourhood(
        float((artists[nearest] == artists[:, None]).mean()),
        float((albums[nearest] == albums[:, None]).mean()),
        float(((counts[of] - 1) / (n - 1)).mean()),
        float((((often - often.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0,
        int(often.max()),
        float((often == 0).mean()),
    )


def _hide(
    interactions: Interactions, has_vector: Bools, untouched: npt.NDArray[np.integer] | None, seed: int
) -> tuple[Split, bool]:
    """Hide the tracks that the network does not know from training, or, with too few of them, a fifth at random."""
    evidence = interactions.track_evidence()
    if untouched is not None:
        rows = untouched[has_vector[untouched] & (evidence[untouched] > 0)]
        if len(rows) >= LEAST_COLD:
            return split_cold_tracks(interactions, rows=np.sort(rows).astype(np.int32)), True
    return hide_tracks(interactions, has_vector, fraction=0.2, min_users=2, seed=seed), False


def _ndcg(scores: npt.NDArray[np.floating], relevant: Bools) -> Floats:
    k = min(TOP, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    discount = 1 / np.log2(np.arange(2, k + 2))
    gains = np.take_along_axis(relevant, best, axis=1) @ discount
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant.sum(axis=1), k)]
    ndcg: Floats = gains / np.maximum(ideal, 1e-12)
    return ndcg

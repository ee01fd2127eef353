"""A short list of candidates for one listener: every track is estimated from a small copy, the best are scored exactly.

The tracks' side of the score (`scoring.track_vectors`) is wide: reading all of it costs more than everything else. A
user's scores lie in far fewer dimensions, so the index keeps each track's vector in `RANK` of them, chosen so that the
scores of users like the model's own lose least (principal components of the tracks, weighted by the users' second
moment), in 8 bits; an integer matrix product of onnxruntime scans it. Popularity and the weight of plays are added as
they are, neighbours where they stand, and tracks that live plays or uploads have changed since the index was made are
estimated from their present vectors. ``benchmarks/engines.py`` compares this scan with others.

The short list is then scored exactly. No track outside of it is expected above its `floor`: the highest estimate
outside plus the largest error seen inside. A list that needs tracks below the floor takes a longer short list, in the
end the catalog; `recommend` over all tracks is the twin.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, eigh, solve_triangular

from recommender.ranking.listener import Listener, listener_of
from recommender.ranking.model import Float32s, HybridModel, Standards
from recommender.ranking.scan import Scan
from recommender.ranking.scoring import dialled_fame, fame, play_weight, side_parts

Rows = npt.NDArray[np.int32]

RANK = 64
LEAST_TRACKS = 20_000
"""A smaller catalog is scored whole: that is as fast."""
SAMPLE_TRACKS, SAMPLE_USERS = 8_000, 256
_BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class Index:
    """The small copy of the tracks' vectors.

    Parameters
    ----------
    basis : ndarray, shape (width, r), float32
        From what `_content_of` returns to the dimensions of the index.
    dual : ndarray, shape (width, r), float32
        From a user's vector, its three single entries left out, to theirs.
    scan : Scan
        Of the vectors in those dimensions, shape (n, r).
    changed_rows : ndarray, shape (c,), int32
        What live plays had changed when the index was made.
    """

    basis: Float32s
    dual: Float32s
    scan: Scan
    changed_rows: Rows


@dataclass(frozen=True, eq=False)
class Present:
    """What an index needs to know of a model that may be later than itself.

    Parameters
    ----------
    rows : ndarray, shape (c,), int32
        Tracks that are other than in the index, or not in it.
    vectors : ndarray, shape (c, r), float32
        Their vectors now.
    weight, fame : ndarray, shape (n_tracks,), float32
        `play_weight` and `fame` of all tracks now.
    """

    rows: Rows
    vectors: Float32s
    weight: Float32s
    fame: Float32s


@dataclass(frozen=True, eq=False)
class Shortlist:
    """Candidates with their exact scores.

    Parameters
    ----------
    rows : ndarray, shape (k,), int32
        Catalog rows, ascending.
    parts : ndarray, shape (k, 4), float32
        By `side_parts`.
    scores : ndarray, shape (k,), float32
        Their sums.
    floor : float
        Up to here a track outside may score, the popularity dial included; -inf if none is left out.
    depth : int
        How many were asked for.
    """

    rows: Rows
    parts: Float32s
    scores: Float32s
    floor: float
    depth: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing that may be recommended is left out."""
        return self.floor == -np.inf


_indexes: WeakKeyDictionary[Standards, Index] = WeakKeyDictionary()
_present: WeakKeyDictionary[HybridModel, Present] = WeakKeyDictionary()
_orders: WeakKeyDictionary[HybridModel, tuple[Rows, Rows]] = WeakKeyDictionary()
_building = threading.Lock()


def index_of(model: HybridModel) -> Index:
    """Return the index of a model and of all that live plays made of it; the first call builds it."""
    with _building:
        found = _indexes.get(model.standards)
        if found is None:
            found = _indexes[model.standards] = build_index(model)
        return found


def build_index(model: HybridModel, rank: int = RANK) -> Index:
    """Find the dimensions that users' scores lie in, and bring all tracks into them.

    Parameters
    ----------
    model : HybridModel
    rank : int

    Returns
    -------
    Index

    Notes
    -----
    With C = mean u u' over users = M M' and the tracks' vectors as rows of X, the first r eigenvectors P of M' X'X M
    keep most of ``sum (X u)^2 = sum |X M z|^2``: tracks become ``X M P``, users ``P' M^-1 u``. Both moments are taken
    over samples, and C gets a ridge, so that a user unlike all of them is estimated too.
    """
    rng = np.random.default_rng(model.config.seed)
    users = np.flatnonzero(np.diff(model.plays.indptr))
    users = rng.choice(users, min(SAMPLE_USERS, len(users)), replace=False)
    sides = [_content_side(listener_of(model, model.plays[user], model.heard[user]).side.vector, model) for user in users]
    width = 2 * model.posterior_factors.shape[1] + model.sound_vectors.shape[1]
    moment = np.stack(sides).T @ np.stack(sides) / len(sides) if sides else np.eye(width)
    moment = moment.astype(np.float64) + 1e-3 * max(np.trace(moment), 1e-9) / width * np.eye(width)
    root = cholesky(moment, lower=True)
    sample = np.sort(rng.choice(len(model.catalog), min(SAMPLE_TRACKS, len(model.catalog)), replace=False))
    moved = _content_of(model, sample) @ root.astype(np.float32)
    rank = min(rank, width)
    found = eigh((moved.T @ moved).astype(np.float64), subset_by_index=(width - rank, width - 1))[1]
    basis = (root @ found).astype(np.float32)
    dual = solve_triangular(root, found, lower=True, trans="T").astype(np.float32)
    starts = range(0, len(model.catalog), _BLOCK)
    rows = (np.arange(start, min(start + _BLOCK, len(model.catalog))) for start in starts)
    vectors = np.concatenate([_content_of(model, some) @ basis for some in rows])
    return Index(basis, dual, Scan.of(vectors), np.asarray(model.changed_rows, dtype=np.int32))


def shortlist(
    listener: Listener,
    depth: int,
    *,
    popularity: float = 0.0,
    include_heard: bool = False,
    candidate_rows: npt.NDArray[np.integer] | None = None,
    bonus: npt.NDArray[np.floating] | None = None,
) -> Shortlist:
    """Return at least `depth` candidates for a listener, where there are so many.

    Parameters
    ----------
    listener : Listener
    depth : int
    popularity, include_heard, candidate_rows
        As in `RecommendOptions`.
    bonus : ndarray, shape (n_tracks,), optional
        What else is added to tracks' scores when the best are chosen.

    Returns
    -------
    Shortlist
    """
    model, side = listener.model, listener.side
    n_tracks = len(model.catalog)
    if n_tracks < max(LEAST_TRACKS, depth):
        rows = np.arange(n_tracks, dtype=np.int32) if candidate_rows is None else candidate_rows.astype(np.int32)
        rows = rows if include_heard else rows[~np.isin(rows, listener.heard, assume_unique=True)]
        parts = side_parts(model, side, rows)
        return Shortlist(rows, parts, parts.sum(axis=1), -np.inf, depth)
    wanted = estimates(listener)
    if popularity:
        wanted += popularity * dialled_fame(model, model.evidence)
    if bonus is not None:
        wanted += bonus
    if candidate_rows is not None:
        left_out = np.ones(n_tracks, dtype=bool)
        left_out[candidate_rows] = False
        wanted[left_out] = -np.inf
    if not include_heard:
        wanted[listener.heard] = -np.inf
    rows, highest = best_above(wanted, depth)
    parts = side_parts(model, side, rows)
    scores = parts.sum(axis=1)
    if not np.isfinite(highest):
        return Shortlist(rows, parts, scores, -np.inf, depth)
    exact = scores if not popularity else scores + popularity * dialled_fame(model, model.evidence[rows])
    exact = exact if bonus is None else exact + bonus[rows]
    return Shortlist(rows, parts, scores, highest + float(np.abs(exact - wanted[rows]).max()), depth)


def default_shortlist(
    listener: Listener, depth: int, include_heard: bool, candidate_rows: npt.NDArray[np.integer] | None
) -> Shortlist:
    """Return the most popular and the latest of the new tracks, `depth` of each, for somebody without known plays."""
    model = listener.model
    kept = np.ones(len(model.catalog), dtype=bool)
    if candidate_rows is not None:
        kept[:] = False
        kept[candidate_rows] = True
    if not include_heard:
        kept[listener.heard] = False
    popular, new = default_orders(model)
    popular, new = popular[kept[popular]], new[kept[new]]
    rows = np.sort(np.concatenate([popular[:depth], new[:depth]]))
    parts = side_parts(model, listener.side, rows)
    floor = -np.inf
    if max(len(popular), len(new)) > depth:
        next_one = popular[depth : depth + 1]
        floor = float(fame(model, model.evidence[next_one])[0]) if len(next_one) else float(np.finfo(np.float32).min)
    return Shortlist(rows, parts, parts.sum(axis=1), floor, depth)


def default_orders(model: HybridModel) -> tuple[Rows, Rows]:
    """Return the tracks with listeners, most first, and those without, the latest first; found once for each state."""
    found = _orders.get(model)
    if found is None:
        played = np.flatnonzero(model.evidence > 0).astype(np.int32)
        new = np.flatnonzero(model.evidence == 0).astype(np.int32)
        found = _orders[model] = (
            played[np.argsort(-model.evidence[played], kind="stable")],
            new[np.argsort(-model.catalog.release_ranks[new], kind="stable")],
        )
    return found


def estimates(listener: Listener) -> Float32s:
    """Estimate the scores of all tracks for a listener, shape (n_tracks,)."""
    model, side = listener.model, listener.side
    index, now = index_of(model), present_of(model)
    d = model.posterior_factors.shape[1]
    query = _content_side(side.vector, model) @ index.dual
    found = np.empty(len(model.catalog), dtype=np.float32)
    index.scan.products(query, found[: len(index.scan)])
    found[now.rows] = now.vectors @ query
    found += (side.vector[d] - side.vector[-2]) * now.weight
    found += side.vector[-1] * now.fame
    found += side.vector[-2]
    found[side.near_rows] += side.near * now.weight[side.near_rows]
    return found


def present_of(model: HybridModel) -> Present:
    """Return what has changed in a model since its index was made; computed once for each state of the model."""
    found = _present.get(model)
    if found is None:
        index = index_of(model)
        new = np.arange(len(index.scan), len(model.catalog), dtype=np.int32)
        rows = np.union1d(np.union1d(model.changed_rows, index.changed_rows), new).astype(np.int32)
        vectors = _content_of(model, rows) @ index.basis
        found = _present[model] = Present(rows, vectors, play_weight(model), fame(model, model.evidence))
    return found


def best_above(values: Float32s, depth: int) -> tuple[Rows, float]:
    """Return the rows of the highest values, ascending, about `depth` of them but no fewer, and the next value.

    Parameters
    ----------
    values : ndarray, shape (n,), float32
        -inf marks what may not be returned.
    depth : int

    Returns
    -------
    rows : ndarray, shape (k,), int32
        Fewer than `depth` only where no more are finite.
    highest : float
        The highest value that is not among them, or a bound of it; -inf if no finite one is left.

    Examples
    --------
    >>> best_above(np.array([3, 9, -np.inf, 5], dtype=np.float32), 2)
    (array([1, 3], dtype=int32), 5.0)
    """
    step = max(1, min(16, len(values) // 4096))
    sample = values[::step]
    rank = min(len(sample), int(1.3 * depth / step) + 8 if step > 1 else depth)
    threshold = np.partition(sample, len(sample) - rank)[len(sample) - rank]
    rows = np.flatnonzero(values >= threshold)
    if len(rows) < depth or not np.isfinite(threshold):
        threshold = np.partition(values, len(values) - depth)[len(values) - depth]
        rows = np.flatnonzero((values >= threshold) & (values > -np.inf))
    if len(rows) > depth + depth // 4:
        order = np.argpartition(values[rows], len(rows) - depth)
        threshold, rows = values[rows[order[-depth - 1]]], np.sort(rows[order[-depth:]])
    return rows.astype(np.int32), float(threshold)


def _content_of(model: HybridModel, rows: npt.NDArray[np.integer]) -> Float32s:
    """Return the part of `track_vectors` that is projected, shape (k, d + d + dim)."""
    weight = play_weight(model, None, rows)[:, None]
    sides = (model.prior_means[rows], model.sound_vectors[rows])
    return np.hstack([weight * model.posterior_factors[rows], *((1 - weight) * each for each in sides)])


def _content_side(vector: Float32s, model: HybridModel) -> Float32s:
    """Leave out the entries of a user's vector that stand for single columns: weight, its rest, popularity."""
    d = model.posterior_factors.shape[1]
    return np.concatenate([vector[:d], vector[d + 1 : -2]])

"""A short list of candidates for one listener: every track is estimated from a small copy, the best are scored exactly.

The tracks' side of the score (`scoring.track_vectors`) is wide: reading all of it costs more than everything else. A
user's scores lie in far fewer dimensions, so the index keeps each track's vector in few of them, chosen so that the
scores of users like the model's own lose least (principal components of the tracks, weighted by the users' second
moment), in 8 bits; an integer matrix product of onnxruntime scans it. Popularity and the weight of plays have a
dimension each, neighbours are added where they stand, and tracks that live plays or uploads have changed since the
index was made are estimated from their present vectors. ``benchmarks/engines.py`` compares this scan with others.

The short list is then scored exactly. No track outside of it is expected above its `floor`: the highest estimate
outside plus `SAFETY` times the largest error seen inside. A list that needs tracks below the floor takes a longer short
list, in the end the catalog; `recommend` over all tracks is the twin.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, eigh, solve_triangular

from recommender.ranking.listener import Listener, listener_of
from recommender.ranking.model import Float32s, HybridModel, Standards
from recommender.ranking.recommendation import RecommendOptions
from recommender.ranking.scan import LEFT_OUT, Coded, Products, Scan
from recommender.ranking.scoring import dialled_fame, fame, side_parts

Rows = npt.NDArray[np.int32]

LEAST_RANK, MOST_RANK, ENERGY = 62, 126, 0.995
"""As many dimensions as keep this share of the energy of the users' scores."""
LEAST_TRACKS = 20_000
"""A smaller catalog is scored whole: that is as fast."""
SAFETY = 2.0
SAMPLE_TRACKS, SAMPLE_USERS = 8_000, 256
_BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class CodedTracks:
    """The small copy of the tracks' vectors.

    Parameters
    ----------
    basis : ndarray, shape (width, r), float32
        From `_content_of` a track to the dimensions of the copy.
    dual : ndarray, shape (width, r), float32
        From the same entries of a user's vector to theirs.
    coded : Coded
        `_vectors_of` all tracks, shape (n, r + 2).
    """

    basis: Float32s
    dual: Float32s
    coded: Coded

    @cached_property
    def scan(self) -> Scan:
        """The copy, ready to be scanned."""
        return Scan.of(self.coded)


@dataclass(frozen=True, eq=False)
class Present:
    """What an index needs to know of a model that may be later than itself.

    Parameters
    ----------
    rows : ndarray, shape (c,), int32
        Tracks that are other than in the index, or not in it.
    vectors : ndarray, shape (c, r + 2), float32
        Their vectors now.
    """

    rows: Rows
    vectors: Float32s


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


_sounds: WeakKeyDictionary[Standards, Scan] = WeakKeyDictionary()
_present: WeakKeyDictionary[HybridModel, Present] = WeakKeyDictionary()
_orders: WeakKeyDictionary[HybridModel, tuple[Rows, Rows]] = WeakKeyDictionary()
_building = threading.Lock()


def is_large(model: HybridModel) -> bool:
    """Tell whether a model has so many tracks that they are narrowed down first."""
    return len(model.catalog) >= LEAST_TRACKS


def code_tracks(model: HybridModel, rank: int | None = None) -> CodedTracks:
    """Find the dimensions that users' scores lie in, and bring all tracks into them.

    Parameters
    ----------
    model : HybridModel
    rank : int, optional
        How many dimensions, instead of as many as `ENERGY` asks for.

    Returns
    -------
    CodedTracks

    Notes
    -----
    With C = mean u u' over users = M M' and the tracks' vectors as rows of X, the first r eigenvectors P of M' X'X M
    keep most of ``sum (X u)^2 = sum |X M z|^2``: tracks become ``X M P``, users ``P' M^-1 u``. Both moments are taken
    over samples, and C gets a ridge, so that a user unlike all of them is estimated too.
    """
    rng = np.random.default_rng(model.config.seed)
    users = np.flatnonzero(np.diff(model.plays.indptr))
    users = rng.choice(users, min(SAMPLE_USERS, len(users)), replace=False)
    d = model.posterior_factors.shape[1]
    sides = [_content_side(listener_of(model, model.plays[user], model.heard[user]).side.vector, d) for user in users]
    width = 2 * d + model.sound_vectors.shape[1]
    moment = np.stack(sides).T @ np.stack(sides) / len(sides) if sides else np.eye(width)
    moment = moment.astype(np.float64) + 1e-3 * max(np.trace(moment), 1e-9) / width * np.eye(width)
    root = cholesky(moment, lower=True)
    sample = np.sort(rng.choice(len(model.catalog), min(SAMPLE_TRACKS, len(model.catalog)), replace=False))
    moved = _content_of(model, sample) @ root.astype(np.float32)
    gram = (moved.T @ moved).astype(np.float64)
    most = min(rank or MOST_RANK, width)
    energy, found = eigh(gram, subset_by_index=(width - most, width - 1))
    if rank is None:
        enough = int(np.searchsorted(np.cumsum(energy[::-1]), ENERGY * np.trace(gram))) + 1
        found = found[:, -min(max(enough, LEAST_RANK), most) :]
    basis = (root @ found).astype(np.float32)
    dual = solve_triangular(root, found, lower=True, trans="T").astype(np.float32)
    starts = range(0, len(model.catalog), _BLOCK)
    rows = (np.arange(start, min(start + _BLOCK, len(model.catalog))) for start in starts)
    vectors = np.concatenate([_vectors_of(model, some, basis) for some in rows])
    return CodedTracks(basis, dual, Coded.of(vectors))


def shortlist(
    listener: Listener,
    depth: int,
    options: RecommendOptions,
    estimated: Products | None = None,
) -> Shortlist:
    """Return at least `depth` candidates for a listener, where there are so many.

    Parameters
    ----------
    listener : Listener
    depth : int
    options : RecommendOptions
        What may be recommended, and the popularity dial.
    estimated : Products, optional
        By `estimates`, where it is there already.

    Returns
    -------
    Shortlist
    """
    model, side = listener.model, listener.side
    n_tracks = len(model.catalog)
    if not is_large(model) or n_tracks < depth:
        rows = _allowed_rows(listener, options)
        starts = range(0, max(1, len(rows)), _BLOCK)
        parts = np.concatenate([side_parts(model, side, rows[start : start + _BLOCK]) for start in starts])
        return Shortlist(rows, parts, parts.sum(axis=1), -np.inf, depth)
    wanted = _allowed(listener, estimated, options)
    rows, bound = wanted.best(depth)
    parts = side_parts(model, side, rows)
    scores = parts.sum(axis=1)
    exact = scores
    if options.popularity:
        exact = scores + options.popularity * dialled_fame(model, model.evidence[rows])
    missed = float(np.abs(exact - wanted.values(rows)).max(initial=0))
    return Shortlist(rows, parts, scores, bound + SAFETY * missed, depth)


def estimated_best(
    listener: Listener,
    depth: int,
    options: RecommendOptions,
    estimated: Products | None,
    without: npt.NDArray[np.integer],
) -> tuple[Float32s, Rows, float]:
    """Return the best tracks by their estimated scores, the popularity dial included: estimates, rows, the next one's.

    The rows of `without` are left out. A small catalog is scored exactly, and returned whole.
    """
    if not is_large(listener.model):
        rows = np.setdiff1d(_allowed_rows(listener, options), without)
        scores = side_parts(listener.model, listener.side, rows).sum(axis=1)
        return scores + options.popularity * dialled_fame(listener.model, listener.model.evidence[rows]), rows, -np.inf
    wanted = _allowed(listener, estimated, options)
    wanted.steps[without] = LEFT_OUT
    rows, bound = wanted.best(depth)
    return wanted.values(rows), rows, bound


def default_shortlist(listener: Listener, depth: int, options: RecommendOptions) -> Shortlist:
    """Return the most popular and the latest of the new tracks, `depth` of each, for somebody without known plays."""
    model = listener.model
    kept = np.zeros(len(model.catalog), dtype=bool)
    kept[_allowed_rows(listener, options)] = True
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


def keep_sound(model: HybridModel, coded: Coded) -> None:
    """Use a copy of the sound vectors that was made before, of this very model."""
    with _building:
        _sounds[model.standards] = Scan.of(coded)


def estimates(listener: Listener) -> Products:
    """Estimate the scores of all tracks for a listener."""
    model, side = listener.model, listener.side
    index, now = model.retrieval, present_of(model)
    assert index is not None
    d = model.posterior_factors.shape[1]
    vector = side.vector
    query = np.concatenate([_content_side(vector, d) @ index.dual, [vector[d] - vector[-2], vector[-1]]])
    found = index.scan.products(query.astype(np.float32))
    found = replace(found, offset=found.offset + float(vector[-2]))
    if len(found.steps) < len(model.catalog):
        found = replace(found, steps=np.resize(found.steps, len(model.catalog)))
    if len(now.rows):
        found.steps[now.rows] = found.in_steps(now.vectors @ query + vector[-2])
    if len(side.near_rows):
        added = side.near * model.play_weight[side.near_rows]
        found.steps[side.near_rows] += np.rint(added / np.float32(found.unit)).astype(np.int32)
    return found


def sound_scan_of(model: HybridModel) -> Scan | None:
    """Return a scan of the sound vectors that a model had when this was first asked; None if its catalog is small."""
    if model.sound is None or not is_large(model):
        return None
    with _building:
        found = _sounds.get(model.standards)
        if found is None:
            found = _sounds[model.standards] = Scan.of(Coded.of(model.sound.vectors))
        return found


def present_of(model: HybridModel) -> Present:
    """Return what has changed in a model since its index was made; computed once for each state of the model."""
    found = _present.get(model)
    if found is None:
        index = model.retrieval
        assert index is not None
        new = np.arange(len(index.scan), len(model.catalog), dtype=np.int32)
        rows = np.union1d(model.changed_rows, new).astype(np.int32)
        found = _present[model] = Present(rows, _vectors_of(model, rows, index.basis))
    return found


def _allowed_rows(listener: Listener, options: RecommendOptions) -> Rows:
    """Return the rows that may be recommended, ascending."""
    if options.candidate_rows is None:
        rows = np.arange(len(listener.model.catalog), dtype=np.int32)
    else:
        rows = np.unique(options.candidate_rows).astype(np.int32)
    return rows if options.include_heard else rows[~np.isin(rows, listener.heard, assume_unique=True)]


def _allowed(listener: Listener, estimated: Products | None, options: RecommendOptions) -> Products:
    """Return estimates with the popularity dial, of what may be recommended only."""
    found = estimates(listener) if estimated is None else estimated
    steps, model = found.steps.copy(), listener.model
    if options.popularity:
        steps += np.rint(options.popularity / found.unit * dialled_fame(model, model.evidence)).astype(np.int32)
    if options.candidate_rows is not None:
        left_out = np.ones(len(steps), dtype=bool)
        left_out[options.candidate_rows] = False
        steps[left_out] = LEFT_OUT
    if not options.include_heard:
        steps[listener.heard] = LEFT_OUT
    return replace(found, steps=steps)


def _content_of(model: HybridModel, rows: npt.NDArray[np.integer]) -> Float32s:
    """Return the part of `track_vectors` that is projected, shape (k, d + d + dim)."""
    weight = model.play_weight[rows][:, None]
    sides = (model.prior_means[rows], model.sound_vectors[rows])
    return np.hstack([weight * model.posterior_factors[rows], *((1 - weight) * each for each in sides)])


def _vectors_of(model: HybridModel, rows: npt.NDArray[np.integer], basis: Float32s) -> Float32s:
    """Return tracks in the dimensions of an index, their weight of plays and their popularity, shape (k, r + 2)."""
    singles = (model.play_weight[rows], fame(model, model.evidence[rows]))
    return np.column_stack([_content_of(model, rows) @ basis, *singles]).astype(np.float32)


def _content_side(vector: Float32s, d: int) -> Float32s:
    """Leave out the entries of a user's vector that stand for single columns: weight, its rest, popularity."""
    return np.concatenate([vector[:d], vector[d + 1 : -2]])

"""A path from one track to another, in steps that each make sense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from recommender.errors import ConfigError, DataError
from recommender.playlists.moves import Order, OrderCosts, reversal_gains, reversed_at
from recommender.ranking.model import HybridModel

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.integer]

NEIGHBOURS = 15
POOL = 1000
"""Of a larger library, so many tracks that lie most between the two are looked at."""

MAX_LENGTH = 100
ARTIST_PENALTY = 1.0
"""What a second track of one artist costs: as much as a step between two unrelated tracks."""

ROUNDS = 12
VARIETY = 0.3
"""What chance adds to a track's cost on average, by the seed, as a share of what a step to a near neighbour costs."""

SMALLEST = 1e-6


@dataclass(frozen=True)
class SoundPath:
    """Tracks from one sound to another.

    Parameters
    ----------
    rows : tuple of int
        Catalog rows; the first and the last are the two ends.
    distances : tuple of float
        Of each step, one minus the cosine of the tracks' vectors: 0 the same, 1 unrelated. One fewer than `rows`.
    bridges : tuple of int
        Steps, by their place in `distances`, between tracks that no chain of near neighbours joins.
    """

    rows: tuple[int, ...]
    distances: tuple[float, ...]
    bridges: tuple[int, ...]


def find_path(
    model: HybridModel, start: int, end: int, length: int, *, exclude: Rows | None = None, seed: int = 0
) -> SoundPath:
    """Find a path between two tracks.

    Parameters
    ----------
    model : HybridModel
    start, end : int
        Catalog rows.
    length : int
        Tracks on the path, both ends included.
    exclude : ndarray of int, optional
        Catalog rows that must not be on the path between its ends.
    seed : int
        0 gives the best path; others vary it, each always in the same way.

    Returns
    -------
    SoundPath
        No track twice, and an artist only once where that is possible.

    Raises
    ------
    ConfigError
        If the length is not from 2 to `MAX_LENGTH`.
    DataError
        If there is no path, with the reason: the ends are one track, an end's sound is not known, or there are too few
        tracks whose sound is.

    Notes
    -----
    Of all paths of that length that make progress with every step, the one whose squared distances sum to least: that
    prefers many short steps to one long one. Then, as long as that helps, another track is put in the place of one, or
    a stretch is reversed. Progress is along the graph of each track's `NEIGHBOURS` nearest ones,
    with its components joined where they are closest: how far the start is along it, less how far the end is. It takes
    one matrix of at most `POOL` x `POOL` distances, and a pass over it for each track of the path.
    """
    _check(model, start, end, length)
    pool = _pool(model, start, end, np.empty(0, dtype=np.int64) if exclude is None else exclude)
    if len(pool) < length:
        raise DataError(
            f"no path of {length} tracks: the sound of only {len(pool)} tracks that may be on it is known; "
            "ask for fewer, or analyse more"
        )
    vectors = model.sound_vectors[pool]
    distances = np.maximum(1 - vectors @ vectors.T, np.float32(SMALLEST))
    costs = distances**2
    progress, islands, near = _progress(costs)
    order = np.lexsort((np.arange(len(pool)), progress))
    order = np.r_[0, order[(order != 0) & (order != 1)], 1]
    noise = np.zeros(len(pool), dtype=np.float32)
    if seed:
        noise = (VARIETY * near * np.random.default_rng(seed).exponential(size=len(pool))).astype(np.float32)
    codes = model.artist_codes[pool]
    walk = order[_best(costs[order[:, None], order], codes[order], noise[order], length)]
    places = _polished(walk, costs, codes, noise)
    steps = distances[places[:-1], places[1:]]
    bridges = np.flatnonzero(islands[places[:-1]] != islands[places[1:]])
    return SoundPath(tuple(pool[places].tolist()), tuple(steps.tolist()), tuple(bridges.tolist()))


def _check(model: HybridModel, start: int, end: int, length: int) -> None:
    if not 2 <= length <= MAX_LENGTH:
        raise ConfigError(f"a path of {length} tracks, expected 2 to {MAX_LENGTH}, both ends included")
    if start == end:
        raise DataError(f"a path from {model.catalog.label(start)!r} to itself; choose two tracks")
    for row in (start, end):
        if not model.has_vector[row]:
            raise DataError(
                f"no path: the sound of {model.catalog.label(row)!r} is not known; ingest its file and train again"
            )


def _pool(model: HybridModel, start: int, end: int, exclude: Rows) -> npt.NDArray[np.int64]:
    """Return the two ends, then the tracks that are the smallest detour between them."""
    usable = model.has_vector.copy()
    usable[exclude] = False
    usable[[start, end]] = False
    rows = np.flatnonzero(usable)
    if len(rows) > POOL - 2:
        vectors = model.sound_vectors
        angles = np.arccos(np.clip(vectors @ vectors[[start, end]].T, -1, 1)).sum(axis=1)[rows]
        rows = np.sort(rows[np.argpartition(angles, POOL - 2)[: POOL - 2]])
    return np.concatenate([[start, end], rows]).astype(np.int64)


def _progress(costs: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], float]:
    """Return each track's progress from the first to the second, its island, and what a step to a near one costs."""
    n = len(costs)
    count = min(NEIGHBOURS, n - 1)
    others = costs.copy()
    np.fill_diagonal(others, np.inf)
    nearest = np.argpartition(others, count - 1, axis=1)[:, :count]
    places = np.repeat(np.arange(n), count)
    steps = costs[places, nearest.ravel()]
    graph = sparse.csr_matrix((steps, (places, nearest.ravel())), shape=(n, n))
    n_islands, islands = csgraph.connected_components(graph, directed=False)
    if n_islands > 1:
        graph = graph + _bridges(costs, islands, n_islands)
    along = csgraph.dijkstra(graph.maximum(graph.T), indices=[0, 1])
    return along[0] - along[1], islands, float(steps.mean())


def _bridges(costs: Floats, islands: npt.NDArray[np.int32], n_islands: int) -> sparse.csr_matrix:
    """Return the edges that join islands where they are closest: the minimum spanning tree over their closest pairs."""
    order = np.argsort(islands, kind="stable")
    starts = np.searchsorted(islands[order], np.arange(n_islands))
    apart = costs[order[:, None], order]
    closest = np.minimum.reduceat(np.minimum.reduceat(apart, starts, axis=0), starts, axis=1)
    np.fill_diagonal(closest, 0)
    joined = csgraph.minimum_spanning_tree(closest).tocoo()
    pairs = []
    for one, other in zip(joined.row, joined.col, strict=True):
        here, there = np.flatnonzero(islands == one), np.flatnonzero(islands == other)
        place = int(costs[here[:, None], there].argmin())
        pairs.append((here[place // len(there)], there[place % len(there)]))
    ends = np.array(pairs)
    return sparse.csr_matrix((costs[ends[:, 0], ends[:, 1]], (ends[:, 0], ends[:, 1])), shape=costs.shape)


def _best(costs: Floats, codes: npt.NDArray[np.integer], noise: Floats, length: int) -> npt.NDArray[np.intp]:
    """Return places from the first to the last, ascending; artists that come again are made dearer for some rounds."""
    penalties = np.where(np.isin(codes, codes[[0, -1]]), np.float32(ARTIST_PENALTY), np.float32(0))
    penalties[[0, -1]] = 0
    best, best_cost = np.empty(0, dtype=np.intp), np.inf
    for _ in range(ROUNDS):
        found = _walk(costs + (noise + penalties), length)
        again = len(found) - len(np.unique(codes[found]))
        cost = float(costs[found[:-1], found[1:]].sum() + noise[found].sum()) + ARTIST_PENALTY * again
        if cost < best_cost:
            best, best_cost = found, cost
        if not again:
            break
        inner = found[1:-1]
        for code in np.unique(codes[inner]):
            mine = inner[codes[inner] == code]
            if len(mine) > 1:
                penalties[(codes == code) & (np.arange(len(codes)) != mine[len(mine) // 2])] += ARTIST_PENALTY
    return best


def _polished(walk: npt.NDArray[np.intp], costs: Floats, codes: npt.NDArray[np.integer], noise: Floats) -> Order:
    """Exchange tracks between the ends for others, and reverse stretches, while the path gets cheaper."""
    for _ in range(ROUNDS * (len(walk) - 2)):
        before, here, after = walk[:-2], walk[1:-1], walk[2:]
        others = (codes == codes[walk][:, None]).sum(axis=0) - (codes == codes[here][:, None])
        placed = costs[before] + costs[:, after].T + noise + ARTIST_PENALTY * (others > 0)
        gains = placed[np.arange(len(here)), here][:, None] - placed
        gains[:, walk] = -np.inf
        place, track = divmod(int(gains.argmax()), len(codes))
        if gains[place, track] > SMALLEST:
            walk = walk.copy()
            walk[place + 1] = track
            continue
        step = costs[walk[:, None], walk].astype(np.float64)
        reversals = reversal_gains(np.arange(len(walk)), OrderCosts(step, np.zeros_like(step), 0), 1)[:, :-1]
        start, stop = divmod(int(reversals.argmax()), len(walk) - 1)
        if not reversals[start, stop] > SMALLEST:
            break
        walk = reversed_at(walk, start, stop)
    return walk


def _walk(costs: Floats, length: int) -> npt.NDArray[np.intp]:
    """Return the cheapest walk of `length` places from the first to the last that never goes back.

    Parameters
    ----------
    costs : ndarray, shape (n, n)
        From the row's place to the column's; only what is above the diagonal is used.
    """
    n = len(costs)
    arriving = np.ascontiguousarray(np.where(np.tri(n, dtype=bool), np.inf, costs).T, dtype=np.float32)
    reached = np.full(n, np.inf, dtype=np.float32)
    reached[0] = 0
    origins = []
    for _ in range(length - 1):
        through = arriving + reached
        origins.append(through.argmin(axis=1))
        reached = through[np.arange(n), origins[-1]]
    walk = [n - 1]
    for origin in reversed(origins):
        walk.append(int(origin[walk[-1]]))
    return np.array(walk[::-1], dtype=np.intp)

"""Neighbours: which tracks the same people play, as short paths user to track; what low-rank factors smooth over.

RP3beta of Paudel, Christoffel, Newell & Bernstein, TiiS 2017: the chance that a walk from a track over one of its
listeners ends at another track, divided by that track's popularity to the power of beta. We differ in that plays are
weighted (`als.play_confidence`), that each track keeps its best neighbours only, and that probabilities are taken as
they are (alpha = 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.errors import ConfigError

_BLOCK_VALUES = 20_000_000


@dataclass(frozen=True)
class NeighboursConfig:
    """Settings of the neighbours.

    Parameters
    ----------
    popularity_penalty : float >= 0
        beta: 0 leads to what is popular, 1 to what is rare.
    per_track : int > 0
        Neighbours that each track keeps.
    """

    popularity_penalty: float = 0.6
    per_track: int = 100

    def __post_init__(self) -> None:
        if not (self.popularity_penalty >= 0 and np.isfinite(self.popularity_penalty)):
            raise ConfigError(f"neighbours popularity_penalty is {self.popularity_penalty}, expected a number >= 0")
        if self.per_track < 1:
            raise ConfigError(f"neighbours per_track is {self.per_track}, expected at least 1")


def fit_neighbours(confidence: sparse.csr_matrix, config: NeighboursConfig | None = None) -> sparse.csr_matrix:
    """Find each track's neighbours.

    Parameters
    ----------
    confidence : csr_matrix, shape (n_users, n_tracks)
        A weight > 0 for each play.
    config : NeighboursConfig, optional

    Returns
    -------
    csr_matrix, shape (n_tracks, n_tracks), float32
        Row: a track that was played; column: a track that this speaks for. The diagonal is empty.

    Examples
    --------
    >>> plays = sparse.csr_matrix([[1, 1, 0], [0, 1, 1]], dtype=np.float32)
    >>> fit_neighbours(plays, NeighboursConfig(popularity_penalty=1)).toarray().round(3).tolist()
    [[0.0, 0.25, 0.0], [0.25, 0.0, 0.25], [0.0, 0.25, 0.0]]
    """
    config = config or NeighboursConfig()
    n_tracks = confidence.shape[1]
    by_user = _rows_to_one(confidence)
    by_track = _rows_to_one(confidence.T.tocsr())
    mass = np.asarray(confidence.sum(axis=0), dtype=np.float64).ravel()
    penalty = np.divide(1, mass**config.popularity_penalty, where=mass > 0, out=np.zeros_like(mass))
    to_track = (by_user @ sparse.diags(penalty)).tocsr().astype(np.float32)
    step = max(1, _BLOCK_VALUES // max(1, n_tracks))
    blocks = []
    for start in range(0, n_tracks, step):
        walks = sparse.csr_matrix(by_track[start : start + step] @ to_track)
        rows = np.repeat(np.arange(walks.shape[0]), np.diff(walks.indptr))
        walks.data[walks.indices == rows + start] = 0
        blocks.append(_keep_best(walks, rows, config.per_track))
    if not blocks:
        return sparse.csr_matrix((0, 0), dtype=np.float32)
    found = sparse.csr_matrix(sparse.vstack(blocks), dtype=np.float32)
    found.sort_indices()
    return found


def _rows_to_one(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    sums = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
    inverse = np.divide(1, sums, where=sums > 0, out=np.zeros_like(sums))
    return (sparse.diags(inverse) @ matrix).tocsr().astype(np.float32)


def _keep_best(matrix: sparse.csr_matrix, rows: npt.NDArray[np.integer], most: int) -> sparse.csr_matrix:
    """Keep the `most` largest values above 0 of each row; of equal ones those of lower columns."""
    may = matrix.data > 0
    for row in np.flatnonzero(np.diff(matrix.indptr) > most):
        mine = slice(matrix.indptr[row], matrix.indptr[row + 1])
        may[mine] &= matrix.data[mine] >= -np.partition(-matrix.data[mine], most - 1)[most - 1]
    left = np.flatnonzero(may)
    order = left[np.lexsort((matrix.indices[left], -matrix.data[left], rows[left]))]
    first = np.searchsorted(rows[order], rows[order])
    kept = order[np.arange(len(order)) - first < most]
    return sparse.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)

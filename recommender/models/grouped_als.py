"""`implicit`'s ALS with a regularization of its own for each row: rows that share one are solved together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse

from recommender.models.als import row_ridges
from recommender.models.factors import AlsConfig, Float32s


class GroupedAls(AlternatingLeastSquares):  # type: ignore[misc]
    """`implicit`'s ALS over rows sorted by plays: a call of its solver for each value of the regularization.

    The calls are short, so they share out among threads of ours: `implicit`'s own would meet at the end of each call,
    and on a busy machine wait there for longer than they work.
    """

    def __init__(self, config: AlsConfig, pool: ThreadPoolExecutor, workers: int) -> None:
        super().__init__(
            factors=config.factors,
            alpha=1 + 1 / config.unobserved_weight,
            use_cg=config.cg_steps > 0,
            iterations=config.iterations,
            num_threads=1,
        )
        self.cg_steps = config.cg_steps
        self.settings = config
        self.pool = pool
        self.workers = workers
        self.blocks_of: dict[bool, list[tuple[slice, float, sparse.csr_matrix]]] = {}

    @property
    def solver(self) -> Callable[..., None]:
        """What solves one side while the other stays, as `implicit` calls it."""
        plain = super().solver

        def solve(confidence: sparse.csr_matrix, X: Float32s, Y: Float32s, *_: float, **__: int) -> None:
            for_users = X is self.user_factors
            if for_users not in self.blocks_of:
                groups = groups_of(np.diff(confidence.indptr), len(Y), self.settings)
                most = -(-len(X) // self.workers)
                self.blocks_of[for_users] = [(rows, ridge, confidence[rows]) for rows, ridge in cut(groups, most)]
            jobs = self.blocks_of[for_users]
            list(self.pool.map(lambda job: plain(job[2], X[job[0]], Y, job[1], num_threads=1), jobs))

        return solve


def groups_of(counts: npt.NDArray[Any], n_other: int, config: AlsConfig) -> list[tuple[slice, float]]:
    """Cut rows, sorted by plays, where their regularization changes; the regularization is in `implicit`'s scale."""
    ridges = row_ridges(counts, n_other, config)
    starts = np.flatnonzero(np.diff(ridges, prepend=-1.0))
    stops = np.append(starts[1:], len(ridges))
    factor = (1 + config.unobserved_weight) / config.unobserved_weight
    return [(slice(a, b), float(ridges[a]) * factor) for a, b in zip(starts, stops, strict=True)]


def cut(groups: list[tuple[slice, float]], most: int) -> list[tuple[slice, float]]:
    """Cut groups into pieces of at most `most` rows."""
    return [
        (slice(start, min(start + most, rows.stop)), ridge)
        for rows, ridge in groups
        for start in range(rows.start, rows.stop, most)
    ]

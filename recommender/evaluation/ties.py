"""The best of scores in an order that repeats: equal scores stand at random, another order for each user."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.evaluation.metrics import Int32s


def best_rows(scores: npt.NDArray[np.floating[Any]], candidate_rows: Int32s, k: int, user: int, seed: int) -> Int32s:
    """Return the candidates with the `k` highest scores, best first; -inf marks what may not be returned."""
    usable = np.flatnonzero(scores > -np.inf)
    if len(usable) > k:
        threshold = np.partition(scores[usable], len(usable) - k)[len(usable) - k]
        usable = usable[scores[usable] >= threshold]
    rows = candidate_rows[usable]
    return rows[np.lexsort((_hash(user, rows, seed), -scores[usable]))[:k]]


def _hash(user: int, track_rows: Int32s, seed: int) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea & Flood 2014) of the three numbers: an order that looks random and repeats."""
    state = track_rows.astype(np.uint64)
    for salt in (user, seed):
        state = state + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state

"""How sure a figure is: intervals and paired differences by drawing the users again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
PerSeed = Sequence[pd.DataFrame]
"""Per-user figures of one method, one frame a seed, indexed by ``user_row``."""

DRAWS = 1000
LEVEL = 0.95
_CHUNK_VALUES = 4_000_000


def resample(per_seed: PerSeed, *, draws: int = DRAWS, seed: int = 0) -> tuple[Floats, Floats]:
    """Average per-user figures over users, then over seeds, for the users as they are and for bootstrap draws of them.

    Parameters
    ----------
    per_seed : sequence of DataFrame
        The same columns in each; NaN figures are left out of their mean.
    draws : int
    seed : int
        The same users and seed draw the same samples, which makes differences between methods paired.

    Returns
    -------
    estimate : ndarray, shape (n_metrics,), float64
    samples : ndarray, shape (draws, n_metrics), float64

    Notes
    -----
    A user is drawn with all his figures, of every seed: they are no independent observations. The spread over seeds is
    not part of the interval beyond that.
    """
    users = np.unique(np.concatenate([frame.index.to_numpy() for frame in per_seed]))
    n_metrics = per_seed[0].shape[1]
    values = np.zeros((len(users), len(per_seed) * n_metrics))
    counted = np.zeros_like(values)
    for number, frame in enumerate(per_seed):
        rows, columns = np.searchsorted(users, frame.index), slice(number * n_metrics, (number + 1) * n_metrics)
        figures = frame.to_numpy(dtype=np.float64)
        values[rows, columns] = np.nan_to_num(figures)
        counted[rows, columns] = np.isfinite(figures)
    shape = (-1, len(per_seed), n_metrics)
    estimate = _mean_of_seeds(values.sum(axis=0)[None], counted.sum(axis=0)[None], shape)[0]
    samples = np.empty((draws, n_metrics))
    start = 0
    for weights in _drawn(len(users), draws, seed):
        samples[start : start + len(weights)] = _mean_of_seeds(weights @ values, weights @ counted, shape)
        start += len(weights)
    return estimate, samples


def interval(samples: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return the percentile interval of bootstrap samples (draws, n), as (low (n,), high (n,)); NaN draws left out."""
    tail = (1.0 - level) / 2.0
    empty = np.all(~np.isfinite(samples), axis=0)
    filled = np.where(empty, 0.0, samples)
    low, high = np.nanquantile(filled, [tail, 1.0 - tail], axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def summarise(figures: Mapping[str, PerSeed], *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Put methods side by side.

    Parameters
    ----------
    figures : mapping of method name to its per-user figures, one frame a seed
    draws, seed : int

    Returns
    -------
    DataFrame
        Columns method, metric, mean, low, high (95 % interval by user bootstrap), n_users (distinct, over all seeds);
        the methods in the order of `figures`.
    """
    rows = []
    for method, per_seed in figures.items():
        estimate, samples = resample(per_seed, draws=draws, seed=seed)
        low, high = interval(samples)
        n_users = _count_users(per_seed)
        for number, metric in enumerate(per_seed[0].columns):
            rows.append((method, metric, estimate[number], low[number], high[number], n_users))
    return pd.DataFrame(rows, columns=["method", "metric", "mean", "low", "high", "n_users"])


def compare(figures: Mapping[str, PerSeed], method: str, *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Tell by how much one method differs from each other one, the same users drawn for both.

    Returns
    -------
    DataFrame
        Columns method, baseline, metric, difference (method - baseline), low, high, n_users. An interval that leaves
        out zero is a difference that the choice of users does not explain.
    """
    own, own_samples = resample(figures[method], draws=draws, seed=seed)
    rows = []
    for baseline, per_seed in figures.items():
        if baseline == method:
            continue
        other, other_samples = resample(per_seed, draws=draws, seed=seed)
        low, high = interval(own_samples - other_samples)
        for number, metric in enumerate(per_seed[0].columns):
            difference = own[number] - other[number]
            rows.append((method, baseline, metric, difference, low[number], high[number], _count_users(per_seed)))
    return pd.DataFrame(rows, columns=["method", "baseline", "metric", "difference", "low", "high", "n_users"])


def _drawn(n_users: int, draws: int, seed: int) -> Iterator[Floats]:
    """Yield how often each user is drawn, (some draws, n_users) at a time."""
    step = max(1, _CHUNK_VALUES // max(n_users, 1))
    if draws <= step:
        yield _draw_all(n_users, draws, seed)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, draws, step):
        yield _draw(n_users, min(step, draws - start), rng)


@lru_cache(maxsize=2)  # every method of a task is read on the same draws
def _draw_all(n_users: int, draws: int, seed: int) -> Floats:
    return _draw(n_users, draws, np.random.default_rng(seed))


def _draw(n_users: int, draws: int, rng: np.random.Generator) -> Floats:
    counts = [np.bincount(rng.integers(n_users, size=n_users), minlength=n_users) for _ in range(draws)]
    return np.stack(counts).astype(np.float64)


def _mean_of_seeds(sums: Floats, counts: Floats, shape: tuple[int, int, int]) -> Floats:
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    per_seed = means.reshape(shape)
    known = np.isfinite(per_seed)
    average = np.full((len(per_seed), shape[2]), np.nan)
    np.divide(np.where(known, per_seed, 0.0).sum(axis=1), known.sum(axis=1), out=average, where=known.any(axis=1))
    return average


def _count_users(per_seed: PerSeed) -> int:
    return len(np.unique(np.concatenate([frame.index.to_numpy() for frame in per_seed])))

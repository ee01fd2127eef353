"""How much of what could be known a model knows: for worlds in which the truth is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.data.splits import Split, check_no_leakage
from recommender.errors import DataError
from recommender.evaluation import bootstrap
from recommender.evaluation.methods import METHODS, Fits, Method, rank_by
from recommender.evaluation.protocol import Rank, Task, evaluate_method, make_task
from recommender.ranking.ranker import HybridModel, RankerConfig

GROUPS = ("new", "known", "both")
SHOWN = ("random", "popularity", "ALS alone", "audio alone", "First Listen")
ORACLE = "oracle"


def demo_table(
    catalog: Catalog,
    past: Interactions,
    future: Interactions,
    affinity: npt.NDArray[np.float32],
    embeddings: Embeddings,
    *,
    model: HybridModel | None = None,
    config: RankerConfig | None = None,
    k: int = 20,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Compare the methods with an oracle that knows every listener's true taste.

    Parameters
    ----------
    catalog : Catalog
    past : Interactions
        What the methods learn from.
    future : Interactions
        Same vocabularies. Relevant is what a user played there for the first time.
    affinity : ndarray, shape (n_users, n_tracks), float32
        The truth, in the rows of the vocabularies of `past`; the oracle ranks by it.
    embeddings : Embeddings
    model : HybridModel, optional
        First Listen already fitted on `past`; fitted here if None.
    config : RankerConfig, optional
    k : int
    draws : int
        Bootstrap samples for the intervals.
    seed : int
        Of everything random.
    progress : Progress, optional
        Called with (done, total) methods, over all groups.

    Returns
    -------
    DataFrame
        Columns candidates (new: no play in `past`; known; both), method, metric (``recall@k``, ``ndcg@k``), mean, low,
        high, n_users, share_of_attainable = (mean - random) / (oracle - random), NaN where the oracle is no better than
        random.

    Raises
    ------
    LeakageError
        If a play of the past is later than the first one of the future.
    DataError
        If shapes differ, or nobody played anything of a group for the first time.
    """
    shape = (len(past.users), len(past.tracks))
    if affinity.shape != shape:
        raise DataError(f"the true affinity has shape {affinity.shape}, expected {shape}: users x tracks of the past")
    if future.users != past.users or future.tracks != past.tracks:
        raise DataError("past and future listens have different users or tracks; build both with the same vocabularies")
    fits = Fits(catalog, past, embeddings, config or RankerConfig(), seed, fitted=model)
    methods = _methods(affinity)
    split = Split(past, future, "time", at=future.times.min())
    if not (np.isnat(past.times).any() or np.isnat(future.times).any()):
        check_no_leakage(split)
    tell, done, total = progress or silent, 0, len(GROUPS) * len(methods)
    tables = []
    for group, rows in _groups(past).items():
        task = make_task(group, split, rows)
        figures = {}
        for name, method in methods.items():
            figures[name] = [evaluate_method(method(task, fits), task, (k,), name=name)[[f"recall@{k}", f"ndcg@{k}"]]]
            done += 1
            tell(done, total)
        table = bootstrap.summarise(figures, draws=draws, seed=seed)
        table.insert(0, "candidates", group)
        tables.append(share_of_attainable(table))
    return pd.concat(tables, ignore_index=True)


def share_of_attainable(table: pd.DataFrame, *, floor: str = "random", ceiling: str = ORACLE) -> pd.DataFrame:
    """Add the column share_of_attainable: 0 for what `floor` reaches, 1 for what `ceiling` reaches, of each metric."""
    low = table["metric"].map(table[table["method"] == floor].set_index("metric")["mean"])
    high = table["metric"].map(table[table["method"] == ceiling].set_index("metric")["mean"])
    room = (high - low).where(high > low)
    return table.assign(share_of_attainable=(table["mean"] - low) / room)


def _groups(past: Interactions) -> Mapping[str, npt.NDArray[np.int32]]:
    known = past.track_evidence() > 0
    rows = {"new": np.flatnonzero(~known), "known": np.flatnonzero(known), "both": np.arange(len(known))}
    return {group: rows[group].astype(np.int32) for group in GROUPS}


def _methods(affinity: npt.NDArray[np.float32]) -> dict[str, Method]:
    def oracle(task: Task, fits: Fits) -> Rank:
        return rank_by(lambda users: affinity[np.ix_(users, task.candidate_rows)], task, fits)

    return {name: METHODS[name] for name in SHOWN} | {ORACLE: oracle}

"""Which ranker a model has: the blend, the plain posterior, or the blend's best re-ordered by a learned ranker.

The learned one is trained on the lists of half of the users, and all three are compared on those of the other half, so
nothing is judged by what it was made from: the plays that are hidden here were hidden from the model too, and whole
tracks with them. The blend keeps its place unless another beats it by more than chance and within the blend's own
rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from recommender.ranking.learned import FEATURES, POOL, Learned, features
from recommender.ranking.measure import Group, best_of, ndcgs_of
from recommender.ranking.model import Blend, Float32s, HybridModel, RankerConfig
from recommender.ranking.scoring import UserVectors, score_block, user_vectors
from recommender.ranking.search import MAX_SCORES, MIXED_LOSS, Trial, trial_of, users_with_hidden
from recommender.ranking.taste import tastes_of
from recommender.ranking.validation import ValidationSplit

if TYPE_CHECKING:
    from lightgbm import Booster, Dataset

BLEND, PLAIN, LEARNED = "evidence blend", "plain posterior", "learned"

MEASURED: dict[str, tuple[Group, Group]] = {
    "mixed": ("all", "all"),
    "known part": ("all", "warm"),
    "new part": ("all", "cold"),
    "warm": ("warm", "warm"),
}
"""What is measured: the candidates of the lists, and which finds count."""

LEAST_USERS = 100
"""Users with a find in their pool that each half must have."""

TREES, PATIENCE, STOPPING_SHARE = 150, 20, 0.25

_PARAMS = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "learning_rate": 0.05,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True, eq=False)
class Pools:
    """The blend's best of some users: groups of rows, one after the other.

    Parameters
    ----------
    features : ndarray, shape (n, n_features), float32
    scores : ndarray, shape (n,), float32
        By the blend.
    hits : ndarray, shape (n,), bool
    sizes : ndarray, shape (n_users,), int64
        Rows of each user; 0 for one of whom nothing is in the pool.
    """

    features: Float32s
    scores: Float32s
    hits: npt.NDArray[np.bool_]
    sizes: npt.NDArray[np.int64]

    def of(self, users: npt.NDArray[np.bool_]) -> Pools:
        """Return the pools of some users, by a mask."""
        kept = np.repeat(users, self.sizes)
        return Pools(self.features[kept], self.scores[kept], self.hits[kept], self.sizes[users])

    def by_kind(self) -> Pools:
        """Return two groups of each user, one of tracks with listeners and one of tracks without."""
        new = self.features[:, FEATURES.index("listeners")] == 0
        groups = 2 * np.repeat(np.arange(len(self.sizes)), self.sizes) + new
        order = np.argsort(groups, kind="stable")
        sizes = np.bincount(groups, minlength=2 * len(self.sizes))
        return Pools(self.features[order], self.scores[order], self.hits[order], sizes)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Of each user, whether anything in the pool is a hit."""
        users = np.repeat(np.arange(len(self.sizes)), self.sizes)
        return np.bincount(users[self.hits], minlength=len(self.sizes)) > 0


def choose_ranker(
    model: HybridModel, split: ValidationSplit, config: RankerConfig
) -> tuple[Blend, Learned | None, dict[str, Any]]:
    """Choose what ranks.

    Parameters
    ----------
    model : HybridModel
        Fitted on ``split.train``, with its chosen blend.
    split : ValidationSplit
        Over the model's tracks.
    config : RankerConfig

    Returns
    -------
    blend : Blend
        The model's, or that of the plain posterior.
    learned : Learned or None
    found : dict
        JSON: ``chosen``, ``why`` in one sentence, and what was measured.
    """
    if not config.learned:
        return model.blend, None, _kept("no other was tried: the setting `learned` is off")
    rng = np.random.default_rng(config.seed)
    users = users_with_hidden(split)
    users = np.sort(rng.choice(users, min(len(users), config.validation_users), replace=False))
    training = np.zeros(len(users), dtype=bool)
    training[rng.permutation(len(users))[: len(users) // 2]] = True
    if len(users) < 2 * LEAST_USERS:
        return model.blend, None, _kept(_too_few(len(users) // 2))
    size = max(1, MAX_SCORES // max(1, len(model.catalog)))
    blocks = np.array_split(np.arange(len(users)), -(-len(users) // size))
    pools = _joined(_pools(trial_of(model, split, config, users[block])) for block in blocks)
    enough = min(int(pools.found[training].sum()), int(pools.found[~training].sum()))
    if enough < LEAST_USERS:
        return model.blend, None, _kept(_too_few(enough))
    learned, trees = train(pools.of(training), config, rng)
    plain = replace(model.blend, plain_posterior=True, neighbour_share=0.0)
    measured: list[dict[str, dict[str, npt.NDArray[np.float64]]]] = []
    for block in blocks:
        tested = users[block][~training[block]]
        if len(tested):
            measured.append(_measure(trial_of(model, split, config, tested), plain, learned))
    ndcg = {
        name: {part: np.concatenate([one[name][part] for one in measured]) for part in MEASURED} for name in measured[0]
    }
    chosen, why = _judge(ndcg, config.warm_loss)
    if chosen == LEARNED:
        learned, _ = train(pools, config, rng, trees)
    found = {
        "chosen": chosen,
        "why": why,
        "users": int((~training).sum()),
        "trees": trees,
        "ndcg": {name: _summary(ndcg, name) for name in ndcg},
    }
    return plain if chosen == PLAIN else model.blend, learned if chosen == LEARNED else None, found


def train(
    pools: Pools, config: RankerConfig, rng: np.random.Generator, trees: int | None = None
) -> tuple[Learned, int]:
    """Grow trees on the pools that hold a hit, from the blend's scores on.

    Known tracks are compared with known ones and new with new ones: how many finds there are of each is a matter of how
    many were hidden, and the blend has its own rules for the balance.

    Parameters
    ----------
    pools : Pools
    config : RankerConfig
    rng : Generator
    trees : int, optional
        So many. By default as many as help a part of the users that is kept aside for that.

    Returns
    -------
    Learned
    trees : int
    """
    import lightgbm

    pools = pools.by_kind()
    pools = pools.of(pools.found)
    aside = np.zeros(len(pools.sizes), dtype=bool)
    if trees is None:
        aside[rng.permutation(len(aside))[: round(STOPPING_SHARE * len(aside))]] = True
    top = config.validation_top
    params = _PARAMS | {"seed": config.seed, "eval_at": [top], "lambdarank_truncation_level": top}
    grown_on = _dataset(pools.of(~aside))
    if trees is None:
        stopping = [_dataset(pools.of(aside), grown_on)]
        booster: Booster = lightgbm.train(
            params, grown_on, TREES, stopping, callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)]
        )
        trees = max(1, booster.best_iteration)
    else:
        booster = lightgbm.train(params, grown_on, trees)
    return Learned(booster.model_to_string(num_iteration=trees)), trees


def _dataset(pools: Pools, reference: Dataset | None = None) -> Dataset:
    import lightgbm

    return lightgbm.Dataset(
        pools.features,
        pools.hits.astype(np.int32),
        reference=reference,
        group=pools.sizes,
        init_score=pools.scores.astype(np.float64),
        feature_name=list(FEATURES),
        params={"verbosity": -1, "min_data_in_leaf": _PARAMS["min_data_in_leaf"]},
    )


def _scored(trial: Trial, blend: Blend) -> tuple[HybridModel, UserVectors, Float32s]:
    model = replace(trial.model, blend=blend)
    users = user_vectors(tastes_of(model, trial.plays), model.standards, blend)
    return model, users, score_block(model, users)


def _pools(trial: Trial) -> Pools:
    model, users, scores = _scored(trial, trial.model.blend)
    best = best_of(scores, trial.lists, "all", POOL)
    there = best >= 0
    hits = np.take_along_axis(trial.lists.hidden["all"], np.maximum(best, 0), axis=1)
    return Pools(
        np.vstack([features(model, users, user, trial.plays[user], rows[rows >= 0]) for user, rows in enumerate(best)]),
        np.take_along_axis(scores, np.maximum(best, 0), axis=1)[there],
        hits[there],
        there.sum(axis=1),
    )


def _joined(pools: Iterable[Pools]) -> Pools:
    every = list(pools)
    return Pools(
        np.vstack([one.features for one in every]),
        np.concatenate([one.scores for one in every]),
        np.concatenate([one.hits for one in every]),
        np.concatenate([one.sizes for one in every]),
    )


def _measure(trial: Trial, plain: Blend, learned: Learned) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
    """Return each user's NDCG by ranker and by what is measured."""
    lists, top = trial.lists, trial.config.validation_top
    model, users, scores = _scored(trial, trial.model.blend)
    factors = trial.model.factors
    by_name = {
        BLEND: scores,
        PLAIN: _scored(trial, plain)[2],
        "pure CF": factors.user_factors[trial.users] @ factors.track_factors.T,
    }
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = {name: {} for name in (*by_name, LEARNED)}
    for part, (candidates, relevant) in MEASURED.items():
        for name, values in by_name.items():
            found[name][part] = ndcgs_of(best_of(values, lists, candidates, top), lists, relevant, top)
        best = best_of(scores, lists, candidates, POOL)
        for user, rows in enumerate(best):
            rows = rows[rows >= 0]
            added = learned.corrections(features(model, users, user, trial.plays[user], rows))
            best[user, : len(rows)] = rows[np.argsort(-(scores[user, rows] + added), kind="stable")]
        found[LEARNED][part] = ndcgs_of(best, lists, relevant, top)
    return found


def _judge(ndcg: dict[str, dict[str, npt.NDArray[np.float64]]], warm_loss: float) -> tuple[str, str]:
    means = {name: {part: _mean(values) for part, values in parts.items()} for name, parts in ndcg.items()}
    least_warm = means["pure CF"]["warm"] * (1 - warm_loss)
    least_known = min(means["pure CF"]["known part"] - MIXED_LOSS, means[BLEND]["known part"])
    reasons, fit = [], []
    for name in (LEARNED, PLAIN):
        low, _, high = _difference(ndcg[name]["mixed"], ndcg[BLEND]["mixed"])
        if low <= 0:
            reasons.append(f"{name} does not beat it by more than chance ({low:+.4f} to {high:+.4f})")
        elif means[name]["warm"] < least_warm:
            reasons.append(f"{name} loses too much among known tracks ({means[name]['warm']:.4f} < {least_warm:.4f})")
        elif (known := means[name]["known part"]) < least_known:
            reasons.append(f"{name} loses too much of known tracks beside new ones ({known:.4f} < {least_known:.4f})")
        elif means[name]["new part"] < means[BLEND]["new part"]:
            new, least = means[name]["new part"], means[BLEND]["new part"]
            reasons.append(f"{name} finds less among new tracks ({new:.4f} < {least:.4f})")
        else:
            fit.append((means[name]["mixed"], name, f"it beats the blend by {low:+.4f} to {high:+.4f} NDCG"))
    if fit:
        _, name, why = max(fit)
        return name, f"{why} on users that it was not trained on, and keeps the blend's rules"
    return BLEND, "; ".join(reasons)


def _summary(ndcg: dict[str, dict[str, npt.NDArray[np.float64]]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {part: _mean(values) for part, values in ndcg[name].items()}
    if name in (LEARNED, PLAIN):
        found["difference"] = list(_difference(ndcg[name]["mixed"], ndcg[BLEND]["mixed"]))
    return found


def _mean(values: npt.NDArray[np.float64]) -> float:
    return 0.0 if np.isnan(values).all() else float(np.nanmean(values))


def _difference(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the 95 % interval of the mean difference over users, by a paired t test: low, mean, high."""
    differences = (one - other)[~np.isnan(one)]
    mean = float(differences.mean())
    half = float(stdtrit(len(differences) - 1, 0.975) * differences.std(ddof=1) / np.sqrt(len(differences)))
    return mean - half, mean, mean + half


def _kept(why: str) -> dict[str, Any]:
    return {"chosen": BLEND, "why": why, "ndcg": {}}


def _too_few(users: int) -> str:
    return f"only {users} users have a hidden play to find in a half of them, and {LEAST_USERS} are needed to compare"

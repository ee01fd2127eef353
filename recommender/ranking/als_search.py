"""The strength of ALS: its two regularizing weights, searched for on held-out plays inside the training data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.models.als import AlsConfig, fit_als
from recommender.ranking.measure import Lists, ndcg
from recommender.ranking.model import RankerConfig
from recommender.ranking.validation import ValidationSplit

STEP = 2.0
MAX_FITS = 8
LIMITS = (0.0005, 0.5)
"""Of both weights; Rendle et al. 2021 search between .0003 and 1."""

FACTORS = 64
ITERATIONS = 8
"""Trials are this small: what is the right strength hardly depends on either."""

WORTH = 0.005
"""A move must gain this share of the NDCG: less is chance."""

MAX_SCORES = 8_000_000


def search_als(
    split: ValidationSplit, config: RankerConfig, progress: Progress | None = None
) -> tuple[AlsConfig, dict[str, Any]]:
    """Walk from the configured weights to better ones, one weight at a time, by factors of `STEP`.

    Parameters
    ----------
    split : ValidationSplit
    config : RankerConfig
    progress : Progress, optional
        Called with (fits done, `MAX_FITS`).

    Returns
    -------
    AlsConfig
        The configured one with the weights of the best trial.
    found : dict
        JSON: NDCG on known tracks of each pair of weights tried.
    """
    report, top = progress or silent, config.validation_top
    lists, users = _lists_of(split, config)
    seen: dict[tuple[float, float], float] = {}

    def value_of(unobserved: float, ridge: float) -> float:
        key = (round(unobserved, 6), round(ridge, 6))
        if key not in seen:
            trial = replace(
                config.als,
                unobserved_weight=unobserved,
                regularization=ridge,
                factors=min(FACTORS, config.als.factors),
                iterations=min(ITERATIONS, config.als.iterations),
            )
            factors = fit_als(split.train, trial)
            scores = factors.user_factors[users] @ factors.track_factors.T
            seen[key] = ndcg(scores, lists, "warm", "warm", top)
            report(len(seen), MAX_FITS)
        return seen[key]

    at = (config.als.unobserved_weight, config.als.regularization)
    value_of(*at)
    moved = True
    while moved and len(seen) < MAX_FITS:
        moved = False
        for axis in (1, 0):
            for factor in (1 / STEP, STEP):
                while len(seen) < MAX_FITS:
                    there = (at[0] * factor, at[1]) if axis == 0 else (at[0], at[1] * factor)
                    if not LIMITS[0] <= there[axis] <= LIMITS[1]:
                        break
                    if value_of(*there) <= value_of(*at) * (1 + WORTH):
                        break
                    at, moved = there, True
    tried = [{"unobserved_weight": a, "regularization": b, "warm": value} for (a, b), value in seen.items()]
    chosen = replace(config.als, unobserved_weight=at[0], regularization=at[1])
    return chosen, {"unobserved_weight": at[0], "regularization": at[1], "tried": tried}


def _lists_of(split: ValidationSplit, config: RankerConfig) -> tuple[Lists, np.ndarray[Any, np.dtype[np.intp]]]:
    train: Interactions = split.train
    held_out = split.held_out.to_csr() > 0
    users = np.flatnonzero(np.diff(held_out.indptr))
    limit = min(config.validation_users, max(1, MAX_SCORES // max(1, len(train.tracks))))
    if len(users) > limit:
        users = np.sort(np.random.default_rng(config.seed).choice(users, limit, replace=False))
    nothing = np.zeros(len(train.tracks), dtype=bool)
    known = train.track_evidence() > 0
    return Lists(train.heard()[users], held_out[users], held_out[users] * 0, nothing, known), users

"""Choose the numbers of the blend on the inner validation, and record what was measured.

Three kinds of lists are ranked for the same users: known tracks only (warm), hidden tracks only (cold), and both
together (mixed). The rules: on warm lists the blend loses at most ``config.warm_loss`` of pure CF's NDCG; on cold lists
it goes by the predicted factors unless likeness to what was played gains much (`WORTH`); on mixed lists nothing is lost
in all and at most `MIXED_LOSS` by the known tracks' part. Within that the choice is what finds most, the finds among
known and among new tracks counting alike however many there are of each, at two depths, because new tracks are found
further down first.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.models.als import only_positive
from recommender.models.cold_start import PosteriorConfig, posterior_track_factors
from recommender.ranking.measure import Group, Lists, best_of, ndcg, ndcg_of
from recommender.ranking.model import Blend, Float32s, HybridModel, RankerConfig
from recommender.ranking.scoring import DEFAULT_DISCOVERY, DISCOVERY_REACH, play_weight, user_vectors
from recommender.ranking.taste import Taste, binary, tastes_of
from recommender.ranking.validation import ValidationSplit

PRIOR_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
TRACK_HALVES = (0.3, 1.0, 3.0, 10.0)
GAINS = (0.5, 0.75, 1.0, 1.5, 2.0)
OFFSETS = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
NEIGHBOUR_SHARES = (0.0, 0.08, 0.15, 0.25)
POPULARITY_GAINS = (-0.6, -0.4, -0.2, 0.0, 0.2)
DISCOVERIES = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
STEPS = (-0.25, 0.0, 0.25)
USER_HALVES = (0.0, 0.3, 1.0, 3.0)
FEW_PLAYS = (1, 3)
SCALES = (0.5, 1.0, 2.0)
EXPOSURE_HALVES = (0.0, 5.0, 10.0, 20.0, 40.0)
REVEALED = (1, 3)

MIXED_LOSS = 0.013
"""Most NDCG that known tracks may lose where new ones stand beside them: held to here, it is .02 elsewhere."""

KINDS: tuple[Group, ...] = ("warm", "cold")

FINALISTS = 5
"""So many pairs of gain and offset, the best on mixed lists, are tried with each of `TRACK_HALVES`."""

WORTH_OF_POPULARITY = 1.005
ENOUGH_USERS = 200
"""With fewer users to judge by, popularity adds nothing to a user's own taste: what looks good is chance."""

WORTH = 1.1
"""Likeness to what was played must gain this much over the predicted factors alone to be mixed in: less is chance."""

DEPTH = 50
"""Mixed lists are also judged at this length."""

MAX_SCORES = 8_000_000
"""Users are sampled so that users x tracks stays below this."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of the score of the users that are ranked, standardised, each (n_users, n_tracks) or (n_tracks,)."""

    cf: Float32s
    content: Float32s
    popularity: Float32s
    pure_cf: Float32s


@dataclass(frozen=True, eq=False)
class Trial:
    """One inner model and what is ranked with it."""

    model: HybridModel
    users: npt.NDArray[np.intp]
    plays: sparse.csr_matrix
    cold_plays: sparse.csr_matrix
    lists: Lists
    config: RankerConfig


def set_trial(model: HybridModel, split: ValidationSplit, config: RankerConfig) -> Trial:
    """Choose the users that are ranked: at random among those of whom something is hidden."""
    users = users_with_hidden(split)
    limit = min(config.validation_users, max(1, MAX_SCORES // max(1, len(model.catalog))))
    if len(users) > limit:
        users = np.sort(np.random.default_rng(config.seed).choice(users, limit, replace=False))
    return trial_of(model, split, config, users)


def users_with_hidden(split: ValidationSplit) -> npt.NDArray[np.intp]:
    """Return the users of whom something is hidden, ascending."""
    return np.flatnonzero(np.diff(split.held_out.to_csr().indptr) + np.diff(split.cold.to_csr().indptr))


def trial_of(model: HybridModel, split: ValidationSplit, config: RankerConfig, users: npt.NDArray[np.intp]) -> Trial:
    """Prepare the lists of these users."""
    held_out, cold = split.held_out.to_csr(), split.cold.to_csr()
    is_cold = np.zeros(len(model.catalog), dtype=bool)
    is_cold[split.cold_rows] = True
    lists = Lists(model.heard[users], held_out[users] > 0, cold[users] > 0, is_cold, model.evidence > 0)
    return Trial(model, users, model.plays[users], cold, lists, config)


def choose_posterior(trial: Trial) -> tuple[PosteriorConfig, dict[str, Any]]:
    """Choose how far the prior reaches: its scale, and the listeners at which a track's silence becomes evidence.

    Hidden tracks get a few of their plays back and are ranked among themselves for everybody else. What does best there
    and among known tracks, in sum, is taken, as long as these lose at most ``config.warm_loss`` of pure CF's NDCG.

    Returns
    -------
    PosteriorConfig
    found : dict
        JSON: NDCG on warm lists and after each number of revealed plays, for every pair tried.
    """
    model, lists, top = trial.model, trial.lists, trial.config.validation_top
    start = model.posterior
    if model.prior is None or not lists.is_cold.any():
        return start, {"chosen": asdict(start)}
    least_warm = ndcg(_pure_cf(trial), lists, "warm", "warm", top) * (1 - trial.config.warm_loss)
    rng = np.random.default_rng(trial.config.seed)
    cold_rows = np.flatnonzero(lists.is_cold)
    by_track = binary(trial.cold_plays[:, cold_rows].T.tocsr())
    revealed = {count: keep_few(by_track, count, rng).T.tocsr() for count in REVEALED}
    # users are folded in over what ALS has seen, so the posterior changes nobody's taste here
    tastes = tastes_of(model, trial.plays).factors
    tried = []
    for scale, half in itertools.product(SCALES, EXPOSURE_HALVES):
        one = replace(start, scale=scale, exposure_half=half)
        warm = solve_posterior(model, one)
        found = {"scale": scale, "exposure_half": half, "warm": ndcg(tastes @ warm.T, lists, "warm", "warm", top)}
        for count, plays in revealed.items():
            few = posterior_track_factors(
                plays,
                model.factors.user_factors,
                model.prior_means[cold_rows],
                model.has_vector[cold_rows],
                model.factors.config,
                one,
            )
            scores = np.full((len(tastes), len(model.catalog)), -np.inf, dtype=np.float32)
            scores[:, cold_rows] = tastes @ few.T
            rows, columns = plays[trial.users].nonzero()
            scores[rows, cold_rows[columns]] = -np.inf
            found[f"after {count} plays"] = ndcg(scores, lists, "cold", "cold", top)
        tried.append(found)
    kept = [found for found in tried if found["warm"] >= least_warm] or [max(tried, key=lambda found: found["warm"])]
    best = max(kept, key=lambda found: found["warm"] + np.mean([found[f"after {count} plays"] for count in REVEALED]))
    chosen = replace(start, scale=best["scale"], exposure_half=best["exposure_half"])
    return chosen, {"chosen": asdict(chosen), "least warm": least_warm, "tried": tried}


def solve_posterior(model: HybridModel, posterior: PosteriorConfig) -> Float32s:
    """Return the posterior factors of all tracks, shape (n_tracks, d); ALS's own where a track has no embedding."""
    rows = np.flatnonzero(model.has_vector)
    solved = model.factors.track_factors.copy()
    solved[rows] = posterior_track_factors(
        model.confidence[:, rows],
        model.factors.user_factors,
        model.prior_means[rows],
        np.ones(len(rows), dtype=bool),
        model.factors.config,
        posterior,
    )
    return solved


def choose_blend(trial: Trial) -> tuple[Blend, dict[str, Any]]:
    """Choose the blend.

    Returns
    -------
    blend : Blend
    found : dict
        JSON: NDCG of the chosen blend and of its parents on warm, cold and mixed lists, and every rule's limit.
    """
    model, lists, top = trial.model, trial.lists, trial.config.validation_top
    tastes = tastes_of(model, trial.plays)
    blend = Blend()
    found: dict[str, Any] = {"users": int(trial.plays.shape[0]), "cold_tracks": int(lists.is_cold.sum()), "top": top}
    with_cold = bool(lists.is_cold.any())
    if with_cold:
        by_share = {
            share: ndcg(_parts(trial, tastes, replace(blend, prior_share=share)).content, lists, "cold", "cold", top)
            for share in PRIOR_SHARES
        }
        best_share = max(by_share, key=lambda share: by_share[share])
        blend = replace(blend, prior_share=best_share if by_share[best_share] > WORTH * by_share[1.0] else 1.0)
        found["cold"] = {"content alone": by_share[0.0], "predicted factors alone": by_share[1.0]}
    by_neighbours = {
        share: ndcg(_parts(trial, tastes, replace(blend, neighbour_share=share)).cf, lists, "warm", "warm", top)
        for share in NEIGHBOUR_SHARES
    }
    blend = replace(blend, neighbour_share=max(by_neighbours, key=lambda share: by_neighbours[share]))
    found["neighbours"] = {str(share): value for share, value in by_neighbours.items()}
    parts = _parts(trial, tastes, blend)
    warm_cf = ndcg(parts.pure_cf, lists, "warm", "warm", top)
    found["warm"] = {"pure CF": warm_cf}
    if with_cold:
        blend = _choose_gate(trial, parts, blend, warm_cf, found)
    elif len(trial.users) >= ENOUGH_USERS:
        by_gain = {
            gain: ndcg(parts.cf + np.float32(gain) * parts.popularity, lists, "warm", "warm", top)
            for gain in POPULARITY_GAINS
        }
        best_gain = max(by_gain, key=lambda gain: by_gain[gain])
        blend = replace(
            blend, popularity_gain=best_gain if by_gain[best_gain] > WORTH_OF_POPULARITY * by_gain[0.0] else 0.0
        )
    blend = _choose_user_half(trial, tastes, blend, warm_cf, found)
    scores = _scores(trial, tastes, parts, blend)
    found["warm"]["blend"] = ndcg(scores, lists, "warm", "warm", top)
    if with_cold:
        found["cold"]["blend"] = ndcg(scores, lists, "cold", "cold", top)
        found["mixed"] = {
            name: {
                "total": ndcg(values, lists, "all", "all", top),
                "known part": ndcg(values, lists, "all", "warm", top),
                "new part": ndcg(values, lists, "all", "cold", top),
                f"total at {DEPTH}": ndcg(values, lists, "all", "all", DEPTH),
            }
            for name, values in (("pure CF", parts.pure_cf), ("blend", scores))
        }
        found["discovery"] = [_with_discovery(trial, tastes, parts, blend, dial) for dial in DISCOVERIES]
    found["blend"] = asdict(blend)
    return blend, found


def _choose_gate(trial: Trial, parts: Parts, blend: Blend, warm_cf: float, found: dict[str, Any]) -> Blend:
    lists, top = trial.lists, trial.config.validation_top
    least_warm = warm_cf * (1 - trial.config.warm_loss)
    cf = best_of(parts.pure_cf, lists, "all", top)
    least_known, least_total = ndcg_of(cf, lists, "warm", top) - MIXED_LOSS, ndcg_of(cf, lists, "all", top)

    def judge(one: Blend) -> tuple[bool, float]:
        best = best_of(_personal(trial.model, parts, one), lists, "all", DEPTH)
        total = ndcg_of(best, lists, "all", top)
        allowed = ndcg_of(best, lists, "warm", top) >= least_known and total >= least_total
        # macro: finds among known and among new tracks count alike, however many of each there are
        macro = sum(ndcg_of(best, lists, group, depth) for group in KINDS for depth in (top, DEPTH))
        return allowed, macro if allowed else total

    def ranked(blends: list[Blend]) -> list[Blend]:
        judged = [(judge(one), one) for one in blends]
        return [one for _, one in sorted(judged, key=lambda entry: entry[0], reverse=True)]

    pairs = itertools.product(GAINS, OFFSETS)
    gates = ranked([replace(blend, content_gain=gain, content_offset=offset) for gain, offset in pairs])[:FINALISTS]
    gates = ranked([replace(gate, content_offset=gate.content_offset + step) for gate in gates for step in STEPS])[
        :FINALISTS
    ]
    finalists = ranked([replace(gate, track_half=half) for gate in gates for half in TRACK_HALVES])
    popular = _popularity_of_new(trial)
    by_popularity = [
        replace(one, popularity_gain=gain, content_offset=one.content_offset - gain * popular)
        for one in finalists[:FINALISTS]
        for gain in (POPULARITY_GAINS if len(trial.users) >= ENOUGH_USERS else (0.0,))
    ]
    finalists = ranked(by_popularity)
    if not judge(finalists[0])[0]:
        found["rule given up"] = f"no blend kept {least_known:.4f} for known tracks on mixed lists"
    for one in finalists:
        if ndcg(_personal(trial.model, parts, one), lists, "warm", "warm", top) >= least_warm:
            return one
    found["rule given up"] = f"no blend kept {least_warm:.4f} on warm lists; the best on mixed lists was taken"
    return finalists[0]


def _choose_user_half(trial: Trial, tastes: Taste, blend: Blend, warm_cf: float, found: dict[str, Any]) -> Blend:
    lists, top = trial.lists, trial.config.validation_top
    rng = np.random.default_rng(trial.config.seed)
    few = {count: tastes_of(trial.model, keep_few(trial.plays, count, rng)) for count in FEW_PLAYS}
    parts = {count: _parts(trial, taste, blend) for count, taste in few.items()}
    whole = _parts(trial, tastes, blend)
    best, best_value = blend, -np.inf
    found["few plays"] = {}
    for half in USER_HALVES:
        one = replace(blend, user_half=half)
        values = {
            str(count): ndcg(_scores(trial, few[count], parts[count], one), lists, "warm", "warm", top)
            for count in FEW_PLAYS
        }
        found["few plays"][str(half)] = values
        full = ndcg(_scores(trial, tastes, whole, one), lists, "warm", "warm", top)
        value = sum(values.values()) + full
        if value > best_value and (half == USER_HALVES[0] or full >= warm_cf * (1 - trial.config.warm_loss)):
            best, best_value = one, value
    return best


def keep_few(plays: sparse.csr_matrix, count: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """Keep `count` random plays of each user, or all where there are fewer."""
    plays = only_positive(plays)
    users = np.repeat(np.arange(plays.shape[0]), np.diff(plays.indptr))
    order = np.lexsort((rng.random(plays.nnz), users))
    position = np.arange(plays.nnz) - np.repeat(plays.indptr[:-1], np.diff(plays.indptr))
    kept = order[position < count]
    return sparse.csr_matrix((plays.data[kept], (users[kept], plays.indices[kept])), shape=plays.shape)


def _parts(trial: Trial, tastes: Taste, blend: Blend) -> Parts:
    """Compute the parts by setting the others' weights to nothing."""
    model = trial.model
    d = model.posterior_factors.shape[1]
    plain = replace(blend, user_half=0.0, content_gain=1.0, content_offset=0.0)
    vectors = user_vectors(tastes, model.standards, plain)
    users = vectors.vectors
    ones = np.ones((len(model.catalog), 1), dtype=np.float32)
    cf = users[:, : d + 1] @ np.hstack([model.posterior_factors, ones]).T + vectors.neighbours.toarray()
    content = users[:, d + 1 : -1] @ np.hstack([model.prior_means, model.sound_vectors, ones]).T
    popularity = model.track_index[:, -1]
    return Parts(cf, content, popularity, _pure_cf(trial))


def _pure_cf(trial: Trial) -> Float32s:
    """Score by ALS's own factors: what the blend is compared with."""
    factors = trial.model.factors
    scores: Float32s = factors.user_factors[trial.users] @ factors.track_factors.T
    return scores


def _personal(model: HybridModel, parts: Parts, blend: Blend) -> Float32s:
    weight = play_weight(model, blend)
    sound = np.float32(blend.content_gain) * parts.content + np.float32(blend.content_offset)
    mixed: Float32s = weight * parts.cf + (1 - weight) * sound + np.float32(blend.popularity_gain) * parts.popularity
    return mixed


def _with_discovery(trial: Trial, tastes: Taste, parts: Parts, blend: Blend, dial: float) -> dict[str, float]:
    """Tell what the dial costs and brings: JSON."""
    lists, top = trial.lists, trial.config.validation_top
    offset = blend.content_offset + 2 * DISCOVERY_REACH * (dial - DEFAULT_DISCOVERY)
    best = best_of(_scores(trial, tastes, parts, replace(blend, content_offset=offset)), lists, "all", top)
    return {
        "discovery": dial,
        "new": float(np.mean(lists.is_cold[best] & (best >= 0))),
        "total": ndcg_of(best, lists, "all", top),
        "known part": ndcg_of(best, lists, "warm", top),
        "new part": ndcg_of(best, lists, "cold", top),
    }


def _popularity_of_new(trial: Trial) -> float:
    """Return the standardised popularity of a track without plays."""
    standards = trial.model.standards
    return -standards.popularity_mean / standards.popularity_std


def _scores(trial: Trial, tastes: Taste, parts: Parts, blend: Blend) -> npt.NDArray[np.float32]:
    weight = user_vectors(tastes, trial.model.standards, blend).taste_weight[:, None]
    return weight * _personal(trial.model, parts, blend) + (1 - weight) * parts.popularity

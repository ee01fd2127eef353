"""Some places of a list go to tracks that may be better than the model knows, with a known chance for each.

Thompson sampling (Thompson, Biometrika 1933; Chapelle & Li, NIPS 2011) shows a track as often as it is probable that
it is the best one, given what is not known yet (`recommender.models.uncertainty`). It is made so that the chance of
everything that is shown can be written down, since `recommender.evaluation.off_policy` divides by it:

1. The pool holds the tracks that are not in the list and have the highest ``score + optimism x deviation``. It is dealt
   over the list's places at random, so that no track has two places.
2. Each place shows its ranked track with probability ``1 - share``. Else it shows one of its own hand: with probability
   ``1 - uniform`` by Thompson sampling, with `uniform` any of them alike.

So the places are independent, a track's chance to be in the list is its chance at its one place, the chances of a place
add up to 1, and nothing in the pool has less than ``share uniform / hand`` of one: weights stay bounded. The scores of
different tracks are independent given the user's factors, for each track has its own ridge solve. The chance that one
of n independent Gaussians is the largest is an integral in one dimension; it is computed at `NODES` quantiles, and the
track is drawn from what was computed: an error of the integral changes who is shown a little, and no propensity at all.

The dealing is a part of the situation, like the user's history: it is drawn before, and independent of all plays.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtr, ndtri

from recommender.errors import ConfigError
from recommender.models.posterior import Floats
from recommender.models.uncertainty import (
    Uncertainty,
    measure_uncertainty,
    rough_variances,
    score_variances,
)
from recommender.ranking.candidates import best_rows
from recommender.ranking.confidence import confidences
from recommender.ranking.distaste import Distaste, distaste_of, penalties
from recommender.ranking.filters import cap_artists, leave_out
from recommender.ranking.learned import side_corrections
from recommender.ranking.model import HybridModel
from recommender.ranking.recommendation import RankedList, RecommendOptions
from recommender.ranking.scoring import UserVectors, dialled_fame, score_block, side_parts, sources_of, user_vectors
from recommender.ranking.taste import tastes_of

NODES = 32
MAX_POOL = 400
EXACT_LISTENERS = 16
"""A track of the pool with more listeners has the variance of a fair sample of them: it is small, and exact is slow."""


@dataclass(frozen=True)
class ExploreConfig:
    """How much is tried.

    Parameters
    ----------
    share : float in [0, 1]
        Share of a list's places that go to the pool. At 0 the list stays as it is.
    hand : int >= 1
        Tracks of the pool a place may show.
    uniform : float in (0, 1]
        Share of those tries in which each track of the hand has the same chance.
    optimism : float >= 0
        Standard deviations that are added to a score when the pool is chosen.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    share: float = 0.0
    hand: int = 10
    uniform: float = 0.2
    optimism: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"explore is {self.share}, expected the share of a list's places, between 0 and 1")
        if self.hand < 1 or not 0 < self.uniform <= 1 or not (np.isfinite(self.optimism) and self.optimism >= 0):
            raise ConfigError(
                f"a hand of {self.hand} tracks with uniform {self.uniform} and optimism {self.optimism}: expected "
                "1 or more, a share above 0, and 0 or more"
            )


@dataclass(frozen=True, eq=False)
class ListPolicy:
    """Who may be shown at which place, with which probability; the places are independent.

    Parameters
    ----------
    rows : ndarray, shape (k, 1 + hand), int32
        Catalog rows: the ranked track, then the hand; -1 where the hand is shorter. No row is there twice.
    chances : ndarray, shape (k, 1 + hand), float64
        Add up to 1 in each row; 0 where there is no track.
    """

    rows: npt.NDArray[np.int32]
    chances: Floats


@dataclass(frozen=True, eq=False)
class ExploredList:
    """A list with what it might have been.

    Parameters
    ----------
    ranked : RankedList
        An explored track has its place and its own score: scores of the others only are descending.
    propensities : ndarray, shape (k,), float64
        The probability with which each track was shown.
    explored : ndarray, shape (k,), bool
        Whether the track came from the pool.
    """

    ranked: RankedList
    propensities: Floats
    explored: npt.NDArray[np.bool_]


def uncertainty_of(model: HybridModel) -> Uncertainty:
    """Prepare the variances of a model's scores; costs about what taking in a live play costs."""
    return measure_uncertainty(
        model.confidence,
        model.factors.user_factors,
        model.factors.track_factors,
        model.prior_means,
        model.has_vector,
        model.factors.config,
        model.posterior,
    )


def list_policy(
    model: HybridModel,
    uncertainty: Uncertainty,
    user: UserVectors,
    heard: sparse.csr_matrix,
    ranked: RankedList,
    options: RecommendOptions,
    config: ExploreConfig,
    rng: np.random.Generator,
    held: Distaste | None = None,
) -> ListPolicy:
    """Deal a user's pool over the places of the list, and say who is shown with which probability.

    Parameters
    ----------
    model : HybridModel
    uncertainty : Uncertainty
        Of the model.
    user : UserVectors
        The side of the score of this one user.
    heard : csr_matrix, shape (1, n_tracks)
    ranked : RankedList
        Made for this user with `options`.
    options : RecommendOptions
        Hold for the pool too: whatever is drawn keeps to the artist cap.
    config : ExploreConfig
    rng : Generator
    held : Distaste, optional
        What the user's skips and dislikes hold back here too.

    Returns
    -------
    ListPolicy
    """
    scores = score_block(model, user)
    if not options.include_heard:
        leave_out(scores, heard)
    kept = np.zeros(len(model.catalog), dtype=bool)
    kept[slice(None) if options.candidate_rows is None else options.candidate_rows] = True
    kept[ranked.track_rows] = False
    wanted = scores[0] + options.popularity * dialled_fame(model, model.evidence)
    means = np.where(kept, wanted, -np.inf).astype(np.float64)
    direction = user.vectors[0, : model.posterior_factors.shape[1]]
    rough = np.sqrt(rough_variances(uncertainty, direction))
    size = min(config.hand * len(ranked), MAX_POOL)
    every = np.arange(len(model.catalog), dtype=np.int32)
    pool = most_hopeful(model, every, means + config.optimism * rough, ranked, options, size)
    if held is not None and len(pool):
        means[pool] -= penalties(model, held, pool, options.distaste)
    spreads = rough[pool]
    young = np.flatnonzero(model.evidence[pool] <= EXACT_LISTENERS)
    spreads[young] = np.sqrt(score_variances(uncertainty, direction, pool[young]))
    hands = deal(len(pool), len(ranked), config.hand, rng)
    if not len(pool):
        return ListPolicy(np.c_[ranked.track_rows, hands], np.eye(1, 1 + config.hand).repeat(len(ranked), axis=0))
    rows = np.c_[ranked.track_rows, np.where(hands >= 0, pool[hands], -1)]
    return ListPolicy(rows.astype(np.int32), chances_of_places(means[pool][hands], spreads[hands], hands >= 0, config))


def deal(n_pool: int, n_places: int, hand: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Deal a pool over the places of a list, (n_places, hand): places in the pool, -1 where a hand is shorter."""
    hands = np.full((n_places, hand), -1, dtype=np.int32)
    places = rng.permutation(n_pool)
    hands[places % max(n_places, 1), places // max(n_places, 1)] = np.arange(n_pool)
    return hands


def chances_of_places(means: Floats, spreads: Floats, there: npt.NDArray[np.bool_], config: ExploreConfig) -> Floats:
    """Return the chances of places of which these are the hands (k, hand), shape (k, 1 + hand)."""
    uniform = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    best = best_chances(means, spreads, there)
    tried = config.share * ((1 - config.uniform) * best + config.uniform * uniform)
    stays = 1 - tried.sum(axis=1, keepdims=True)
    return np.asarray(np.maximum(np.concatenate([stays, tried], axis=1), 0))


def draw_places(policy: ListPolicy, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw who is shown, shape (k,): columns of the policy's rows, 0 for the ranked track."""
    return columns_of(policy.chances, rng.random((len(policy.chances), 1)))


def columns_of(chances: Floats, drawn: Floats) -> npt.NDArray[np.intp]:
    """Return the columns of chances (k, n) that numbers from [0, 1) (k, 1) fall into, shape (k,)."""
    upto = chances.cumsum(axis=1)
    return np.asarray((drawn * upto[:, -1:] >= upto[:, :-1]).sum(axis=1))


def explore(
    model: HybridModel,
    uncertainty: Uncertainty,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    ranked: RankedList,
    options: RecommendOptions,
    config: ExploreConfig,
    rng: np.random.Generator,
) -> ExploredList:
    """Give a share of a list's places to tracks of the pool.

    Parameters
    ----------
    plays : csr_matrix, shape (1, n_tracks)
        What `ranked` was made with; the others as in `list_policy`.

    Returns
    -------
    ExploredList
        The list itself, with propensities 1, where ``config.share`` is 0.
    """
    if config.share == 0 or len(ranked) == 0:
        return ExploredList(ranked, np.ones(len(ranked)), np.zeros(len(ranked), dtype=bool))
    user = user_vectors(tastes_of(model, plays), model.standards, model.blend, options.discovery)
    held = distaste_of(model, plays, heard) if options.distaste else None
    policy = list_policy(model, uncertainty, user, heard, ranked, options, config, rng, held)
    drawn = draw_places(policy, rng)
    places = np.arange(len(ranked))
    rows, explored = policy.rows[places, drawn], drawn > 0
    scores, sources = ranked.scores.copy(), list(ranked.sources)
    parts = side_parts(model, user.side(0), rows[explored])
    lost = penalties(model, held, rows[explored], options.distaste) if held is not None else 0.0
    played = np.unique(plays.indices[plays.data > 0])
    corrections = side_corrections(model, user.side(0), played, rows[explored])
    scores[explored] = parts.sum(axis=1) + corrections - lost
    for place, source in zip(np.flatnonzero(explored), sources_of(parts), strict=True):
        sources[place] = source
    shown = replace(
        ranked,
        track_rows=rows,
        scores=scores,
        sources=tuple(sources),
        confidences=confidences(model, ranked.plays_known, rows),
    )
    return ExploredList(shown, policy.chances[places, drawn], explored)


def best_chances(means: Floats, spreads: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Return the probability that each of some independent Gaussians is the largest of its row.

    Parameters
    ----------
    means, spreads : ndarray, shape (k, n), float64
        Mean and standard deviation; a deviation of 0 is one that is very small.
    there : ndarray, shape (k, n), bool
        Others take no part and have the probability 0.

    Returns
    -------
    ndarray, shape (k, n), float64
        Add up to 1 in each row that has any.

    Notes
    -----
    ``integral phi(t) prod_j Phi((m_i + s_i t - m_j) / s_j) dt``, the mean of the product over `NODES` quantiles of t.

    Examples
    --------
    >>> best_chances(np.array([[0.0, 0.0, 9.0]]), np.array([[1.0, 1.0, 1.0]]), np.array([[True, True, False]])).tolist()
    [[0.5, 0.5, 0.0]]
    """
    quantiles = ndtri((np.arange(NODES) + 0.5) / NODES)
    spreads = np.maximum(spreads, 1e-9)
    drawn = means[:, :, None] + spreads[:, :, None] * quantiles
    above = ndtr((drawn[:, :, None, :] - means[:, None, :, None]) / spreads[:, None, :, None])
    counted = there[:, None, :] & ~np.eye(means.shape[1], dtype=bool)
    chances = np.where(counted[..., None], above, 1).prod(axis=2).mean(axis=2) * there
    total = chances.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(chances, total, out=np.zeros_like(chances), where=total > 0))


def generator_of(*parts: str | int) -> np.random.Generator:
    """Return the random generator that belongs to some words and numbers: the same ones, the same draws."""
    digest = hashlib.blake2b(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass"), digest_size=16)
    return np.random.default_rng(int.from_bytes(digest.digest(), "big"))


def most_hopeful(
    model: HybridModel,
    rows: npt.NDArray[np.int32],
    hopes: npt.NDArray[np.floating],
    ranked: RankedList,
    options: RecommendOptions,
    size: int,
) -> npt.NDArray[np.int32]:
    """Return the most hopeful of some rows, as many of an artist as may join all that is in the list."""
    wanted = max(2 * size, 1)
    hopes, evidence = hopes.astype(np.float32), model.evidence[rows]
    while True:
        best = rows[best_rows(hopes, wanted, evidence)]
        kept = cap_artists(np.concatenate([ranked.track_rows, best]), model.artist_codes, options.max_per_artist)[
            len(ranked) :
        ]
        if kept.sum() >= size or len(best) < wanted:
            return best[kept][:size]
        wanted *= 4

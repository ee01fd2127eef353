"""What a log of shown lists tells of other lists, and what exploration costs and finds.

Run from the repository::

    python benchmarks/off_policy.py [--repeats 200] [--worlds 3]

Everything happens in the embedded world without its sound, where the probability that a user plays a track is known.
*Estimates*: a model of plays alone logs with exploration, the hybrid model's lists are judged. Each repeat draws users
from the world anew; the truth is the mean over all of them. *Exploration*: the hybrid model serves a list a day, every
play is taken in as it comes (`with_live_plays`), and what was shown is not shown again; new tracks start without plays,
and ears are dull. Ends with 1 if a figure is out of bounds.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from recommender.data.interactions import Interactions
from recommender.evaluation.off_policy import METHODS, estimate_value
from recommender.evaluation.simulated import SilentWorld, policies_of, silent_world, simulate_log, true_value
from recommender.models.als import AlsConfig, binary_plays
from recommender.models.posterior import posterior_track_factors
from recommender.models.uncertainty import score_variances
from recommender.ranking.exploration import ExploreConfig, draw_places, uncertainty_of
from recommender.ranking.ranker import (
    HybridModel,
    RankerConfig,
    RecommendOptions,
    fit_hybrid,
    recommend,
    score_users,
    with_live_plays,
)
from recommender.synthetic.listeners import ListenerConfig
from recommender.synthetic.world import WorldConfig

RANKER = RankerConfig(als=AlsConfig(factors=16, iterations=12))
N_USERS, N_LISTS = 100, 10
"""Of a log: users, and lists of each."""

DAYS = 10
"""Of the live rounds, one list a day."""


def estimates(world: SilentWorld, repeats: int) -> pd.DataFrame:
    """Log with one model, judge another, again and again."""
    rng = np.random.default_rng(0)
    logging = fit_hybrid(world.catalog, world.past, None, RANKER)
    target = fit_hybrid(world.catalog, world.past, world.embeddings, RANKER)
    rows = []
    for support, options, hand in (
        ("all tracks", RecommendOptions(top=10, max_per_artist=None), 15),
        ("as served", RecommendOptions(top=10), 10),
    ):
        others = recommend(target, target.plays, target.heard, options)
        scores, truth = score_users(target, target.plays), true_value(others, world.play_chances)
        for share in (0.05, 0.1, 0.2):
            policies = policies_of(logging, options, ExploreConfig(share=share, hand=hand), rng)
            for _ in range(repeats):
                who = rng.integers(len(policies), size=N_USERS)
                log = simulate_log(policies, others, scores, world.play_chances, np.repeat(who, N_LISTS), rng)
                log = replace(log, users=np.repeat(np.arange(N_USERS), N_LISTS))
                found = estimate_value(log, draws=400)
                base = {"support": support, "share": share, "truth": truth, "overlap": found.overlap}
                base |= {"effective": found.effective}
                for entry in found.table.itertuples(index=False):
                    inside = entry.low <= truth <= entry.high
                    rows.append(base | {"method": entry.method, "value": entry.value, "covered": inside})
                naive = estimate_value(replace(log, propensities=np.ones(len(log.rewards))), draws=400).table.iloc[2]
                inside = naive["low"] <= truth <= naive["high"]
                rows.append(base | {"method": "naive", "value": naive["value"], "covered": inside})
    return pd.DataFrame(rows)


def explored_days(world: SilentWorld, share: float, seed: int) -> dict[str, float]:
    """Serve a list a day, take in what is played, and look at what is known of the new tracks at the end."""
    rng = np.random.default_rng(seed)
    model = fit_hybrid(world.catalog, world.past, world.embeddings, RANKER)
    options, config = RecommendOptions(top=10), ExploreConfig(share=share)
    value, new_plays, shown = 0.0, 0, 0
    for day in range(DAYS):
        users, tracks, weights = [], [], []
        for user, policy in enumerate(policies_of(model, options, config, rng)):
            rows = policy.rows[np.arange(len(policy.rows)), draw_places(policy, rng)]
            chances = world.play_chances[user, rows]
            played = rng.random(len(rows)) < chances
            value, shown = value + chances.sum(), shown + len(rows)
            new_plays += int((played & world.is_new[rows]).sum())
            users += [user] * len(rows)
            tracks += rows.tolist()
            weights += played.tolist()
        model = with_live_plays(model, _plays(model, users, tracks, weights, day))
    left = recommend(model, model.plays, model.heard, options)
    return {
        "plays a place": value / shown,
        "plays of new tracks": new_plays / len(model.users),
        "new tracks known (5+)": float((model.evidence[world.is_new] >= 5).mean()),
        "NDCG@5 new tracks": _ndcg_of_new(model, world),
        "value of the last list": true_value(left, world.play_chances),
    }


def spread_check(world: SilentWorld) -> float:
    """Return how far scores of hidden tracks move as their plays come in, in the deviations that were predicted.

    What the plays leave open has not moved yet: the variance of a move is what they took from the score's variance.
    """
    rng = np.random.default_rng(0)
    known = np.flatnonzero(world.past.track_evidence() >= 10)
    hidden = rng.choice(known, len(known) // 4, replace=False)
    model = fit_hybrid(
        world.catalog, world.past.select(~np.isin(world.past.track_rows, hidden)), world.embeddings, RANKER
    )
    X = model.factors.user_factors
    moved = posterior_track_factors(
        world.past.to_csr()[:, hidden], X, model.prior_means[hidden], model.has_vector[hidden], RANKER.als,
        model.posterior,
    )  # fmt: skip
    uncertainty = uncertainty_of(model)
    known_then = replace(uncertainty, by_track=binary_plays(world.past.to_csr().T.tocsr()))
    squares = (X @ (moved - model.posterior_factors[hidden]).T) ** 2
    taken = np.array([score_variances(u, x, hidden) for u in (uncertainty, known_then) for x in X])
    return float(np.sqrt(squares.sum() / (taken[: len(X)] - taken[len(X) :]).sum()))


def _plays(model: HybridModel, users: list[int], tracks: list[int], weights: list[bool], day: int) -> Interactions:
    times = np.full(len(users), np.datetime64("2025-01-01") + day, dtype="datetime64[s]")
    rows: tuple[npt.NDArray[np.int32], ...] = (np.array(users, np.int32), np.array(tracks, np.int32))
    return Interactions(model.users, model.catalog.tracks, *rows, np.array(weights, np.float32), times)


def _ndcg_of_new(model: HybridModel, world: SilentWorld) -> float:
    """Return the NDCG@5 of new tracks by their scores, heard ones too; the gain is the probability of a play."""
    scores = score_users(model, model.plays, sparse.csr_matrix(model.heard.shape, dtype=np.float32))[:, world.is_new]
    gains = world.play_chances[:, world.is_new]
    discounts = 1 / np.log2(np.arange(5) + 2)
    reached = np.take_along_axis(gains, np.argsort(-scores, axis=1)[:, :5], axis=1) @ discounts
    return float((reached / (-np.sort(-gains, axis=1)[:, :5] @ discounts)).mean())


def main() -> int:
    """Print the tables; return 1 if a figure is out of its bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="logs for each setting")
    parser.add_argument("--worlds", type=int, default=3, help="worlds that exploration is tried in")
    arguments = parser.parse_args()
    started = time.perf_counter()
    failed = print_estimates(arguments.repeats)
    failed += print_exploration(arguments.worlds)
    print(f"\n{time.perf_counter() - started:.0f} s")
    print("\n".join(failed) or "All bounds are held.")
    return 1 if failed else 0


def print_estimates(repeats: int) -> list[str]:
    """Print bias, RMSE and coverage; return what is out of bounds."""
    world = silent_world(WorldConfig(n_tracks=150, listeners=ListenerConfig(n_users=300, plays=60)))
    print(f"scores of hidden tracks move {spread_check(world):.2f} of the deviations that are predicted for them\n")
    found = estimates(world, repeats)
    failed = []
    print(f"{'pool':12}{'share':>6} {'method':14}{'truth':>8}{'bias':>9}{'RMSE':>8}{'95 % covers':>13}")
    for (support, share), group in found.groupby(["support", "share"], sort=False):
        overlap, effective = group["overlap"].mean(), group["effective"].mean()
        print(f"{support:12}{share:>6} overlap {overlap:.2f}, effective {effective:.0f} of {N_USERS * N_LISTS * 10}")
        for method in ("naive", *METHODS):
            rows = group[group["method"] == method]
            error = rows["value"] - rows["truth"]
            bias, rmse, covers = error.mean(), np.sqrt((error**2).mean()), rows["covered"].mean()
            print(f"{'':19}{method:14}{rows['truth'].iloc[0]:>8.3f}{bias:>+9.4f}{rmse:>8.4f}{covers:>13.2f}")
            judged = support == "all tracks" and method in ("IPS", "SNIPS", "DR")
            if judged and (covers < 0.88 or abs(bias) > 4 * error.std() / np.sqrt(len(error)) + 0.003):
                failed.append(f"{method} at {share}: bias {bias:+.4f}, covers {covers:.2f}")
    return failed


def print_exploration(worlds: int) -> list[str]:
    """Print what exploration costs and finds; return what is out of bounds."""
    rows = []
    for seed in range(worlds):
        world = silent_world(
            WorldConfig(n_tracks=300, new_share=0.3, listeners=ListenerConfig(n_users=150, plays=60), seed=seed), 2.0
        )
        rows += [{"share": share, **explored_days(world, share, seed)} for share in (0.0, 0.05, 0.1, 0.2)]
    table = pd.DataFrame(rows)
    means, deviations = table.groupby("share").mean(), table.groupby("share").std()
    print(f"\n{DAYS} days of lists of 10, {worlds} worlds: mean ± deviation over worlds")
    print(f"{'explore':>8}" + "".join(f"{name:>25}" for name in means))
    for share in means.index:
        cells = (f"{means.loc[share, name]:.3f} ±{deviations.loc[share, name]:.3f}" for name in means)
        print(f"{share:>8}" + "".join(f"{cell:>25}" for cell in cells))
    gained = means.loc[0.1, "plays of new tracks"] / means.loc[0.0, "plays of new tracks"]
    return [] if gained > 1 else [f"exploration gives new tracks {gained:.2f} of the plays that they get without"]


if __name__ == "__main__":
    sys.exit(main())

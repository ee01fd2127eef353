"""Known and new artists on a real listening log: quality against the baselines, and the time that training takes.

Run from the repository::

    FIRSTLISTEN_SHARED=../shared python benchmarks/warm.py [--seeds 5]

Data: HetRec 2011 Last.fm-2k (Cantador, Brusilovsky & Kuflik), artists with five listeners or more, binary plays.
*Known*: 20 % of each user's artists are hidden, one split a seed. *New*: the artists with a timbre embedding are dealt
into five folds, each hidden as a whole once; only hidden artists are ranked. Full rankings; means over users, then mean
and standard deviation over splits. Ends with 1 if a figure is below its floor.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.splits import Split, check_no_leakage, split_cold_tracks, split_per_user
from recommender.data.tables import read_embeddings, read_interactions
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation.metrics import count_relevant, find_hits, ndcg_at_k, recall_at_k
from recommender.models.als import AlsConfig, Factors, fit_als, fold_in_tracks
from recommender.models.cold_start import PosteriorConfig, fit_prior, posterior_track_factors, predict_prior
from recommender.models.popularity import fit_popularity

Scores = npt.NDArray[Any]
FLOORS = {("known", "iALS, nu 1 (ours)", "NDCG@20"): 0.33, ("new", "prior (ours)", "recall@10"): 0.35}
METRICS = ("recall@10", "recall@20", "NDCG@20")
MAX_SLOWDOWN = 1.5
MIN_LISTENERS = 5
N_FOLDS = 5


def read_log(folder: Path, min_listeners: int) -> Interactions:
    """Read the log, artists with few listeners left out."""
    frame, _ = read_interactions(folder / "listens" / "interactions.csv")
    listeners = frame.groupby("item_id")["user_id"].nunique()
    frame = frame[frame["item_id"].map(listeners) >= min_listeners]
    return Interactions.from_frame(
        frame, Vocabulary.of("user", frame["user_id"]), Vocabulary.of("track", frame["item_id"])
    )


def measure(scores: Scores, wanted: sparse.csr_matrix, rows: npt.NDArray[np.int64] | None = None) -> dict[str, float]:
    """Measure full rankings of the columns of `scores`; `rows` names their tracks where they are not all."""
    rows = np.arange(scores.shape[1]) if rows is None else rows
    users = np.flatnonzero(np.diff(wanted.indptr))
    best = rows[np.argsort(-scores[users], axis=1, kind="stable")[:, :20]].astype(np.int32)
    hits, counts = find_hits(best, wanted[users]), count_relevant(wanted[users])
    found = {f"recall@{k}": recall_at_k(hits, counts, k).mean() for k in (10, 20)}
    return found | {"NDCG@20": ndcg_at_k(hits, counts, 20).mean()}


def plain_implicit(train: Interactions, **settings: float) -> Scores:
    """Score by `implicit` as it comes, or with the settings given."""
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(random_state=0, **settings)
        model.fit(train.to_csr(), show_progress=False)
    scores: Scores = model.user_factors @ model.item_factors.T
    return scores


def score_by(factors: Factors) -> Scores:
    """Score every artist for every user."""
    return factors.user_factors @ factors.track_factors.T


def binary(log: Interactions) -> Interactions:
    """Forget how often; the log has one row a pair."""
    return replace(log, weights=np.ones_like(log.weights))


def known_artists(log: Interactions, seeds: int) -> pd.DataFrame:
    """Rank all artists that a user has not played, for each method and seed."""
    found = []
    for seed in range(seeds):
        split = split_per_user(log, 0.2, seed)
        check_no_leakage(split)
        train, wanted = split.train, split.test.to_csr()
        nu_0 = AlsConfig(regularization=3.0, frequency_exponent=0.0, seed=seed)
        methods = {
            "popularity": np.array(fit_popularity(train).score_users(len(train.users))),
            "implicit, defaults, play counts": plain_implicit(train),
            "implicit, defaults, binary": plain_implicit(binary(train)),
            "implicit, alpha 40, reg .1": plain_implicit(binary(train), alpha=40.0, regularization=0.1),
            "iALS, nu 0 (ours)": score_by(fit_als(train, nu_0)),
            "iALS, nu 1 (ours)": score_by(fit_als(train, AlsConfig(seed=seed))),
        }
        for name, scores in methods.items():
            scores[train.heard().nonzero()] = -np.inf
            found.append({"task": "known", "method": name, "split": seed} | measure(scores, wanted))
    return pd.DataFrame(found)


def new_artists(log: Interactions, embeddings: Embeddings, task: str) -> pd.DataFrame:
    """Rank the hidden artists of each fold among themselves."""
    vectors, has_vector = embeddings.of(log.tracks)
    evidence = log.track_evidence()
    eligible = np.flatnonzero(has_vector & (evidence >= MIN_LISTENERS))
    found = []
    for fold, cold in enumerate(np.array_split(np.random.default_rng(0).permutation(eligible), N_FOLDS)):
        rng = np.random.default_rng(fold)
        split = split_cold_tracks(log, rows=np.sort(cold))
        check_no_leakage(split)
        cold, wanted = np.sort(cold), split.test.to_csr()
        factors = fit_als(split.train, AlsConfig(seed=fold))
        teaching = np.setdiff1d(np.flatnonzero(has_vector), cold)
        taught = (factors.track_factors[teaching], evidence[teaching])
        predicted = predict_prior(fit_prior(vectors[teaching], *taught), vectors[cold])
        shuffled = predict_prior(fit_prior(vectors[rng.permutation(teaching)], *taught), vectors[cold])
        users = factors.user_factors
        methods = {
            "random": rng.random((len(users), len(cold))),
            "shuffled embeddings": users @ shuffled.T,
            "prior (ours)": users @ predicted.T,
            "oracle: true popularity": np.broadcast_to(evidence[cold], (len(users), len(cold))).astype(float),
        }
        for name, scores in methods.items():
            found.append({"task": task, "method": name, "split": fold} | measure(scores, wanted, cold))
        found += first_plays(split, factors, predicted, cold, rng, task)
    return pd.DataFrame(found)


def first_plays(
    split: Split,
    factors: Factors,
    predicted: npt.NDArray[np.float32],
    cold: npt.NDArray[np.int64],
    rng: np.random.Generator,
    task: str,
) -> list[dict[str, object]]:
    """Give each hidden artist a few listeners back and rank them for everybody else."""
    plays = split.test.to_csr()[:, cold].tocsc()
    shuffled = [rng.permutation(plays.indices[a:b]) for a, b in zip(plays.indptr[:-1], plays.indptr[1:], strict=True)]
    found: list[dict[str, object]] = []
    for count in (1, 3, 10):
        known = [listeners[:count] for listeners in shuffled]
        columns = np.repeat(np.arange(len(cold)), [len(rows) for rows in known])
        shown = sparse.csr_matrix((np.ones(len(columns)), (np.concatenate(known), columns)), shape=plays.shape)
        rest = sparse.lil_matrix((plays.shape[0], len(factors.tracks)))
        rest[:, cold] = (plays > 0).astype(float) - shown
        ways = {
            "CF alone": fold_in_tracks(shown, factors.user_factors, factors.config),
            "prior alone": predicted,
            "posterior (ours)": posterior_track_factors(
                shown,
                factors.user_factors,
                predicted,
                np.ones(len(cold), dtype=bool),
                factors.config,
                PosteriorConfig(),
            ),
        }
        for name, vectors in ways.items():
            scores = factors.user_factors @ vectors.T
            scores[shown.nonzero()] = -np.inf
            wanted = rest.tocsr()
            wanted.eliminate_zeros()
            found.append({"task": f"{task}, {count} plays", "method": name, **measure(scores, wanted, cold)})
    return found


def seconds_an_iteration(log: Interactions) -> tuple[float, float]:
    """Time our training and plain `implicit` (same factors, iterations, threads), the best of three each."""
    plays = binary(log).to_csr()
    ours, plain = [], []
    for _ in range(3):
        start = time.perf_counter()
        fit_als(log, AlsConfig())
        ours.append((time.perf_counter() - start) / 16)
        with threadpool_limits(1, "blas"):
            start = time.perf_counter()
            model = AlternatingLeastSquares(factors=128, alpha=34, regularization=100, iterations=16, random_state=0)
            model.fit(plays, show_progress=False)
            plain.append((time.perf_counter() - start) / 16)
    return min(ours), min(plain)


def main() -> int:
    """Print the table; return 1 if a floor is not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="splits of known artists")
    seeds = parser.parse_args().seeds
    folder = Path(os.environ.get("FIRSTLISTEN_SHARED", Path(__file__).parents[2] / "shared"))
    log = read_log(folder, MIN_LISTENERS)
    ids, raw, _ = read_embeddings(folder / "listens" / "timbre.parquet")
    embeddings = Embeddings.without_clips(Vocabulary("track", tuple(ids)), raw, "timbre")
    print(f"{len(log.users)} users, {len(log.tracks)} artists, {len(log)} plays\n")
    table = pd.concat(
        [
            known_artists(log, seeds),
            new_artists(log, embeddings, "new"),
            new_artists(read_log(folder, 1), embeddings, "new, whole log"),
        ]
    )
    means = print_table(table)
    ours, plain = seconds_an_iteration(log)
    print(
        f"\n{ours * 1000:.1f} ms an iteration of 128 factors; implicit {plain * 1000:.1f} ms: {ours / plain:.2f} times"
    )
    failed = [f"{key}: {means[key]:.3f} < {floor}" for key, floor in FLOORS.items() if means[key] < floor]
    failed += [f"training takes {ours / plain:.2f} times implicit's time"] if ours > MAX_SLOWDOWN * plain else []
    print("\n".join(failed) or "All floors are held.")
    return 1 if failed else 0


def print_table(table: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    """Print mean and standard deviation over splits; return the means by task, method and metric."""
    print(f"{'':24} {'':34}" + "".join(f"{name:>16}" for name in METRICS))
    means = {}
    for task, method in table[["task", "method"]].drop_duplicates().itertuples(index=False):
        rows = table[(table["task"] == task) & (table["method"] == method)]
        line = f"{task:24} {method:34}"
        for name in METRICS:
            values = rows[name].to_numpy(dtype=float)
            means[task, method, name] = float(values.mean())
            line += f"{values.mean():>10.3f} ±{values.std(ddof=1):.3f}"
        print(line)
    return means


if __name__ == "__main__":
    sys.exit(main())

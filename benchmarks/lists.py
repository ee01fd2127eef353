"""What a list costs and gains against the plain best scores: unlike tracks, mix, popularity, skips, confidence.

Run from the repository, after ``firstlisten demo --no-serve --workspace firstlisten-demo``::

    FIRSTLISTEN_SHARED=../shared python benchmarks/lists.py [--demo firstlisten-demo]

Real listening: HetRec 2011 Last.fm-2k (Cantador, Brusilovsky & Kuflik), artists with five listeners or more, a fifth of
each user's artists hidden; no sound, no skips. Demo world: what its listeners played first after the split, of all
tracks, of those known before it, and of the new ones. NDCG and recall at 20, means over users; *unlike* is one minus
the mean cosine of the pairs of a list (of sound and factors, `alike_vectors`); *lift* is how much more popular a list
is than what its user played; *from mix* is the divergence of a list's kinds of music from the user's own, eq. 6 of
Steck 2018. Ends with 1 if the dials' defaults or what skips do cost more than they may.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.splits import Split
from recommender.data.tables import read_interactions, read_tracks
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation import metrics
from recommender.evaluation.protocol import Task, make_task, rank_users, read_lists, warm_task
from recommender.ranking.calibration import kinds_of, mix_gain, mix_of, nearest_kind
from recommender.ranking.confidence import confidences
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.ranker import HybridModel, RecommendOptions, fit_hybrid, recommend
from recommender.ranking.recommendation import CALIBRATION, DIVERSITY
from recommender.serving.bundle import current_bundle, load_bundle
from recommender.synthetic.world import listening_log, load_world

TOP, POOL = 20, 100
PLAIN = RecommendOptions(top=TOP, max_per_artist=None, artist_gap=0, diversity=0, calibration=0, distaste=0)
DIALS = (0.1, 0.3, 0.5, 0.7, 0.9)
MAX_LOSS = 0.01
MAX_MS = 1.0
SPLITS = 2
Int32s = npt.NDArray[np.int32]
Choice = Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32], float], list[int]]


def greedy_dpp(relevance: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], dial: float) -> list[int]:
    """Choose by a greedy determinantal point process (Chen, Zhang & Zhou, NeurIPS 2018, algorithm 1 and eq. 15)."""
    values = (relevance - relevance.mean()) / max(float(relevance.std()), 1e-9)
    quality = (1 - dial) / dial * values
    left = (vectors**2).sum(axis=1).astype(np.float64) + 1e-3
    rows = np.zeros((len(values), TOP))
    chosen: list[int] = []
    for step in range(min(TOP, len(values))):
        gains = quality + np.log(np.maximum(left, 1e-12))
        gains[chosen] = -np.inf
        best = int(gains.argmax())
        chosen.append(best)
        rows[:, step] = (vectors @ vectors[best] - rows[:, :step] @ rows[best, :step]) / np.sqrt(left[best])
        left = left - rows[:, step] ** 2
    return chosen


def mmr(relevance: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], dial: float) -> list[int]:
    """Choose as `recommend` does."""
    return choose(relevance, vectors, TOP, dial)


def figures(model: HybridModel, task: Task, lists: Int32s) -> dict[str, float]:
    """Return what the lists of a task's readers, (n_readers, TOP), are worth."""
    read = read_lists(lists, task.relevant, task.train, task.user_rows, (TOP,))
    kinds = kinds_of(model, alike_vectors)
    plays = task.train.to_csr()
    unlike, away = [], []
    for user, row in zip(task.user_rows, lists, strict=True):
        shown = row[row >= 0]
        vectors = alike_vectors(model, shown)
        if len(shown) > 1:
            pairs = np.triu_indices(len(shown), 1)
            unlike.append(1 - float((vectors @ vectors.T)[pairs].mean()))
        played = alike_vectors(model, plays[user].indices)
        if len(played) and len(shown):
            counts = len(shown) * mix_of(nearest_kind(vectors, kinds), len(kinds))
            wanted = mix_of(nearest_kind(played, kinds), len(kinds))
            last = nearest_kind(vectors[-1:], kinds)[0]
            counts[last] -= 1
            away.append(-mix_gain(counts, wanted)[last] / len(shown))
    return {
        "NDCG": float(read[f"ndcg@{TOP}"].mean()),
        "recall": float(read[f"recall@{TOP}"].mean()),
        "unlike": float(np.mean(unlike)),
        "from mix": float(np.mean(away)),
        "lift": metrics.popularity_lift(lists, plays[task.user_rows], task.train.track_evidence(), TOP),
    }


def lists_of(model: HybridModel, task: Task, options: RecommendOptions) -> Int32s:
    """Recommend to a task's readers from its candidates."""
    plays, heard = task.train.to_csr(), task.train.heard()
    options = replace(options, candidate_rows=task.candidate_rows)

    def rank(users: Int32s, _k: int) -> list[Int32s]:
        return [one.track_rows for one in recommend(model, plays[users], heard[users], options)]

    return rank_users(rank, task, options.top)


def chosen_from_pools(model: HybridModel, task: Task, choice: Choice, dial: float, *, in_order: bool = True) -> Int32s:
    """Choose each list from the pool of the best scores."""
    plays, heard = task.train.to_csr()[task.user_rows], task.train.heard()[task.user_rows]
    pools = recommend(model, plays, heard, replace(PLAIN, top=POOL, candidate_rows=task.candidate_rows))
    chosen = []
    for pool in pools:
        places = choice(pool.scores, alike_vectors(model, pool.track_rows), dial)
        chosen.append(pool.track_rows[np.sort(places) if in_order else places])
    return metrics.pad_lists(chosen, TOP)


def compare(world: str, model: HybridModel, task: Task, split: int) -> list[dict[str, object]]:
    """Measure every way to make lists on one task."""
    found = []

    def note(part: str, way: str, lists: Int32s) -> None:
        found.append({"world": world, "part": part, "way": way, "split": split} | figures(model, task, lists))

    note("plain", "best scores", lists_of(model, task, PLAIN))
    note("default", "RecommendOptions()", lists_of(model, task, RecommendOptions(top=TOP)))
    dials = replace(PLAIN, diversity=DIVERSITY, calibration=CALIBRATION)
    note("default", "diversity and calibration", lists_of(model, task, dials))
    note("artists", "two at most", lists_of(model, task, replace(PLAIN, max_per_artist=2)))
    for gap in (1, 2):
        note("artists", f"{gap} between two of one", lists_of(model, task, replace(PLAIN, artist_gap=gap)))
    for dial in DIALS:
        note("MMR", f"diversity {dial}", chosen_from_pools(model, task, mmr, dial))
        note("MMR, greedy order", f"diversity {dial}", chosen_from_pools(model, task, mmr, dial, in_order=False))
        note("DPP", f"diversity {dial}", chosen_from_pools(model, task, greedy_dpp, dial))
    for dial in DIALS:
        note("mix", f"calibration {dial}", lists_of(model, task, replace(PLAIN, calibration=dial)))
    for dial in (-1.0, -0.5, -0.2, 0.2, 0.5, 1.0):
        note("popularity", f"popularity {dial:+}", lists_of(model, task, replace(PLAIN, popularity=dial)))
    if len(task.train) > task.train.to_csr().nnz and (task.train.weights == 0).any():
        for dial in (0.25, 0.5, 1.0):
            note("skips", f"distaste {dial}", lists_of(model, task, replace(PLAIN, distaste=dial)))
    return found


def hits_by_confidence(model: HybridModel, task: Task) -> pd.DataFrame:
    """Tell how often the plain best of each level of confidence were right."""
    lists = lists_of(model, task, PLAIN)
    known = np.diff(task.train.to_csr()[task.user_rows].indptr)
    sure = np.stack([confidences(model, int(m), row) for m, row in zip(known, np.maximum(lists, 0), strict=True)])
    hits = metrics.find_hits(lists, task.relevant[task.user_rows])
    shown = lists >= 0
    edges = np.quantile(sure[shown], [0, 0.2, 0.4, 0.6, 0.8, 1])
    level = np.clip(np.searchsorted(edges, sure[shown], side="right") - 1, 0, 4)
    frame = pd.DataFrame({"level": level, "confidence": sure[shown], "right": hits[shown]})
    return frame.groupby("level").agg(confidence=("confidence", "mean"), right=("right", "mean"))


def real_listening(folder: Path, seed: int) -> tuple[HybridModel, Task]:
    """Fit on four fifths of everybody's artists."""
    frame, _ = read_interactions(folder / "listens" / "interactions.csv")
    tracks, _ = read_tracks(folder / "listens" / "tracks.csv")
    catalog = Catalog.from_frame(tracks)
    log = Interactions.from_frame(frame, Vocabulary.of("user", frame["user_id"].unique()), catalog.tracks)
    task = warm_task(log, seed=seed)
    return fit_hybrid(catalog, task.train), task


def demo_tasks(folder: Path) -> tuple[HybridModel, dict[str, Task]]:
    """Take the demo's own model, and ask what its listeners played first after the split."""
    world, model = load_world(folder / "world"), load_bundle(current_bundle(folder / "bundles")).model
    files = pd.read_parquet(folder / "tables" / "files.parquet")
    ids = dict(zip(files["path"], files["item_id"], strict=True))
    past, future = (
        Interactions.from_frame(listening_log(plays, ids), model.users, model.catalog.tracks)
        for plays in (world.past, world.future)
    )
    known = past.track_evidence() > 0
    split = Split(past, future, "time", at=future.times.min())
    groups = {"demo, all": np.ones_like(known), "demo, known": known, "demo, new": ~known}
    return model, {name: make_task(name, split, np.flatnonzero(mask).astype(np.int32)) for name, mask in groups.items()}


def milliseconds_a_list(model: HybridModel, task: Task) -> float:
    """Time the choice of a list of `TOP` from a pool of `POOL`, its vectors gathered; the best of five."""
    user = task.user_rows[0]
    plays, heard = task.train.to_csr()[user], task.train.heard()[user]
    pool = recommend(model, plays, heard, replace(PLAIN, top=POOL, candidate_rows=task.candidate_rows))[0]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(100):
            choose(pool.scores, alike_vectors(model, pool.track_rows), TOP, 0.5)
        times.append((time.perf_counter() - start) * 10)
    return min(times)


def main() -> int:
    """Print the tables; return 1 if something costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("firstlisten-demo"), help="workspace of the demo")
    demo = parser.parse_args().demo
    shared = Path(os.environ.get("FIRSTLISTEN_SHARED", Path(__file__).parents[2] / "shared"))
    found, sure = [], {}
    for seed in range(SPLITS):
        model, task = real_listening(shared, seed)
        found += compare("real listening", model, task, seed)
        sure["real listening"] = hits_by_confidence(model, task)
    taken_ms = milliseconds_a_list(model, task)
    if (demo / "world").is_dir():
        model, tasks = demo_tasks(demo)
        for name, one in tasks.items():
            found += compare(name, model, one, 0)
        sure["demo, all"] = hits_by_confidence(model, tasks["demo, all"])
    else:
        print(f"no demo world at {demo}: make one with firstlisten demo --no-serve --workspace {demo}")
    failed = print_tables(pd.DataFrame(found))
    for world, table in sure.items():
        print(f"\n{world}: how often recommendations of each fifth of confidence were right")
        print("   ".join(f"{row.confidence:.2f}: {row.right:.1%}" for row in table.itertuples()))
    print(f"\n{taken_ms:.2f} ms for a list of {TOP} from a pool of {POOL}")
    failed += [f"a list takes {taken_ms:.2f} ms"] if taken_ms > MAX_MS else []
    print("\n".join(failed) or "All limits are held.")
    return 1 if failed else 0


def print_tables(table: pd.DataFrame) -> list[str]:
    """Print a line for each way to make lists, against the best scores; return what costs too much."""
    failed = []
    names = ("NDCG", "recall", "unlike", "from mix", "lift")
    for world, rows in table.groupby("world", sort=False):
        means = rows.groupby(["part", "way"], sort=False)[list(names)].mean()
        plain = means.loc[("plain", "best scores")]
        print(f"\n{world}\n{'':46}{'':9}" + "".join(f"{name:>10}" for name in names))
        for (part, way), row in means.iterrows():
            change = row["NDCG"] / plain["NDCG"] - 1
            print(f"{part:18} {way:27}{change:>+9.2%}" + "".join(f"{row[name]:>10.4f}" for name in names))
            limit = MAX_LOSS if way == "diversity and calibration" else 0.0 if part == "skips" else 1.0
            if change < -limit:
                failed.append(f"{world}: {way} costs {-change:.2%} of NDCG, at most {limit:.0%} may be lost")
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""What to teach the network on a library: objectives, from random weights and from a network that was trained before.

Run from the repository::

    python benchmarks/adapting.py [W] [--initial FILE] [--seeds 3] [--only NAME ...]

In the demo's world (kept in the folder W), all tracks of a fifth of the artists are hidden, another fifth each seed:
neither the network nor the factors see their plays or their sound. Each network is trained on the rest, hears
everything, and new tracks are ranked among themselves for those who played them: by likeness of sound alone (kNN), by
the prior over factors, and as the ranker does it (prior and likeness, default blend). Means over users and seeds, and
what the default objective is better by, with 95 % intervals, the same users drawn for both. Ends with 1 if another one
is better than it as the ranker does it, and the interval leaves out 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines import train
from pipelines.config import Settings
from pipelines.demo import ingest_world
from pipelines.workspace import open_workspace
from recommender.audio.clips import Clips
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.splits import Split
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation import bootstrap
from recommender.evaluation.cold_splits import hide_tracks
from recommender.evaluation.methods import METHODS, Fits, rank_by
from recommender.evaluation.protocol import Task, evaluate_method, make_task
from recommender.models.als import fit_als
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import OBJECTIVES, TrainCnnConfig
from recommender.models.embed import embed_clips, load_cnn
from recommender.models.factors import Factors
from recommender.models.objectives import sibling_mrr
from recommender.models.reproducible import reproducible
from recommender.models.train_cnn import TrainedCnn, train_cnn
from recommender.ranking.fitting import assemble
from recommender.ranking.ranker import RankerConfig
from recommender.synthetic.world import World, WorldConfig, build_world, listening_log

TOP = 20
FOLD = 0.2
WAYS = ("kNN", "prior", "ranker")
SCRATCH_EPOCHS, ALL_EPOCHS = 16, 8


@dataclass(frozen=True, eq=False)
class Data:
    """The world as a library: everything that was played, whenever it was."""

    catalog: Catalog
    plays: Interactions
    clips: Clips
    audible: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fold:
    """One seed's hidden artists, and what is left to learn from."""

    data: Data
    task: Task
    split: Split
    factors: Factors
    clips: Clips
    seed: int

    @property
    def config(self) -> TrainCnnConfig:
        """The default training, on one thread."""
        return replace(Settings().train_cnn, seed=self.seed, threads=1, device="cpu")


def read_data(folder: Path) -> Data:
    """Build and analyse the world where it is not there yet."""
    workspace = open_workspace(folder, create=True)
    world = build_world(WorldConfig(), folder / "world")
    if not len(workspace.files()):
        ingest_world(workspace, world)
    settings = Settings()
    train.analyse(workspace, settings.clips)
    library = train.read_library(workspace, settings.clips)
    assert library.clips is not None
    files = workspace.files()
    ids = dict(zip(files["path"], files["item_id"], strict=True))
    log = listening_log(pd.concat([world.past, world.future]), ids)
    plays = Interactions.from_frame(log, Vocabulary("user", world.users), library.catalog.tracks)
    return Data(library.catalog, plays, library.clips, _in_rows(world, ids, library.catalog))


def _in_rows(world: World, ids: dict[str, str], catalog: Catalog) -> npt.NDArray[np.float32]:
    row_of = {ids[path]: row for row, path in enumerate(world.tracks["path"])}
    return world.audible[:, [row_of[track] for track in catalog.tracks]]


def make_fold(data: Data, seed: int) -> Fold:
    """Hide a fifth of the artists."""
    heard = data.clips.tracks.known(data.catalog.tracks)
    split = hide_tracks(data.plays, heard, fraction=FOLD, min_users=5, seed=seed, by="artist", catalog=data.catalog)
    assert split.held_rows is not None
    codes = data.catalog.artist_codes()
    hidden = data.catalog.tracks.ids_of(np.flatnonzero(np.isin(codes, codes[split.held_rows])))
    kept = ~Vocabulary("track", tuple(hidden)).known(data.clips.tracks)
    return Fold(
        data,
        make_task("new", split, split.held_rows),
        split,
        fit_als(split.train, RankerConfig().als),
        select_clips(data.clips, np.flatnonzero(kept)),
        seed,
    )


def select_clips(clips: Clips, rows: npt.NDArray[np.int64]) -> Clips:
    """Return the clips of some tracks, as if there were no others."""
    place = np.full(len(clips.tracks), -1, dtype=np.int32)
    place[rows] = np.arange(len(rows))
    kept = place[clips.clip_tracks] >= 0
    return Clips(
        Vocabulary("track", tuple(clips.tracks.ids_of(rows))),
        clips.mels[kept],
        place[clips.clip_tracks[kept]],
        clips.starts_s[kept],
    )


def teach(fold: Fold, config: TrainCnnConfig, initial: TrainedCnn | None) -> TrainedCnn:
    """Train on what the fold left."""
    rows = fold.data.catalog.tracks.rows(fold.clips.tracks.ids, unknown="raise")
    return train_cnn(
        fold.clips,
        fold.factors,
        fold.split.train.track_evidence(),
        config,
        initial=initial,
        plays=fold.split.train.to_csr(),
        artists=fold.data.catalog.artist_codes()[rows],
        albums=fold.data.catalog.album_codes()[rows],
    )


def measure(fold: Fold, embeddings: Embeddings) -> pd.DataFrame:
    """Return each reader's NDCG by each way of ranking the hidden tracks."""
    model = assemble(fold.data.catalog, fold.split.train, embeddings, fold.factors, RankerConfig())
    fits = Fits(fold.data.catalog, fold.split.train, embeddings, RankerConfig(), fold.seed, fitted=model)
    by_prior = model.prior_means[fold.task.candidate_rows].T
    ranks = {
        "kNN": METHODS["content kNN"](fold.task, fits),
        "prior": rank_by(lambda users: fold.factors.user_factors[users] @ by_prior, fold.task, fits),
        "ranker": METHODS["First Listen"](fold.task, fits),
    }
    name = f"ndcg@{TOP}"
    return pd.DataFrame({way: evaluate_method(rank, fold.task, (TOP,))[name] for way, rank in ranks.items()})


def measure_ceiling(fold: Fold, embeddings: Embeddings) -> pd.DataFrame:
    """Return what ears and a knowledge of people without fault would reach, by sound."""
    fits = Fits(fold.data.catalog, fold.split.train, embeddings, RankerConfig(), fold.seed)
    truth = fold.data.audible[:, fold.task.candidate_rows]
    ndcg = evaluate_method(rank_by(lambda users: truth[users], fold.task, fits), fold.task, (TOP,))[f"ndcg@{TOP}"]
    return pd.DataFrame(dict.fromkeys(WAYS, ndcg))


def hidden_sibling_mrr(fold: Fold, embeddings: Embeddings) -> float:
    """Return how well the first clip of a hidden track finds its last one, and the reverse, among the hidden ones."""
    import torch

    rows = embeddings.tracks.rows(fold.data.catalog.tracks.ids_of(fold.task.candidate_rows), unknown="raise")
    ends = [np.flatnonzero(embeddings.clip_tracks == row)[[0, -1]] for row in rows]
    first, last = (torch.from_numpy(embeddings.clip_vectors[list(side)]) for side in zip(*ends, strict=True))
    return sibling_mrr(first, last)


def ways_to_train(initial: TrainedCnn | None) -> dict[str, tuple[dict[str, Any], TrainedCnn | None]]:
    """Name what is compared: changes of the default training, and the network that it starts from."""
    found: dict[str, tuple[dict[str, Any], TrainedCnn | None]] = {
        f"{objective}, from scratch": ({"objective": objective, "epochs": SCRATCH_EPOCHS}, None)
        for objective in OBJECTIVES
    }
    if initial is not None:
        shape: dict[str, Any] = {"cnn": initial.config.cnn}
        found |= {f"{objective}, adapted": (shape | {"objective": objective}, initial) for objective in OBJECTIVES}
        found["all layers, adapted"] = (shape | {"trains": "all", "adapt_epochs": ALL_EPOCHS}, initial)
    return found


def run(fold: Fold, initial: TrainedCnn | None, wanted: list[str]) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Train and measure on one fold.

    Returns
    -------
    figures : dict of str to DataFrame
        NDCG of each reader, by method.
    apart : DataFrame
        One row a method: sibling MRR of hidden tracks, alignment MRR of validation tracks, CPU seconds, epochs.
    """
    with reproducible(fold.seed, 1):
        untrained = SpectrogramCNN(initial.config.cnn if initial is not None else fold.config.cnn).eval()
    ears = {"untrained": untrained} | ({"as it was given": load_cnn(initial)} if initial is not None else {})
    figures, apart = {}, []
    for name, ear in ears.items():
        embeddings = embed_clips(ear, fold.data.clips)
        figures[name] = measure(fold, embeddings)
        apart.append({"method": name, "sibling MRR": hidden_sibling_mrr(fold, embeddings)})
    for name, (changes, start) in ways_to_train(initial).items():
        if wanted and name not in wanted:
            continue
        began = time.process_time()
        trained = teach(fold, replace(fold.config, **changes), start)
        took_s = time.process_time() - began
        embeddings = embed_clips(load_cnn(trained), fold.data.clips)
        figures[name] = measure(fold, embeddings)
        best = trained.history[trained.best_epoch - 1]
        apart.append(
            {
                "method": name,
                "sibling MRR": hidden_sibling_mrr(fold, embeddings),
                "align MRR": best["val_align_mrr"],
                "CPU s": took_s,
                "best epoch": trained.best_epoch,
                "epochs": len(trained.history),
            }
        )
        print(f"seed {fold.seed}: {name}: {figures[name].mean().round(3).to_dict()}", file=sys.stderr, flush=True)
    figures["all that can be heard"] = measure_ceiling(fold, embeddings)
    return figures, pd.DataFrame(apart).set_index("method")


def report(figures: dict[str, list[pd.DataFrame]], apart: pd.DataFrame) -> list[str]:
    """Print both tables; return what does not hold."""
    means = bootstrap.summarise(figures).pivot_table("mean", "method", "metric", sort=False)[list(WAYS)]
    others = apart.groupby("method", sort=False).mean()
    print(f"\nNDCG@{TOP} of new tracks\n\n{means.join(others).round(3).to_string(na_rep='')}\n")
    failed = []
    for start in ("from scratch", "adapted"):
        own = f"{TrainCnnConfig().objective}, {start}"
        if own not in figures:
            continue
        rivals = {name: frames for name, frames in figures.items() if name.endswith(start)}
        if len(rivals) == 1:
            continue
        found = bootstrap.compare(rivals, own)
        print(f"{own}, less each other one [95 % interval, by user]\n")
        for baseline, rows in found.groupby("baseline", sort=False):
            cells = rows.set_index("metric").loc[list(WAYS)]
            text = "  ".join(f"{way} {d:+.3f} [{lo:+.3f}, {hi:+.3f}]" for way, d, lo, hi in _cells(cells))
            print(f"{baseline:28} {text}")
            high = cells["high"]["ranker"]
            if high < 0:
                failed.append(
                    f"{own} is worse than {baseline}: by {-high:.3f} NDCG@{TOP} at least, as the ranker does it"
                )
        print()
    return failed


def _cells(rows: pd.DataFrame) -> Iterator[tuple[str, float, float, float]]:
    for way, row in rows.iterrows():
        yield str(way), row["difference"], row["low"], row["high"]


def main() -> int:
    """Print the tables; return 1 if the default objective is beaten."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "workspace", type=Path, nargs="?", help="kept for the next time; a temporary folder if not given"
    )
    parser.add_argument("--initial", type=Path, help="the network to adapt; the shipped one if not given")
    parser.add_argument("--seeds", type=int, default=3, help="folds of artists, 5 at most")
    parser.add_argument("--only", nargs="*", default=[], help="names of the trainings to compare")
    asked = parser.parse_args()
    initial = train.network_to_start_from(TrainCnnConfig(start_from=str(asked.initial or "shipped")))
    with tempfile.TemporaryDirectory() as temporary:
        data = read_data(asked.workspace or Path(temporary) / "w")
    figures: dict[str, list[pd.DataFrame]] = {}
    apart = []
    for seed in range(asked.seeds):
        found, others = run(make_fold(data, seed), initial, asked.only)
        for name, frame in found.items():
            figures.setdefault(name, []).append(frame)
        apart.append(others)
    failed = report(figures, pd.concat(apart))
    print("\n".join(failed) or "No objective beats the default one.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

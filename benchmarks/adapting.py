"""What to teach the network on a library: objectives, from random weights and from a network that was trained before.

Run from the repository::

    python benchmarks/adapting.py [W] [--initial FILE] [--seeds 3] [--only NAME ...]

In the demo's world (kept in the folder W), all tracks of a fifth of the artists are hidden, another fifth each seed:
neither the network nor the factors see their plays or their sound. Each network is trained on the rest, hears
everything, and new tracks are ranked among themselves for those who played them: by likeness of sound alone (kNN), by
the prior over factors, and as the ranker does it (prior and likeness, default blend). Means over users and seeds,
differences from regression with 95 % intervals, the same users drawn for both. Ends with 1 if the default objective is
worse than no alignment at all, or worse than another by more than its interval explains.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

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
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.embed import embed_clips, load_cnn
from recommender.models.factors import Factors
from recommender.models.objectives import sibling_mrr
from recommender.models.train_cnn import TrainedCnn, train_cnn
from recommender.models.trained_cnn import load_trained
from recommender.ranking.fitting import assemble
from recommender.ranking.ranker import RankerConfig
from recommender.synthetic.world import World, WorldConfig, build_world, listening_log

TOP = 20
FOLD = 0.2
COLUMNS = ("kNN", "prior", "ranker")
SCRATCH_EPOCHS, ADAPT_EPOCHS = 16, 8


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
    return pd.DataFrame(dict.fromkeys(COLUMNS, ndcg))


def hidden_sibling_mrr(fold: Fold, embeddings: Embeddings) -> float:
    """Return how well the first clip of a hidden track finds its last one, and the reverse, among the hidden ones."""
    import torch

    rows = embeddings.tracks.rows(fold.data.catalog.tracks.ids_of(fold.task.candidate_rows), unknown="raise")
    ends = [np.flatnonzero(embeddings.clip_tracks == row)[[0, -1]] for row in rows]
    first, last = (torch.from_numpy(embeddings.clip_vectors[list(side)]) for side in zip(*ends, strict=True))
    return sibling_mrr(first, last)


def ways_to_train(initial: TrainedCnn | None) -> dict[str, tuple[dict[str, object], TrainedCnn | None]]:
    """Name what is compared: changes of the default training, and the network that it starts from."""
    objectives = ("none", "regression", "factors", "listeners", "towers")
    ways: dict[str, tuple[dict[str, object], TrainedCnn | None]] = {
        f"{objective}, scratch": ({"objective": objective, "epochs": SCRATCH_EPOCHS}, None) for objective in objectives
    }
    if initial is None:
        return ways
    base = {"epochs": ADAPT_EPOCHS, "cnn": initial.config.cnn}
    ways |= {f"{objective}, adapted": ({**base, "objective": objective}, initial) for objective in objectives}
    return ways


def main() -> int:
    """Print the table."""
    return 0


if __name__ == "__main__":
    sys.exit(main())

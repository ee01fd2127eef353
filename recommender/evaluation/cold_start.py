"""The cold-start experiment: tracks lose all their plays, and every method has to find their listeners."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import ConfigError, LeakageError
from recommender.evaluation.figures import SeedFigures, load_figures, measure, save_figures
from recommender.evaluation.methods import METHODS, Embed, Fits, Method
from recommender.evaluation.plots import plot_methods
from recommender.evaluation.protocol import Task, cold_task
from recommender.evaluation.report import Report, build_report, describe_data, package_versions, write_report
from recommender.ranking.ranker import RankerConfig


@dataclass(frozen=True)
class ColdStartConfig:
    """How the experiment splits, and what it reads.

    Parameters
    ----------
    seeds : tuple of int
        One split each; figures are averaged over them. The default five are folds: each eligible track is cold once.
    fraction : float in (0, 1)
        Share of the eligible tracks that goes cold: those with an embedding and at least `min_plays` listeners.
    min_plays : int >= 1
        Tracks with fewer listeners are left out of everything.
    ks : tuple of int
        List lengths.
    draws : int
        Bootstrap samples for the intervals.
    ranker : RankerConfig
        Of First Listen; its ALS configuration is that of the baselines too.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    fraction: float = 0.2
    min_plays: int = 5
    ks: tuple[int, ...] = (10, 20, 50)
    draws: int = 1000
    ranker: RankerConfig = field(default_factory=RankerConfig)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"seeds {self.seeds} must be one or more distinct numbers")
        if not 0 < self.fraction < 1:
            raise ConfigError(f"fraction {self.fraction} must lie between 0 and 1")
        if not self.ks or min(self.ks) < 1:
            raise ConfigError(f"ks {self.ks} must be one or more list lengths >= 1")


def run_cold_start_experiment(
    catalog: Catalog,
    interactions: Interactions,
    embed: Embeddings | Embed,
    config: ColdStartConfig,
    out: Path,
    progress: Progress | None = None,
    *,
    embeddable: npt.NDArray[np.bool_] | None = None,
    embed_version: str = "",
    methods: Mapping[str, Method] = METHODS,
) -> Report:
    """Run the item cold-start split with every method, and write report.json, table.csv, report.md and cold_start.png.

    Parameters
    ----------
    catalog : Catalog
    interactions : Interactions
    embed : Embeddings, or callable
        Embeddings that owe nothing to these plays, or a function that makes them from the training plays of a split.
    config : ColdStartConfig
    out : Path
        A folder. Finished seeds lie in its ``parts``; a run with the same data, configuration and method names takes
        them from there. Delete them after a change of code.
    progress : Progress, optional
        Called with (done, total) methods, over all seeds.
    embeddable : ndarray, shape (n_tracks,), bool, optional
        The tracks that a callable `embed` gives a vector; all by default. Supplied embeddings know it themselves.
    embed_version : str
        Of a callable `embed`: names its settings and what it hears. Parts of another version are not taken.
    methods : mapping of name to Method

    Returns
    -------
    Report

    Raises
    ------
    LeakageError
        If a play of a cold track is in the training data.
    DataError
        If fewer than two tracks could go cold, or nobody played them.
    """
    tell = progress or silent
    data = describe_data(catalog, interactions, embed if isinstance(embed, Embeddings) else None)
    settings = asdict(config)
    if embed_version:
        data["embeddings"] = f"trained in each split, {embed_version}"
    run = {
        "config": settings,
        "embeddings": data["embeddings"],
        "digest": data["digest"],
        "methods": list(methods),
        "version": package_versions()["firstlisten"],
    }
    run_id = digest_of(np.frombuffer(json.dumps(run, sort_keys=True).encode(), dtype=np.uint8))
    has_embedding = _has_embedding(interactions, embed, embeddable)
    finished: list[SeedFigures] = []
    total = len(config.seeds) * len(methods)
    for number, seed in enumerate(config.seeds):
        part = out / "parts" / f"{run_id}-seed-{seed}.safetensors"
        if part.exists():
            figures = load_figures(part, run_id)
        else:
            done = count(number * len(methods) + 1)
            tell(number * len(methods), total)
            task, fits = _prepare(catalog, interactions, embed, has_embedding, config, seed)
            figures = measure(seed, [(task, fits)], methods, config.ks, partial(_step, tell, done, total))
            save_figures(part, run_id, figures)
        finished.append(figures)
        tell((number + 1) * len(methods), total)
    report = build_report("Cold-start experiment: new tracks", settings, data, finished, draws=config.draws)
    write_report(report, out)
    plot_methods(report, out / "cold_start.png", task="cold", metrics=figure_metrics(config.ks))
    return report


def figure_metrics(ks: tuple[int, ...]) -> tuple[str, str]:
    """Return the two metrics that the plot shows: recall@10 and NDCG@20, or the nearest list lengths that were read."""
    nearest = [min(ks, key=lambda k: abs(k - wanted)) for wanted in (10, 20)]
    return f"recall@{nearest[0]}", f"ndcg@{nearest[1]}"


def check_cold(task: Task) -> None:
    """Refuse a cold task of which training has heard a candidate.

    Raises
    ------
    LeakageError
        Naming the first such track.
    """
    heard = np.bincount(task.train.track_rows, minlength=len(task.train.tracks)) > 0
    leaked = task.candidate_rows[heard[task.candidate_rows]]
    if len(leaked):
        raise LeakageError(f"track {task.train.tracks.ids[leaked[0]]!r} is to be cold, but training has plays of it")


def _prepare(
    catalog: Catalog,
    interactions: Interactions,
    embed: Embeddings | Embed,
    has_embedding: npt.NDArray[np.bool_],
    config: ColdStartConfig,
    seed: int,
) -> tuple[Task, Fits]:
    task = cold_task(interactions, has_embedding, fraction=config.fraction, min_users=config.min_plays, seed=seed)
    check_cold(task)
    embeddings = embed if isinstance(embed, Embeddings) else embed(task.train)
    return task, Fits(catalog, task.train, embeddings, config.ranker, seed)


def _step(tell: Progress, done: Iterator[int], total: int) -> None:
    tell(next(done), total)


def _has_embedding(
    interactions: Interactions, embed: Embeddings | Embed, embeddable: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    if isinstance(embed, Embeddings):
        return embed.tracks.known(interactions.tracks)
    return np.ones(len(interactions.tracks), dtype=bool) if embeddable is None else embeddable

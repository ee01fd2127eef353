"""How good is this workspace's recipe? Fit it again on a part of the plays, measure on the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipelines import console
from pipelines.config import Settings
from pipelines.train import Library, hear, read_library
from pipelines.workspace import Workspace
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.tables import checked_ending, write_table
from recommender.errors import DataError

Embed = Embeddings | Callable[[Interactions], Embeddings]


def run(workspace: Workspace, settings: Settings, *, seeds: int, min_users: int, out: Path | None) -> None:
    """Measure the recipe against the baselines on hidden plays, and print the table.

    Everything that has seen plays, the network included, is fitted again on each split's training part.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    seeds : int
        Splits to average over.
    min_users : int
        Tracks with fewer listeners are left out.
    out : Path, optional
        The table goes there too.
    """
    from recommender.evaluation.everyday import EvaluationConfig, warm_evaluation

    if out is not None:
        checked_ending(out)
    library = read_library(workspace, settings.clips)
    if not len(library.interactions):
        raise DataError(f"{workspace.folder} holds no plays to evaluate on; ingest --interactions or --listens")
    config = EvaluationConfig(seeds=tuple(range(seeds)), min_users=min_users, ranker=settings.ranker)
    embed, embeddable = embedder(library, settings)
    with console.progress("Evaluating") as bar:
        report = warm_evaluation(library.catalog, library.interactions, embed, config, bar, embeddable=embeddable)
    print_report(report.table)
    if out is not None:
        write_table(out, report.table)


def embedder(library: Library, settings: Settings) -> tuple[Embed | None, npt.NDArray[np.bool_] | None]:
    """Return the supplied embeddings, or a function that trains a network on given plays and embeds with it.

    The second value tells which tracks of the catalog get a vector from such a function.
    """
    if library.embeddings is not None or library.clips is None:
        return library.embeddings, None
    clips = library.clips

    def learn(training: Interactions) -> Embeddings:
        embeddings, _ = hear(library, training, settings)
        assert embeddings is not None
        return embeddings

    return learn, clips.tracks.known(library.catalog.tracks)


def print_report(frame: pd.DataFrame) -> None:
    """Print recall and NDCG with their intervals: a line a method, a column a metric."""
    for task, rows in frame.groupby("task", sort=False):
        metrics = [name for name in dict.fromkeys(rows["metric"]) if name.startswith(("recall@", "ndcg@"))]
        lines = []
        for method, figures in rows.groupby("method", sort=False):
            by_metric = figures.set_index("metric")
            cells = [
                f"{by_metric['mean'][metric]:.3f} [{by_metric['low'][metric]:.3f}, {by_metric['high'][metric]:.3f}]"
                for metric in metrics
            ]
            lines.append((method, *cells))
        title = f"{task}: {rows['n_users'].iloc[0]} users, mean [95 % interval]"
        console.table(title, ("method", *metrics), lines)

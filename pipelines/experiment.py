"""Experiments on a workspace's own data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines import console
from pipelines.config import Settings
from pipelines.evaluate import embedder, print_report
from pipelines.train import read_library
from pipelines.workspace import Workspace
from recommender.data.storage import digest_of
from recommender.data.tables import checked_ending, write_table
from recommender.errors import DataError


def cold_start(
    workspace: Workspace,
    settings: Settings,
    out: Path,
    *,
    seeds: int | None,
    fraction: float,
    min_users: int,
    split: str = "random",
    tasks: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    methods_from: Path | None = None,
) -> None:
    """Let tracks and users lose their plays and see which method knows them all the same; write a report.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    out : Path
        A folder; an interrupted run goes on from what lies in it.
    seeds : int or None
        Splits to average over; None for 5 folds, or 1 where `split` is ``"time"``.
    fraction : float
        Share of the tracks, or users, that goes cold.
    min_users : int
        A track with fewer listeners is left out.
    split : {"random", "time", "artist"}
        Which tracks go cold together.
    tasks, methods : tuple of str
        What to measure; the default if empty.
    methods_from : Path, optional
        A file of further methods, see `recommender.evaluation.plugins.load_methods`.
    """
    from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment
    from recommender.evaluation.pages import figure_metrics
    from recommender.evaluation.plugins import load_methods
    from recommender.evaluation.suite import SUITE

    suite = SUITE | (load_methods(methods_from) if methods_from is not None else {})
    library = read_library(workspace, settings.clips)
    if not len(library.interactions):
        raise DataError(f"{workspace.folder} holds no plays; ingest --interactions or --listens")
    embed, embeddable = embedder(library, settings)
    config = ColdStartConfig(
        seeds=tuple(range(seeds or (1 if split == "time" else 5))),
        fraction=fraction,
        min_plays=min_users,
        ranker=settings.ranker,
        split=split,  # type: ignore[arg-type]
        tasks=tasks or ColdStartConfig.tasks,
        methods=methods,
    )
    heard = np.frombuffer(f"{library.digest} {settings.model_dump_json()}".encode(), dtype=np.uint8)
    with console.progress("Cold-start experiment") as bar:
        report = run_cold_start_experiment(
            library.catalog,
            library.interactions,
            embed,
            config,
            out,
            bar,
            embeddable=embeddable,
            embed_version=digest_of(heard),
            suite=suite,
        )
    print_report(report.table[report.table["metric"].isin(figure_metrics(config.ks))])
    for what, why in report.left_out:
        console.out.print(f"left out: {what}: {why}", markup=False)
    console.out.print(f"{out}: report.html, report.json, tables as CSV, plots as PNG", markup=False)


def compare(first: Path, second: Path, *, unpaired: bool = False, out: Path | None = None) -> None:
    """Print what changed from one experiment to another.

    Parameters
    ----------
    first, second : Path
        Folders of finished experiments.
    unpaired : bool
        Go on where the data differ.
    out : Path, optional
        The whole table goes there.
    """
    from recommender.evaluation.comparison import compare_runs

    if out is not None:
        checked_ending(out)
    found = compare_runs(first, second, unpaired=unpaired)
    for line in found.changed:
        console.out.print(f"changed: {line}", markup=False)
    for task, rows in found.table.groupby("task", sort=False):
        shown = rows[rows["metric"].str.startswith(("recall@", "ndcg@"))]
        paired = "the same users and hidden plays" if rows["paired"].all() else "not paired"
        lines = [
            (method, metric, a, b, f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]")
            for method, metric, a, b, difference, low, high in shown[
                ["method", "metric", "a", "b", "difference", "low", "high"]
            ].itertuples(index=False)
        ]
        title = f"{task}: {paired}, {rows['seeds'].max()} splits"
        console.table(title, ("method", "metric", str(first), str(second), "difference"), lines)
    for line in found.only:
        console.out.print(f"not compared: {line}", markup=False)
    if out is not None:
        write_table(out, found.table)

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
from recommender.errors import DataError


def cold_start(
    workspace: Workspace,
    settings: Settings,
    out: Path,
    *,
    seeds: int,
    fraction: float,
    min_users: int,
    split: str = "random",
    tasks: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
) -> None:
    """Let tracks and users lose their plays and see which method knows them all the same; write a report.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    out : Path
        A folder; an interrupted run goes on from what lies in it.
    seeds : int
        Splits to average over.
    fraction : float
        Share of the tracks, or users, that goes cold.
    min_users : int
        A track with fewer listeners is left out.
    split : {"random", "time", "artist"}
        Which tracks go cold together.
    tasks, methods : tuple of str
        What to measure; the default if empty.
    """
    from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment

    library = read_library(workspace, settings.clips)
    if not len(library.interactions):
        raise DataError(f"{workspace.folder} holds no plays; ingest --interactions or --listens")
    embed, embeddable = embedder(library, settings)
    config = ColdStartConfig(
        seeds=tuple(range(seeds)),
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
        )
    print_report(report.table)
    for what, why in report.left_out:
        console.out.print(f"left out: {what}: {why}", markup=False)
    console.out.print(f"{out}: report.html, report.json, tables as CSV, plots as PNG", markup=False)

"""Experiments on a workspace's own data."""

from __future__ import annotations

from pathlib import Path

from pipelines import console
from pipelines.config import Settings
from pipelines.evaluate import embedder, print_report
from pipelines.train import read_library
from pipelines.workspace import Workspace
from recommender.errors import DataError


def cold_start(
    workspace: Workspace, settings: Settings, out: Path, *, seeds: int, fraction: float, min_users: int
) -> None:
    """Hide every play of some tracks and see who finds their listeners; write report.json, tables and a plot.

    Parameters
    ----------
    workspace : Workspace
    settings : Settings
    out : Path
        A folder; an interrupted run goes on from what lies in it.
    seeds : int
        Splits to average over.
    fraction : float
        Share of the tracks that goes cold.
    min_users : int
        A track with fewer listeners is left out.
    """
    from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment

    library = read_library(workspace, settings.clips)
    if not len(library.interactions):
        raise DataError(f"{workspace.folder} holds no plays; ingest --interactions or --listens")
    embed, embeddable = embedder(library, settings)
    if embed is None:
        raise DataError(f"{workspace.folder} has nothing to hear; ingest --music or --embeddings, then try again")
    config = ColdStartConfig(seeds=tuple(range(seeds)), fraction=fraction, min_plays=min_users, ranker=settings.ranker)
    with console.progress("Cold-start experiment") as bar:
        report = run_cold_start_experiment(
            library.catalog, library.interactions, embed, config, out, bar, embeddable=embeddable
        )
    print_report(report.table)
    console.out.print(f"{out}: report.json, report.md, table.csv, cold_start.png", markup=False)

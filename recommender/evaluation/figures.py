"""The figures of every method on the tasks of one seed, and their file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recommender.data.storage import digest_of, load_arrays, save_arrays
from recommender.evaluation.methods import Fits, Method
from recommender.evaluation.protocol import Task, catalog_figures, rank_users, read_lists

KIND = "evaluation of one seed"
CATALOG_COLUMNS = ["task", "method", "metric", "value"]


@dataclass(frozen=True, eq=False)
class SeedFigures:
    """What was measured with one seed.

    Parameters
    ----------
    seed : int
    per_user : dict of task to dict of method to DataFrame
        Indexed by ``user_row``, one column a metric. The part ``cold`` of a task ``mixed`` is the task ``mixed, cold``;
        a part of which nothing is hidden is left out.
    catalog : DataFrame
        Columns task, method, metric, value: coverage, Gini, popularity lift.
    durations_s : dict of str to float
        ``"task: method"``; a method that is the first to need a fitted model pays for it.
    counts : dict of task to dict
        Training pairs, hidden pairs, revealed pairs, candidates and users; ``split``, a digest of what is asked.
    """

    seed: int
    per_user: dict[str, dict[str, pd.DataFrame]]
    catalog: pd.DataFrame
    durations_s: dict[str, float]
    counts: dict[str, dict[str, int | str]]


def measure(
    seed: int,
    tasks: Iterable[tuple[Task, Fits]],
    methods: Mapping[str, Method],
    ks: Sequence[int],
    step: Callable[[], None] = lambda: None,
) -> SeedFigures:
    """Put every method to every task.

    Parameters
    ----------
    seed : int
    tasks : iterable of (Task, Fits)
    methods : mapping of name to Method
    ks : sequence of int
    step : callable
        Called after each method of each task.

    Returns
    -------
    SeedFigures
    """
    per_user: dict[str, dict[str, pd.DataFrame]] = {}
    catalog: list[tuple[str, str, str, float]] = []
    durations: dict[str, float] = {}
    counts: dict[str, dict[str, int | str]] = {}
    for task, fits in tasks:
        parts = {f"{task.name}, {part}": relevant for part, relevant in task.parts if relevant.nnz}
        readings = {task.name: task.relevant} | parts
        for name, method in methods.items():
            started = time.perf_counter()
            ranked = rank_users(method(task, fits), task, max(ks), name=name)
            durations[f"{task.name}: {name}"] = round(time.perf_counter() - started, 3)
            for reading, relevant in readings.items():
                frame = read_lists(ranked, relevant, task.train, task.user_rows, ks)
                per_user.setdefault(reading, {})[name] = frame
            for k in ks:
                catalog += [
                    (task.name, name, metric, value) for metric, value in catalog_figures(ranked, task, k).items()
                ]
            step()
        counts[task.name] = {
            "training_pairs": int(fits.trained.plays.nnz),
            "hidden_pairs": int(task.relevant.nnz),
            "revealed_pairs": int(task.revealed.to_csr().nnz) if task.revealed is not None else 0,
            "candidates": len(task.candidate_rows),
            "users": len(task.user_rows),
            "split": digest_of(task.relevant.indptr, task.relevant.indices, task.candidate_rows),
        }
    return SeedFigures(seed, per_user, pd.DataFrame(catalog, columns=CATALOG_COLUMNS), durations, counts)


def merge_figures(pieces: Sequence[SeedFigures]) -> SeedFigures:
    """Join what was measured of one seed piece by piece: other tasks, or other methods on the same tasks."""
    per_user: dict[str, dict[str, pd.DataFrame]] = {}
    durations: dict[str, float] = {}
    counts: dict[str, dict[str, int | str]] = {}
    for piece in pieces:
        for task, frames in piece.per_user.items():
            per_user.setdefault(task, {}).update(frames)
        durations |= piece.durations_s
        counts |= piece.counts
    catalog = pd.concat([piece.catalog for piece in pieces], ignore_index=True)
    return SeedFigures(pieces[0].seed, per_user, catalog, durations, counts)


def save_figures(path: Path, version: str, figures: SeedFigures) -> None:
    """Write the figures of one seed, whole or not at all."""
    arrays: dict[str, Any] = {"catalog_values": figures.catalog["value"].to_numpy(dtype=np.float64)}
    layout: dict[str, Any] = {}
    for number, (task, frames) in enumerate(figures.per_user.items()):
        first = next(iter(frames.values()))
        layout[task] = {"methods": list(frames), "metrics": list(first.columns)}
        arrays[f"users_{number}"] = first.index.to_numpy(dtype=np.int32)
        arrays[f"values_{number}"] = np.stack([frame.to_numpy(dtype=np.float64) for frame in frames.values()])
    metadata = {
        "seed": figures.seed,
        "layout": layout,
        "catalog": figures.catalog[CATALOG_COLUMNS[:3]].to_numpy(dtype=object).tolist(),
        "durations_s": figures.durations_s,
        "counts": figures.counts,
    }
    save_arrays(path, KIND, version, arrays, metadata)


def load_figures(path: Path, version: str) -> SeedFigures:
    """Read what `save_figures` wrote.

    Raises
    ------
    ArtifactError
        If the file is damaged.
    VersionError
        If it belongs to another run.
    """
    arrays, metadata = load_arrays(path, KIND, version)
    per_user = {}
    for number, (task, layout) in enumerate(metadata["layout"].items()):
        index = pd.Index(arrays[f"users_{number}"], name="user_row")
        per_user[task] = {
            method: pd.DataFrame(values, index=index, columns=layout["metrics"])
            for method, values in zip(layout["methods"], arrays[f"values_{number}"], strict=True)
        }
    catalog = pd.DataFrame(metadata["catalog"], columns=CATALOG_COLUMNS[:3])
    catalog["value"] = arrays["catalog_values"]
    return SeedFigures(metadata["seed"], per_user, catalog, metadata["durations_s"], metadata["counts"])

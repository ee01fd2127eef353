"""Two finished cold-start experiments side by side: what changed, and whether the choice of users explains it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recommender.data.storage import read_json
from recommender.errors import ArtifactError, DataError
from recommender.evaluation import bootstrap
from recommender.evaluation.figures import SeedFigures, load_figures, merge_figures

COLUMNS = ["task", "method", "metric", "a", "b", "difference", "low", "high", "paired", "seeds"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two experiments measured of the same tasks and methods.

    Parameters
    ----------
    table : DataFrame
        Columns `COLUMNS`: means of both, difference (b - a) with its 95 % interval, and whether that is of the same
        users and hidden plays (paired) or takes the two for independent; `seeds` is how many splits are in it.
    changed : tuple of str
        Settings and package versions in which they differ.
    only : tuple of str
        Tasks and methods that one of them has alone.
    """

    table: pd.DataFrame
    changed: tuple[str, ...]
    only: tuple[str, ...]


def compare_runs(first: Path, second: Path, *, unpaired: bool = False) -> Comparison:
    """Compare two folders that `cold_start.run_cold_start_experiment` wrote.

    Parameters
    ----------
    first, second : Path
    unpaired : bool
        Go on where the data differ.

    Returns
    -------
    Comparison

    Raises
    ------
    ArtifactError
        If a folder holds no finished experiment, or a part of it is gone or damaged.
    DataError
        If the data differ and `unpaired` is not set, or the two have no task and method in common.
    """
    reports = [_report(folder) for folder in (first, second)]
    digests = [report["data"]["digest"] for report in reports]
    if digests[0] != digests[1] and not unpaired:
        raise DataError(
            f"{first} was measured on data {digests[0]}, {second} on {digests[1]}: their users cannot be paired; "
            "compare runs on the same data, or go on with --unpaired"
        )
    same_data = digests[0] == digests[1]
    seeds = [_seeds(folder, report) for folder, report in zip((first, second), reports, strict=True)]
    keys = [_keys(one) for one in seeds]
    both = [key for key in keys[0] if key in keys[1]]
    if not both:
        raise DataError(f"{first} and {second} have no task and method in common")
    rows = [row for key in both for row in _compare(seeds[0], seeds[1], *key, same_data=same_data)]
    only = [
        f"{task}: {method}, in {folder} alone"
        for own, other, folder in ((keys[0], keys[1], first), (keys[1], keys[0], second))
        for task, method in own
        if (task, method) not in other
    ]
    return Comparison(pd.DataFrame(rows, columns=COLUMNS), _changed(*reports), tuple(only))


def _compare(
    first: dict[int, SeedFigures], second: dict[int, SeedFigures], task: str, method: str, *, same_data: bool
) -> list[tuple[Any, ...]]:
    both = [
        seed
        for seed in first
        if seed in second and _has(first[seed], task, method) and _has(second[seed], task, method)
    ]
    pairs = [seed for seed in both if same_data and _split(first[seed], task) == _split(second[seed], task)]
    used = [
        [one[seed].per_user[task][method] for seed in (pairs or [s for s in one if _has(one[s], task, method)])]
        for one in (first, second)
    ]
    metrics = [metric for metric in used[0][0].columns if metric in used[1][0].columns]
    (a, a_drawn), (b, b_drawn) = (
        bootstrap.resample([frame[metrics] for frame in frames], seed=0 if pairs else number)
        for number, frames in enumerate(used)
    )
    low, high = bootstrap.interval(b_drawn - a_drawn)
    return [
        (task, method, metric, a[n], b[n], b[n] - a[n], low[n], high[n], bool(pairs), len(used[1]))
        for n, metric in enumerate(metrics)
    ]


def _report(folder: Path) -> dict[str, Any]:
    report = read_json(folder / "report.json")
    if not isinstance(report, dict) or "parts" not in report or "data" not in report:
        raise ArtifactError(
            f"{folder / 'report.json'} is of no cold-start experiment; run firstlisten experiment cold-start"
        )
    return report


def _seeds(folder: Path, report: dict[str, Any]) -> dict[int, SeedFigures]:
    pieces: dict[int, list[SeedFigures]] = {}
    for part in report["parts"]:
        pieces.setdefault(part["seed"], []).append(load_figures(folder / "parts" / part["file"], part["version"]))
    return {seed: merge_figures(found) for seed, found in pieces.items()}


def _keys(seeds: dict[int, SeedFigures]) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys((task, m) for one in seeds.values() for task, frames in one.per_user.items() for m in frames)
    )


def _has(one: SeedFigures, task: str, method: str) -> bool:
    return method in one.per_user.get(task, {})


def _split(one: SeedFigures, task: str) -> Any:
    """Return the digest of what a task asked for; the parts of a mixed list have the whole list's."""
    counts = one.counts.get(task) or one.counts.get(task.partition(",")[0]) or {}
    return counts.get("split", np.nan)


def _changed(first: dict[str, Any], second: dict[str, Any]) -> tuple[str, ...]:
    lines = []
    for part in ("config", "versions"):
        own, other = _flat(first[part]), _flat(second[part])
        lines += [
            f"{name}: {own.get(name, 'unset')} -> {other.get(name, 'unset')}"
            for name in dict.fromkeys([*own, *other])
            if own.get(name) != other.get(name)
        ]
    if first["data"]["embeddings"] != second["data"]["embeddings"]:
        lines.append(f"embeddings: {first['data']['embeddings']} -> {second['data']['embeddings']}")
    return tuple(lines)


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {name: json.dumps(value)}
    return {k: v for key, item in value.items() for k, v in _flat(item, f"{name}.{key}" if name else key).items()}

"""A finished evaluation: its figures with intervals, where they came from, and the files that show them."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.storage import atomic_path, digest_of, write_json
from recommender.evaluation import bootstrap
from recommender.evaluation.figures import SeedFigures

PACKAGES = ("firstlisten", "numpy", "scipy", "pandas", "implicit", "torch")
TABLE_COLUMNS = ["task", "method", "metric", "mean", "low", "high", "n_users"]


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation that can be read, compared and repeated.

    Parameters
    ----------
    title : str
    config : dict
        The resolved configuration, JSON values.
    data : dict
        ``digest`` and sizes of what was evaluated on; ``tasks``: sizes of the tasks by seed.
    versions : dict of package to version
    table : DataFrame
        Columns task, method, metric, mean, low, high, n_users: means over users and seeds, 95 % intervals by user
        bootstrap.
    differences : DataFrame
        Columns task, method, baseline, metric, difference, low, high, n_users: First Listen against each other method,
        paired by user.
    catalog : DataFrame
        Columns task, method, metric, value: coverage, Gini and popularity lift, means over seeds.
    by_seed : DataFrame
        Columns task, method, metric, seed, mean.
    durations_s : dict of str to float
        Seconds by task and method, summed over seeds, and ``total``.
    left_out : tuple of (str, str)
        What was asked for and not measured, and why.
    """

    title: str
    config: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]
    table: pd.DataFrame
    differences: pd.DataFrame
    catalog: pd.DataFrame
    by_seed: pd.DataFrame
    durations_s: dict[str, float]
    left_out: tuple[tuple[str, str], ...] = ()

    def figure(self, task: str, method: str, metric: str) -> float:
        """Return one mean of the table.

        Raises
        ------
        KeyError
            If the table has no such line.
        """
        found = self.table.query("task == @task and method == @method and metric == @metric")["mean"]
        if len(found) != 1:
            raise KeyError((task, method, metric))
        return float(found.iloc[0])


def build_report(
    title: str,
    config: dict[str, Any],
    data: dict[str, Any],
    seeds: Sequence[SeedFigures],
    *,
    subject: str = "First Listen",
    draws: int = bootstrap.DRAWS,
    left_out: tuple[tuple[str, str], ...] = (),
) -> Report:
    """Average the figures of all seeds and put intervals to them.

    Parameters
    ----------
    title : str
    config, data : dict
    seeds : sequence of SeedFigures
    subject : str
        The method that `Report.differences` compares with all others; none if it was not measured.
    draws : int
        Bootstrap samples.
    left_out : tuple of (str, str)
    """
    tables, differences, by_seed = [], [], []
    for task in dict.fromkeys(task for one in seeds for task in one.per_user):
        read = [one for one in seeds if task in one.per_user]
        frames = {method: [one.per_user[task][method] for one in read] for method in read[0].per_user[task]}
        tables.append(bootstrap.summarise(frames, draws=draws).assign(task=task))
        if subject in frames:
            differences.append(bootstrap.compare(frames, subject, draws=draws).assign(task=task))
        for method, per_seed in frames.items():
            for one, frame in zip(read, per_seed, strict=True):
                by_seed += [(task, method, metric, one.seed, value) for metric, value in frame.mean().items()]
    compared = pd.concat(differences, ignore_index=True) if differences else pd.DataFrame(columns=["task"])
    everything = pd.concat([one.catalog for one in seeds], ignore_index=True)
    durations = pd.DataFrame([one.durations_s for one in seeds]).sum()
    return Report(
        title=title,
        config=config,
        data=data | {"tasks": {str(one.seed): one.counts for one in seeds}},
        versions=package_versions(),
        table=pd.concat(tables, ignore_index=True)[TABLE_COLUMNS],
        differences=compared[["task", *[column for column in compared.columns if column != "task"]]],
        catalog=everything.groupby(["task", "method", "metric"], sort=False)["value"].mean().reset_index(),
        by_seed=pd.DataFrame(by_seed, columns=["task", "method", "metric", "seed", "mean"]),
        durations_s={str(name): round(float(value), 3) for name, value in durations.items()}
        | {"total": round(float(durations.sum()), 3)},
        left_out=left_out,
    )


def write_report(
    report: Report, out: Path, more: Mapping[str, pd.DataFrame] | None = None, record: Mapping[str, Any] | None = None
) -> None:
    """Write report.json, a CSV a table and report.md into the folder `out`, each whole or not at all.

    Parameters
    ----------
    report : Report
    out : Path
    more : mapping of name to DataFrame, optional
        Further tables.
    record : mapping of str to JSON value, optional
        Goes into report.json as it is.
    """
    tables = {name: getattr(report, name) for name in ("table", "differences", "catalog", "by_seed")} | dict(more or {})
    value = {
        "title": report.title,
        "config": report.config,
        "data": report.data,
        "versions": report.versions,
        "durations_s": report.durations_s,
        "left_out": [{"what": what, "why": why} for what, why in report.left_out],
        **{name: table.to_dict(orient="records") for name, table in tables.items()},
        **(record or {}),
    }
    write_json(out / "report.json", _json_value(value))
    for name, table in tables.items():
        with atomic_path(out / f"{name}.csv") as part:
            table.to_csv(part, index=False, float_format="%.6f")
    with atomic_path(out / "report.md") as part:
        part.write_text(to_markdown(report), encoding="utf-8")


def to_markdown(report: Report) -> str:
    """Return the report as a page: for each task the figures, what they do to the catalog, and paired differences."""
    lines = [f"# {report.title}", ""]
    for task, table in report.table.groupby("task", sort=False):
        lines += [
            f"## {task}",
            "",
            f"{int(table['n_users'].max())} users. Means, 95 % intervals by user bootstrap.",
            "",
        ]
        accuracy = table[~table["metric"].str.startswith("novelty")]
        lines += _table("method", accuracy, lambda row: f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
        beyond = report.catalog[report.catalog["task"] == task]
        if len(beyond):
            longest = "@" + str(max(int(metric.partition("@")[2]) for metric in beyond["metric"]))
            novelty = table[table["metric"].str.startswith("novelty")].rename(columns={"mean": "value"})
            beyond = pd.concat([beyond[beyond["metric"].str.endswith(longest)], novelty])
            lines += ["What the lists do to the catalog (novelty in bits):", ""]
            lines += _table("method", beyond, lambda row: f"{row['value']:.3f}")
        compared = report.differences[report.differences["task"] == task]
        compared = compared[~compared["metric"].str.startswith("novelty")] if len(compared) else compared
        if len(compared):
            lines += [f"{compared['method'].iloc[0]} minus each other method, the same users drawn for both:", ""]
            lines += _table("baseline", compared, _difference)
    if report.left_out:
        lines += ["## Left out", "", *(f"- {what}: {why}" for what, why in report.left_out), ""]
    lines += ["## Data and versions", ""]
    lines += [f"- {name}: {value}" for name, value in report.data.items() if name != "tasks"]
    lines += [f"- {name} {value}" for name, value in report.versions.items()]
    lines += [f"- seeds: {report.config.get('seeds')}", f"- {report.durations_s['total']:.0f} s of computing", ""]
    return "\n".join(lines)


def _table(head: str, frame: pd.DataFrame, cell: Callable[[pd.Series[Any]], str]) -> list[str]:
    metrics = list(dict.fromkeys(frame["metric"]))
    lines = [f"| {head} | " + " | ".join(metrics) + " |", "|---|" + "---|" * len(metrics)]
    for name, rows in frame.groupby(head, sort=False):
        cells = {row["metric"]: cell(row) for _, row in rows.iterrows()}
        lines.append(f"| {name} | " + " | ".join(cells.get(metric, "") for metric in metrics) + " |")
    return [*lines, ""]


def _difference(row: pd.Series[Any]) -> str:
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def describe_data(catalog: Catalog, interactions: Interactions, embeddings: Embeddings | None) -> dict[str, Any]:
    """Return a digest and the sizes of what an evaluation reads."""
    arrays = [
        np.array(interactions.users.ids, dtype=object),
        np.array(interactions.tracks.ids, dtype=object),
        interactions.user_rows,
        interactions.track_rows,
        interactions.weights,
        interactions.times.astype("datetime64[s]").astype(np.int64),
        catalog.table[["title", "artist", "album", "released"]].to_numpy(dtype=object),
    ]
    if embeddings is not None:
        arrays += [np.array(embeddings.tracks.ids, dtype=object), embeddings.vectors]
    return {
        "digest": digest_of(*arrays),
        "users": len(interactions.users),
        "tracks": len(interactions.tracks),
        "interactions": len(interactions),
        "embeddings": embeddings.version if embeddings is not None else "trained in each split",
    }


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

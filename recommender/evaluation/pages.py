"""The files of a finished cold-start experiment: report.json, a CSV a table, plots, and one page that holds it all."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from recommender.data.storage import atomic_path
from recommender.evaluation.curve_figures import against_parents, curve_points, monotone, steps
from recommender.evaluation.plots import plot_curve, plot_methods
from recommender.evaluation.report import Report, write_report
from recommender.evaluation.suite import PARENTS, SUBJECT

if TYPE_CHECKING:
    from recommender.evaluation.cold_start import ColdStartConfig, Experiment

ASKED = {
    "cold": "New tracks among themselves: every play of a share of the tracks is hidden, and only these are ranked.",
    "mixed": "New and known tracks in one list: beside the new tracks' plays, some others of each user are hidden.",
    "mixed, cold": "The new tracks' part of the mixed lists: how well they are found where known tracks compete.",
    "mixed, warm": "The known tracks' part of the mixed lists: what is paid for showing new ones.",
    "warm": "Known tracks: a share of each user's pairs is hidden.",
    "tracks": "A new track warms up: after the training, a few plays of each new track arrive. The same tracks are "
    "ranked for the same readers at every point.",
    "users": "A new user is getting known: after the training, a few plays of each new user arrive.",
}

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #0f172a; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { margin-top: 2.6rem; border-bottom: 1px solid #cbd5e1; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; } p, li { max-width: 75ch; } .quiet { color: #475569; font-size: 13px; }
img { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e2e8f0; }
th:first-child, td:first-child { text-align: left; } tr.own td { background: #fff7ed; font-weight: 600; }
td small { color: #64748b; font-weight: 400; } .gain { color: #15803d; } .loss { color: #b91c1c; }
summary { cursor: pointer; color: #475569; margin: .8rem 0; } pre { font-size: 12px; background: #f8fafc; padding: 1rem;
overflow-x: auto; }
"""


def figure_metrics(ks: tuple[int, ...]) -> tuple[str, str]:
    """Return the two metrics that plots show: recall@10 and NDCG@20, or the nearest list lengths that were read."""
    nearest = [min(ks, key=lambda k: abs(k - wanted)) for wanted in (10, 20)]
    return f"recall@{nearest[0]}", f"ndcg@{nearest[1]}"


def write_experiment(experiment: Experiment, config: ColdStartConfig, out: Path) -> None:
    """Write an experiment into the folder `out`, each file whole or not at all.

    ``report.json``; ``report.html``, which holds its pictures; ``table.csv``, ``differences.csv``, ``catalog.csv``,
    ``by_seed.csv``, ``curves.csv``, ``parents.csv`` and ``steps.csv``; ``report.md``; the plots as PNG.
    """
    report, shown = experiment.report, figure_metrics(config.ks)
    tables = {
        "curves": curve_points(report.table, experiment.curves),
        "parents": against_parents(experiment.seeds, experiment.curves, config.draws),
        "steps": steps(experiment.seeds, experiment.curves, config.draws),
    }
    write_report(report, out, tables, {"curve_points": experiment.curves, "parts": experiment.parts})
    plots = {}
    for task in (task for task in ASKED if task in set(report.table["task"])):
        plots[task] = out / ("cold_start.png" if task == "cold" else f"{task.replace(', ', '_')}.png")
        plot_methods(report, plots[task], task=task, metrics=shown)
    for curve in experiment.curves:
        plots[curve] = out / f"curve_{curve}.png"
        plot_curve(tables["curves"], plots[curve], curve=curve, metrics=shown)
    page = to_html(report, tables, plots, shown, asdict(config))
    with atomic_path(out / "report.html") as part:
        part.write_text(page, encoding="utf-8")


def to_html(
    report: Report,
    tables: dict[str, pd.DataFrame],
    plots: dict[str, Path],
    shown: tuple[str, str],
    config: dict[str, Any],
) -> str:
    """Return the experiment as a page that needs no other file and no network.

    Parameters
    ----------
    report : Report
    tables : dict of str to DataFrame
        ``curves``, ``parents`` and ``steps``, see `curve_figures`.
    plots : dict of task or curve to Path
    shown : tuple of two metrics
    config : dict
    """
    seeds = config["seeds"]
    body = [
        f"<h1>{escape(report.title)}</h1>",
        f"<p class=quiet>{report.data['users']} users, {report.data['tracks']} tracks, {report.data['interactions']} "
        f"interactions; {len(seeds)} split{'s' * (len(seeds) > 1)} of new tracks ({escape(str(config['split']))}), "
        f"{config['fraction']:.0%} cold; data {escape(report.data['digest'])}. Figures are means over users and "
        "splits, in brackets 95 % intervals by drawing users again. Candidates are ranked in full; recall "
        "divides by min(k, number of relevant tracks).</p>",
    ]
    if report.left_out:
        body += ["<h2>Left out</h2>", "<ul>"]
        body += [f"<li>{escape(what)}: {escape(why)}</li>" for what, why in report.left_out] + ["</ul>"]
    body += _summary(report, plots, shown[1])
    for task in (task for task in plots if task in set(report.table["task"])):
        body += _task_section(report, task, plots[task], shown)
    for curve in (curve for curve in plots if curve in set(tables["curves"]["curve"])):
        body += _curve_section(tables, curve, plots[curve], shown)
    body += ["<h2>The run</h2>", "<ul>"]
    body += [f"<li>{escape(name)}: {escape(str(value))}</li>" for name, value in report.data.items() if name != "tasks"]
    body += [f"<li>{escape(name)} {escape(value)}</li>" for name, value in report.versions.items()]
    body += [f"<li>seeds {escape(str(seeds))}; {report.durations_s['total']:.0f} s of computing</li>", "</ul>"]
    for title, value in (
        ("Configuration", report.config),
        ("Sizes by seed and task", report.data["tasks"]),
        ("Seconds by task and method", report.durations_s),
    ):
        text = escape(json.dumps(value, indent=1, ensure_ascii=False, default=str))
        body += [f"<details><summary>{title}</summary><pre>{text}</pre></details>"]
    head = f'<meta charset="utf-8"><title>{escape(report.title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _summary(report: Report, plots: dict[str, Path], metric: str) -> list[str]:
    """Show one metric of every method on every task that is no point of a curve."""
    table = report.table[(report.table["metric"] == metric) & report.table["task"].isin(list(plots))]
    if not len(table):
        return []
    by_task = table.assign(metric=table["task"])
    return [f"<h2>At a glance: {metric}</h2>", *_grid("method", by_task, _figure_cell)]


def _task_section(report: Report, task: str, plot: Path, shown: tuple[str, str]) -> list[str]:
    table = report.table[report.table["task"] == task]
    accuracy = table[table["metric"].str.startswith(("recall", "ndcg"))]
    lines = [f"<h2>{escape(task)}</h2>", f"<p>{escape(ASKED[task])} {int(table['n_users'].max())} users.</p>"]
    lines += [_picture(plot, f"{task}: {' and '.join(shown)} by method"), *_grid("method", accuracy, _figure_cell)]
    compared = report.differences[report.differences["task"] == task]
    if len(compared):
        compared = compared[compared["metric"].str.startswith(("recall", "ndcg"))]
        lines += [f"<h3>{SUBJECT} minus each other method, the same users drawn for both</h3>"]
        lines += _grid("baseline", compared, _difference_cell)
    beyond = report.catalog[report.catalog["task"] == task].rename(columns={"value": "mean"})
    beyond = pd.concat([beyond, table[table["metric"].str.startswith(("mrr", "novelty"))]])
    lines += ["<details><summary>What the lists do to the catalog; MRR; novelty in bits</summary>"]
    return [*lines, *_grid("method", beyond, lambda row: f"{row['mean']:.3f}"), "</details>"]


def _curve_section(tables: dict[str, pd.DataFrame], curve: str, plot: Path, shown: tuple[str, str]) -> list[str]:
    points, parents, moves = (
        table[table["curve"] == curve] for table in (tables["curves"], tables["parents"], tables["steps"])
    )
    lines = [f"<h2>First plays of new {curve}</h2>", f"<p>{escape(ASKED[curve])} "]
    lines += [f"{int(points['n_users'].max())} users.</p>", _picture(plot, f"{' and '.join(shown)} by revealed plays")]
    for metric in shown:
        of_metric = points[points["metric"] == metric].assign(metric=lambda frame: _plays(frame["plays"]))
        lines += [f"<h3>{metric}</h3>", *_grid("method", of_metric, _figure_cell)]
    if len(parents):
        lines += [f"<h3>{SUBJECT} minus the best of what it joins ({', '.join(PARENTS)}) at each point, paired</h3>"]
        own = parents[parents["metric"].isin(shown)].assign(row=lambda frame: frame["metric"])
        own = own.assign(metric=_plays(own["plays"]))
        lines += _grid("row", own, lambda row: f"{_difference_cell(row)}<br><small>{escape(row['parent'])}</small>")
    said = [
        f"<li>{escape(method)}: {escape(monotone(moves, curve, method, shown[1]))}</li>"
        for method in dict.fromkeys(moves["method"])
    ]
    lines += [f"<h3>Does every further play help? {shown[1]}, paired tests of successive points</h3>", "<ul>", *said]
    between = moves[moves["metric"] == shown[1]]
    between = between.assign(metric=between["from_plays"].astype(str) + " to " + between["to_plays"].astype(str))
    return [*lines, "</ul>", *_grid("method", between, _difference_cell)]


def _plays(plays: pd.Series[Any]) -> list[str]:
    return [f"{count} play{'' if count == 1 else 's'}" for count in plays]


def _grid(head: str, frame: pd.DataFrame, cell: Callable[[pd.Series[Any]], str]) -> list[str]:
    columns: Sequence[str] = list(dict.fromkeys(frame["metric"]))
    lines = ["<div class=wide><table>", "<tr><th></th>" + "".join(f"<th>{escape(c)}</th>" for c in columns) + "</tr>"]
    for name, rows in frame.groupby(head, sort=False):
        cells = {row["metric"]: cell(row) for _, row in rows.iterrows()}
        own = " class=own" if name == SUBJECT else ""
        values = "".join(f"<td>{cells.get(column, '')}</td>" for column in columns)
        lines.append(f"<tr{own}><td>{escape(str(name))}</td>{values}</tr>")
    return [*lines, "</table></div>"]


def _figure_cell(row: pd.Series[Any]) -> str:
    return f"{row['mean']:.3f} <small>[{row['low']:.3f}, {row['high']:.3f}]</small>"


def _difference_cell(row: pd.Series[Any]) -> str:
    kind = "gain" if row["low"] > 0 else "loss" if row["high"] < 0 else ""
    value = f"{row['difference']:+.3f}" if not kind else f"<span class={kind}>{row['difference']:+.3f}</span>"
    return f"{value} <small>[{row['low']:+.3f}, {row['high']:+.3f}]</small>"


def _picture(path: Path, words: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{data}">'

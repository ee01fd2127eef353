"""Figures that can be read without the text around them. Matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.data.storage import atomic_path
from recommender.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from recommender.evaluation.report import Report

SUBJECT_COLOUR, OTHER_COLOUR, BOUND_COLOUR = "#c2410c", "#64748b", "#cbd5e1"
SERIES_COLOURS = ("#0f766e", "#c2410c", "#64748b", "#7c3aed", "#a16207", "#be185d")
METHOD_COLOURS = ("#2563eb", "#0f766e", "#7c3aed", "#64748b", "#a16207", "#be185d", "#0891b2", "#4d7c0f")
LINE_STYLES = ("--", ":")
BOUNDS = ("random", "shuffled embeddings", "oracle popularity", "oracle")
DPI = 150


def plot_methods(
    report: Report, path: Path, *, task: str, metrics: Sequence[str], subject: str = "First Listen"
) -> None:
    """Draw one bar a method, best on top, with its 95 % interval; one panel a metric.

    Parameters
    ----------
    report : Report
    path : Path
        A .png or .svg, written whole or not at all.
    task : str
    metrics : sequence of str
    subject : str
        Drawn in a colour of its own; bounds that no method is expected to cross (random, oracles) are drawn pale.

    Raises
    ------
    DataError
        If the report has no such task or metric.
    """
    table = report.table[report.table["task"] == task]
    missing = [metric for metric in metrics if metric not in set(table["metric"])]
    if missing:
        raise DataError(
            f"the report has no {missing[0]!r} for the task {task!r}; it has {sorted(set(table['metric']))}"
        )
    figure, axes = new_figure(len(metrics), width=5.2, height=1.6 + 0.36 * table["method"].nunique(), share_y=True)
    order = table[table["metric"] == metrics[-1]].sort_values("mean")["method"].tolist()
    colours = [SUBJECT_COLOUR if m == subject else BOUND_COLOUR if m in BOUNDS else OTHER_COLOUR for m in order]
    for axis, metric in zip(axes, metrics, strict=True):
        rows = table[table["metric"] == metric].set_index("method").loc[order]
        means = rows["mean"].to_numpy()
        spread = np.abs(np.stack([means - rows["low"].to_numpy(), rows["high"].to_numpy() - means]))
        axis.barh(order, means, xerr=spread, color=colours, height=0.66, error_kw={"ecolor": "#1e293b", "capsize": 2.5})
        for position, (mean, high) in enumerate(zip(means, rows["high"].to_numpy(), strict=True)):
            axis.text(high + 0.015 * float(rows["high"].max()), position, f"{mean:.3f}", va="center", fontsize=8.5)
        axis.set_xlim(0, max(float(rows["high"].max()), 1e-3) * 1.16)
        axis.set_title(_metric_label(metric), fontsize=11, loc="left")
        axis.tick_params(axis="y", length=0)
        axis.xaxis.grid(visible=True, color="#e2e8f0", linewidth=0.8)
        axis.set_axisbelow(True)
    seeds = len(report.by_seed["seed"].unique())
    n_users = int(table["n_users"].max())
    figure.suptitle(
        f"{report.title}: {task} ({n_users} users, {seeds} {'split' if seeds == 1 else 'splits'})", fontsize=12
    )
    figure.text(0.99, 0.01, "95 % intervals by user bootstrap", ha="right", fontsize=8, color="#475569")
    save_figure(figure, path)


def plot_curve(
    points: pd.DataFrame, path: Path, *, curve: str, metrics: Sequence[str], subject: str = "First Listen"
) -> None:
    """Draw how methods grow with the revealed plays, with 95 % bands; one panel a metric.

    Parameters
    ----------
    points : DataFrame
        As `curve_figures.curve_points` gives them.
    path : Path
        A .png or .svg, written whole or not at all.
    curve : {"tracks", "users"}
    metrics : sequence of str
    subject : str
        Drawn in a colour of its own, on top.

    Raises
    ------
    DataError
        If there is no such curve or metric.
    """
    mine = points[(points["curve"] == curve) & points["metric"].isin(metrics)]
    if set(mine["metric"]) != set(metrics):
        raise DataError(f"there are no points of {', '.join(metrics)} on the curve {curve!r}")
    figure, axes = new_figure(len(metrics), width=5.2, height=4.4, share_y=False)
    methods = list(dict.fromkeys(mine["method"]))
    others = [method for method in methods if method != subject]
    plays = sorted(set(mine["plays"]))
    for axis, metric in zip(axes, metrics, strict=True):
        for method in [*others, *(m for m in methods if m == subject)]:
            rows = mine[(mine["metric"] == metric) & (mine["method"] == method)].sort_values("plays")
            number = 0 if method == subject else others.index(method)
            colour = SUBJECT_COLOUR if method == subject else METHOD_COLOURS[number % len(METHOD_COLOURS)]
            at = [plays.index(count) for count in rows["plays"]]
            style = "-" if method == subject else LINE_STYLES[number // len(METHOD_COLOURS) % len(LINE_STYLES)]
            width = 2.6 if method == subject else 1.5
            axis.plot(at, rows["mean"], style, color=colour, linewidth=width, marker="o", markersize=3.5, label=method)
            axis.fill_between(at, rows["low"], rows["high"], color=colour, alpha=0.13, linewidth=0)
        axis.set_xticks(range(len(plays)), [str(count) for count in plays])
        axis.set_xlabel(f"revealed plays of each new {curve.removesuffix('s')}")
        axis.set_ylim(bottom=0)
        axis.set_title(_metric_label(metric), fontsize=11, loc="left")
        axis.grid(visible=True, color="#e2e8f0", linewidth=0.8)
    handles, labels = axes[-1].get_legend_handles_labels()
    last = mine[(mine["metric"] == metrics[-1]) & (mine["plays"] == plays[-1])].set_index("method")["mean"]
    order = sorted(range(len(labels)), key=lambda n: -float(last.get(labels[n], 0.0)))
    figure.legend(
        [handles[n] for n in order], [labels[n] for n in order], loc="outside right upper", frameon=False, fontsize=9
    )
    figure.suptitle(f"First plays of new {curve} ({int(mine['n_users'].max())} users)", fontsize=12)
    figure.text(0.99, 0.01, "bands: 95 % intervals by user bootstrap", ha="right", fontsize=8, color="#475569")
    save_figure(figure, path)


def training_curves(
    history: Sequence[dict[str, Any]], path: Path, *, best_epoch: int | None = None, stopped_because: str = ""
) -> None:
    """Draw how a training went: one panel for each quantity that was logged by epoch.

    Parameters
    ----------
    history : sequence of dict, one an epoch
        Numbers by name. ``epoch`` gives the horizontal axis where present. Names that differ only in a leading
        ``train_``, ``validation_``, ``valid_`` or ``val_`` share a panel. Other values are left out. ``gap`` is by how
        much the validation loss is above that of tracks that trained, measured alike: it is shaded in the loss's panel.
    path : Path
        A .png or .svg, written whole or not at all.
    best_epoch : int, optional
        Marked in every panel.
    stopped_because : str
        Written above.

    Raises
    ------
    DataError
        If the history is empty or holds no numbers.
    """
    panels: dict[str, list[tuple[str, str]]] = {}
    for name in dict.fromkeys(key for epoch in history for key in epoch):
        if name not in ("epoch", "gap") and any(_is_number(epoch.get(name)) for epoch in history):
            quantity, side = _quantity(name)
            panels.setdefault(quantity, []).append((side, name))
    if not panels:
        raise DataError("the training history holds no numbers to draw; train at least one epoch")
    figure, axes = new_figure(len(panels), width=4.6, height=3.4, share_y=False)
    for axis, (quantity, series) in zip(axes, panels.items(), strict=True):
        for number, (side, name) in enumerate(series):
            colour = SERIES_COLOURS[1 if side == "validation" else number % len(SERIES_COLOURS)]
            axis.plot(*_logged(history, name), label=side, color=colour, linewidth=1.8, marker="o", markersize=3)
        if quantity == "loss":
            _shade_gap(axis, history)
        if best_epoch is not None:
            axis.axvline(best_epoch, color=OTHER_COLOUR, linestyle=":", linewidth=1.4, label=f"best, {best_epoch}")
        axis.set_title(quantity, fontsize=11, loc="left")
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(visible=True, color="#e2e8f0", linewidth=0.8)
        if len(series) > 1 or series[0][0] or best_epoch is not None:
            axis.legend(frameon=False, fontsize=8)
    if stopped_because:
        figure.suptitle(f"Stopped after epoch {len(history)}: {stopped_because}", fontsize=10)
    save_figure(figure, path)


def _logged(history: Sequence[dict[str, Any]], name: str) -> tuple[list[float], list[float]]:
    points = [
        (epoch.get("epoch", at + 1), epoch[name]) for at, epoch in enumerate(history) if _is_number(epoch.get(name))
    ]
    return [epoch for epoch, _ in points], [value for _, value in points]


def _shade_gap(axis: Any, history: Sequence[dict[str, Any]]) -> None:
    """Shade between the validation loss and the loss of as many training tracks, measured alike."""
    known = [epoch for epoch in history if _is_number(epoch.get("gap")) and _is_number(epoch.get("val_loss"))]
    if not known:
        return
    epochs, above = _logged(known, "val_loss")
    below = [loss - gap for loss, (_, gap) in zip(above, zip(*_logged(known, "gap"), strict=True), strict=True)]
    axis.plot(epochs, below, color=OTHER_COLOUR, linewidth=1.2, linestyle="--", label="train, measured alike")
    axis.fill_between(
        epochs,
        below,
        above,
        color=SUBJECT_COLOUR,
        alpha=0.12,
        linewidth=0,
        label=f"gap, {known[-1]['gap']:.2f} at last",
    )


def _quantity(name: str) -> tuple[str, str]:
    for prefix, side in (
        ("train_", "train"),
        ("validation_", "validation"),
        ("valid_", "validation"),
        ("val_", "validation"),
    ):
        if name.startswith(prefix) and len(name) > len(prefix):
            return name[len(prefix) :].replace("_", " "), side
    return name.replace("_", " "), ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _metric_label(metric: str) -> str:
    name, _, k = metric.partition("@")
    return f"{ {'ndcg': 'NDCG', 'mrr': 'MRR'}.get(name, name.capitalize()) }@{k}"


def new_figure(panels: int, *, width: float, height: float, share_y: bool) -> tuple[Any, Any]:
    """Return a figure and its first `panels` axes, up to three in a row; `width` and `height` are a panel's inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(
        figsize=(1.0 + width * columns, height * rows), layout=ConstrainedLayoutEngine(rect=(0, 0.03, 1, 0.97))
    )
    axes = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    for unused in axes.ravel()[panels:]:
        unused.set_visible(False)
    return figure, axes.ravel()[:panels]


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure, whole or not at all."""
    with atomic_path(path) as part:
        figure.savefig(part, dpi=DPI)

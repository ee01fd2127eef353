"""Pictures of what checks measured: a preflight's one page, an audit's tell-tales."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.data.checks import SILENT
from recommender.evaluation.plots import OTHER_COLOUR, SERIES_COLOURS, SUBJECT_COLOUR, new_figure, save_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recommender.data.checks import Check
    from recommender.evaluation.association import Separation
    from recommender.evaluation.audit_hearing import Heard
    from recommender.evaluation.audit_retrieval import Retrieval
    from recommender.models.cnn_config import TrainCnnConfig
    from recommender.models.preflight import NetworkReport

GRID_COLOUR, LIMIT_COLOUR = "#e2e8f0", "#94a3b8"


def plot_preflight(report: NetworkReport, config: TrainCnnConfig, checks: Sequence[Check], path: Path) -> None:
    """Draw the overfitted batch, the sweep of the learning rate, gradients and updates by layer, and activations.

    Parameters
    ----------
    report : NetworkReport
    config : TrainCnnConfig
    checks : sequence of Check
        Those that are not in order are named above the picture.
    path : Path
        A .png or .svg, written whole or not at all.
    """
    figure, axes = new_figure(6, width=5.0, height=3.7, share_y=False)
    _draw_overfit(axes[0], report)
    _draw_sweep(axes[1], report, config)
    _draw_layers(axes[2], report.overfit.gradients, report.overfit.layers, "gradient / weights, by layer")
    _draw_layers(axes[3], report.overfit.updates, report.overfit.layers, "change in a step / weights, by layer")
    _draw_activations(axes[4], report)
    _draw_alikeness(axes[5], report)
    bad = [f"{check.name}: {check.verdict}" for check in checks if check.verdict not in SILENT]
    figure.suptitle("Preflight: " + ("; ".join(bad[:4]) if bad else "all in order"), fontsize=12)
    save_figure(figure, path)


def plot_audit(
    separations: Sequence[Separation], heard: Mapping[str, Heard], retrieval: Retrieval | None, path: Path
) -> None:
    """Draw which tell-tales separate which tracks, what the network hears of changes, and what finds new tracks.

    Parameters
    ----------
    separations : sequence of Separation
    heard : mapping of version to Heard
    retrieval : Retrieval or None
    path : Path
        A .png or .svg, written whole or not at all.
    """
    figure, axes = new_figure(2 if retrieval is None else 3, width=5.4, height=5.2, share_y=False)
    best = [[one for one in separations if one.label == label][:3] for label in _labels(separations)]
    rows = [one for each in best for one in each]
    colours = [SUBJECT_COLOUR if one.is_found else LIMIT_COLOUR for one in rows]
    places = np.arange(len(rows))
    axes[0].barh(places, [abs(one.auc - 0.5) + 0.5 for one in rows], color=colours, height=0.66)
    axes[0].set_yticks(places, [f"{one.label.rstrip('*')}:\n{one.feature}" for one in rows], fontsize=7.5)
    axes[0].set_xlim(0.5, 1)
    axes[0].invert_yaxis()
    axes[0].set_xlabel("AUC, either way; coloured: found")
    _finish(axes[0], "tell-tales in the files")

    names = list(heard)
    places = np.arange(len(names))
    aucs = np.array([heard[name].auc for name in names])
    spread = np.abs([[one.auc - one.low, one.high - one.auc] for one in heard.values()]).T.reshape(2, -1)
    axes[1].barh(places - 0.2, aucs, 0.36, xerr=spread, color=SUBJECT_COLOUR, label="told by a probe (AUC)")
    axes[1].barh(places + 0.2, [heard[n].stay for n in names], 0.36, color=SERIES_COLOURS[0], label="nearest that stay")
    axes[1].set_yticks(places, names)
    axes[1].invert_yaxis()
    axes[1].axvline(0.5, color=LIMIT_COLOUR, linestyle="--")
    axes[1].set_xlim(0, 1.02)
    axes[1].legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.06), ncols=2)
    _finish(axes[1], "what the network hears of a change")

    if retrieval is not None:
        names = list(retrieval.worth)
        means = [retrieval.worth[name].mean for name in names]
        ends = [(one.mean - one.low, one.high - one.mean) for one in retrieval.worth.values()]
        axes[2].barh(names, means, xerr=np.array(ends).T, color=OTHER_COLOUR, height=0.6, error_kw={"capsize": 2.5})
        axes[2].invert_yaxis()
        axes[2].set_xlabel("NDCG@10, 95 % intervals over users")
        _finish(axes[2], "what finds new tracks")
    save_figure(figure, path)


def _labels(separations: Sequence[Separation]) -> list[str]:
    return list(dict.fromkeys(one.label for one in separations))


def _draw_overfit(axis: Any, report: NetworkReport) -> None:
    overfit = report.overfit
    steps = np.arange(1, len(overfit.contrast) + 1)
    axis.plot(steps, overfit.contrast, color=SUBJECT_COLOUR, linewidth=1.8, label="siblings (contrastive)")
    if np.isfinite(overfit.align).any():
        axis.plot(steps, overfit.align, color=SERIES_COLOURS[0], linewidth=1.8, label="taste (alignment)")
    axis.axhline(overfit.chance, color=LIMIT_COLOUR, linestyle="--", label=f"guessing siblings, {overfit.chance:.2f}")
    axis.plot(steps[-1:], [overfit.without_input], "x", color=OTHER_COLOUR, markersize=9, label="without input")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("step")
    axis.legend(frameon=False, fontsize=8)
    _finish(axis, "loss on one batch, learnt by heart")


def _draw_sweep(axis: Any, report: NetworkReport, config: TrainCnnConfig) -> None:
    sweep = report.sweep
    axis.plot(sweep.rates, sweep.losses, color="#cbd5e1", linewidth=1)
    axis.plot(sweep.rates, sweep.smoothed, color=SUBJECT_COLOUR, linewidth=1.8)
    axis.axvline(config.learning_rate, color=OTHER_COLOUR, linestyle=":", label=f"set: {config.learning_rate:g}")
    if np.isfinite(sweep.recommended):
        recommended = f"recommended: {sweep.recommended:.1e}"
        axis.axvline(sweep.recommended, color=SERIES_COLOURS[0], linestyle="--", label=recommended)
    if np.isfinite(sweep.too_high):
        axis.axvspan(sweep.too_high, sweep.rates[-1], color="#fee2e2", label="too high")
    axis.set_xscale("log")
    axis.set_xlabel("learning rate")
    axis.legend(frameon=False, fontsize=8, loc="lower left")
    _finish(axis, "loss while the learning rate rises")


def _draw_layers(axis: Any, values: Any, layers: tuple[str, ...], title: str) -> None:
    for number, name in enumerate(layers):
        series = np.maximum(values[:, number], 1e-12)
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        style = "-" if number < len(SERIES_COLOURS) else ":"
        label = name.removeprefix("hearing.").removesuffix(".weight")
        axis.plot(np.arange(1, len(series) + 1), series, style, color=colour, linewidth=1.4, label=label)
    if layers and len(values):
        axis.set_yscale("log")
        axis.legend(frameon=False, fontsize=7, ncols=2 if len(layers) > 6 else 1)
    axis.set_xlabel("step")
    _finish(axis, title)


def _draw_activations(axis: Any, report: NetworkReport) -> None:
    overfit = report.overfit
    names = list(overfit.active)
    places = np.arange(len(names))
    axis.barh(places - 0.2, [overfit.active[name] for name in names], 0.36, color=SERIES_COLOURS[0], label="above 0")
    axis.barh(places + 0.2, [overfit.dead[name] for name in names], 0.36, color=SUBJECT_COLOUR, label="dead units")
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_xlabel("share")
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    _finish(axis, "activations, by layer")


def _draw_alikeness(axis: Any, report: NetworkReport) -> None:
    both = [("siblings (MRR)", report.siblings), ("tracks that sound alike,\nby their plays (cosine)", report.plays)]
    shown = [(name, alike) for name, alike in both if alike is not None]
    places = np.arange(len(shown))
    axis.bar(places - 0.2, [alike.value for _, alike in shown], 0.36, color=SUBJECT_COLOUR, label="as labelled")
    axis.bar(
        places + 0.2,
        [alike.chance for _, alike in shown],
        0.36,
        yerr=[3 * alike.spread for _, alike in shown],
        color="#cbd5e1",
        ecolor=OTHER_COLOUR,
        label="shuffled (3 deviations)",
    )
    axis.set_xticks(places, [name for name, _ in shown])
    axis.legend(frameon=False, fontsize=8)
    _finish(axis, "do the labels belong to the sounds?")


def _finish(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=11, loc="left")
    axis.grid(visible=True, color=GRID_COLOUR, linewidth=0.8)
    axis.set_axisbelow(True)

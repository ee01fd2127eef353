"""What the curves say: whether First Listen beats what it joins at every point, and whether each play is a gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from recommender.evaluation import bootstrap
from recommender.evaluation.curves import point_name
from recommender.evaluation.figures import SeedFigures
from recommender.evaluation.suite import PARENTS, SUBJECT

POINT_COLUMNS = ["curve", "plays", "method", "metric", "mean", "low", "high", "n_users"]
PARENT_COLUMNS = ["curve", "plays", "metric", "method", "parent", "difference", "low", "high", "n_users"]
STEP_COLUMNS = ["curve", "method", "metric", "from_plays", "to_plays", "difference", "low", "high", "verdict"]


def curve_points(table: pd.DataFrame, curves: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """Pick the points of curves out of a report's table.

    Returns
    -------
    DataFrame
        Columns `POINT_COLUMNS`, one row a point, method and metric.
    """
    picked = [
        table[table["task"] == point_name(curve, plays)].assign(curve=curve, plays=plays)
        for curve, points in curves.items()
        for plays in points
    ]
    return pd.concat(picked, ignore_index=True)[POINT_COLUMNS] if picked else pd.DataFrame(columns=POINT_COLUMNS)


def against_parents(
    seeds: Sequence[SeedFigures], curves: Mapping[str, Sequence[int]], draws: int = bootstrap.DRAWS
) -> pd.DataFrame:
    """Compare First Listen with the best of its parents at each point, the same users drawn for both.

    Returns
    -------
    DataFrame
        Columns `PARENT_COLUMNS`. The best parent is the one with the highest mean at that point; that it is chosen
        with hindsight speaks against First Listen, never for it.
    """
    rows = []
    for curve, points in curves.items():
        for plays in points:
            frames = _frames(seeds, point_name(curve, plays))
            parents = {name: frames[name] for name in PARENTS if name in frames}
            if SUBJECT not in frames or not parents:
                continue
            compared = bootstrap.compare(parents | {SUBJECT: frames[SUBJECT]}, SUBJECT, draws=draws)
            compared = compared[~compared["metric"].str.startswith("novelty")]
            worst = compared.loc[compared.groupby("metric", sort=False)["difference"].idxmin()]
            rows.append(worst.rename(columns={"baseline": "parent"}).assign(curve=curve, plays=plays))
    return pd.concat(rows, ignore_index=True)[PARENT_COLUMNS] if rows else pd.DataFrame(columns=PARENT_COLUMNS)


def steps(
    seeds: Sequence[SeedFigures], curves: Mapping[str, Sequence[int]], draws: int = bootstrap.DRAWS
) -> pd.DataFrame:
    """Test each method between successive points, the same users drawn for both.

    Returns
    -------
    DataFrame
        Columns `STEP_COLUMNS`; the verdict is ``"gain"`` or ``"loss"`` where the 95 % interval of the difference leaves
        out zero, else ``"no difference shown"``.
    """
    rows: list[tuple[object, ...]] = []
    for curve, points in curves.items():
        for before, after in pairwise(points):
            first, second = _frames(seeds, point_name(curve, before)), _frames(seeds, point_name(curve, after))
            for method in (name for name in first if name in second):
                compared = bootstrap.compare({"before": first[method], "after": second[method]}, "after", draws=draws)
                for row in compared.itertuples(index=False):
                    if not str(row.metric).startswith("novelty"):
                        verdict = _verdict(float(row.low), float(row.high))  # type: ignore[arg-type]
                        rows.append(
                            (curve, method, row.metric, before, after, row.difference, row.low, row.high, verdict)
                        )
    return pd.DataFrame(rows, columns=STEP_COLUMNS)


def monotone(table: pd.DataFrame, curve: str, method: str, metric: str) -> str:
    """Say in a phrase whether a method's curve is monotone, from the table of `steps`."""
    mine = table[(table["curve"] == curve) & (table["method"] == method) & (table["metric"] == metric)]
    losses = [f"{row.from_plays} to {row.to_plays}" for row in mine.itertuples() if row.verdict == "loss"]
    if losses:
        return f"not monotone, it loses from {', '.join(losses)} plays"
    gains = int((mine["verdict"] == "gain").sum())
    falls = int((mine["difference"] < 0).sum())
    return f"no loss shown; {gains} of {len(mine)} steps are gains" + (f", {falls} fall within chance" if falls else "")


def _verdict(low: float, high: float) -> str:
    if not np.isfinite([low, high]).all():
        return "not measured"
    return "gain" if low > 0 else "loss" if high < 0 else "no difference shown"


def _frames(seeds: Sequence[SeedFigures], task: str) -> dict[str, list[pd.DataFrame]]:
    read = [one for one in seeds if task in one.per_user]
    return {name: [one.per_user[task][name] for one in read] for name in (read[0].per_user[task] if read else ())}

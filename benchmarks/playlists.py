"""What the order of playlists is worth, and what paths between tracks are like.

Run from the repository, with a workspace of real music that has been trained::

    firstlisten ingest W --music ../shared/music && firstlisten train W
    python benchmarks/playlists.py W

Order: lists of 50 tracks drawn from the library, each put in order by the present transitions, by greedy nearest
neighbour, by the order of before (sound vectors of whole tracks alone) and by 100 shuffles. *cost* is the mean
transition in standard deviations from an ordinary pair; then the mean jump in tempo (share of a beat, after halving or
doubling), key (Camelot steps), loudness (LU) and sound (one minus cosine, end to start); *beats* is the share of
shuffles with a higher cost; *arc* is the correlation of energy with the arc by rank. Ends with 1 if an order is not
better than 95 % of its shuffles and than greedy, or takes more than 50 ms.

Path: ten tracks from one to another, all pairs of a part of the library: the longest and the mean step (one minus the
cosine: half the square of the chord), and how often an artist came again, against random tracks in between and against
the nearest tracks to the straight line.

With ``--weekly`` FOLDER takes the place of W, and the weekly batch is measured: see ``benchmarks/weekly.py``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures
from recommender.playlists.energy import arc_heights, energies, placing
from recommender.playlists.flow import TERMS, fit_scale, flow_of, jumps, terms, transitions
from recommender.playlists.moves import OrderCosts, cost_of
from recommender.playlists.order import greedy, order_tracks
from recommender.playlists.path import find_path
from recommender.ranking.model import HybridModel
from recommender.serving.bundle import current_bundle, load_bundle

LENGTH, LISTS, SHUFFLES, SPACING = 50, 20, 100, 2
STEPS, ENDS = 10, 40
MAX_MS = 50.0
Floats = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]


def clock_ms(started: float) -> float:
    """Return milliseconds of CPU time since `started`."""
    return 1000 * (time.process_time() - started)


def figures(order: Order, found: Floats, step: Floats, same: Floats, energy: Floats, arc: str) -> list[float]:
    """Return mean cost, mean jump of each term, too-close pairs, and the arc's rank correlation."""
    pairs = found[:, order[:-1], order[1:]]
    heights = arc_heights(arc, len(order)) if arc != "none" else np.arange(len(order))
    known = np.isfinite(energy[order])
    close = sum(int(same[order[:-apart], order[apart:]].sum()) for apart in range(1, SPACING + 1))
    ranks = [np.argsort(np.argsort(each[known])) for each in (energy[order], heights)]
    return [
        float(step[order[:-1], order[1:]].mean()),
        *np.nanmean(pairs, axis=1),
        close,
        float(np.corrcoef(*ranks)[0, 1]),
    ]


def order_lists(model: HybridModel, signatures: Signatures, arc: str) -> bool:
    """Print what orders are like; tell whether they are as good as they have to be."""
    rng = np.random.default_rng(0)
    usable = np.flatnonzero(model.has_vector & signatures.known)
    started = time.process_time()
    scale = fit_scale(model.sound, signatures, len(model.catalog))
    print(
        f"\narc {arc}; {len(usable)} tracks; scale in {clock_ms(started):.1f} ms; pairs of the library, mean, and the deviation of"
    )
    print(
        "what each adds: "
        + ", ".join(f"{name} {scale.means[k]:.3f} ± {scale.deviations[k]:.3f}" for k, name in enumerate(TERMS))
    )
    rows: dict[str, list[list[float]]] = {}
    times, beaten, won = [], [], []
    for _ in range(LISTS):
        tracks = np.sort(rng.choice(usable, min(LENGTH, len(usable)), replace=False))
        codes = model.artist_codes[tracks]
        started = time.process_time()
        flow = flow_of(model.sound, signatures, tracks)
        step = transitions(flow, scale)
        energy = energies(signatures, tracks)
        places = placing(energy, arc)
        present = order_tracks(step, codes, SPACING, 0, places)
        times.append(clock_ms(started))
        same = (codes[:, None] == codes).astype(float) - np.eye(len(codes))
        costs = OrderCosts(step, same, SPACING, places)
        found, parts = jumps(flow), terms(flow, scale)
        vectors = model.sound_vectors[tracks].astype(float)
        shuffles = [np.r_[0, 1 + rng.permutation(len(tracks) - 1)] for _ in range(SHUFFLES)]
        orders = {
            "order": present,
            "no arc": order_tracks(step, codes, SPACING, 0),
            "greedy": greedy(costs, 0),
            "as before": order_tracks(1 - vectors @ vectors.T, codes, SPACING, 0),
        }
        for name, order in orders.items():
            rows.setdefault(name, []).append([*figures(order, found, step, same, energy, arc), cost_of(order, costs)])
        rows.setdefault("shuffle", []).append(
            np.mean(
                [[*figures(o, found, step, same, energy, arc), cost_of(o, costs)] for o in shuffles], axis=0
            ).tolist()
        )
        won.append(
            np.mean([parts[:, o[:-1], o[1:]].mean(axis=1) for o in shuffles], axis=0)
            - parts[:, present[:-1], present[1:]].mean(axis=1)
        )
        beaten.append(np.mean([cost_of(o, costs) > cost_of(present, costs) for o in shuffles]))
    print(f"{'':10s}{'cost':>8s}{'sound':>8s}{'tempo':>8s}{'key':>8s}{'LU':>8s}{'close':>8s}{'arc':>8s}{'total':>9s}")
    means = {name: np.mean(values, axis=0) for name, values in rows.items()}
    for name, values in means.items():
        print(f"{name:10s}" + "".join(f"{value:8.3f}" for value in values[:-1]) + f"{values[-1]:9.1f}")
    print(
        "won over shuffles, in deviations: "
        + ", ".join(f"{name} {np.mean(won, axis=0)[k]:.2f}" for k, name in enumerate(TERMS))
    )
    print(f"beats {100 * np.mean(beaten):.1f} % of shuffles (worst list {100 * np.min(beaten):.0f} %); ", end="")
    print(f"{np.median(times):.1f} ms a list, worst {np.max(times):.1f}")
    return bool(np.min(beaten) >= 0.95 and means["order"][-1] < means["greedy"][-1] and np.median(times) < MAX_MS)


def straight_line(model: HybridModel, rows: Order, start: int, end: int) -> Order:
    """Return the ends and, in between, the nearest unused tracks to points at even angles on the arc between them."""
    one, other = model.sound_vectors[[start, end]].astype(float)
    angle = np.arccos(np.clip(one @ other, -1, 1))
    walk = [start]
    for share in np.linspace(0, 1, STEPS)[1:-1]:
        point = np.sin((1 - share) * angle) * one + np.sin(share * angle) * other
        near = model.sound_vectors[rows] @ point
        near[np.isin(rows, [*walk, end])] = -np.inf
        walk.append(int(rows[near.argmax()]))
    return np.array([*walk, end])


def paths(model: HybridModel) -> bool:
    """Print what paths are like; tell whether there is one for every pair, and whether they are the best of the three."""
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(model.has_vector)
    pairs = list(itertools.permutations(rng.choice(rows, min(ENDS, len(rows)), replace=False).tolist(), 2))
    values: dict[str, list[list[float]]] = {"path": [], "straight": [], "random": []}
    bridged, times = 0, []
    for start, end in pairs:
        started = time.process_time()
        found = find_path(model, start, end, STEPS)
        times.append(clock_ms(started))
        bridged += bool(found.bridges)
        between = rng.choice(rows[(rows != start) & (rows != end)], STEPS - 2, replace=False)
        walks = {
            "path": np.array(found.rows),
            "straight": straight_line(model, rows, start, end),
            "random": np.r_[start, between, end],
        }
        for name, walk in walks.items():
            vectors = model.sound_vectors[walk].astype(float)
            steps = 1 - (vectors[:-1] * vectors[1:]).sum(axis=1)
            repeats = STEPS - len(np.unique(model.artist_codes[walk]))
            values[name].append([steps.max(), steps.mean(), repeats, len(np.unique(walk))])
    print(
        f"\npaths of {STEPS} tracks between all {len(pairs)} pairs of {ENDS} tracks of {len(rows)}; {bridged} with a bridge; ",
        end="",
    )
    print(f"{np.median(times):.1f} ms each\n{'':10s}{'longest':>9s}{'mean':>9s}{'repeats':>9s}{'tracks':>9s}")
    for name, each in values.items():
        print(f"{name:10s}" + "".join(f"{value:9.3f}" for value in np.mean(each, axis=0)))
    means = {name: np.mean(each, axis=0) for name, each in values.items()}
    return all(means["path"][0] < means[name][0] for name in ("straight", "random"))


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--weekly", action="store_true", help="measure the weekly batch in a generated workspace")
    parser.add_argument("--kinds", default="discovery,familiar,new")
    parser.add_argument("--formats", default="m3u8")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.weekly:
        from weekly import weekly

        return 0 if weekly(chosen.workspace, chosen.kinds, chosen.formats, chosen.workers) else 1
    bundle = load_bundle(current_bundle(chosen.workspace / "bundles"))
    assert bundle.signatures is not None
    good = [order_lists(bundle.model, bundle.signatures, arc) for arc in ("none", "peak", "rising", "falling", "flat")]
    good.append(paths(bundle.model))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

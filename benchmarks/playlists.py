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

Path: all pairs of a part of the library, in ten steps: the longest and the root mean square step, against random
tracks in between and against the nearest tracks to the straight line.
"""

from __future__ import annotations

import argparse
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
from recommender.ranking.model import HybridModel
from recommender.serving.bundle import current_bundle, load_bundle

LENGTH, LISTS, SHUFFLES, SPACING = 50, 20, 100, 2
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


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    bundle = load_bundle(current_bundle(parser.parse_args().workspace / "bundles"))
    assert bundle.signatures is not None
    good = [order_lists(bundle.model, bundle.signatures, arc) for arc in ("none", "peak", "rising", "falling", "flat")]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

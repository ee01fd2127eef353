"""How long a playlist from rules takes in a large library, and that its hard rules hold.

Run from the repository::

    python benchmarks/builder.py --tracks 100000

A generated model with drawn signatures, years and genres; 50 tracks for one listener: without rules, under six hard
rules with an energy arc, under soft rules that all have to give way, and for a party of five. Ends with 1 if the median
of CPU time is over 100 ms, or a list is short or breaks a hard rule.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
from big_bundle import Size, draw_model

from recommender.audio.signatures import NUMBERS, Signatures
from recommender.playlists.builder import Rules, Seeds, Span, build_playlist
from recommender.playlists.rules import RELAX_ORDER
from recommender.ranking.model import HybridModel

LENGTH, TIMES, MAX_MS = 50, 15, 100.0
SIX: dict[str, Any] = {
    "tempo": Span(100, 130),
    "energy": Span(0.3, 0.9),
    "key": ("8A",),
    "year": Span(1990, 2010),
    "genre": ("rock",),
    "unheard": True,
    "arc": "peak",
}
TIGHT: dict[str, Any] = SIX | {"tempo": Span(100, 101), "year": Span(1990, 1991), "soft": frozenset(RELAX_ORDER)}
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "no rules": (1, {}),
    "six hard rules": (1, SIX),
    "all soft": (1, TIGHT),
    "party of five": (5, {"unheard": True}),
}


def draw_library(size: Size, seed: int) -> tuple[HybridModel, Signatures]:
    """Draw a model and what its rules go by."""
    model, rng, n = draw_model(size, seed), np.random.default_rng(seed), size.tracks
    numbers = np.abs(rng.normal(1, 0.2, (n, len(NUMBERS)))).astype(np.float32)
    numbers[:, NUMBERS.index("tempo_bpm")] = rng.uniform(60, 180, n)
    numbers[:, NUMBERS.index("loudness_lufs")] = rng.uniform(-30, -5, n)
    model.catalog.table["genre"] = np.array(["Rock", "Jazz; Dub", "Techno", ""], dtype=object)[rng.integers(0, 4, n)]
    model.catalog.table["released"] = rng.integers(1960, 2024, n).astype(str)
    return model, Signatures(numbers, rng.integers(0, 12, n).astype(np.int8), rng.integers(0, 2, n).astype(np.int8))


def main() -> int:
    """Time the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=2_000)
    asked = parser.parse_args()
    model, signatures = draw_library(Size(tracks=asked.tracks, users=asked.users), 0)
    rng, failed = np.random.default_rng(1), False
    for name, (guests, options) in CASES.items():
        rules, spent = Rules(length=LENGTH, **options), []
        for seed in range(TIMES + 1):
            users = rng.integers(0, len(model.users), guests)
            seeds = Seeds(plays=model.plays[users], heard=model.heard[users], users=tuple(map(str, users)))
            started = time.process_time()
            made = build_playlist(
                model,
                seeds,
                rules,
                name=name,
                made_at=datetime.now(UTC),
                bundle_version="",
                seed=seed,
                signatures=signatures,
            )
            spent.append(1000 * (time.process_time() - started))
            rows = model.catalog.tracks.rows(made.track_ids, unknown="raise")
            tempo = signatures.column("tempo_bpm")[rows]
            broken = (
                rules.tempo is not None and "tempo" not in rules.soft and not ((tempo >= 100) & (tempo <= 130)).all()
            )
            broken |= "unheard" not in rules.soft and rules.unheard and bool(seeds.heard[:, rows].nnz)  # type: ignore[index]
            failed |= broken or len(rows) != LENGTH
        median = float(np.median(spent[1:]))
        failed |= median > MAX_MS
        print(f"{name:16} {median:6.1f} ms (first {spent[0]:.0f}), {len(rows)} tracks, gave way: {len(made.relaxed)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

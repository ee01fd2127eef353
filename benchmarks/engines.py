"""Which engine narrows a large catalog down: recall of the best 200 by inner product, time and memory of each.

Run from the repository, after ``pip install faiss-cpu usearch voyager`` (an engine that is not there is left out)::

    python benchmarks/engines.py FOLDER [--users 60]

Tracks and users are those of the bundle that ``benchmarks/serving.py`` makes in FOLDER, users' vectors and tracks' as the
score has them. Every engine gets one thread, returns 400 tracks, and is judged by how many of the exact best 200 are
among them. "Projected" vectors are those of `recommender.ranking.retrieval`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

for name in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import numpy as np
from big_bundle import Size, ensure_bundle

from recommender.ranking.retrieval import best_of
from recommender.ranking.scoring import track_vectors, user_vectors
from recommender.ranking.taste import tastes_of
from recommender.serving.bundle import current_bundle, load_bundle

BEST, TAKEN = 200, 400
Find = Callable[[np.ndarray], np.ndarray]
Engine = tuple[str, float, Find]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=60)
    chosen = parser.parse_args()
    model = load_bundle(current_bundle(ensure_bundle(chosen.folder, Size()))).model
    rows = np.random.default_rng(5).choice(len(model.users), chosen.users, replace=False)
    users = user_vectors(tastes_of(model, model.plays[rows]), model.standards, model.blend).vectors
    tracks = track_vectors(model)
    exact = [set(np.argpartition(-(tracks @ user), BEST)[:BEST].tolist()) for user in users]
    index = model.retrieval
    assert index is not None
    short = np.ascontiguousarray(index.codes.T, dtype=np.float32)
    queries = users @ index.projection
    print(f"{len(tracks)} tracks, {tracks.shape[1]} values, {short.shape[1]} projected")
    print(f"{'engine':34}{'recall@200':>11}{'p50 ms':>9}{'MB':>7}{'build s':>9}")
    for engines, asked in (
        (plain(tracks, "all values"), users),
        (plain(short, "projected"), queries),
        (others(short), queries),
    ):
        for label, megabytes, find, built in timed(engines):
            report(label, megabytes, built, find, asked, exact)
    report(
        "onnxruntime 8-bit, projected (ours)",
        index.codes.nbytes / 1e6,
        0.0,
        lambda u: best_of(index.scores(u), TAKEN),
        users,
        exact,
    )
    return 0


def timed(engines: Iterator[Engine]) -> Iterator[tuple[str, float, Find, float]]:
    """Tell how long each engine took to be built."""
    while True:
        at = time.perf_counter()
        try:
            label, megabytes, find = next(engines)
        except StopIteration:
            return
        yield label, megabytes, find, time.perf_counter() - at


def report(label: str, megabytes: float, built: float, find: Find, asked: np.ndarray, exact: list[set[int]]) -> None:
    """Print the line of one engine."""
    taken, shares = [], []
    for query, best in zip(asked, exact, strict=True):
        at = time.perf_counter()
        found = find(query)
        taken.append(1e3 * (time.perf_counter() - at))
        shares.append(len(best & set(np.asarray(found).tolist())) / len(best))
    print(f"{label:34}{np.mean(shares):11.4f}{np.median(taken):9.2f}{megabytes:7.0f}{built:9.1f}", flush=True)


def plain(tracks: np.ndarray, what: str) -> Iterator[Engine]:
    """Scan everything by BLAS."""
    yield f"BLAS float32, {what}", tracks.nbytes / 1e6, lambda u: np.argpartition(-(tracks @ u), TAKEN)[:TAKEN]


def others(tracks: np.ndarray) -> Iterator[Engine]:
    """Build the engines of other packages over projected vectors."""
    n, dim = tracks.shape
    faiss, usearch, voyager = (found(name) for name in ("faiss", "usearch.index", "voyager"))
    if faiss is not None:
        faiss.omp_set_num_threads(1)
        eight_bits = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        inverted = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, 256, faiss.METRIC_INNER_PRODUCT)
        inverted.nprobe = 16
        graph = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efSearch = TAKEN
        for label, index, size in (
            ("faiss flat", faiss.IndexFlatIP(dim), 4 * dim),
            ("faiss 8-bit flat", eight_bits, dim),
            ("faiss IVF 256, 16 probes", inverted, 4 * dim + 8),
            ("faiss HNSW 32", graph, 4 * dim + 256),
        ):
            index.train(tracks)
            index.add(tracks)
            yield label, n * size / 1e6, lambda u, index=index: index.search(u[None], TAKEN)[1][0]
    if usearch is not None:
        graph = usearch.Index(ndim=dim, metric="ip", dtype="i8", expansion_search=TAKEN)
        graph.add(np.arange(n), tracks / np.abs(tracks).max(), threads=1)
        yield (
            "usearch HNSW 8-bit",
            n * (dim + 128) / 1e6,
            lambda u: graph.search(u / np.abs(u).max(), TAKEN, threads=1).keys,
        )
    if voyager is not None:
        graph = voyager.Index(voyager.Space.InnerProduct, num_dimensions=dim)
        graph.add_items(tracks, num_threads=1)
        yield "voyager HNSW", n * (4 * dim + 128) / 1e6, lambda u: graph.query(u, TAKEN, query_ef=TAKEN)[0]


def found(package: str) -> Any:
    """Import a package, None if it is not there."""
    try:
        return import_module(package)
    except ImportError:
        return None


if __name__ == "__main__":
    sys.exit(main())

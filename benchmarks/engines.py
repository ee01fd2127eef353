"""Which engine finds the tracks of the highest scores, on one thread: how many of the best 200, in what time.

    python benchmarks/engines.py FOLDER [--users 60] [--depth 400]

FOLDER holds the bundle of benchmarks/serving.py, or gets it. The exact scores are inner products of width 451
(`scoring.track_vectors`) without the neighbours, which are sparse and are added in any case. Each engine returns `depth`
tracks; recall is the share of the exact best 200 among them. Engines of whole vectors and engines of projected ones
(`retrieval.code_tracks`) stand beside each other. "cold" is the time of a query after 32 MB of other memory were
touched, as between two requests of a busy machine. faiss-cpu, usearch and voyager are needed for this table only.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import onnx
import onnxruntime as ort
import psutil
import voyager
from big_bundle import Size, ensure_bundle
from onnx import TensorProto, helper, numpy_helper
from usearch.index import Index as UsearchIndex
from usearch.index import MetricKind, search

from recommender.models.als import keep_one_blas_thread
from recommender.ranking.ranker import listener_of_user
from recommender.ranking.retrieval import _content_side, _vectors_of, code_tracks
from recommender.ranking.scan import Coded, Scan, code_vectors
from recommender.serving.bundle import current_bundle, load_bundle

Find = Callable[[np.ndarray], np.ndarray]
WANTED = 200


def main() -> None:
    """Build each engine, ask it, print its line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--depth", type=int, default=400)
    given = parser.parse_args()
    keep_one_blas_thread()
    faiss.omp_set_num_threads(1)
    model = load_bundle(current_bundle(ensure_bundle(given.folder, Size()))).model
    rng, d = np.random.default_rng(2), model.factors.dim
    users = rng.choice(len(model.users), given.users, replace=False).tolist()
    sides = np.stack([listener_of_user(model, user).side.vector for user in users])
    whole = model.track_index
    exact = sides @ whole.T
    best = np.argpartition(-exact, WANTED, axis=1)[:, :WANTED]
    tracks = code_tracks(model)
    small = np.concatenate(
        [_vectors_of(model, rows, tracks.basis) for rows in np.array_split(np.arange(len(whole)), 16)]
    )
    queries = np.stack(
        [np.r_[_content_side(side, d) @ tracks.dual, side[d] - side[-2], side[-1]] for side in sides]
    ).astype(np.float32)
    print(f"{len(whole)} tracks, {whole.shape[1]} or {small.shape[1]} dimensions, best {WANTED} among {given.depth}")
    print(f"{'engine':44}{'recall':>8}{'ms':>8}{'cold ms':>9}{'build s':>9}{'MB':>8}")
    for vectors, asked, width in ((whole, sides, "whole"), (small, queries, "projected")):
        for name, build in engines(given.depth).items():
            before, start = psutil.Process().memory_info().rss, time.perf_counter()
            find = build(np.ascontiguousarray(vectors))
            built, size = time.perf_counter() - start, (psutil.Process().memory_info().rss - before) / 1e6
            recall = float(np.mean([np.isin(mine, find(one)).mean() for mine, one in zip(best, asked, strict=True)]))
            print(
                f"{name + ', ' + width:44}{recall:8.4f}{timed(find, asked, 0):8.2f}{timed(find, asked, 4_000_000):9.2f}"
                f"{built:9.1f}{size:8.0f}",
                flush=True,
            )
            del find


def timed(find: Find, queries: np.ndarray, junk: int) -> float:
    """Return the median milliseconds of a query, `junk` floats being touched before each."""
    other, ms = np.zeros(max(junk, 1)), []
    for query in queries:
        other += 1
        start = time.perf_counter()
        find(query)
        ms.append((time.perf_counter() - start) * 1e3)
    return float(np.median(ms))


def engines(depth: int) -> dict[str, Callable[[np.ndarray], Find]]:
    """Return how each engine is built from vectors (n, width); it returns the rows that it finds for a query."""
    return {
        "BLAS float32": lambda vectors: lambda query: top(vectors @ query, depth),
        "numpy int8, int32 sums": lambda vectors: numpy_int8(vectors, depth),
        "onnxruntime, MatMulInteger (what we use)": lambda vectors: ours(vectors, depth),
        "onnxruntime, MatMul float32": lambda vectors: onnx_float(vectors, depth),
        "faiss Flat": lambda vectors: by_faiss(vectors, depth, "Flat"),
        "faiss SQ8": lambda vectors: by_faiss(vectors, depth, "SQ8"),
        "faiss SQ4": lambda vectors: by_faiss(vectors, depth, "SQ4"),
        "faiss IVF300,Flat, nprobe 16": lambda vectors: by_faiss(vectors, depth, "IVF300,Flat", nprobe=16),
        "faiss IVF300,Flat, nprobe 64": lambda vectors: by_faiss(vectors, depth, "IVF300,Flat", nprobe=64),
        "faiss HNSW32, ef 512": lambda vectors: by_faiss(vectors, depth, "HNSW32,Flat", efSearch=512),
        "usearch i8, exact": lambda vectors: usearch_exact(vectors, depth),
        "usearch i8, HNSW, ef 512": lambda vectors: usearch_graph(vectors, depth),
        "voyager E4M3, HNSW, ef 512": lambda vectors: by_voyager(vectors, depth),
    }


def top(scores: np.ndarray, depth: int) -> np.ndarray:
    """Return the rows of the highest scores."""
    return np.argpartition(-scores, depth)[:depth]


def numpy_int8(vectors: np.ndarray, depth: int) -> Find:
    """Multiply codes as numpy does, which has no BLAS for integers."""
    codes, _, steps = code_vectors(vectors)
    codes = np.ascontiguousarray(codes.T).astype(np.int16)

    def find(query: np.ndarray) -> np.ndarray:
        stepped = query * steps
        asked = np.rint(stepped / np.abs(stepped).max() * 63).astype(np.int16)
        return top(np.einsum("ij,j->i", codes, asked, dtype=np.int32), depth)

    return find


def ours(vectors: np.ndarray, depth: int) -> Find:
    """Scan as the service does."""
    scan = Scan.of(Coded.of(vectors))
    return lambda query: scan.products(query).best(depth)[0]


def onnx_float(vectors: np.ndarray, depth: int) -> Find:
    """Multiply floats by onnxruntime."""
    n, width = vectors.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "scan",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, width])],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1, n])],
        [numpy_helper.from_array(np.ascontiguousarray(vectors.T), "b")],
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda query: top(session.run(None, {"a": query[None]})[0][0], depth)


def by_faiss(vectors: np.ndarray, depth: int, factory: str, **search_settings: int) -> Find:
    """Ask an index of faiss."""
    index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if factory.startswith("HNSW"):
        faiss.downcast_index(index).hnsw.efConstruction = 64
    index.train(vectors[:30_000])
    index.add(vectors)
    for name, value in search_settings.items():
        faiss.ParameterSpace().set_index_parameter(index, name, value)
    return lambda query: index.search(query[None], depth)[1][0]


def usearch_exact(vectors: np.ndarray, depth: int) -> Find:
    """Compare with all by usearch's kernels; every dimension counts alike in its 8 bits, so one step serves all."""
    step = np.abs(vectors).max() / 127
    codes = np.rint(vectors / step).astype(np.int8)

    def find(query: np.ndarray) -> np.ndarray:
        asked = np.rint(query / np.abs(query).max() * 127).astype(np.int8)
        return search(codes, asked, depth, MetricKind.IP, exact=True, threads=1).keys

    return find


def usearch_graph(vectors: np.ndarray, depth: int) -> Find:
    """Walk a graph of usearch."""
    step = np.abs(vectors).max()
    index = UsearchIndex(ndim=vectors.shape[1], metric=MetricKind.IP, dtype="i8", connectivity=32, expansion_search=512)
    index.add(np.arange(len(vectors)), vectors / step, threads=2)
    return lambda query: index.search(query / np.abs(query).max(), depth, threads=1).keys


def by_voyager(vectors: np.ndarray, depth: int) -> Find:
    """Walk a graph of voyager."""
    index = voyager.Index(
        voyager.Space.InnerProduct,
        vectors.shape[1],
        M=24,
        ef_construction=80,
        storage_data_type=voyager.StorageDataType.E4M3,
    )
    scale = np.abs(vectors).max()
    index.add_items(vectors / scale, num_threads=2)
    return lambda query: index.query(query / scale, depth, num_threads=1, query_ef=512)[0]


if __name__ == "__main__":
    main()

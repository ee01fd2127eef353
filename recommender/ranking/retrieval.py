"""The first of two stages: which thousand of many tracks a user's best are surely among.

The score is an inner product of some hundreds of values (`recommender.ranking.scoring`). Users do not spread in all of
these directions alike, so a few of them tell nearly all of the differences between scores; and candidates need no more
than 8 bits of each. What is drawn here is scored again exactly. ``benchmarks/engines.py`` compares this with others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recommender.ranking.scoring import DEFAULT_DISCOVERY, UserVectors, dialled_fame, track_vectors, user_vectors
from recommender.ranking.taste import tastes_of

if TYPE_CHECKING:
    from recommender.ranking.model import Float32s, HybridModel

NARROW_FROM = 20_000
"""Smaller catalogs are scored whole: that takes no longer."""

WIDTH = 64
"""Directions that are kept; of generated catalogs of 100,000 tracks 64 find .9997 of the best 200 among 400."""

SAMPLE_USERS = 1000
LEAST_SPREAD = 1e-3
"""Spread of users, as a share of the mean, that is granted to directions in which the sample does not spread."""

_BLOCK = 10_000
_STRIDE = 16


@dataclass(frozen=True, eq=False)
class Retrieval:
    """A compact copy of the tracks' side of the score.

    Parameters
    ----------
    projection : ndarray, shape (width, r), float32
        From a user's vector to directions, each scaled by its `codes`' step.
    codes : ndarray, shape (r, n_tracks), int8
        The tracks in these directions.
    """

    projection: Float32s
    codes: npt.NDArray[np.int8]

    def scores(self, vector: npt.NDArray[np.floating]) -> Float32s:
        """Return about the inner products of a user's vector (width,) with all tracks, shape (n_tracks,)."""
        turned = vector @ self.projection
        step = max(float(np.abs(turned).max()) / 127, 1e-30)
        query = np.rint(turned / step).astype(np.int16) + 128
        (products,) = self._session.run(None, {"query": query.astype(np.uint8)[None]})
        found: Float32s = products[0].astype(np.float32)
        return found * np.float32(step)

    @cached_property
    def _session(self) -> Any:
        """The product of 8-bit integers as onnxruntime has it: it uses the processor's instructions for them."""
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        width, count = self.codes.shape
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["query", "codes", "middle"], ["products"])],
            "retrieval",
            [helper.make_tensor_value_info("query", TensorProto.UINT8, [1, width])],
            [helper.make_tensor_value_info("products", TensorProto.INT32, [1, count])],
            [
                numpy_helper.from_array(self.codes, "codes"),
                numpy_helper.from_array(np.array(128, dtype=np.uint8), "middle"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def build_retrieval(model: HybridModel) -> Retrieval:
    """Build the index of a model's tracks, for users as the model's own are.

    With C the second moment of users' vectors u over a sample, at several settings of the discovery dial, and T the
    tracks' vectors, the r directions are those that keep most of ``mean_u |T u|^2``: the principal components of
    ``T C^(1/2)``.
    """
    moment = _second_moment(model)
    spreads, axes = np.linalg.eigh(moment)
    spreads = np.sqrt(np.maximum(spreads, LEAST_SPREAD * spreads.mean()))
    gram = np.zeros_like(moment)
    blocks = [np.arange(at, min(at + _BLOCK, len(model.catalog))) for at in range(0, len(model.catalog), _BLOCK)]
    for rows in blocks:
        tracks = track_vectors(model, rows)
        gram += tracks.T @ tracks
    _, components = np.linalg.eigh((axes * spreads).T @ gram @ (axes * spreads))
    components = components[:, ::-1][:, :WIDTH]
    to_codes = (axes * spreads @ components).astype(np.float32)
    turned = np.concatenate([track_vectors(model, rows) @ to_codes for rows in blocks])
    steps = np.maximum(np.abs(turned).max(axis=0) / 127, 1e-30)
    codes = np.ascontiguousarray(np.rint(turned / steps).astype(np.int8).T)
    projection = (axes / spreads @ components) * steps
    return Retrieval(projection.astype(np.float32), codes)


def best_of(scores: Float32s, count: int) -> npt.NDArray[np.intp]:
    """Return at least `count` rows of the highest scores, in catalog order; fewer only where all others are -inf.

    A sample says about where to cut, which takes a tenth of the time of a whole partition.
    """
    if count * 2 >= len(scores):
        return np.flatnonzero(scores > -np.inf)
    sample = scores[::_STRIDE]
    place = min(len(sample) - 1, int(1.3 * count / _STRIDE) + 8)
    cut = np.partition(sample, len(sample) - 1 - place)[len(sample) - 1 - place]
    rows = np.flatnonzero(scores >= cut) if cut > -np.inf else np.flatnonzero(scores > -np.inf)
    if len(rows) >= count or cut == -np.inf:
        return rows
    cut = np.partition(scores, len(scores) - count)[len(scores) - count]
    return np.flatnonzero((scores >= cut) & (scores > -np.inf))


def rough_scores(model: HybridModel, users: UserVectors, user: int, popularity: float = 0.0) -> Float32s:
    """Return about the scores of all tracks of a large catalog; those that changed of late are above all others.

    Parameters
    ----------
    model : HybridModel
        With a `retrieval`.
    users : UserVectors
    user : int
    popularity : float
        The dial of `RecommendOptions`.

    Returns
    -------
    ndarray, shape (n_tracks,), float32
    """
    assert model.retrieval is not None
    known = model.retrieval.scores(users.vectors[user])
    rough = np.full(len(model.catalog), np.inf, dtype=np.float32)
    rough[: len(known)] = known
    mine = slice(users.neighbours.indptr[user], users.neighbours.indptr[user + 1])
    columns = users.neighbours.indices[mine]
    rough[columns] += users.neighbours.data[mine] * model.play_weight[columns]
    if popularity:
        rough += np.float32(popularity) * dialled_fame(model, model.evidence)
    rough[model.changed_rows] = np.inf
    return rough


def _second_moment(model: HybridModel) -> npt.NDArray[np.float64]:
    active = np.flatnonzero(np.diff(model.plays.indptr))
    rows = np.random.default_rng(model.config.seed).permutation(active)[:SAMPLE_USERS]
    tastes = tastes_of(model, model.plays[np.sort(rows)])
    vectors = np.concatenate(
        [
            user_vectors(tastes, model.standards, model.blend, discovery).vectors
            for discovery in (0.0, DEFAULT_DISCOVERY, DEFAULT_DISCOVERY, 1.0)
        ]
    ).astype(np.float64)
    moment: npt.NDArray[np.float64] = vectors.T @ vectors / max(len(vectors), 1)
    return moment

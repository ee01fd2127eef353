"""Inner products of one vector with many, fast: 8-bit integers, multiplied by onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Float32s = npt.NDArray[np.float32]

MIDDLE = 64
"""What stands for 0 in a query. Its 7 bits keep the sums of pairs inside 16 bits, where processors without VNNI add."""


_BLOCK = 8192

LEFT_OUT = int(np.iinfo(np.int32).min)


@dataclass(frozen=True, eq=False)
class Coded:
    """Vectors in 8 bits, each dimension with its own step.

    Parameters
    ----------
    graph : ndarray, shape (n_bytes,), uint8
        Multiplies a query with the codes (r, n), as ONNX: what a session is made from without knowing how to write it.
    center, steps : ndarray, shape (r,), float32
        A vector is the center plus its code times the steps.
    """

    graph: npt.NDArray[np.uint8]
    center: Float32s
    steps: Float32s

    @classmethod
    def of(cls, vectors: Float32s) -> Coded:
        """Code vectors, shape (n, r)."""
        codes, center, steps = code_vectors(vectors)
        return cls(np.frombuffer(_graph(codes), dtype=np.uint8), center, steps)


def code_vectors(vectors: Float32s) -> tuple[npt.NDArray[np.int8], Float32s, Float32s]:
    """Return the codes of vectors (n, r), shape (r, n), and each dimension's center and step, shapes (r,)."""
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    center = (low + high) / 2
    steps = np.maximum(high - center, 1e-12) / np.float32(127)
    codes = np.empty(vectors.shape[::-1], dtype=np.int8)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        codes[:, block] = np.rint((vectors[block] - center) / steps).T
    return codes, center, steps


@dataclass(frozen=True, eq=False)
class Scan:
    """Coded vectors, ready to be multiplied.

    Parameters
    ----------
    session : InferenceSession
        Takes a query in steps (1, r), uint8 around `MIDDLE`, and returns its products with all vectors (1, n), int32.
    center, steps : ndarray, shape (r,), float32
        As in `Coded`.
    length : int
        n.
    """

    session: InferenceSession
    center: Float32s
    steps: Float32s
    length: int

    @classmethod
    def of(cls, coded: Coded) -> Scan:
        """Take coded vectors in."""
        session = _session(coded.graph.tobytes())
        return cls(session, coded.center, coded.steps, session.get_outputs()[0].shape[1])

    def __len__(self) -> int:
        return self.length

    def products(self, query: Float32s) -> Products:
        """Return the products of a query (r,) with all vectors."""
        stepped = query * self.steps
        unit = max(float(np.abs(stepped).max(initial=0)), 1e-30) / (MIDDLE - 1)
        codes = (np.rint(stepped / unit) + MIDDLE).astype(np.uint8)
        return Products(self.session.run(None, {"query": codes[None]})[0][0], unit, float(query @ self.center))


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products, about ``offset + unit * steps``.

    Parameters
    ----------
    steps : ndarray, shape (n,), int32
        `LEFT_OUT` where there is none.
    unit : float > 0
    offset : float
    """

    steps: npt.NDArray[np.int32]
    unit: float
    offset: float

    def in_steps(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.int32]:
        """Return values as steps."""
        return np.asarray(np.rint((values - self.offset) / self.unit), dtype=np.int32)

    def values(self, rows: npt.NDArray[np.integer]) -> Float32s:
        """Return the products of some rows."""
        return np.asarray(self.offset + self.unit * self.steps[rows], dtype=np.float32)

    def best(self, depth: int) -> tuple[npt.NDArray[np.int32], float]:
        """Return the rows with the highest products, and a bound of all others.

        Parameters
        ----------
        depth : int

        Returns
        -------
        rows : ndarray, shape (k,), int32
            Ascending, `depth` of them or a few more; fewer where no more are left.
        bound : float
            No other is higher; -inf if there is no other.

        Examples
        --------
        >>> Products(np.array([3, 9, LEFT_OUT, 5]), 0.5, 1.0).best(2)
        (array([1, 3], dtype=int32), 3.5)
        """
        steps = self.steps
        stride = max(1, min(16, len(steps) // 4096))
        sample = steps[::stride]
        rank = min(len(sample), int(1.3 * depth / stride) + 8 if stride > 1 else depth)
        threshold = np.partition(sample, len(sample) - rank)[len(sample) - rank]
        rows = np.flatnonzero(steps >= threshold)
        if len(rows) < depth or threshold == LEFT_OUT:
            threshold = np.partition(steps, len(steps) - depth)[len(steps) - depth] if depth < len(steps) else LEFT_OUT
            rows = np.flatnonzero((steps >= threshold) & (steps > LEFT_OUT))
        if len(rows) > depth + depth // 4:
            order = np.argpartition(steps[rows], len(rows) - depth)
            threshold, rows = steps[rows[order[: len(rows) - depth]]].max(), np.sort(rows[order[-depth:]])
        return rows.astype(np.int32), -np.inf if threshold == LEFT_OUT else float(self.offset + self.unit * threshold)


def _session(graph: bytes) -> InferenceSession:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _graph(codes: npt.NDArray[np.int8]) -> bytes:
    """Return a model that multiplies a query with codes (r, n)."""
    from onnx import TensorProto, helper, numpy_helper

    r, n = codes.shape
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["query", "codes", "middle"], ["products"])],
        "scan",
        [helper.make_tensor_value_info("query", TensorProto.UINT8, [1, r])],
        [helper.make_tensor_value_info("products", TensorProto.INT32, [1, n])],
        [numpy_helper.from_array(codes, "codes"), numpy_helper.from_array(np.uint8(MIDDLE), "middle")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())

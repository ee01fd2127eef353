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


@dataclass(frozen=True, eq=False)
class Scan:
    """Vectors in 8 bits, each dimension with its own step.

    Parameters
    ----------
    session : InferenceSession
        Takes a query in steps (1, r), uint8 around `MIDDLE`, and returns its products with all vectors (1, n), int32.
    steps : ndarray, shape (r,), float32
    """

    session: InferenceSession
    steps: Float32s
    length: int

    @classmethod
    def of(cls, vectors: Float32s) -> Scan:
        """Take vectors in, shape (n, r)."""
        steps = np.maximum(np.abs(vectors).max(axis=0, initial=0), 1e-12) / np.float32(127)
        codes = np.rint(vectors / steps).astype(np.int8)
        return cls(_session(np.ascontiguousarray(codes.T)), steps.astype(np.float32), len(vectors))

    def __len__(self) -> int:
        return self.length

    def products(self, query: Float32s, out: Float32s) -> None:
        """Write the products of a query (r,) with all vectors to `out` (n,), float32; off by a hundredth or so."""
        stepped = query * self.steps
        unit = max(float(np.abs(stepped).max(initial=0)), 1e-30) / (MIDDLE - 1)
        codes = (np.rint(stepped / unit) + MIDDLE).astype(np.uint8)
        np.multiply(self.session.run(None, {"query": codes[None]})[0][0], np.float32(unit), out=out, casting="unsafe")


def _session(codes: npt.NDArray[np.int8]) -> InferenceSession:
    """Return a session that multiplies a query with codes (r, n)."""
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime import InferenceSession, SessionOptions

    r, n = codes.shape
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["query", "codes", "middle"], ["products"])],
        "scan",
        [helper.make_tensor_value_info("query", TensorProto.UINT8, [1, r])],
        [helper.make_tensor_value_info("products", TensorProto.INT32, [1, n])],
        [numpy_helper.from_array(codes, "codes"), numpy_helper.from_array(np.uint8(MIDDLE), "middle")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])

"""A list is more than its tracks: greedy choice from a pool so that they differ, and follow a mix where one is wanted.

Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998), with the chosen set then put in the order of its scores,
which keeps the diversity and costs less NDCG than the greedy order. ``benchmarks/lists.py`` compares it with a greedy
determinantal point process, which loses more NDCG for the same unlikeness on three of its four tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recommender.ranking.calibration import Mix, MixSoFar

if TYPE_CHECKING:
    from recommender.ranking.model import HybridModel

Float32s = npt.NDArray[np.float32]

_NEVER = 1e300


def alike_vectors(model: HybridModel, track_rows: npt.NDArray[np.integer]) -> Float32s:
    """Return vectors whose inner product says how alike two tracks are.

    Parameters
    ----------
    model : HybridModel
    track_rows : ndarray, shape (k,), int

    Returns
    -------
    ndarray, shape (k, d + dim), float32
        Unit sound vector and unit posterior factors side by side, brought to unit length: the cosine is the mean of
        that of the sound and that of the factors, where both are known, else that of the factors. Zeros for a track of
        which nothing is known.
    """
    factors, sound = model.posterior_factors[track_rows], model.sound_vectors[track_rows]
    length = np.sqrt(np.einsum("ij,ij->i", factors, factors))
    sides = (length > 1e-12).astype(np.float32) + model.has_vector[track_rows]
    share = 1 / np.sqrt(np.maximum(sides, 1))
    return np.hstack([factors * (share / np.maximum(length, 1e-12))[:, None], sound * share[:, None]])


def choose(relevance: Float32s, vectors: Float32s, top: int, diversity: float, mix: Mix | None = None) -> list[int]:
    """Choose places of a pool one by one: relevant, unlike those chosen before, and after the mix.

    Parameters
    ----------
    relevance : ndarray, shape (p,), float32
        Higher is better; standardised here over the pool, so that the dials mean the same for all users.
    vectors : ndarray, shape (p, width), float32
        By `alike_vectors`.
    top : int
    diversity : float in [0, 1]
        Share of unlikeness: of one minus the largest cosine with what was chosen before.
    mix : Mix, optional
        What the list's mix should be, see `recommender.ranking.calibration`.

    Returns
    -------
    list of int, length min(top, p)
        Places in the order of choice.
    """
    values = relevance.astype(np.float64)
    spread = float(values.std()) if len(values) else 0.0
    values = (1 - diversity) * (values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values))
    mixed = MixSoFar(mix) if mix is not None else None
    own_share = 1 - mix.weight if mix is not None else 1.0
    values, unlike = own_share * values, own_share * diversity
    nearest = np.zeros(len(values), dtype=np.float32)
    chosen: list[int] = []
    for _ in range(min(top, len(values))):
        gains = values - unlike * nearest if chosen and diversity else values
        if mixed is not None:
            gains = gains + mixed.gains()
        best = int(gains.argmax())
        chosen.append(best)
        values[best] = -_NEVER
        if diversity:
            np.maximum(nearest, vectors @ vectors[best], out=nearest)
        if mixed is not None:
            mixed.add(best)
    return chosen

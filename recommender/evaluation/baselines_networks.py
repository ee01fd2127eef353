"""Baselines that are small networks over embeddings: one hidden layer, full batches where they fit, a few seconds.

`mlp` and `dropout_net` are functions for `baselines_content.by_prediction`; `contrastive_tower` also needs to know who
played what. Torch is imported when one is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.evaluation.baselines_content import Codes, Predict
from recommender.evaluation.methods import Fits, rank_by
from recommender.evaluation.protocol import Rank, Task
from recommender.models.factors import Float32s
from recommender.ranking.taste import binary

if TYPE_CHECKING:
    import torch

HIDDEN = 256
DROPOUT = 0.3
RATE = 3e-3
BATCH = 512
TOWER_RATE = 1e-3
TEMPERATURE = 0.2
EVIDENCE_HALF = 3.0


def mlp(
    vectors: Float32s, factors: Float32s, evidence: npt.NDArray[np.integer], artists: Codes, rng: np.random.Generator
) -> Predict:
    """A small network from sound to factors, squared error, tracks weighted by n/(n+3)."""
    import torch

    del artists
    unit = _typical_norm(factors)
    targets = torch.from_numpy(factors / unit)
    weights = _weights(evidence)

    def loss(predicted: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        return (weights[batch] * ((predicted - targets[batch]) ** 2).sum(dim=1)).mean()

    predict = _train(torch.from_numpy(vectors), factors.shape[1], loss, rng, steps=300, decay=0.1)
    return lambda new, _: predict(new) * unit


def dropout_net(
    vectors: Float32s, factors: Float32s, evidence: npt.NDArray[np.integer], artists: Codes, rng: np.random.Generator
) -> Predict:
    """A network from factors and sound to factors whose first half is hidden half of the time.

    After DropoutNet (Volkovs, Yu & Poutanen 2017), the tracks' side alone: a new track has its sound and zeros.
    """
    import torch

    del artists
    unit = _typical_norm(factors)
    targets, weights = torch.from_numpy(factors / unit), _weights(evidence)

    def loss(predicted: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        return (weights[batch] * ((predicted - targets[batch]) ** 2).sum(dim=1)).mean()

    def hide(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        d = factors.shape[1]
        kept = (torch.rand(len(inputs), 1, generator=generator) < 0.5).float()
        return torch.cat([inputs[:, :d] * kept, inputs[:, d:]], dim=1)

    both = torch.cat([targets, torch.from_numpy(vectors)], dim=1)
    predict = _train(both, factors.shape[1], loss, rng, steps=300, decay=0.1, change=hide)
    return lambda new, _: predict(np.hstack([np.zeros((len(new), factors.shape[1]), np.float32), new])) * unit


def contrastive_tower(task: Task, fits: Fits) -> Rank:
    """A network from sound to a direction in ALS's space, trained to point at a track's listeners among all users.

    Full softmax over the users' frozen, normalised factors, weight decay 1, 200 steps. Predictions have the typical
    norm of known tracks; known tracks keep the factors of ALS.
    """
    import torch

    factors = fits.factors
    known = factors.track_factors.any(axis=1)
    taught, new = np.flatnonzero(fits.has_sound & known), np.flatnonzero(fits.has_sound & ~known)
    norms = np.linalg.norm(factors.user_factors, axis=1, keepdims=True)
    users = np.flatnonzero(norms.ravel() > 0)
    directions = torch.from_numpy((factors.user_factors[users] / norms[users]).astype(np.float32))
    listeners = binary(sparse.csr_matrix(fits.plays[users][:, taught].T))
    weights = _weights(fits.evidence[taught])

    def loss(predicted: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        logits = torch.nn.functional.normalize(predicted, dim=1) @ directions.T / TEMPERATURE
        played = torch.from_numpy(listeners[batch.numpy()].toarray())
        chances = (torch.log_softmax(logits, dim=1) * played).sum(dim=1) / played.sum(dim=1)
        return -(weights[batch] * chances).mean()

    rng = np.random.default_rng(fits.seed)
    width = factors.track_factors.shape[1]
    predict = _train(torch.from_numpy(fits.sound[taught]), width, loss, rng, steps=200, decay=1.0, rate=TOWER_RATE)
    predicted = predict(fits.sound[new])
    lengths = np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-12)
    tracks = factors.track_factors.copy()
    tracks[new] = predicted / lengths * _typical_norm(factors.track_factors[taught])
    shown = tracks[task.candidate_rows].T
    return rank_by(lambda rows: factors.user_factors[rows] @ shown, task, fits)


def _train(
    inputs: torch.Tensor,
    width: int,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rng: np.random.Generator,
    *,
    steps: int,
    decay: float,
    rate: float = RATE,
    change: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
) -> Callable[[Float32s], Float32s]:
    """Train one hidden layer with AdamW on inputs (n, dim); return what it makes of new ones, (m, width)."""
    import torch
    from torch import nn

    from recommender.models.reproducible import reproducible

    with reproducible(int(rng.integers(2**31)), threads=1) as generator:
        dim = inputs.shape[1]
        net = nn.Sequential(nn.Linear(dim, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, width))
        optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
        for _ in range(steps):
            batch = torch.randperm(len(inputs), generator=generator)[:BATCH]
            seen = inputs[batch] if change is None else change(inputs[batch], generator)
            optimiser.zero_grad()
            loss(net(seen), batch).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    net.eval()

    def predict(new: Float32s) -> Any:
        with torch.no_grad():
            return net(torch.from_numpy(np.ascontiguousarray(new, dtype=np.float32))).numpy()

    return predict


def _weights(evidence: npt.NDArray[np.integer]) -> torch.Tensor:
    import torch

    return torch.from_numpy((evidence / (evidence + EVIDENCE_HALF)).astype(np.float32))


def _typical_norm(factors: Float32s) -> np.float32:
    return np.float32(np.mean(np.linalg.norm(factors, axis=1)))

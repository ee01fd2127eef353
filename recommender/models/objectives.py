"""What the CNN is trained for, and how well it does it: two losses and two retrieval measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recommender.data.storage import Array
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

if TYPE_CHECKING:
    from recommender.models.factors import Factors


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Pull the two crops of a track together and push all others of the batch away.

    Parameters
    ----------
    first, second : Tensor, shape (batch, dim)
        Unit vectors; row i of both is the same track.
    temperature : float
        Low: only the nearest others count.

    Returns
    -------
    Tensor, shape ()
        Nats: cross entropy of picking the sibling out of the 2 batch - 1 other crops.

    Notes
    -----
    The normalised temperature-scaled cross entropy of Chen et al., "SimCLR", ICML 2020, eq. 1.
    """
    crops = torch.cat([first, second])
    similarity = crops @ crops.T / temperature
    itself = torch.eye(len(crops), dtype=torch.bool, device=crops.device)
    sibling = torch.arange(len(crops), device=crops.device).roll(len(first))
    return functional.cross_entropy(similarity.masked_fill(itself, -torch.inf), sibling)


@dataclass(frozen=True, eq=False)
class Targets:
    """What the embeddings of tracks are to predict.

    Parameters
    ----------
    factors : Tensor, shape (n_tracks, n_factors), float32
        Unit vectors, in the rows of the clips' tracks; zeros where `known` is false.
    known : Tensor, shape (n_tracks,), bool
    """

    factors: Tensor
    known: Tensor

    @classmethod
    def of(cls, tracks: Vocabulary, factors: Factors | None, evidence: Array | None, min_evidence: int) -> Targets:
        """Lay the factors of tracks that were played by `min_evidence` users or more out in the rows of `tracks`.

        Raises
        ------
        DataError
            If `evidence` does not fit `factors`.
        """
        if factors is None:
            return cls(torch.zeros(len(tracks), 1), torch.zeros(len(tracks), dtype=torch.bool))
        if evidence is not None and len(evidence) != len(factors.tracks):
            raise DataError(f"evidence has {len(evidence)} rows for {len(factors.tracks)} tracks with factors")
        lengths = np.linalg.norm(factors.track_factors, axis=1, keepdims=True)
        trusted = lengths[:, 0] > 0
        if evidence is not None:
            trusted &= evidence >= min_evidence
        unit = np.divide(factors.track_factors, lengths, where=lengths > 0, out=np.zeros_like(factors.track_factors))
        unit = unit.astype(np.float32)

        shared = np.flatnonzero(factors.tracks.known(tracks))
        rows = factors.tracks.rows(tracks.ids_of(shared), unknown="raise")
        goal, known = np.zeros((len(tracks), unit.shape[1]), np.float32), np.zeros(len(tracks), dtype=bool)
        known[shared] = trusted[rows]
        goal[known] = unit[rows[trusted[rows]]]
        return cls(torch.from_numpy(goal), torch.from_numpy(known))

    def to(self, device: torch.device) -> Targets:
        """Return a copy on `device`."""
        return Targets(self.factors.to(device), self.known.to(device))


def alignment_loss(predicted: Tensor, tracks: Tensor, targets: Targets) -> Tensor:
    """Turn each crop's prediction towards the factors of its track.

    Parameters
    ----------
    predicted : Tensor, shape (batch, n_factors)
    tracks : Tensor, shape (batch,), int64
        Rows in `targets`; those without known factors do not count.

    Returns
    -------
    Tensor, shape ()
        Mean of 1 - cosine, from 0 to 2; 0 if no track of the batch is known.
    """
    known = targets.known[tracks]
    cosine = functional.cosine_similarity(predicted, targets.factors[tracks], dim=1)
    return ((1 - cosine) * known).sum() / known.sum().clamp_min(1)


def sibling_mrr(first: Tensor, second: Tensor) -> float:
    """Tell how well a crop finds the other crop of its track: the mean reciprocal rank, 1 at best.

    Parameters
    ----------
    first, second : Tensor, shape (n_tracks, dim)
        Unit vectors. Each crop in turn is the query, ranking the 2 n_tracks - 1 others by cosine.
    """
    crops = torch.cat([first, second])
    similarity = (crops @ crops.T).fill_diagonal_(-torch.inf)
    sibling = torch.arange(len(crops), device=crops.device).roll(len(first))
    return mean_reciprocal_rank(similarity, sibling)


def retrieval_mrr(predicted: Tensor, factors: Tensor) -> float:
    """Tell how well predictions find their own factors among those of all tracks given: the mean reciprocal rank.

    Parameters
    ----------
    predicted, factors : Tensor, shape (n_tracks, n_factors)
        Factors are unit vectors. Without tracks, 0.
    """
    if not len(factors):
        return 0.0
    scores = functional.normalize(predicted, dim=1) @ factors.T
    return mean_reciprocal_rank(scores, torch.arange(len(factors), device=factors.device))


def mean_reciprocal_rank(scores: Tensor, right: Tensor) -> float:
    """Return the mean of 1 / rank of the right answer; ties count against it.

    Parameters
    ----------
    scores : Tensor, shape (n_queries, n_answers)
    right : Tensor, shape (n_queries,), int64
        The column of the right answer of each query.
    """
    ranks = (scores >= scores.gather(1, right[:, None])).sum(1)
    return float((1 / ranks.double()).mean())

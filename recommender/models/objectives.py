"""What the CNN is trained for, and how well it does it: losses and two retrieval measures.

Crops of one track are to be close (see `weak_labels` too), and what is heard is to say who will like it: of the losses
against frozen ALS factors one is chosen by a setting. All of those look at directions only, because a factor's length
is its popularity, which cannot be heard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from recommender.data.storage import Array
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError
from recommender.models.cnn_config import OBJECTIVES

if TYPE_CHECKING:
    from recommender.models.factors import Factors

MAX_LISTENERS = 8192
"""Of more users than this, a random part stands for all."""


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
    listeners : Tensor, shape (n_users, n_factors), float32
        Unit vectors of the users with factors, at most `MAX_LISTENERS`.
    played : csc_matrix, shape (n_users, n_tracks), float32
        1 where a listener played a track.
    """

    factors: Tensor
    known: Tensor
    listeners: Tensor
    played: sparse.csc_matrix

    @classmethod
    def of(
        cls,
        tracks: Vocabulary,
        factors: Factors | None,
        evidence: Array | None,
        min_evidence: int,
        plays: sparse.csr_matrix | None = None,
        seed: int = 0,
    ) -> Targets:
        """Lay the factors of tracks that were played by `min_evidence` users or more out in the rows of `tracks`.

        Parameters
        ----------
        tracks : Vocabulary
        factors : Factors or None
        evidence : ndarray, shape (len(factors.tracks),), int, or None
        min_evidence : int
        plays : csr_matrix, shape (len(factors.users), len(factors.tracks)), optional
            Who played what.
        seed : int
            Of the choice of listeners where there are too many.

        Raises
        ------
        DataError
            If `evidence` or `plays` does not fit `factors`.
        """
        if factors is None:
            nobody = sparse.csc_matrix((0, len(tracks)), dtype=np.float32)
            return cls(
                torch.zeros(len(tracks), 1), torch.zeros(len(tracks), dtype=torch.bool), torch.zeros(0, 1), nobody
            )
        if evidence is not None and len(evidence) != len(factors.tracks):
            raise DataError(f"evidence has {len(evidence)} rows for {len(factors.tracks)} tracks with factors")
        if plays is not None and plays.shape != (len(factors.users), len(factors.tracks)):
            raise DataError(
                f"plays have shape {plays.shape} for {len(factors.users)} users and {len(factors.tracks)} tracks "
                "with factors"
            )
        lengths = np.linalg.norm(factors.track_factors, axis=1)
        trusted = lengths > 0
        if evidence is not None:
            trusted &= evidence >= min_evidence
        unit = _unit(factors.track_factors)

        shared = np.flatnonzero(factors.tracks.known(tracks))
        rows = factors.tracks.rows(tracks.ids_of(shared), unknown="raise")
        goal, known = np.zeros((len(tracks), unit.shape[1]), np.float32), np.zeros(len(tracks), dtype=bool)
        known[shared] = trusted[rows]
        goal[known] = unit[rows[trusted[rows]]]

        users = np.flatnonzero(factors.user_factors.any(axis=1) if plays is not None else np.zeros(len(factors.users)))
        if len(users) > MAX_LISTENERS:
            users = np.sort(np.random.default_rng(seed).choice(users, MAX_LISTENERS, replace=False))
        played = sparse.csc_matrix((len(users), len(tracks)), dtype=np.float32)
        if plays is not None:
            place = sparse.csr_matrix(
                (np.ones(len(shared), np.float32), (rows, shared)), shape=(len(factors.tracks), len(tracks))
            )
            played = ((plays[users] > 0).astype(np.float32) @ place).tocsc()
        listeners = torch.from_numpy(_unit(factors.user_factors[users]))
        return cls(torch.from_numpy(goal), torch.from_numpy(known), listeners, played)

    def to(self, device: torch.device) -> Targets:
        """Return a copy on `device`."""
        moved = (self.factors.to(device), self.known.to(device), self.listeners.to(device))
        return replace(self, factors=moved[0], known=moved[1], listeners=moved[2])

    def among(self, tracks: Tensor) -> Targets:
        """Return what is known of `tracks` (rows, int64) alone, for training on them: of all others, nothing."""
        chosen = torch.zeros_like(self.known)
        chosen[tracks] = True
        kept = sparse.diags_array(chosen.cpu().numpy().astype(np.float32))
        factors = self.factors * chosen[:, None]
        return replace(self, factors=factors, known=self.known & chosen, played=(self.played @ kept).tocsc())

    def plays_of(self, tracks: Tensor) -> Tensor:
        """Return who played each of `tracks`, shape (n_users, len(tracks)), float32."""
        columns = self.played[:, tracks.cpu().numpy()].toarray()
        return torch.from_numpy(columns).to(self.listeners.device)


def alignment_loss(
    predicted: Tensor, tracks: Tensor, targets: Targets, objective: str = "regression", temperature: float = 0.1
) -> Tensor:
    """Turn each crop's prediction towards the taste of those who played its track.

    Parameters
    ----------
    predicted : Tensor, shape (batch, n_factors)
    tracks : Tensor, shape (batch,), int64
        Rows in `targets`; those without known factors do not count.
    targets : Targets
    objective : str
        One of `OBJECTIVES`; of ``"none"`` the loss is 0.
    temperature : float
        Of the contrastive ones.

    Returns
    -------
    Tensor, shape ()
        0 if no track of the batch is known.
    """
    assert objective in OBJECTIVES
    known = targets.known[tracks]
    if objective == "none" or not known.any():
        return predicted.sum() * 0
    directions, tracks = functional.normalize(predicted[known], dim=1), tracks[known]
    if objective == "regression":
        return regression_loss(directions, tracks, targets)
    loss = {"factors": factor_contrast, "listeners": listener_contrast, "towers": tower_loss}[objective]
    return loss(directions, tracks, targets, temperature)


def regression_loss(directions: Tensor, tracks: Tensor, targets: Targets) -> Tensor:
    """Return the mean of 1 - cosine between prediction and factors, from 0 to 2.

    Parameters
    ----------
    directions : Tensor, shape (batch, n_factors)
        Unit vectors.
    tracks : Tensor, shape (batch,), int64
        With known factors.
    targets : Targets

    Notes
    -----
    Van den Oord, Dieleman & Schrauwen, NeurIPS 2013, on factors of unit length.
    """
    return (1 - (directions * targets.factors[tracks]).sum(1)).mean()


def factor_contrast(directions: Tensor, tracks: Tensor, targets: Targets, temperature: float) -> Tensor:
    """Return the cross entropy of picking a track's own factors out of those of all known tracks.

    InfoNCE (van den Oord, Li & Vinyals 2018) with the whole library for negatives. Parameters as in `regression_loss`.
    """
    column = torch.cumsum(targets.known, 0) - 1
    return functional.cross_entropy(directions @ targets.factors[targets.known].T / temperature, column[tracks])


def listener_contrast(directions: Tensor, tracks: Tensor, targets: Targets, temperature: float) -> Tensor:
    """Return the cross entropy of telling a track's listeners from all users.

    How many a track has plays no part, so popularity does not enter; how much a user plays is given to the softmax.
    Parameters as in `regression_loss`.
    """
    wanted = targets.plays_of(tracks).T
    active = torch.from_numpy(np.asarray(targets.played.sum(axis=1), dtype=np.float32).ravel()).to(directions.device)
    found = functional.log_softmax(directions @ targets.listeners.T / temperature + active.clamp_min(1).log(), dim=1)
    return -(wanted * found).sum() / wanted.sum().clamp_min(1)


def tower_loss(directions: Tensor, tracks: Tensor, targets: Targets, temperature: float) -> Tensor:
    """Return the cross entropy of telling what each user played from the rest of the batch.

    A track's popularity is given to the softmax, so that the sound need not explain it. Two towers with a sampled
    softmax after Yi et al., RecSys 2019; batches are drawn by track and not by play, so their correction for that is
    not needed. Parameters as in `regression_loss`.
    """
    wanted = targets.plays_of(tracks)
    popularity = torch.from_numpy(np.diff(targets.played.indptr).astype(np.float32)).to(directions.device)[tracks]
    scores = targets.listeners @ directions.T / temperature + popularity.clamp_min(1).log()
    return -(wanted * functional.log_softmax(scores, dim=1)).sum() / wanted.sum().clamp_min(1)


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


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = np.divide(vectors, lengths, where=lengths > 0, out=np.zeros_like(vectors)).astype(np.float32)
    return unit

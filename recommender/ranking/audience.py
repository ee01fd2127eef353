"""Who would like a track: the users for whom it stands out most from everything else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.ranking.model import Float32s, HybridModel
from recommender.ranking.scoring import score_block, user_vectors
from recommender.ranking.taste import Taste, binary, tastes_of

BLOCK = 4096
SHORTLIST = 3
"""So many times the users that are asked for are scored exactly."""

LEAST_SHORTLIST = 40


@dataclass(frozen=True, eq=False)
class Crowd:
    """All users' sides of the inner product without neighbours, standardised over the tracks.

    Parameters
    ----------
    vectors : ndarray, shape (n_users, width), float32
        Columns as in `recommender.ranking.scoring.track_vectors`, divided by the spread of the user's scores.
    means : ndarray, shape (n_users,), float32
        Of those scores.
    """

    vectors: Float32s
    means: Float32s


@dataclass(frozen=True)
class Fan:
    """One user who would like a track.

    Parameters
    ----------
    user_row : int
    standing : float
        The track's score in standard deviations over the mean of all tracks' for this user.
    place : int
        Which place the track would have among what the user has not heard, from 1.
    """

    user_row: int
    standing: float
    place: int


def gather_crowd(model: HybridModel) -> Crowd:
    """Bring the users of a model to a form in which one product ranks them for any track; keep it for many tracks."""
    tracks = model.track_index
    mean = tracks.mean(axis=0, dtype=np.float64)
    covariance = (tracks.T @ tracks).astype(np.float64) / len(tracks) - np.outer(mean, mean)
    blend = replace(model.blend, neighbour_share=0.0)
    vectors = np.zeros((len(model.users), tracks.shape[1]), dtype=np.float32)
    means = np.zeros(len(model.users), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        mine = slice(start, start + BLOCK)
        side = user_vectors(_tastes(model, mine), model.standards, blend).vectors
        spread = np.sqrt(np.maximum(((side @ covariance) * side).sum(axis=1), 1e-12))
        vectors[mine] = side / spread[:, None]
        means[mine] = vectors[mine] @ mean
    return Crowd(vectors, means)


def who_would_like(model: HybridModel, crowd: Crowd, track_row: int, top: int) -> list[Fan]:
    """Find the users for whom a track stands out most among those who have not heard it.

    Parameters
    ----------
    model : HybridModel
    crowd : Crowd
        Of this model, or of an earlier state of it: it only chooses whom to score exactly. Users that it lacks are
        scored exactly too, the last 40 of them at most.
    track_row : int
    top : int

    Returns
    -------
    list of Fan
        Whom it stands out for most first. Only users with a taste: popularity would rank the others all alike.
    """
    index = model.track_index
    rough = crowd.vectors @ index[track_row] - crowd.means
    heard = np.asarray(model.heard[: len(rough), track_row].todense()).ravel() != 0
    rough[heard] = -np.inf
    keep = min(max(LEAST_SHORTLIST, SHORTLIST * top), len(rough))
    chosen = np.argpartition(-rough, keep - 1)[:keep] if keep else np.empty(0, dtype=np.int64)
    new = np.arange(max(len(rough), len(model.users) - LEAST_SHORTLIST), len(model.users))
    return score_fans(model, np.r_[chosen, new], track_row)[:top]


def score_fans(model: HybridModel, user_rows: npt.NDArray[np.integer], track_row: int) -> list[Fan]:
    """Score a track for some users by everything that is known now; the slow twin of `who_would_like` over all of them.

    Those who have heard it, and those without a taste, are left out.
    """
    heard = model.heard[user_rows]
    rows = user_rows[np.asarray(heard[:, track_row].todense()).ravel() == 0]
    found = []
    for start in range(0, len(rows), 512):
        mine = rows[start : start + 512]
        side = user_vectors(tastes_of(model, model.plays[mine]), model.standards, model.blend)
        scores = score_block(model, side)
        own = scores[:, track_row].copy()
        spread = scores.std(axis=1, dtype=np.float64)
        standing = (own - scores.mean(axis=1, dtype=np.float64)) / np.maximum(spread, 1e-9)
        known = sparse.csr_matrix(model.heard[mine])
        scores[np.repeat(np.arange(len(mine)), np.diff(known.indptr)), known.indices] = -np.inf
        places = 1 + (scores > own[:, None]).sum(axis=1)
        found += [
            Fan(int(row), float(high), int(place))
            for row, high, place, weight in zip(mine, standing, places, side.taste_weight, strict=True)
            if weight > 0
        ]
    return sorted(found, key=lambda fan: (-fan.standing, fan.user_row))


def _tastes(model: HybridModel, rows: slice) -> Taste:
    """Return users' tastes by the factors that the model holds, without neighbours: nothing is solved."""
    plays = model.plays[rows]
    presence = binary(plays)
    has_vector = model.has_vector.astype(np.float32)
    informative = (model.has_vector | (model.evidence > 0)).astype(np.float32)
    sound = (presence @ model.sound_vectors) / np.maximum(presence @ has_vector, 1)[:, None]
    return Taste(
        model.factors.user_factors[rows],
        np.asarray(sound, dtype=np.float32),
        sparse.csr_matrix(plays.shape, dtype=np.float32),
        np.rint(presence @ informative).astype(np.int64),
    )

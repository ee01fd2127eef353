"""The score of every track for a user: one inner product, and a few entries for the neighbours of what they played.

Standardising a user's scores needs their mean and spread over tracks. All parts but one are linear in the track's
vectors, so both follow from the tracks' mean and covariance (`Standards`), and their blend is ``user vector . track
vector``. Neighbours are sparse: their mean goes into the inner product, and what is not 0 is added where it stands.
Every track is a candidate, each block of users costs one matrix product, and the parts of a score add up exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.errors import DataError
from recommender.models.factors import Factors
from recommender.ranking.filters import leave_out
from recommender.ranking.model import Blend, Float32s, HybridModel, Standards
from recommender.ranking.recommendation import SOURCES, Source
from recommender.ranking.taste import Taste, tastes_of

PARTS = ("factors", "neighbours", "content", "popularity")
"""The order of `score_parts`; the first two are CF."""

DEFAULT_DISCOVERY = 0.5
DISCOVERY_REACH = 4.0
"""At 0 a new track must be better than nearly all known ones to be shown, at 1 worse than nearly all to be left out."""

FAME = 0.5
"""What the popularity dial, fully turned, makes of a standard deviation of log listeners, in those of the scores."""

LEAST_FAME = -2.0
"""So far below the mean a track may be by that; that nobody has played it yet makes a new one no less popular."""

EVERY = slice(None)

ONE_SIDED = 2 / 3
"""Share of what speaks for a track from which on one part alone is named as its source."""


@dataclass(frozen=True, eq=False)
class UserVectors:
    """Users' side of the inner product.

    Parameters
    ----------
    vectors : ndarray, shape (n_users, width), float32
        Columns as in `track_vectors`.
    neighbours : csr_matrix, shape (n_users, n_tracks), float32
        What is added to it, in a track with ``w = 1``.
    taste_weight : ndarray, shape (n_users,), float32
        v of `Blend`: 0 means that popularity decides alone.
    """

    vectors: Float32s
    neighbours: sparse.csr_matrix
    taste_weight: Float32s

    def of(self, user: int) -> UserVectors:
        """Return one user's side, as a block of one."""
        mine = slice(user, user + 1)
        return UserVectors(self.vectors[mine], self.neighbours[mine], self.taste_weight[mine])

    def side(self, user: int) -> Side:
        """Return one user's side."""
        near = self.neighbours[user]
        near.sort_indices()
        return Side(self.vectors[user], near.indices, near.data, float(self.taste_weight[user]))


@dataclass(frozen=True, eq=False)
class Side:
    """One user's side of the inner product.

    Parameters
    ----------
    vector : ndarray, shape (width,), float32
        Entries as the columns of `track_vectors`.
    near_rows : ndarray, shape (m,), int
        Tracks that neighbours speak for, ascending.
    near : ndarray, shape (m,), float32
        What is added to their scores, in a track with ``w = 1``.
    taste_weight : float
        v of `Blend`.
    """

    vector: Float32s
    near_rows: npt.NDArray[np.integer]
    near: Float32s
    taste_weight: float

    def near_of(self, track_rows: npt.NDArray[np.integer]) -> Float32s:
        """Return what neighbours add to tracks, shape (k,); 0 where they know nothing."""
        if not len(self.near_rows):
            return np.zeros(len(track_rows), dtype=np.float32)
        at = np.minimum(np.searchsorted(self.near_rows, track_rows), len(self.near_rows) - 1)
        return np.where(self.near_rows[at] == track_rows, self.near[at], np.float32(0))


def measure_standards(
    factors: Factors,
    posterior_factors: Float32s,
    evidence: Float32s,
    prior_means: Float32s,
    sound_vectors: Float32s,
    has_vector: npt.NDArray[np.bool_],
) -> Standards:
    """Measure the means and covariances that scores are standardised by."""
    cf_mean, cf_covariance = _moments(posterior_factors[evidence > 0])
    content_mean, content_covariance = _moments(np.hstack([prior_means, sound_vectors])[has_vector])
    popularity = np.log1p(evidence[evidence > 0].astype(np.float64))
    spread = float(popularity.std()) if len(popularity) else 0.0
    return Standards(
        cf_mean,
        cf_covariance,
        content_mean,
        content_covariance,
        float(popularity.mean()) if len(popularity) else 0.0,
        spread if spread > 0 else 1.0,
        _gram(factors.track_factors),
        int(np.count_nonzero(factors.track_factors.any(axis=1))),
    )


def play_weight(model: HybridModel, blend: Blend | None = None) -> Float32s:
    """Return w of `Blend`, shape (n_tracks,): what a track's plays weigh against its sound."""
    if not model.knows_plays:
        return np.where(model.has_vector, 0, 1).astype(np.float32)
    blend = blend or model.blend
    if blend.plain_posterior:
        return np.ones(len(model.evidence), dtype=np.float32)
    weight = model.evidence / (model.evidence + blend.track_half)
    return np.where(model.has_vector, weight, 1).astype(np.float32)


def fame(model: HybridModel, evidence: Float32s) -> Float32s:
    """Return the standardised popularity of tracks with so many listeners (n,), shape (n,)."""
    standards = model.standards
    return np.asarray((np.log1p(evidence) - standards.popularity_mean) / standards.popularity_std, dtype=np.float32)


def dialled_fame(model: HybridModel, evidence: Float32s) -> Float32s:
    """Return what the popularity dial adds to scores at 1, shape (n,); see `RecommendOptions`."""
    return np.asarray(FAME * np.maximum(fame(model, evidence), LEAST_FAME), dtype=np.float32)


def track_vectors(model: HybridModel, track_rows: npt.NDArray[np.integer] | slice = EVERY) -> Float32s:
    """Return the tracks' side of the inner product, of some tracks or all.

    Returns
    -------
    ndarray, shape (k, d + 1 + d + dim + 1 + 1), float32
        CF part (posterior factors, 1) times w; content part (predicted factors, sound, 1) times 1 - w; popularity.
    """
    weight = model.play_weight[track_rows, None]
    popularity = fame(model, model.evidence[track_rows])
    return np.hstack(
        [
            weight * model.posterior_factors[track_rows],
            weight,
            (1 - weight) * model.prior_means[track_rows],
            (1 - weight) * model.sound_vectors[track_rows],
            1 - weight,
            popularity[:, None],
        ]
    ).astype(np.float32)


def user_vectors(
    tastes: Taste, standards: Standards, blend: Blend, discovery: float = DEFAULT_DISCOVERY
) -> UserVectors:
    """Return the users' side of the inner product.

    Parameters
    ----------
    tastes : Taste
    standards : Standards
    blend : Blend
    discovery : float, 0 to 1
        Moves the tracks that are judged by their sound: by ``v DISCOVERY_REACH`` standard deviations of CF up at 1,
        down at 0, not at all at `DEFAULT_DISCOVERY`.

    Returns
    -------
    UserVectors
    """
    offset = blend.content_offset + 2 * DISCOVERY_REACH * (discovery - DEFAULT_DISCOVERY)
    squares = tastes.known_plays.astype(np.float64) ** 2
    v = np.where(squares > 0, squares / (squares + blend.user_half**2 + 1e-12), 0.0)
    cf, cf_mean = _standardise(tastes.factors, standards.cf_mean, standards.cf_covariance)
    near, near_mean = _standardise_sparse(tastes.neighbours, standards.n_known_tracks)
    near_share = np.where(np.diff(near.indptr) > 0, blend.neighbour_share, 0)
    d = tastes.factors.shape[1]
    # each half is brought to unit spread before the two are mixed, and the mix once more
    likeness = np.zeros((len(v), len(standards.content_mean)))
    for part, share in ((slice(0, d), blend.prior_share), (slice(d, None), 1 - blend.prior_share)):
        raw = (tastes.factors if part.start == 0 else tastes.sound).astype(np.float64)
        likeness[:, part] = (
            share * _standardise(raw, standards.content_mean[part], standards.content_covariance[part, part])[0]
        )
    content, content_mean = _standardise(likeness, standards.content_mean, standards.content_covariance)
    gain = blend.content_gain
    vectors = np.hstack(
        [
            (v * (1 - near_share))[:, None] * cf,
            (-v * ((1 - near_share) * cf_mean + near_share * near_mean))[:, None],
            (v * gain)[:, None] * content,
            (v * (offset - gain * content_mean))[:, None],
            (1 - v + v * blend.popularity_gain)[:, None],
        ]
    )
    neighbours = _scaled(near, v * near_share)
    return UserVectors(vectors.astype(np.float32), neighbours, v.astype(np.float32))


def score_users(
    model: HybridModel,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix | None = None,
    discovery: float = DEFAULT_DISCOVERY,
) -> Float32s:
    """Score every track for a block of users; mind that the answer holds users x tracks.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (b, n_tracks)
        What these users played, weights > 0; they need not be users of the model.
    heard : csr_matrix, shape (b, n_tracks), optional
        Their entries get -inf.
    discovery : float, 0 to 1
        See `user_vectors`.

    Returns
    -------
    ndarray, shape (b, n_tracks), float32

    Raises
    ------
    DataError
        If the columns are not the model's tracks.
    """
    check_block(model, plays, heard)
    users = user_vectors(tastes_of(model, plays), model.standards, model.blend, discovery)
    scores = score_block(model, users)
    if heard is not None:
        leave_out(scores, heard)
    return np.asarray(scores, dtype=np.float32)


def score_block(model: HybridModel, users: UserVectors, track_rows: npt.NDArray[np.integer] | None = None) -> Float32s:
    """Score tracks for a block of users.

    Parameters
    ----------
    model : HybridModel
    users : UserVectors
        Of b users.
    track_rows : ndarray, shape (k,), int, optional
        Ascending; all of them by default.

    Returns
    -------
    ndarray, shape (b, k or n_tracks), float32
    """
    if track_rows is not None:
        some: Float32s = users.vectors @ track_vectors(model, track_rows).T
        for user, row_scores in enumerate(some):
            row_scores += users.side(user).near_of(track_rows) * model.play_weight[track_rows]
        return some
    near = users.neighbours
    scores: Float32s = users.vectors @ model.track_index.T
    rows = np.repeat(np.arange(near.shape[0]), np.diff(near.indptr))
    scores[rows, near.indices] += near.data * model.play_weight[near.indices]
    return scores


def score_parts(model: HybridModel, users: UserVectors, user: int, track_rows: npt.NDArray[np.integer]) -> Float32s:
    """Split one user's scores into their parts: `side_parts` of the row `user` of `users`."""
    return side_parts(model, users.side(user), track_rows)


def side_parts(model: HybridModel, side: Side, track_rows: npt.NDArray[np.integer]) -> Float32s:
    """Score some tracks for one user, part by part, from their own rows of the model's arrays.

    Parameters
    ----------
    model : HybridModel
    side : Side
    track_rows : ndarray, shape (k,), int

    Returns
    -------
    ndarray, shape (k, 4), float32
        Columns as in `PARTS`; rows add up to the scores. Where neighbours know nothing of a track their part is 0, what
        that means beside the user's other neighbours being counted with the factors.
    """
    d, vector = model.posterior_factors.shape[1], side.vector
    weight = model.play_weight[track_rows]
    parts = np.empty((len(track_rows), len(PARTS)), dtype=np.float32)
    parts[:, 0] = weight * (model.posterior_factors[track_rows] @ vector[:d] + vector[d])
    parts[:, 1] = weight * side.near_of(track_rows)
    sound = model.sound.vectors[track_rows] @ vector[2 * d + 1 : -2] if model.sound is not None else 0
    parts[:, 2] = (1 - weight) * (model.prior_means[track_rows] @ vector[d + 1 : 2 * d + 1] + sound + vector[-2])
    parts[:, 3] = fame(model, model.evidence[track_rows]) * vector[-1]
    return parts


def check_block(model: HybridModel, plays: sparse.csr_matrix, heard: sparse.csr_matrix | None) -> None:
    """Raise DataError unless plays and heard have the model's tracks as columns, and the same users as rows."""
    for name, matrix in (("plays", plays), ("heard", heard)):
        if matrix is not None and matrix.shape[1] != len(model.catalog):
            raise DataError(
                f"{name} have {matrix.shape[1]} columns for a model of {len(model.catalog)} tracks; build them with "
                "the model's catalog"
            )
    if heard is not None and heard.shape[0] != plays.shape[0]:
        raise DataError(f"plays are of {plays.shape[0]} users and heard of {heard.shape[0]}")


def _gram(vectors: Float32s) -> npt.NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return wide.T @ wide


def _moments(vectors: Float32s) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    width = vectors.shape[1]
    if len(vectors) == 0:
        return np.zeros(width), np.zeros((width, width))
    mean = vectors.mean(axis=0, dtype=np.float64)
    moved = vectors - mean
    return mean, moved.T @ moved / len(vectors)


def _standardise(
    vectors: npt.NDArray[np.floating], mean: npt.NDArray[np.float64], covariance: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scale users' vectors so that their scores over the tracks have standard deviation 1; also return their means."""
    spread = np.sqrt(np.maximum(((vectors @ covariance) * vectors).sum(axis=1), 0))
    scaled = np.divide(vectors, spread[:, None], out=np.zeros(vectors.shape), where=spread[:, None] > 1e-9)
    return scaled, scaled @ mean


def _standardise_sparse(scores: sparse.csr_matrix, n_tracks: int) -> tuple[sparse.csr_matrix, npt.NDArray[np.float64]]:
    """Scale sparse scores to standard deviation 1 over `n_tracks` tracks; also return their means."""
    n = max(1, n_tracks)
    means, squares = (_row_sums(scores, values) / n for values in (scores.data, scores.data.astype(np.float64) ** 2))
    spread = np.sqrt(np.maximum(squares - means**2, 0))
    factor = np.divide(1, spread, where=spread > 1e-12, out=np.zeros_like(spread))
    return _scaled(scores, factor), means * factor


def _row_sums(matrix: sparse.csr_matrix, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    upto = np.r_[0.0, np.cumsum(values, dtype=np.float64)]
    return np.asarray(upto[matrix.indptr[1:]] - upto[matrix.indptr[:-1]])


def _scaled(matrix: sparse.csr_matrix, factors: npt.NDArray[np.floating]) -> sparse.csr_matrix:
    """Return the matrix with each row multiplied by a number."""
    values = matrix.data * np.repeat(factors, np.diff(matrix.indptr))
    return sparse.csr_matrix((values.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)


def sources_of(parts: npt.NDArray[np.float32]) -> tuple[Source, ...]:
    """Name who put each track there, from `score_parts` (k, 4): the part that has most of what speaks for it."""
    by_source = np.column_stack([parts[:, 0] + parts[:, 1], parts[:, 2:]])
    for_it = np.maximum(by_source, 0)
    for_it = np.where(for_it.any(axis=1, keepdims=True), for_it, np.abs(by_source))
    total = for_it.sum(axis=1)
    one_sided = for_it.max(axis=1, initial=0) >= ONE_SIDED * total
    return tuple(
        SOURCES[part] if alone else "mixed" for part, alone in zip(for_it.argmax(axis=1), one_sided, strict=True)
    )

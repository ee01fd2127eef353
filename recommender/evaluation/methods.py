"""The methods that every table shows: baselines, oracles, and First Listen itself.

A method is a function ``(task, fits) -> rank``. To add one, write the function here and name it in `METHODS`: it is
then in every table. `Fits` holds what several methods need, fitted on the task's training data when first asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.errors import ModelError
from recommender.evaluation.metrics import Int32s
from recommender.evaluation.protocol import Rank, Task, joined
from recommender.evaluation.ties import best_rows
from recommender.models.als import fold_in_tracks, fold_in_users, play_confidence
from recommender.models.cold_start import fit_prior_and_left_out
from recommender.models.factors import Factors
from recommender.models.smoothing import smooth_track_factors
from recommender.ranking.ranker import (
    HybridModel,
    RankerConfig,
    fit_hybrid,
    score_users,
    served_scores,
    with_live_plays,
)

Embed = Callable[[Interactions], Embeddings]
"""Makes the embeddings given the training plays alone."""

Scores = npt.NDArray[np.floating[Any]]
ScoreUsers = Callable[[Int32s], Scores]
"""Scores of a task's candidates for a block of users: (b,) int32 -> (b, n_candidates), higher is better."""

Similarity = Callable[[Int32s, Int32s], npt.NDArray[np.float32]]
"""Similarities >= 0 of some track rows (a,) to others (b,): (a, b), float32."""

T = TypeVar("T")

NEIGHBOURS = 100
SHARPNESS = 2.0
GATE_HALF = 3
_KNN_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Fits:
    """What is learned from one training set, each on first use, and what plays that came later add to it.

    Parameters
    ----------
    catalog : Catalog
    train : Interactions
    embeddings : Embeddings or None
    config : RankerConfig
    seed : int
        Of everything random in the methods.
    fitted : HybridModel, optional
        Fitted on the same plays before, to be used instead of fitting one here.
    revealed : Interactions, optional
        Plays that arrived after the training. Set by `after`.
    """

    catalog: Catalog
    train: Interactions
    embeddings: Embeddings | None
    config: RankerConfig
    seed: int
    fitted: HybridModel | None = None
    revealed: Interactions | None = None
    _trained: Fits | None = None
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def trained(self) -> Fits:
        """What was learned in training alone."""
        return self._trained or self

    def after(self, revealed: Interactions | None) -> Fits:
        """Return what is known after these plays have arrived too; nothing is fitted again."""
        if revealed is None or not len(revealed):
            return self.trained
        return replace(self.trained, revealed=revealed, _trained=self.trained, _made={})

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` gives, asked only once for all that is ranked after this training."""
        made = self.trained._made
        if name not in made:
            made[name] = make()
        value: T = made[name]
        return value

    def require_embeddings(self) -> Embeddings:
        """Return the embeddings.

        Raises
        ------
        ModelError
            If there are none.
        """
        if self.embeddings is None:
            raise ModelError(
                "a method that hears needs embeddings, and there are none: analyse the music or supply --embeddings"
            )
        return self.embeddings

    @cached_property
    def plays(self) -> sparse.csr_matrix:
        """Liked plays, the revealed ones included, shape (n_users, n_tracks), float32."""
        return self._known.to_csr()

    @cached_property
    def confidence(self) -> sparse.csr_matrix:
        """The weights of the plays, as ALS has them."""
        return play_confidence(self.plays, self.factors.config.play_emphasis)

    @cached_property
    def heard(self) -> sparse.csr_matrix:
        """Everything heard, the revealed plays included, shape (n_users, n_tracks), float32."""
        return self._known.heard()

    @cached_property
    def evidence(self) -> npt.NDArray[np.int64]:
        """How many users played each track, the revealed plays included, shape (n_tracks,)."""
        return self._known.track_evidence()

    @cached_property
    def _known(self) -> Interactions:
        return self.train if self.revealed is None else joined(self.train, self.revealed)

    @cached_property
    def factors(self) -> Factors:
        """ALS on the training plays, as strong as First Listen finds it."""
        return self.trained.hybrid.factors

    @cached_property
    def live_factors(self) -> Factors:
        """The factors of ALS, with those folded in that only the revealed plays know: new tracks, then new users."""
        if self.revealed is None:
            return self.factors
        users, tracks = self.factors.user_factors.copy(), self.factors.track_factors.copy()
        config = self.factors.config
        new_tracks = np.flatnonzero(~tracks.any(axis=1) & (self.evidence > 0))
        tracks[new_tracks] = fold_in_tracks(self.confidence[:, new_tracks], users, config)
        new_users = np.flatnonzero(~users.any(axis=1) & (np.diff(self.plays.indptr) > 0))
        users[new_users] = fold_in_users(self.confidence[new_users], tracks, config)
        return Factors(self.factors.users, self.factors.tracks, users, tracks, config)

    @cached_property
    def hybrid(self) -> HybridModel:
        """First Listen fitted on the training plays and the embeddings; the revealed plays come in live."""
        if self.revealed is not None:
            return with_live_plays(self.trained.hybrid, self.revealed)
        if self.fitted is not None:
            return self.fitted
        return fit_hybrid(self.catalog, self.train, self.embeddings, self.config)

    @cached_property
    def sound(self) -> npt.NDArray[np.float32]:
        """Standardised embeddings, shape (n_tracks, dim), float32; zeros where a track has none."""
        if self._trained is not None:
            return self._trained.sound
        vectors, has = self.require_embeddings().of(self.train.tracks)
        spread = vectors[has].std(axis=0)
        standard = (vectors - vectors[has].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        return np.where(has[:, None], standard, 0.0).astype(np.float32)

    @cached_property
    def has_sound(self) -> npt.NDArray[np.bool_]:
        """Which tracks have an embedding, shape (n_tracks,), bool."""
        has: npt.NDArray[np.bool_] = np.any(self.sound != 0, axis=1)
        return has


Method = Callable[[Task, Fits], Rank]


def random_order(task: Task, fits: Fits) -> Rank:
    """An order of its own for each user, of no meaning."""
    return rank_by(lambda users: np.zeros((len(users), len(task.candidate_rows))), task, fits)


def popularity(task: Task, fits: Fits) -> Rank:
    """By listeners; new tracks have none and follow in random order."""
    return _same_for_all(fits.evidence, task, fits)


def oracle_popularity(task: Task, fits: Fits) -> Rank:
    """By hidden listeners: what knowing everything about popularity, and nothing of taste, would reach."""
    return _same_for_all(np.asarray(task.relevant.sum(axis=0)).ravel(), task, fits)


def als_alone(task: Task, fits: Fits) -> Rank:
    """Collaborative filtering; a track or a user without plays has zero factors."""
    return rank_by(als_scores(task, fits), task, fits)


def als_scores(task: Task, fits: Fits) -> ScoreUsers:
    """Return the scores of `als_alone`."""
    factors = fits.live_factors
    tracks = factors.track_factors[task.candidate_rows].T
    return lambda users: factors.user_factors[users] @ tracks


def content_knn(task: Task, fits: Fits) -> Rank:
    """By how much a track sounds like what the user played."""
    return _nearest_neighbours(partial(_alike_in_sound, fits), fits.has_sound, task, fits)


def joint_knn(task: Task, fits: Fits) -> Rank:
    """By neighbours in factors and in sound, their similarities added; a new track has its sound alone."""
    directions = _unit(fits.live_factors.track_factors)

    def alike(some: Int32s, others: Int32s) -> npt.NDArray[np.float32]:
        in_taste: npt.NDArray[np.float32] = np.maximum(directions[some] @ directions[others].T, 0)
        return in_taste + _alike_in_sound(fits, some, others)

    return _nearest_neighbours(alike, np.ones(len(directions), dtype=bool), task, fits)


def audio_alone(task: Task, fits: Fits) -> Rank:
    """First Listen as if no candidate had a play: each track's prior is predicted without its own plays.

    Tracks without an embedding come last. What users like is still learned from their plays.
    """
    return rank_by(audio_scores(task, fits), task, fits)


def audio_scores(task: Task, fits: Fits) -> ScoreUsers:
    """Return the scores of `audio_alone`."""
    vectors, has = fits.require_embeddings().of(fits.train.tracks)
    model = fits.trained.hybrid

    def predict() -> npt.NDArray[np.float32]:
        prior_means = model.prior_means.copy()
        if model.prior is not None:
            smooth = smooth_track_factors(model.confidence, model.factors.user_factors, model.factors.config)
            taught = has & (model.evidence > 0)
            prior_means[taught] = fit_prior_and_left_out(
                vectors[taught], smooth[taught], model.evidence[taught], fits.config.prior
            )[1]
        return prior_means

    prior_means = fits.once("prior means of audio alone", predict)
    by_sound = replace(model.blend, plain_posterior=False)
    unheard = replace(model, prior_means=prior_means, evidence=np.zeros_like(model.evidence), blend=by_sound)
    known = has[task.candidate_rows]

    def score(users: Int32s) -> Scores:
        scores = score_users(unheard, fits.plays[users])[:, task.candidate_rows]
        return np.where(known, scores, scores.min(axis=1, keepdims=True) - 1)

    return score


def shuffled_embeddings(task: Task, fits: Fits) -> Rank:
    """First Listen with the embeddings handed out to the wrong tracks: what is left when audio says nothing."""
    shuffled = shuffle(fits.require_embeddings(), fits.seed)
    return first_listen(task, Fits(fits.catalog, fits.train, shuffled, fits.config, fits.seed))


def first_listen(task: Task, fits: Fits) -> Rank:
    """The hybrid ranker, as it would be served, without the cap on artists."""
    model = fits.hybrid

    def score(users: Int32s) -> Scores:
        allowed = np.zeros((len(users), len(task.train.tracks)), dtype=bool)
        allowed[:, task.candidate_rows] = True
        allowed[task.left_out[users].nonzero()] = False
        return served_scores(model, fits.plays[users], allowed)[:, task.candidate_rows]

    return rank_by(score, task, fits)


def gate(task: Task, fits: Fits) -> Rank:
    """ALS and audio, each standardised per user over the candidates; a track with n plays has n/(n+3) of the first."""
    in_taste, by_sound = als_scores(task, fits), audio_scores(task, fits)
    evidence = fits.evidence[task.candidate_rows]
    has = fits.has_sound[task.candidate_rows]
    weight = np.where(has, evidence / (evidence + GATE_HALF), 1.0)

    def score(users: Int32s) -> Scores:
        return weight * _standard(in_taste(users), evidence > 0) + (1 - weight) * _standard(by_sound(users), has)

    return rank_by(score, task, fits)


METHODS: dict[str, Method] = {
    "random": random_order,
    "shuffled embeddings": shuffled_embeddings,
    "popularity": popularity,
    "oracle popularity": oracle_popularity,
    "ALS alone": als_alone,
    "content kNN": content_knn,
    "kNN on CF and content": joint_knn,
    "audio alone": audio_alone,
    "First Listen": first_listen,
}
"""Every method by the name that tables show, in their order."""

NEED_EMBEDDINGS = frozenset({"shuffled embeddings", "content kNN", "kNN on CF and content", "audio alone"})
"""Left out of tables where there are no embeddings."""


def rank_by(score: ScoreUsers, task: Task, fits: Fits) -> Rank:
    """Turn scores of the candidates into lists: `Task.left_out` left out, equal scores in random order.

    Ties are broken by a hash of (seed, user, track), so that an order without meaning is a different one for each user
    and the same in whatever blocks the users come. Without it, a method that scores all new tracks alike would profit
    from the order of the catalog.

    Raises
    ------
    ModelError
        When ranking, if a score is NaN.
    """
    columns = np.full(len(task.train.tracks), -1)
    columns[task.candidate_rows] = np.arange(len(task.candidate_rows))

    def rank(user_rows: Int32s, k: int) -> list[Int32s]:
        scores = np.array(score(user_rows), dtype=np.float64)
        if np.isnan(scores).any():
            raise ModelError(f"a score of the task {task.name!r} is NaN: the model that gave it did not converge")
        heard = task.left_out[user_rows].tocoo()
        among = columns[heard.col] >= 0
        scores[heard.row[among], columns[heard.col[among]]] = -np.inf
        return [
            best_rows(row, task.candidate_rows, k, int(user), fits.seed)
            for row, user in zip(scores, user_rows, strict=True)
        ]

    return rank


def shuffle(embeddings: Embeddings, seed: int) -> Embeddings:
    """Hand the track vectors out to tracks at random; clips are left out."""
    order = np.random.default_rng(seed).permutation(len(embeddings.tracks))
    return Embeddings.without_clips(
        embeddings.tracks, embeddings.vectors[order], f"{embeddings.version}-shuffled-{seed}"
    )


def _same_for_all(values: npt.NDArray[Any], task: Task, fits: Fits) -> Rank:
    row = values[task.candidate_rows].astype(np.float64)
    return rank_by(lambda users: np.tile(row, (len(users), 1)), task, fits)


def _alike_in_sound(fits: Fits, some: Int32s, others: Int32s) -> npt.NDArray[np.float32]:
    """Return ``exp(-SHARPNESS |x - y|^2 / dim)`` of standardised embeddings; 0 where either has none."""
    x, y = fits.sound[some], fits.sound[others]
    squared = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None, :] - 2 * (x @ y.T)
    both = fits.has_sound[some][:, None] & fits.has_sound[others][None, :]
    return np.where(both, np.exp(-SHARPNESS * np.maximum(squared, 0) / x.shape[1]), 0).astype(np.float32)


def _nearest_neighbours(alike: Similarity, usable: npt.NDArray[np.bool_], task: Task, fits: Fits) -> Rank:
    """Sum a candidate's similarities to those of its `NEIGHBOURS` nearest played tracks that the user played."""
    played = np.flatnonzero((fits.evidence > 0) & usable).astype(np.int32)
    if not len(played):
        return _same_for_all(np.zeros(len(usable)), task, fits)
    n_neighbours = min(NEIGHBOURS, len(played))
    parts = []
    for start in range(0, len(task.candidate_rows), _KNN_BLOCK):
        candidates = task.candidate_rows[start : start + _KNN_BLOCK]
        similarity = alike(candidates, played)
        similarity[candidates[:, None] == played[None, :]] = 0
        near = np.argpartition(-similarity, n_neighbours - 1, axis=1)[:, :n_neighbours]
        values = np.take_along_axis(similarity, near, axis=1).ravel()
        indptr = np.arange(0, near.size + 1, n_neighbours)
        shape = (len(candidates), len(task.train.tracks))
        parts.append(sparse.csr_matrix((values, played[near].ravel(), indptr), shape=shape))
    neighbours = sparse.vstack(parts).T.tocsr()
    liked = (fits.plays > 0).astype(np.float32)
    return rank_by(lambda users: (liked[users] @ neighbours).toarray(), task, fits)


def _standard(scores: Scores, among: npt.NDArray[np.bool_]) -> Scores:
    """Bring each row to mean 0 and standard deviation 1 over some columns; a row that does not vary becomes 0."""
    if not among.any():
        return np.zeros_like(scores)
    mean = scores[:, among].mean(axis=1, keepdims=True)
    spread = scores[:, among].std(axis=1, keepdims=True)
    return np.asarray(np.where(spread > 1e-12, (scores - mean) / np.where(spread > 1e-12, spread, 1), 0))


def _unit(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float32)

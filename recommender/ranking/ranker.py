"""Recommend: the rooms' front door. Scores in blocks of users, memory flat, lists with their sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.progress import Progress, silent
from recommender.errors import DataError
from recommender.models.als import one_blas_thread
from recommender.ranking.artifact import load_hybrid, save_hybrid
from recommender.ranking.calibration import Mix, kind_of_tracks, kinds_of, mix_of, nearest_kind
from recommender.ranking.candidates import best_rows
from recommender.ranking.confidence import basis_of, confidences
from recommender.ranking.default_list import default_order, default_sources
from recommender.ranking.distaste import Distaste, distaste_of, penalties
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.explain import Explanation, explain, explain_lists, reasons_for
from recommender.ranking.filters import cap_artists, leave_out, space_artists
from recommender.ranking.fitting import fit_hybrid
from recommender.ranking.learned import POOL as LEARNED_POOL
from recommender.ranking.learned import side_corrections
from recommender.ranking.listener import Listener, listener_of, listener_of_user
from recommender.ranking.live import with_feedback, with_live_plays, with_new_tracks, without_users
from recommender.ranking.model import Blend, Float32s, HybridModel, RankerConfig
from recommender.ranking.recommendation import RankedList, Recommendation, RecommendOptions, Source
from recommender.ranking.retrieval import Shortlist, default_shortlist, is_large, shortlist
from recommender.ranking.scan import Products
from recommender.ranking.scoring import (
    Side,
    check_block,
    dialled_fame,
    score_block,
    score_users,
    side_parts,
    sources_of,
    user_vectors,
)
from recommender.ranking.sound import SimilarTrack, SoundQuery, query_of_row, query_of_vector, similar_tracks
from recommender.ranking.taste import tastes_of
from recommender.ranking.validation import ValidationSplit, validation_split

__all__ = [
    "Blend",
    "Explanation",
    "HybridModel",
    "RankedList",
    "RankerConfig",
    "RecommendOptions",
    "Recommendation",
    "SimilarTrack",
    "SoundQuery",
    "Source",
    "ValidationSplit",
    "explain",
    "explain_lists",
    "fit_hybrid",
    "listener_of",
    "listener_of_user",
    "load_hybrid",
    "query_of_row",
    "query_of_vector",
    "reasons_for",
    "recommend",
    "recommend_one",
    "recommend_whole",
    "save_hybrid",
    "score_users",
    "served_scores",
    "similar_tracks",
    "validation_split",
    "with_feedback",
    "with_live_plays",
    "with_new_tracks",
    "without_users",
]

BLOCK_BYTES = 64 * 2**20
"""Memory that the scores of a block of users may take."""

BLOCK_USERS = 1024
"""Most users in a block: each brings the neighbours of all that was played along."""

REPORTED = 256
"""Users between two reports of progress."""

POOL = 5
"""A list is chosen from so many times its length; from more only where the artist cap leaves too few."""

DEPTH = 2
"""A short list holds so many times the pool that is drawn from it; more where that is not enough."""


def recommend(
    model: HybridModel,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    options: RecommendOptions | None = None,
    progress: Progress | None = None,
) -> list[RankedList]:
    """Recommend to a block of users, of any size; they need not be users of the model.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (b, n_tracks)
        What they played, weights > 0. Columns are the model's catalog rows. Without any, the list is a default one:
        popular tracks and new releases by turns.
    heard : csr_matrix, shape (b, n_tracks)
        What they played, skipped or disliked, as `Interactions.heard` has it: left out unless
        ``options.include_heard``. What was skipped or disliked holds back what is like it.
    options : RecommendOptions, optional
    progress : Progress, optional
        Called with users done.

    Returns
    -------
    list of RankedList, length b
        Of equal scores the one with more listeners comes first, then that of the lower catalog row.

    Raises
    ------
    DataError
        If shapes do not fit or a candidate row is not in the catalog.
    """
    options = options or RecommendOptions()
    check_block(model, plays, heard)
    if not is_large(model):
        return recommend_whole(model, plays, heard, options, progress)
    report, lists = progress or silent, []
    plays, heard = sparse.csr_matrix(plays), sparse.csr_matrix(heard)
    with one_blas_thread():
        for user in range(plays.shape[0]):
            lists.append(recommend_one(listener_of(model, plays[user], heard[user], options.discovery), options))
            if len(lists) % REPORTED == 0:
                report(len(lists), plays.shape[0])
    report(len(lists), plays.shape[0])
    return lists


def recommend_whole(
    model: HybridModel,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    options: RecommendOptions | None = None,
    progress: Progress | None = None,
) -> list[RankedList]:
    """Do what `recommend` does by scoring all tracks for blocks of users; its twin where there are many tracks."""
    options = options or RecommendOptions()
    candidates = _candidates(model, options.candidate_rows)
    everything = len(candidates) == len(model.catalog)
    size = min(BLOCK_USERS, max(1, BLOCK_BYTES // (4 * max(1, len(candidates)))))
    plays, heard = sparse.csr_matrix(plays), sparse.csr_matrix(heard)
    report, lists = progress or silent, []
    for start in range(0, plays.shape[0], size):
        block = plays[start : start + size]
        tastes = tastes_of(model, block)
        users = user_vectors(tastes, model.standards, model.blend, options.discovery)
        scores = score_block(model, users, None if everything else candidates)
        mine = heard[start : start + size]
        if not options.include_heard:
            leave_out(scores, mine if everything else mine[:, candidates])
        for user, known in enumerate(tastes.known_plays.tolist()):
            held = distaste_of(model, block[user], mine[user]) if options.distaste else None
            played = block[user].indices[block[user].data > 0]
            found = _one_list(model, users.side(user), scores[user], known, played, held, candidates, options)
            assert found is not None
            lists.append(found)
        report(len(lists), plays.shape[0])
    return lists


def recommend_one(
    listener: Listener, options: RecommendOptions | None = None, estimated: Products | None = None
) -> RankedList:
    """Recommend to one listener, as `recommend` does, from a short list instead of all tracks.

    Parameters
    ----------
    listener : Listener
        Made with ``options.discovery``.
    options : RecommendOptions, optional
    estimated : Products, optional
        By `retrieval.estimates`, where it is there already.

    Returns
    -------
    RankedList

    Raises
    ------
    DataError
        If a candidate row is not in the catalog.
    """
    options, model = options or RecommendOptions(), listener.model
    if options.candidate_rows is not None:
        options = replace(options, candidate_rows=_candidates(model, options.candidate_rows))
    held, depth = listener.held(options.distaste), DEPTH * _pool_size(model, listener.known_plays, options)
    while True:
        if listener.known_plays:
            short = shortlist(listener, depth, options, estimated)
        else:
            short = default_shortlist(listener, depth, options)
        found = _one_list(
            model,
            listener.side,
            short.scores,
            listener.known_plays,
            listener.played,
            held,
            short.rows,
            options,
            short,
        )
        if found is not None:
            return found
        depth *= 4


def _pool_size(model: HybridModel, known_plays: int, options: RecommendOptions) -> int:
    return max(POOL * options.top, LEARNED_POOL if model.learned is not None and known_plays else 0)


def _one_list(
    model: HybridModel,
    side: Side,
    scores: Float32s,
    known_plays: int,
    played: npt.NDArray[np.integer],
    held: Distaste | None,
    candidates: npt.NDArray[np.int32],
    options: RecommendOptions,
    short: Shortlist | None = None,
) -> RankedList | None:
    """Draw a pool of candidates, choose the list from it, put the list in order.

    None if the candidates are those of a short list, and the list needs what may be outside of it.
    """
    is_whole = short is None or short.is_whole
    size = min(len(scores), _pool_size(model, known_plays, options))
    while True:
        draw = _best_pool if known_plays else _default_pool
        pool = draw(model, scores, held, candidates, options, size)
        if short is not None and not is_whole and not _stands_above(model, pool, short, size):
            return None
        if model.learned is not None and known_plays:
            pool = pool.corrected(side_corrections(model, side, played, candidates[pool.places]))
        pool = pool.only(cap_artists(candidates[pool.places], model.artist_codes, options.max_per_artist))
        if len(pool.places) >= options.top or (size == len(scores) and is_whole):
            break
        if size == len(scores):
            return None
        size = min(4 * size, len(scores))
    chosen = (
        _choose(model, candidates[pool.places], pool.values, played, options) if known_plays else slice(options.top)
    )
    pool = pool.only(chosen)
    pool = pool.only(space_artists(candidates[pool.places], model.artist_codes, options.artist_gap))
    rows = candidates[pool.places]
    parts = side_parts(model, side, rows) if short is None else short.parts[pool.places]
    sources = sources_of(parts) if known_plays else default_sources(model, rows)
    return RankedList(
        rows,
        (scores[pool.places] + pool.gained - pool.lost).astype(np.float32),
        sources,
        confidences(model, known_plays, rows),
        basis_of(known_plays),
        known_plays,
    )


def _stands_above(model: HybridModel, pool: Pool, short: Shortlist, size: int) -> bool:
    """Tell whether a pool of a short list is what it would be if all tracks were candidates."""
    values = pool.values
    if not pool.is_default:
        return len(values) >= size and float(values.min()) > short.floor
    # popular and new ones are each there in their order, only penalties could let others pass
    popular = values[model.evidence[short.rows[pool.places]] > 0]
    return size <= short.depth and (len(popular) < size or not pool.lost.any() or float(popular.min()) > short.floor)


def served_scores(model: HybridModel, plays: sparse.csr_matrix, allowed: npt.NDArray[np.bool_]) -> Float32s:
    """Score as lists are ranked: where a model has a learned ranker, the blend's best of each user are re-ordered.

    Parameters
    ----------
    model : HybridModel
    plays : csr_matrix, shape (b, n_tracks)
    allowed : ndarray, shape (b, n_tracks), bool
        What may be in the lists.

    Returns
    -------
    ndarray, shape (b, n_tracks), float32
        What is not allowed has -inf; what the blend has below the pool stands below all of the pool.
    """
    check_block(model, plays, None)
    tastes = tastes_of(model, plays)
    users = user_vectors(tastes, model.standards, model.blend)
    scores = np.where(allowed, score_block(model, users), np.float32(-np.inf))
    if model.learned is None:
        return scores
    for user in np.flatnonzero(tastes.known_plays).tolist():
        best = best_rows(scores[user], LEARNED_POOL, model.evidence)
        if len(best):
            played = np.unique(plays[user].indices[plays[user].data > 0])
            learned = scores[user, best] + side_corrections(model, users.side(user), played, best)
            scores[user] -= max(0, scores[user, best[-1]] - learned.min())
            scores[user, best] = learned
    return scores


@dataclass(frozen=True, eq=False)
class Pool:
    """What a list is chosen from, best first.

    Parameters
    ----------
    places : ndarray, shape (p,), intp
        Among the candidates.
    values : ndarray, shape (p,), float32
        What the choice goes by.
    lost : ndarray, shape (p,), float64
        What skips and dislikes took from the score.
    gained : ndarray, shape (p,), float64
        What the learned ranker added to it.
    is_default : bool
        Whether it is for somebody without plays: popular and new tracks by turns.
    """

    places: npt.NDArray[np.intp]
    values: Float32s
    lost: npt.NDArray[np.float64]
    gained: npt.NDArray[np.float64]
    is_default: bool = False

    def only(self, kept: npt.NDArray[Any] | slice) -> Pool:
        """Return a part of the pool, by a mask or by positions."""
        return Pool(self.places[kept], self.values[kept], self.lost[kept], self.gained[kept], self.is_default)

    def corrected(self, gained: npt.NDArray[np.float64]) -> Pool:
        """Return the pool in the order that it has after this is added."""
        values = (self.values + gained).astype(np.float32)
        order = np.argsort(-values, kind="stable")
        return Pool(self.places[order], values[order], self.lost[order], gained[order])


def _best_pool(
    model: HybridModel,
    scores: Float32s,
    held: Distaste | None,
    candidates: npt.NDArray[np.int32],
    options: RecommendOptions,
    size: int,
) -> Pool:
    """Draw the best `size` candidates once the popularity dial, skips and dislikes have had their say.

    Penalties only take away: once the last of the pool stands above everything that was not looked at, nothing of that
    can belong into it. So the pool is that of all candidates, though few of them are compared with what is held against
    them.
    """
    evidence = model.evidence[candidates]
    wanted = scores
    if options.popularity:
        wanted = (scores + options.popularity * dialled_fame(model, evidence)).astype(np.float32)
    depth = size if held is None else 2 * size
    while True:
        best = best_rows(wanted, depth, evidence)
        lost = np.zeros(len(best))
        if held is not None:
            lost = penalties(model, held, candidates[best], options.distaste)
        values = (wanted[best] - lost).astype(np.float32)
        order = np.lexsort((best, -evidence[best], -values))[:size]
        if held is None or not len(best) or len(best) < depth or values[order[-1]] > wanted[best[-1]]:
            return Pool(best[order], values[order], lost[order], np.zeros(len(order)))
        depth *= 4


def _default_pool(
    model: HybridModel,
    scores: Float32s,
    held: Distaste | None,
    candidates: npt.NDArray[np.int32],
    options: RecommendOptions,
    size: int,
) -> Pool:
    """Order candidates for somebody of whom no play is known."""
    lost = np.zeros(len(candidates)) if held is None else penalties(model, held, candidates, options.distaste)
    values = (scores - lost).astype(np.float32)
    places = default_order(model, values, candidates, options.top, size, options.diversity)
    return Pool(places, values[places], lost[places], np.zeros(len(places)), is_default=True)


def _choose(
    model: HybridModel,
    rows: npt.NDArray[np.int32],
    values: Float32s,
    played: npt.NDArray[np.integer],
    options: RecommendOptions,
) -> npt.NDArray[np.intp]:
    """Choose `options.top` places of a pool, in its order: unlike each other, and after the listener's mix."""
    if len(rows) <= options.top or not (options.diversity or options.calibration):
        return np.arange(min(options.top, len(rows)))
    vectors = alike_vectors(model, rows)
    mix = None
    if options.calibration:
        kinds = kinds_of(model, alike_vectors)
        own = kind_of_tracks(model, played, alike_vectors)
        mix = Mix(nearest_kind(vectors, kinds), mix_of(own, len(kinds)), options.calibration)
    return np.sort(np.array(choose(values, vectors, options.top, options.diversity, mix), dtype=np.intp))


def _candidates(model: HybridModel, rows: npt.NDArray[np.int32] | None) -> npt.NDArray[np.int32]:
    if rows is None:
        return np.arange(len(model.catalog), dtype=np.int32)
    unique = np.unique(rows).astype(np.int32)
    outside = unique[(unique < 0) | (unique >= len(model.catalog))]
    if len(outside):
        raise DataError(f"candidate row {outside[0]} is not in a catalog of {len(model.catalog)} tracks")
    return unique

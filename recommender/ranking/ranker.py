"""Recommend: the rooms' front door. Scores in blocks of users, memory flat, lists with their sources."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.progress import Progress, silent
from recommender.errors import DataError
from recommender.ranking.artifact import load_hybrid, save_hybrid
from recommender.ranking.candidates import best_rows
from recommender.ranking.explain import Explanation, explain, explain_lists, reasons_for
from recommender.ranking.filters import cap_artists, leave_out
from recommender.ranking.fitting import fit_hybrid
from recommender.ranking.live import with_live_plays, with_new_tracks
from recommender.ranking.model import Blend, Float32s, HybridModel, RankerConfig
from recommender.ranking.recommendation import RankedList, Recommendation, RecommendOptions, Source
from recommender.ranking.scoring import (
    UserVectors,
    check_block,
    score_block,
    score_parts,
    score_users,
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
    "load_hybrid",
    "query_of_row",
    "query_of_vector",
    "reasons_for",
    "recommend",
    "save_hybrid",
    "score_users",
    "similar_tracks",
    "validation_split",
    "with_live_plays",
    "with_new_tracks",
]

BLOCK_BYTES = 64 * 2**20
"""Memory that the scores of a block of users may take."""

POOL = 5
"""So many times the length of a list is ordered first; more only where the artist cap leaves too few."""


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
        What they played, weights > 0. Columns are the model's catalog rows. Without any, popularity decides.
    heard : csr_matrix, shape (b, n_tracks)
        What they played or skipped: left out unless ``options.include_heard``.
    options : RecommendOptions, optional
    progress : Progress, optional
        Called with users done.

    Returns
    -------
    list of RankedList, length b
        Equal scores are ordered by listeners, then by catalog row.

    Raises
    ------
    DataError
        If shapes do not fit or a candidate row is not in the catalog.
    """
    options = options or RecommendOptions()
    check_block(model, plays, heard)
    candidates = _candidates(model, options.candidate_rows)
    everything = len(candidates) == len(model.catalog)
    size = max(1, BLOCK_BYTES // (4 * max(1, len(candidates))))
    plays, heard = sparse.csr_matrix(plays), sparse.csr_matrix(heard)
    report, lists = progress or silent, []
    for start in range(0, plays.shape[0], size):
        block = plays[start : start + size]
        users = user_vectors(tastes_of(model, block), model.standards, model.blend)
        scores = score_block(model, users, None if everything else candidates)
        if not options.include_heard:
            mine = heard[start : start + size]
            leave_out(scores, mine if everything else mine[:, candidates])
        lists += [_one_list(model, users, user, row, candidates, options) for user, row in enumerate(scores)]
        report(len(lists), plays.shape[0])
    return lists


def _one_list(
    model: HybridModel,
    users: UserVectors,
    user: int,
    scores: Float32s,
    candidates: npt.NDArray[np.int32],
    options: RecommendOptions,
) -> RankedList:
    evidence = model.evidence[candidates]
    pool = min(len(scores), options.top * (POOL if options.max_per_artist else 1))
    while True:
        best = best_rows(scores, pool, evidence)
        kept = best[cap_artists(candidates[best], model.artist_codes, options.max_per_artist)][: options.top]
        if len(kept) == options.top or pool == len(scores):
            break
        pool = len(scores)
    rows = candidates[kept]
    return RankedList(rows, scores[kept], sources_of(score_parts(model, users, user, rows)))


def _candidates(model: HybridModel, rows: npt.NDArray[np.int32] | None) -> npt.NDArray[np.int32]:
    if rows is None:
        return np.arange(len(model.catalog), dtype=np.int32)
    unique = np.unique(rows).astype(np.int32)
    outside = unique[(unique < 0) | (unique >= len(model.catalog))]
    if len(outside):
        raise DataError(f"candidate row {outside[0]} is not in a catalog of {len(model.catalog)} tracks")
    return unique

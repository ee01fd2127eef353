"""What is hidden, who may be recommended, and how a method is read: the tasks of an evaluation.

A method under test is a function ``rank(user_rows, k)`` that returns one array of track rows a user, best first. It
leaves out `Task.left_out` (what the user heard in training, first of all) and names only candidates; a method that does
not is refused, because its figures would mean something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.splits import Split, check_no_leakage, split_by_time, split_per_user
from recommender.errors import DataError, LeakageError, ModelError
from recommender.evaluation import metrics
from recommender.evaluation.cold_splits import SplitBy, filter_min_users, hide_tracks
from recommender.evaluation.metrics import NOTHING, Int32s

Rank = Callable[[Int32s, int], Sequence[npt.NDArray[np.integer]]]
"""``rank(user_rows (b,) int32, k)`` -> b arrays of at most k track rows, best first, heard tracks left out."""

BLOCK_USERS = 512


@dataclass(frozen=True, eq=False)
class Task:
    """One question put to every method: what would these users play, out of these candidates.

    Parameters
    ----------
    name : str
    train : Interactions
        All that a method may learn from.
    relevant : csr_matrix, shape (n_users, n_tracks), float32
        1 for each candidate that the user played and that was hidden; disjoint from what `train` has heard.
    candidate_rows : ndarray, shape (n_candidates,), int32
        Sorted track rows.
    user_rows : ndarray, shape (n_readers,), int32
        Sorted rows of the users with at least one relevant track: those that figures are read for.
    parts : tuple of (str, csr_matrix)
        Shares of `relevant` that are read on the same lists, for example cold and warm tracks of a mixed list.
    revealed : Interactions, optional
        Plays that arrive after the training: models are not fitted on them, and take them in as a service would.
    reserved : csr_matrix, shape (n_users, n_tracks), float32, optional
        Entries mark pairs that are in nobody's list besides those heard in training: all that are revealed at some
        point of a curve, so that its points rank the same tracks for the same users.

    Raises
    ------
    LeakageError
        If a relevant track was heard in training or is revealed, or a revealed pair is not reserved.
    DataError
        If nobody has a relevant track, or a relevant track is no candidate.
    """

    name: str
    train: Interactions
    relevant: sparse.csr_matrix
    candidate_rows: Int32s
    user_rows: Int32s
    parts: tuple[tuple[str, sparse.csr_matrix], ...] = ()
    revealed: Interactions | None = None
    reserved: sparse.csr_matrix | None = None

    @cached_property
    def left_out(self) -> sparse.csr_matrix:
        """What may be in nobody's list, shape (n_users, n_tracks), float32: heard in training, or reserved."""
        heard = self.train.heard()
        return heard if self.reserved is None else sparse.csr_matrix(((heard + self.reserved) > 0).astype(np.float32))

    def __post_init__(self) -> None:
        if not len(self.user_rows):
            raise DataError(
                f"the task {self.name!r} has no hidden plays: nothing can be measured; hide more or lower min_users"
            )
        if not np.isin(self.relevant.indices, self.candidate_rows).all():
            raise DataError(f"the task {self.name!r} counts tracks as relevant that are no candidates")
        leaked = int(self.relevant.multiply(self.train.heard()).nnz)
        if leaked:
            raise LeakageError(
                f"the task {self.name!r} hides {leaked} (user, track) pairs that its training data holds"
            )
        shown = int(self.relevant.multiply(self.left_out).nnz)
        revealed = self.revealed.heard() if self.revealed is not None else None
        loose = 0 if revealed is None else int(revealed.nnz - revealed.multiply(self.left_out).nnz)
        if shown or loose:
            raise LeakageError(
                f"the task {self.name!r} asks for {shown} pairs that are reserved to be revealed, and reveals {loose} "
                "pairs that are not reserved"
            )


def make_task(
    name: str,
    split: Split,
    candidate_rows: Int32s,
    parts: Sequence[tuple[str, npt.NDArray[np.bool_]]] = (),
) -> Task:
    """Build the task of a split.

    Parameters
    ----------
    name : str
    split : Split
        Relevant is what was played (weight > 0) in its test part and not heard before.
    candidate_rows : ndarray, shape (n_candidates,), int32
    parts : sequence of (str, ndarray of shape (n_tracks,), bool)
        Sets of tracks whose relevant plays are also read apart.
    """
    is_candidate = np.zeros(len(split.train.tracks), dtype=bool)
    is_candidate[candidate_rows] = True
    played = (split.test.to_csr() > 0).astype(np.float32)
    first = played - played.multiply(split.train.heard() != 0)
    relevant = _only_tracks(first.tocsr(), is_candidate)
    user_rows = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int32)
    apart = tuple((part, _only_tracks(relevant, mask)) for part, mask in parts)
    return Task(name, split.train, relevant, np.flatnonzero(is_candidate).astype(np.int32), user_rows, apart)


def warm_task(interactions: Interactions, *, fraction: float = 0.2, min_users: int = 5, seed: int) -> Task:
    """Hide a fraction of each user's (user, track) pairs: the warm protocol.

    Tracks with fewer than `min_users` users are left out altogether; the candidates are all others.
    """
    kept = filter_min_users(interactions, min_users)
    split = split_per_user(kept, fraction, seed)
    check_no_leakage(split)
    return make_task("warm", split, tracks_of(kept))


def cold_task(
    interactions: Interactions,
    has_embedding: npt.NDArray[np.bool_],
    *,
    fraction: float = 0.2,
    min_users: int = 5,
    seed: int,
    by: SplitBy = "random",
    catalog: Catalog | None = None,
) -> Task:
    """Hide every play of a fraction of the tracks that have an embedding; the candidates are those tracks alone.

    What few users played stays in training: it is never a candidate, but it is there when a new track arrives.

    Which tracks are hidden moves the figures more than anything else; that seeds are folds takes away most of that
    chance. The parameters are those of `cold_splits.hide_tracks`.
    """
    split = hide_tracks(
        interactions, has_embedding, fraction=fraction, min_users=min_users, seed=seed, by=by, catalog=catalog
    )
    return make_task("cold", split, split.held_rows)


def mixed_task(
    interactions: Interactions,
    has_embedding: npt.NDArray[np.bool_],
    *,
    fraction: float = 0.2,
    min_users: int = 5,
    seed: int,
    by: SplitBy = "random",
    catalog: Catalog | None = None,
) -> Task:
    """Hide tracks as `cold_task` does and a fraction of each user's pairs among the rest; all tracks are candidates.

    Its parts ``cold`` and ``warm`` read the hidden tracks and the hidden pairs apart, on the same lists.
    """
    kept = filter_min_users(interactions, min_users)
    outer = hide_tracks(kept, has_embedding, fraction=fraction, min_users=min_users, seed=seed, by=by, catalog=catalog)
    cold = np.zeros(len(interactions.tracks), dtype=bool)
    cold[outer.held_rows] = True
    inner = split_per_user(outer.train, fraction, seed)
    split = Split(inner.train, joined(outer.test, inner.test), "pairs")
    check_no_leakage(split)
    candidates = np.union1d(tracks_of(outer.train), outer.held_rows).astype(np.int32)
    return make_task("mixed", split, candidates, (("cold", cold), ("warm", ~cold)))


def time_task(interactions: Interactions, at: np.datetime64 | str) -> Task:
    """Hide all that happened from `at` on; every track is a candidate, new ones (no play before) are read apart."""
    split = split_by_time(interactions, at)
    check_no_leakage(split)
    new = split.train.track_evidence() == 0
    everything = np.arange(len(interactions.tracks), dtype=np.int32)
    return make_task("time", split, everything, (("cold", new), ("warm", ~new)))


def rank_users(rank: Rank, task: Task, k: int, *, name: str = "the method") -> Int32s:
    """Ask a method for the lists of all readers of a task, a block of users at a time.

    Parameters
    ----------
    rank : Rank
    task : Task
    k : int > 0
    name : str
        Names the method in messages.

    Returns
    -------
    ndarray, shape (n_readers, k), int32
        Filled up with `metrics.NOTHING`.

    Raises
    ------
    ModelError
        If a list names a track twice, one that is no candidate, or one that the user heard in training.
    """
    ranked = np.full((len(task.user_rows), k), NOTHING, dtype=np.int32)
    for start in range(0, len(task.user_rows), BLOCK_USERS):
        users = task.user_rows[start : start + BLOCK_USERS]
        lists = rank(users, k)
        if len(lists) != len(users):
            raise ModelError(f"{name} gave {len(lists)} lists for {len(users)} users of the task {task.name!r}")
        ranked[start : start + len(users)] = metrics.pad_lists(lists, k)
    shown = ranked[ranked != NOTHING]
    if not np.isin(shown, task.candidate_rows).all():
        stray = shown[~np.isin(shown, task.candidate_rows)][0]
        raise ModelError(f"{name} ranked track row {stray}, which is no candidate of the task {task.name!r}")
    if metrics.find_hits(ranked, task.left_out[task.user_rows]).any():
        raise ModelError(f"{name} recommended tracks that their users had heard in training; a method leaves them out")
    return ranked


def read_lists(
    ranked: Int32s, relevant: sparse.csr_matrix, train: Interactions, user_rows: Int32s, ks: Sequence[int]
) -> pd.DataFrame:
    """Read per-user figures off ranked lists.

    Parameters
    ----------
    ranked : ndarray, shape (n_readers, >= max(ks)), int32
    relevant : csr_matrix, shape (n_users, n_tracks)
    train : Interactions
    user_rows : ndarray, shape (n_readers,), int32
    ks : sequence of int

    Returns
    -------
    DataFrame, one row for each reader with a relevant track
        Index ``user_row``; columns ``recall@k`` and ``ndcg@k`` for each k, ``mrr@K`` and ``novelty@K`` for the largest.
    """
    wanted = relevant[user_rows]
    hits, n_relevant = metrics.find_hits(ranked, wanted), metrics.count_relevant(wanted)
    columns = {}
    for k in sorted(ks):
        columns[f"recall@{k}"] = metrics.recall_at_k(hits, n_relevant, k)
        columns[f"ndcg@{k}"] = metrics.ndcg_at_k(hits, n_relevant, k)
    longest = max(ks)
    columns[f"mrr@{longest}"] = metrics.reciprocal_rank_at_k(hits, n_relevant, longest)
    columns[f"novelty@{longest}"] = metrics.novelty_at_k(ranked, train.track_evidence(), len(train.users), longest)
    frame = pd.DataFrame(columns, index=pd.Index(user_rows, name="user_row"))
    return frame[n_relevant > 0]


def evaluate_method(rank: Rank, task: Task, ks: Sequence[int], *, name: str = "the method") -> pd.DataFrame:
    """Rank a task's candidates for all its readers and return their figures; see `rank_users` and `read_lists`."""
    ranked = rank_users(rank, task, max(ks), name=name)
    return read_lists(ranked, task.relevant, task.train, task.user_rows, ks)


def catalog_figures(ranked: Int32s, task: Task, k: int) -> dict[str, float]:
    """Return what lists do to the catalog: ``coverage@k``, ``gini@k`` and ``popularity_lift@k``."""
    listeners = task.train.track_evidence()
    plays = task.train.to_csr()[task.user_rows]
    return {
        f"coverage@{k}": metrics.coverage_at_k(ranked, task.candidate_rows, k),
        f"gini@{k}": metrics.gini_at_k(ranked, task.candidate_rows, k),
        f"popularity_lift@{k}": metrics.popularity_lift(ranked, plays, listeners, k),
    }


def tracks_of(interactions: Interactions) -> Int32s:
    """Return the rows of the tracks that somebody played, ascending."""
    return np.flatnonzero(interactions.track_evidence()).astype(np.int32)


def _only_tracks(matrix: sparse.csr_matrix, mask: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
    kept = matrix.multiply(mask.astype(np.float32)[None, :]).tocsr().astype(np.float32)
    kept.eliminate_zeros()
    kept.sort_indices()
    return kept


def joined(first: Interactions, second: Interactions) -> Interactions:
    """Return the interactions of both, which have the same vocabularies."""
    return Interactions(
        first.users,
        first.tracks,
        np.concatenate([first.user_rows, second.user_rows]),
        np.concatenate([first.track_rows, second.track_rows]),
        np.concatenate([first.weights, second.weights]),
        np.concatenate([first.times, second.times]),
    )

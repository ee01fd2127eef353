"""What the first plays are worth: the same question again and again while a few plays are revealed.

Models are fitted once, on a training set that knows nothing of the new tracks, or of the new users. The plays that are
revealed come in afterwards, as they would in a running service. All points of a curve rank the same candidates for the
same readers and ask for the same hidden pairs, and what is revealed at one point is among what is revealed at the next,
so that points can be compared user by user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recommender.data.interactions import Interactions
from recommender.data.splits import Split
from recommender.errors import DataError
from recommender.evaluation.metrics import Int32s
from recommender.evaluation.protocol import Task, tracks_of

MIN_HIDDEN = 5
"""Plays of a track, or of a user, that stay hidden at every point."""

MIN_NEW = 20
"""With fewer new tracks or users that have plays enough, the last point of a curve is left out."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The points of a curve.

    Parameters
    ----------
    name : {"tracks", "users"}
        Which of them are new.
    points : tuple of int
        Revealed plays of each new track or user, ascending.
    tasks : tuple of Task
        One a point, named ``"tracks, 3 plays"``.
    left_out : tuple of int
        Points that were asked for, and for which too few have enough plays.
    """

    name: str
    points: tuple[int, ...]
    tasks: tuple[Task, ...]
    left_out: tuple[int, ...] = ()


def point_name(curve: str, plays: int) -> str:
    """Return the name of a point's task.

    Examples
    --------
    >>> point_name("tracks", 1), point_name("users", 10)
    ('tracks, 1 play', 'users, 10 plays')
    """
    return f"{curve}, {plays} play{'' if plays == 1 else 's'}"


def track_curve(split: Split, points: Sequence[int], seed: int, *, min_new: int = MIN_NEW) -> Curve:
    """Let new tracks warm up, ranked among themselves.

    Parameters
    ----------
    split : Split
        Of kind ``"cold-tracks"``.
    points : sequence of int
    seed : int
        Of the choice of the plays that are revealed: random ones of each track, by users known in training.
    min_new : int

    Returns
    -------
    Curve
        Its candidates are the cold tracks with `MIN_HIDDEN` plays more than the last point reveals. A user whose play
        of a track is revealed at any point does not get that track in his list at any point.

    Raises
    ------
    DataError
        If fewer than two tracks have enough plays for even the first two points.
    """
    known_user = np.bincount(split.train.user_rows, minlength=len(split.train.users)) > 0
    test = split.test.select(known_user[split.test.user_rows])
    liked = _liked(test).T.tocsr()
    order, kept, dropped = _plan(liked, points, seed, "new tracks", min_new)
    candidates = np.flatnonzero(np.diff(liked.indptr) >= kept[-1] + MIN_HIDDEN).astype(np.int32)
    tasks = _tasks("tracks", split, test, order.T.tocsr(), liked.T.tocsr(), candidates, kept)
    return Curve("tracks", kept, tasks, dropped)


def user_curve(split: Split, points: Sequence[int], seed: int, *, min_new: int = MIN_NEW) -> Curve:
    """Let new users be known by their first plays; the candidates are the tracks with plays in training.

    Parameters
    ----------
    split : Split
        Of kind ``"cold-users"``.
    points, seed, min_new
        As in `track_curve`; the plays that are revealed are random ones of each user, of tracks known in training.

    Raises
    ------
    DataError
        As `track_curve`.
    """
    candidates = tracks_of(split.train)
    known = np.zeros(len(split.train.tracks), dtype=bool)
    known[candidates] = True
    test = split.test.select(known[split.test.track_rows])
    liked = _liked(test)
    order, kept, dropped = _plan(liked, points, seed, "new users", min_new)
    users = np.flatnonzero(np.diff(liked.indptr) >= kept[-1] + MIN_HIDDEN)
    readers = sparse.diags(np.isin(np.arange(liked.shape[0]), users).astype(np.float32))
    tasks = _tasks("users", split, test, (readers @ order).tocsr(), (readers @ liked).tocsr(), candidates, kept)
    return Curve("users", kept, tasks, dropped)


def _plan(
    liked: sparse.csr_matrix, points: Sequence[int], seed: int, what: str, min_new: int
) -> tuple[sparse.csr_matrix, tuple[int, ...], tuple[int, ...]]:
    """Give the pairs of each row of `liked` a random order 1, 2, ..., and find the points that data support."""
    counts = np.diff(liked.indptr)
    wanted = tuple(sorted(set(points)))
    kept = tuple(k for k in wanted if (counts >= k + MIN_HIDDEN).sum() >= (min_new if k > wanted[0] else 2))
    if len(kept) < 2:
        raise DataError(
            f"fewer than {min_new} {what} have the {wanted[min(1, len(wanted) - 1)] + MIN_HIDDEN} plays that two "
            "points of a curve take"
        )
    rows = np.repeat(np.arange(liked.shape[0]), counts)
    shuffled = np.lexsort((np.random.default_rng(seed).random(liked.nnz), rows))
    place = np.empty(liked.nnz, dtype=np.float32)
    place[shuffled] = 1 + np.arange(liked.nnz) - np.repeat(liked.indptr[:-1], counts)
    order = liked.copy()
    order.data = place
    return order, kept, tuple(k for k in wanted if k not in kept)


def _tasks(
    name: str,
    split: Split,
    test: Interactions,
    order: sparse.csr_matrix,
    liked: sparse.csr_matrix,
    candidates: Int32s,
    points: tuple[int, ...],
) -> tuple[Task, ...]:
    """Build the tasks of a curve; order, liked: (n_users, n_tracks), the first holds each pair's place in line."""
    asked = np.zeros(liked.shape[1], dtype=np.float32)
    asked[candidates] = 1
    order = _clean(order.multiply(asked[None, :]))
    reserved = order.copy()
    reserved.data = (reserved.data <= points[-1]).astype(np.float32)
    reserved = _clean(reserved)
    hidden = _clean(liked.multiply(asked[None, :]) - reserved)
    readers = np.flatnonzero(np.diff(hidden.indptr)).astype(np.int32)
    place = np.asarray(order[test.user_rows, test.track_rows]).ravel() if len(test) else np.zeros(0)
    tasks = []
    for plays in points:
        revealed = test.select((place > 0) & (place <= plays))
        tasks.append(
            Task(
                point_name(name, plays),
                split.train,
                hidden,
                candidates,
                readers,
                revealed=revealed if len(revealed) else None,
                reserved=reserved,
            )
        )
    return tuple(tasks)


def _liked(interactions: Interactions) -> sparse.csr_matrix:
    liked = (interactions.to_csr() > 0).astype(np.float32)
    liked.sort_indices()
    return liked


def _clean(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    cleaned = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    cleaned.eliminate_zeros()
    cleaned.sort_indices()
    return cleaned

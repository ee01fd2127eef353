"""What a model may see and what it is asked: splits by time, by play, by track and by user, and a check of each.

A split never changes the vocabularies: a cold track keeps its row, it only has no plays in `train`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.interactions import Interactions
from recommender.errors import DataError, LeakageError

Rows = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
SplitKind = Literal["plays", "time", "pairs", "cold-tracks", "cold-users"]


def _no_rows() -> Rows:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Split:
    """Interactions to learn from, and interactions to be asked about.

    Parameters
    ----------
    train, test : Interactions
        Over the same vocabularies.
    kind : {"plays", "time", "pairs", "cold-tracks", "cold-users"}
        What keeps the two apart; `check_no_leakage` holds them to it. The least is ``"plays"``: no play is in both.
    at : datetime64[s] or None
        Of a time split: the first second of `test`.
    held_rows : ndarray, shape (n,), int32
        Of a cold split: the rows of the tracks or users of which `train` knows nothing; sorted.
    """

    train: Interactions
    test: Interactions
    kind: SplitKind = "plays"
    at: np.datetime64 | None = None
    held_rows: Rows = field(default_factory=_no_rows)


def split_by_time(interactions: Interactions, at: np.datetime64 | pd.Timestamp | str) -> Split:
    """Learn from what was before a moment, ask about what came then.

    Parameters
    ----------
    interactions : Interactions
        All with a time.
    at : datetime64, Timestamp or ISO str
        UTC where it has no zone; to the second.
        `train` is strictly before it, `test` at it or later. A pair that was played before and after is in both; see
        `without_repeats`.

    Raises
    ------
    DataError
        If an interaction has no time: it could be on either side.
    """
    stamp = pd.Timestamp(at)
    if pd.isna(stamp):
        raise DataError(f"a time split needs a moment, got {at!r}")
    moment = (stamp.tz_convert("UTC").tz_localize(None) if stamp.tz else stamp).to_datetime64().astype("datetime64[s]")
    if unknown := int(np.isnat(interactions.times).sum()):
        raise DataError(
            f"{unknown} of {len(interactions)} interactions have no time, so no time split can be made of them; "
            "leave them out, or use split_per_user"
        )
    before = interactions.times < moment
    return Split(interactions.select(before), interactions.select(~before), "time", at=moment)


def split_per_user(interactions: Interactions, fraction: float, seed: int) -> Split:
    """Hide a share of every user's tracks.

    All rows of a (user, track) pair go to one side. Of a user with n pairs, `fraction` times n are hidden, rounded to
    the nearest whole number (halves up), and never all of them: a user keeps at least one pair to be known by.

    Parameters
    ----------
    interactions : Interactions
    fraction : float
        Between 0 and 1, both excluded.
    seed : int
    """
    _check_fraction(fraction)
    pairs = _pairs(interactions)
    unique, inverse = np.unique(pairs, return_inverse=True)
    users = unique // max(len(interactions.tracks), 1)
    order = np.lexsort((np.random.default_rng(seed).random(len(unique)), users))
    counts = np.bincount(users, minlength=len(interactions.users))
    rank = np.empty(len(unique), dtype=np.int64)
    rank[order] = np.arange(len(unique)) - (np.cumsum(counts) - counts)[users[order]]
    hidden_of_user = np.minimum(np.floor(fraction * counts + 0.5).astype(np.int64), np.maximum(counts - 1, 0))
    hidden = (rank < hidden_of_user[users])[inverse]
    return Split(interactions.select(~hidden), interactions.select(hidden), "pairs")


def split_cold_tracks(
    interactions: Interactions,
    fraction: float | None = None,
    *,
    rows: Rows | None = None,
    seed: int = 0,
    eligible: Mask | None = None,
) -> Split:
    """Hide every play of some tracks: they are new to `train`.

    Parameters
    ----------
    interactions : Interactions
    fraction : float, optional
        Share of the eligible tracks to hide, drawn at random; at least one.
    rows : ndarray of int, optional
        The tracks to hide. Either this or `fraction`.
    seed : int
        Of the draw.
    eligible : ndarray, shape (n_tracks,), bool, optional
        Tracks that may be drawn, for example those with an embedding. Of them, only tracks that somebody heard are
        drawn: the others are no question to ask.

    Raises
    ------
    DataError
        If both or none of `rows` and `fraction` are given, a row is out of range, or no track is eligible.
    """
    held = _draw("track", interactions.track_rows, len(interactions.tracks), rows, fraction, seed, eligible)
    hidden = np.isin(interactions.track_rows, held)
    return Split(interactions.select(~hidden), interactions.select(hidden), "cold-tracks", held_rows=held)


def split_cold_users(
    interactions: Interactions,
    fraction: float | None = None,
    *,
    rows: Rows | None = None,
    seed: int = 0,
    eligible: Mask | None = None,
) -> Split:
    """Hide everything of some users: they are new to `train`.

    The same arguments and errors as `split_cold_tracks`, for users. To ask what a model does with a new user's first
    plays, split `test` once more with `split_per_user` and fold its train side in.
    """
    held = _draw("user", interactions.user_rows, len(interactions.users), rows, fraction, seed, eligible)
    hidden = np.isin(interactions.user_rows, held)
    return Split(interactions.select(~hidden), interactions.select(hidden), "cold-users", held_rows=held)


def without_repeats(split: Split) -> Split:
    """Leave out of `test` what its user already heard in `train`: a list of unheard tracks cannot contain it."""
    new = ~np.isin(_pairs(split.test), _pairs(split.train))
    return Split(split.train, split.test.select(new), split.kind, split.at, split.held_rows)


def check_no_leakage(split: Split) -> None:
    """Hold a split to what its kind promises.

    Raises
    ------
    LeakageError
        If the sides have different vocabularies, or share a play; by kind: if a train play is not before `at` or a
        test play is; if a pair is on both sides; if a held track or user has interactions in `train`, or another one
        is in `test`.
    """
    train, test = split.train, split.test
    if train.users != test.users or train.tracks != test.tracks:
        raise LeakageError("train and test have different vocabularies: their rows do not mean the same")
    if split.kind == "time":
        _check_time(split)
    elif split.kind == "plays":
        plays = [pd.DataFrame({"pair": _pairs(side), "time": side.times}).drop_duplicates() for side in (train, test)]
        if shared := len(plays[0].merge(plays[1])):
            raise LeakageError(f"{shared} plays (user, track and time) are in train and in test")
    else:
        both = np.intersect1d(_pairs(train), _pairs(test))
        if len(both):
            user, track = divmod(int(both[0]), len(train.tracks))
            raise LeakageError(
                f"{len(both)} pairs are in train and in test, the first one is user {train.users.ids[user]!r} with "
                f"track {train.tracks.ids[track]!r}; all rows of a pair belong on one side"
            )
    if split.kind == "cold-tracks":
        _check_cold("track", split, train.track_rows, test.track_rows)
    if split.kind == "cold-users":
        _check_cold("user", split, train.user_rows, test.user_rows)


def _check_time(split: Split) -> None:
    if split.at is None:
        raise LeakageError("a time split without a moment cannot be checked; set Split.at")
    for side, rows, wrong in (
        ("train", split.train, ~(split.train.times < split.at)),
        ("test", split.test, ~(split.test.times >= split.at)),
    ):
        if wrong.any():
            raise LeakageError(
                f"{int(wrong.sum())} plays of {side} are on the wrong side of {split.at}, "
                f"the first one is of {rows.times[wrong][0]}"
            )


def _check_cold(kind: str, split: Split, train_rows: Rows, test_rows: Rows) -> None:
    ids = (split.train.tracks if kind == "track" else split.train.users).ids
    leaked = np.intersect1d(train_rows, split.held_rows)
    if len(leaked):
        raise LeakageError(f"{len(leaked)} cold {kind}s have plays in train, the first one is {ids[leaked[0]]!r}")
    strange = np.setdiff1d(test_rows, split.held_rows)
    if len(strange):
        raise LeakageError(f"{len(strange)} {kind}s in test are not held out, the first one is {ids[strange[0]]!r}")


def _draw(
    kind: str, seen: Rows, count: int, rows: Rows | None, fraction: float | None, seed: int, eligible: Mask | None
) -> Rows:
    if (rows is None) == (fraction is None):
        raise DataError(
            f"a cold-{kind} split takes either rows or a fraction, got rows={rows!r}, fraction={fraction!r}"
        )
    if rows is not None:
        held = np.unique(np.asarray(rows, dtype=np.int64))
        if len(held) and (held[0] < 0 or held[-1] >= count):
            raise DataError(f"rows {held[0]} to {held[-1]} are not all among the {count} {kind}s")
        return held.astype(np.int32)
    assert fraction is not None
    _check_fraction(fraction)
    may = np.bincount(seen, minlength=count) > 0
    if eligible is not None:
        if eligible.shape != (count,):
            raise DataError(f"eligible has shape {eligible.shape} for {count} {kind}s")
        may &= eligible
    pool = np.flatnonzero(may)
    if not len(pool):
        raise DataError(f"no {kind} can be held out: none of the {count} is both heard and eligible")
    size = max(1, int(np.floor(fraction * len(pool) + 0.5)))
    return np.sort(np.random.default_rng(seed).choice(pool, size, replace=False)).astype(np.int32)


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise DataError(f"a fraction of {fraction} cannot be held out, expected one between 0 and 1")


def _pairs(interactions: Interactions) -> npt.NDArray[np.int64]:
    """Return one number a (user, track) pair, shape (n,)."""
    return interactions.user_rows.astype(np.int64) * len(interactions.tracks) + interactions.track_rows

"""A split inside the training data: whole tracks hidden to stand for new ones, and some plays of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

MIN_PLAYED_TRACKS = 20
"""With fewer embedded, played tracks than this, no track is hidden: too little would be left to learn from."""

MAX_COLD_SHARE = 0.25
"""As many tracks are hidden as wait for their first play, up to this share: new tracks compete for
places by number. Not where plays have times: hiding the latest tracks takes the latest plays away with them."""

MIN_LISTENERS = 5
"""Tracks with fewer tell little about who likes a new track: without times they are not drawn, if others are enough."""

MIN_PLAYS_TO_HIDE = 3
"""Users with fewer plays than this keep all of them."""


@dataclass(frozen=True, eq=False)
class ValidationSplit:
    """Training plays, and the hidden ones; all share the vocabularies of what was split.

    Parameters
    ----------
    train : Interactions
        Holds nothing of the tracks in `cold_rows`.
    held_out : Interactions
        Hidden liked plays of known tracks.
    cold : Interactions
        All liked plays of the hidden tracks.
    cold_rows : ndarray, shape (n_cold,), int32
        The hidden tracks, ascending; empty without embeddings.
    """

    train: Interactions
    held_out: Interactions
    cold: Interactions
    cold_rows: npt.NDArray[np.int32]


def narrow(split: ValidationSplit, tracks: Vocabulary) -> ValidationSplit:
    """Return the split over some of its tracks; the hidden ones must be among them."""
    return ValidationSplit(
        split.train.over(tracks),
        split.held_out.over(tracks),
        split.cold.over(tracks),
        tracks.rows(split.train.tracks.ids_of(split.cold_rows), unknown="raise"),
    )


def validation_split(
    interactions: Interactions,
    has_embedding: npt.NDArray[np.bool_],
    seed: int,
    cold_share: float = 0.12,
    held_out_share: float = 0.1,
) -> ValidationSplit:
    """Hide whole tracks, and a share of the other plays: the latest, where every play has a time.

    With times, the tracks that were first played last stand for new tracks, and the pairs that came about last are what
    is to be foreseen: parameters are chosen for the task that the model will have. Without times both are drawn at
    random.

    Split before a network is trained on plays, and train it on the split's `train`, so that no embedding knows the
    plays that parameters are chosen on.

    Parameters
    ----------
    interactions : Interactions
    has_embedding : ndarray, shape (n_tracks,), bool
        Only these tracks can be hidden.
    seed : int
    cold_share : float
        Share of the played, embedded tracks that are hidden at least; see `MAX_COLD_SHARE`.
    held_out_share : float
        Share of the remaining liked pairs that are hidden. With times, those that came about last, and with them
        everything else that happened since. Without, of each user's pairs, at least one of `MIN_PLAYS_TO_HIDE` or more.
        All rows of a pair go to one side.

    Returns
    -------
    ValidationSplit

    Raises
    ------
    DataError
        If `has_embedding` does not fit the tracks.
    """
    if has_embedding.shape != (len(interactions.tracks),):
        raise DataError(f"has_embedding has shape {has_embedding.shape} for {len(interactions.tracks)} tracks")
    rng = np.random.default_rng(seed)
    timed = len(interactions) > 0 and not np.isnat(interactions.times).any()
    evidence = interactions.track_evidence()
    eligible = np.flatnonzero(has_embedding & (evidence > 0))
    often = eligible[evidence[eligible] >= MIN_LISTENERS]
    if not timed and len(often) >= MIN_PLAYED_TRACKS / cold_share:
        eligible = often
    waiting = 0 if timed else int((has_embedding & (evidence == 0)).sum())
    share = max(cold_share, min(MAX_COLD_SHARE, waiting / max(len(eligible), 1)))
    n_cold = max(1, round(share * len(eligible))) if len(eligible) >= MIN_PLAYED_TRACKS else 0
    if timed:
        first_played = _first_times(interactions.track_rows, interactions.times, len(interactions.tracks))[eligible]
        order = np.lexsort((rng.random(len(eligible)), first_played))
    else:
        order = rng.permutation(len(eligible))
    cold_rows = np.sort(eligible[order[len(eligible) - n_cold :]]).astype(np.int32)
    is_cold = np.zeros(len(interactions.tracks), dtype=bool)
    is_cold[cold_rows] = True
    hidden_track = is_cold[interactions.track_rows]
    known = interactions.select(~hidden_track)
    if timed and len(known):
        hidden_pair, hidden_since = _choose_latest(known, held_out_share, rng)
    else:
        hidden_pair = hidden_since = _holds(_choose_pairs(known.to_csr(), held_out_share, rng), known)
    return ValidationSplit(
        known.select(~(hidden_pair | hidden_since)),
        known.select(hidden_pair & (known.weights > 0)),
        interactions.select(hidden_track & (interactions.weights > 0)),
        cold_rows,
    )


def _choose_latest(
    interactions: Interactions, share: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Choose the `share` of all pairs that came about last; of each interaction: is its pair chosen, is it later still.

    Pairs that came about at the same time are chosen among at random, so that a log of one single day is split too.
    """
    pairs = interactions.user_rows * np.int64(len(interactions.tracks)) + interactions.track_rows
    distinct, pair = np.unique(pairs, return_inverse=True)
    came_about = _first_times(pair, interactions.times, len(distinct))
    order = np.lexsort((rng.random(len(distinct)), came_about))
    chosen = np.zeros(len(distinct), dtype=bool)
    latest = order[len(distinct) - round(share * len(distinct)) :]
    chosen[latest] = True
    if not len(latest):
        return chosen[pair], np.zeros(len(interactions), dtype=bool)
    return chosen[pair], interactions.times > came_about[latest].min()


def _first_times(
    groups: npt.NDArray[np.integer], times: npt.NDArray[np.datetime64], n_groups: int
) -> npt.NDArray[np.datetime64]:
    """Return the earliest time in each group, (n_groups,) datetime64[s]; the latest possible for an empty one."""
    first = np.full(n_groups, np.iinfo(np.int64).max)
    np.minimum.at(first, groups, times.astype("datetime64[s]").astype(np.int64))
    return first.astype("datetime64[s]")


def _choose_pairs(plays: sparse.csr_matrix, share: float, rng: np.random.Generator) -> sparse.csr_matrix:
    """Choose `share` of each user's pairs at random, at least one where there are `MIN_PLAYS_TO_HIDE`."""
    counts = np.diff(plays.indptr)
    quota = np.where(counts >= MIN_PLAYS_TO_HIDE, np.maximum(1, np.rint(share * counts)), 0)
    users = np.repeat(np.arange(plays.shape[0]), counts)
    order = np.lexsort((rng.random(plays.nnz), users))
    position = np.empty(plays.nnz, dtype=np.int64)
    position[order] = np.arange(plays.nnz) - np.repeat(plays.indptr[:-1], counts)
    chosen = position < quota[users]
    ones = np.ones(int(chosen.sum()), dtype=np.float32)
    return sparse.csr_matrix((ones, (users[chosen], plays.indices[chosen])), shape=plays.shape)


def _holds(pairs: sparse.csr_matrix, interactions: Interactions) -> npt.NDArray[np.bool_]:
    """Tell of each interaction whether its (user, track) is an entry of `pairs`."""
    n_tracks = np.int64(pairs.shape[1])
    listed = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr)) * n_tracks + pairs.indices
    return np.isin(interactions.user_rows * n_tracks + interactions.track_rows, listed)

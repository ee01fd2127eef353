"""Which tracks go cold together: folds at random, the latest ones, or all of some artists; and which users do."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.splits import Split, check_no_leakage, split_cold_tracks
from recommender.errors import DataError

Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
SplitBy = Literal["random", "time", "artist"]
SPLITS: tuple[SplitBy, ...] = ("random", "time", "artist")


def filter_min_users(interactions: Interactions, min_users: int) -> Interactions:
    """Leave out the tracks that fewer than `min_users` users played; the vocabularies stay."""
    kept = interactions.track_evidence() >= min_users
    return interactions.select(kept[interactions.track_rows])


def hide_tracks(
    interactions: Interactions,
    has_embedding: Bools,
    *,
    fraction: float,
    min_users: int,
    seed: int,
    by: SplitBy = "random",
    catalog: Catalog | None = None,
) -> Split:
    """Hide every play of some tracks that have an embedding.

    Parameters
    ----------
    interactions : Interactions
    has_embedding : ndarray, shape (n_tracks,), bool
    fraction : float in (0, 1)
        Of the tracks with an embedding and at least `min_users` users.
    min_users : int
        Tracks with fewer users do not go cold.
    seed : int
        Seeds are folds: with a fraction of 1/5, seeds 0 to 4 hide each eligible track once, 5 to 9 do so anew. Of
        no meaning for ``"time"`` beyond the order of tracks of one moment.
    by : {"random", "time", "artist"}
        ``"time"``: the tracks that were first played last, and with them everything else that was played from the
        first such play on; where plays have no times, the tracks that were released last. ``"artist"``: all tracks of
        some artists, those that cannot be asked about included: training knows nothing of these artists.
    catalog : Catalog, optional
        Needed by ``"artist"``, and by ``"time"`` where plays have no times.

    Returns
    -------
    Split
        Of kind ``"cold-tracks"``; its ``held_rows`` are the tracks that are asked about.

    Raises
    ------
    DataError
        If fewer than two tracks are eligible, or `by` asks for times, release dates or artists that are not there.
    """
    eligible = np.flatnonzero(has_embedding & (interactions.track_evidence() >= max(min_users, 1))).astype(np.int32)
    if len(eligible) < 2:
        raise DataError(
            f"{len(eligible)} tracks have an embedding and at least {min_users} users; hiding some of them takes "
            "2 or more: add embeddings or lower min_users"
        )
    if by == "time":
        split = _hide_latest(interactions, eligible, fraction, seed, catalog)
    elif by == "artist":
        split = _hide_artists(interactions, eligible, fraction, seed, catalog)
    else:
        split = split_cold_tracks(interactions, rows=fold(eligible, fraction, seed))
    check_no_leakage(split)
    return split


def hide_users(interactions: Interactions, *, fraction: float, min_pairs: int, seed: int) -> Split:
    """Hide everything of some of the users who played at least `min_pairs` tracks; seeds are folds.

    Raises
    ------
    DataError
        If fewer than two users have so many.
    """
    counts = np.diff(interactions.to_csr().indptr)
    eligible = np.flatnonzero(counts >= min_pairs).astype(np.int32)
    if len(eligible) < 2:
        raise DataError(
            f"{len(eligible)} users played {min_pairs} tracks or more; making some of them new takes 2 or more"
        )
    held = fold(eligible, fraction, seed)
    hidden = np.isin(interactions.user_rows, held)
    split = Split(interactions.select(~hidden), interactions.select(hidden), "cold-users", held_rows=held)
    check_no_leakage(split)
    return split


def fold(rows: Int32s, fraction: float, seed: int) -> Int32s:
    """Return a share of the rows; shares of successive seeds are disjoint as long as rows are left."""
    cuts, shuffled = _folds(rows, fraction, seed)
    number = seed % (len(cuts) - 1)
    return np.sort(shuffled[cuts[number] : max(cuts[number + 1], cuts[number] + 1)])


def _folds(rows: Int32s, fraction: float, seed: int) -> tuple[npt.NDArray[np.int64], Int32s]:
    if not 0 < fraction < 1:
        raise DataError(f"a fraction of {fraction} cannot go cold, expected one between 0 and 1")
    folds = int(1 / fraction + 1e-9)
    cuts = np.rint(np.arange(folds + 1) * fraction * len(rows)).astype(np.int64)
    return cuts, np.random.default_rng(seed // folds).permutation(rows)


def _hide_latest(kept: Interactions, eligible: Int32s, fraction: float, seed: int, catalog: Catalog | None) -> Split:
    count = max(1, round(fraction * len(eligible)))
    chance = np.random.default_rng(seed).random(len(eligible))
    if not np.isnat(kept.times).any():
        first = np.full(len(kept.tracks), np.iinfo(np.int64).max)
        np.minimum.at(first, kept.track_rows, kept.times.astype("datetime64[s]").astype(np.int64))
        cold = eligible[np.lexsort((chance, first[eligible]))[-count:]]
        since = kept.times.astype("datetime64[s]").astype(np.int64) >= first[cold].min()
    else:
        released = _released(kept, catalog)[eligible]
        dated = np.flatnonzero(released != "")
        if 2 * len(dated) < len(eligible):
            raise DataError(
                f"a split by time needs plays with times or tracks with release dates: {len(dated)} of {len(eligible)} "
                "tracks have a date"
            )
        order = dated[np.lexsort((chance[dated], released[dated].astype(str)))]
        cold = eligible[order[-max(1, round(fraction * len(order))) :]]
        since = np.zeros(len(kept), dtype=bool)
    is_cold = np.isin(kept.track_rows, cold)
    train = kept.select(~is_cold & ~since)
    if not len(train):
        raise DataError("the latest tracks were played from the first moment on: nothing is left to learn from")
    known_user = np.bincount(train.user_rows, minlength=len(kept.users)) > 0
    return Split(train, kept.select(is_cold & known_user[kept.user_rows]), "cold-tracks", held_rows=np.sort(cold))


def _hide_artists(kept: Interactions, eligible: Int32s, fraction: float, seed: int, catalog: Catalog | None) -> Split:
    if catalog is None:
        raise DataError("a split by artist needs the catalog")
    codes = catalog.artist_codes()
    if len(np.unique(codes[eligible])) == len(eligible):
        raise DataError(
            "a split by artist needs artists with several tracks: each of the tracks has an artist of its own"
        )
    cuts, artists = _folds(np.unique(codes[eligible]), fraction, seed)
    sizes = np.bincount(codes[eligible], minlength=int(codes.max()) + 1)[artists]
    number = seed % (len(cuts) - 1)
    # an artist belongs to the fold that the middle of its tracks falls into, so that folds hold alike many tracks
    middle = np.cumsum(sizes) - sizes / 2
    per_fold = fraction * sizes.sum()
    chosen = artists[(middle >= number * per_fold) & (middle < (number + 1) * per_fold)]
    if not len(chosen) or len(chosen) == len(artists):
        raise DataError(f"{len(artists)} artists are too few for folds of {fraction:.0%} of the tracks")
    hidden = np.isin(codes, chosen)
    cold = eligible[hidden[eligible]]
    of_cold = np.isin(kept.track_rows, cold)
    return Split(kept.select(~hidden[kept.track_rows]), kept.select(of_cold), "cold-tracks", held_rows=np.sort(cold))


def _released(kept: Interactions, catalog: Catalog | None) -> npt.NDArray[np.object_]:
    if catalog is None:
        return np.full(len(kept.tracks), "", dtype=object)
    return catalog.table["released"].to_numpy(dtype=object)

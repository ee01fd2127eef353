"""Which tracks a user gets this week, of each kind of list; see `recommender.playlists.weekly`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import Signatures
from recommender.errors import ConfigError
from recommender.playlists.flow import FlowScale
from recommender.playlists.weeks import Week
from recommender.ranking.default_list import default_order
from recommender.ranking.distaste import Distaste, penalties
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.filters import cap_artists
from recommender.ranking.model import HybridModel
from recommender.ranking.recommendation import DIVERSITY
from recommender.ranking.retrieval import default_orders

Kind = Literal["discovery", "familiar", "new"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Float32s = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

POOL = 4
"""A list is chosen from so many times its length."""

VARIETY = 0.25
"""How far chance, by the seed and the week, moves a track of the pool: as in `recommender.playlists.builder`."""

FAVOURITE = 2.0
"""What the most played of a user's tracks has over the least played, in standard deviations of scores."""

LEAST_FAMILIAR = 5
"""So many tracks of a familiar mix at once, though there be none left for the weeks after."""

NEW_SHARE = 0.1
"""At least so much of a discovery list is new, where there is enough."""

OVERPLAYED, OVERPLAYED_DAYS = 5, 28
"""So many plays within so many days before the week are too many for a familiar mix."""

DEFAULT_POOL = 2000
"""Of the most played tracks, and of the latest of those without a play: what is chosen from without a taste."""


@dataclass(frozen=True)
class WeeklyConfig:
    """What is made.

    Parameters
    ----------
    week : Week
    lengths : mapping of kind to int
        Tracks of a list of each kind; kinds that are not there are not made.
    no_repeat_weeks : int >= 0
        Of so many weeks before nothing comes again.
    max_per_artist : int or None
        Raised where the music at hand is not enough.
    artist_spacing : int
        Tracks between two of one artist, where the order allows.
    diversity : float in [0, 1]
        Of discovery lists, as in `RecommendOptions`.
    seed : int

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    week: Week
    lengths: Mapping[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 50))
    no_repeat_weeks: int = 4
    max_per_artist: int | None = 3
    artist_spacing: int = 2
    diversity: float = DIVERSITY
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.lengths:
            raise ConfigError(f"no kind of playlist is wanted; expected some of {', '.join(KINDS)}")
        for kind, length in self.lengths.items():
            if kind not in KINDS:
                raise ConfigError(f"{kind!r} is no kind of playlist; expected some of {', '.join(KINDS)}")
            if length < 1:
                raise ConfigError(f"the length of {kind} playlists is {length}, expected at least 1")
        if self.no_repeat_weeks < 0 or self.no_repeat_weeks > 520:
            raise ConfigError(f"no_repeat_weeks is {self.no_repeat_weeks}, expected 0 to 520")


@dataclass(frozen=True, eq=False)
class Library:
    """What all lists of a week are made from; see `library_of`.

    Parameters
    ----------
    model : HybridModel
    signatures : Signatures or None
    new_rows : ndarray, shape (k,), int32
        Ascending.
    scale : FlowScale
    """

    model: HybridModel
    signatures: Signatures | None
    new_rows: Rows
    scale: FlowScale


@dataclass(frozen=True, eq=False)
class Choice:
    """The tracks of a list, best first, before they are put in order."""

    rows: Rows
    scores: Float32s
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class One:
    """One user, as `choose_lists` wants it: the rows of `Listeners`' matrices and what is known of the taste."""

    id: str
    played: Rows
    emphasis: Float32s
    heard: Rows
    given: Rows
    worn: Rows
    known_plays: int
    held: Distaste | None
    correct: Callable[[Rows], npt.NDArray[np.float64]] | None


Best = Callable[[Float32s, int, npt.NDArray[Any]], npt.NDArray[np.intp]]


def choose_lists(library: Library, one: One, scores: Float32s, config: WeeklyConfig, best: Best) -> dict[Kind, Choice]:
    """Choose the tracks of a user's lists.

    Parameters
    ----------
    library : Library
    one : One
    scores : ndarray, shape (n_tracks,), float32
        Of all tracks; what may not come is set to -inf here.
    config : WeeklyConfig
    best : callable
        From scores, a count and what breaks ties, the places of the highest scores, best first.
    """
    chosen: dict[Kind, Choice] = {}
    if "familiar" in config.lengths:
        chosen["familiar"] = _familiar(library, one, scores, config)
    scores[one.heard] = scores[one.given] = -np.inf
    if "discovery" in config.lengths:
        chosen["discovery"] = _discovery(library, one, scores, config, best)
        scores[chosen["discovery"].rows] = -np.inf
    if "new" in config.lengths:
        chosen["new"] = _new(library, one, scores, config, best)
    return chosen


def _discovery(library: Library, one: One, scores: Float32s, config: WeeklyConfig, best: Best) -> Choice:
    model, length = library.model, config.lengths["discovery"]
    if one.known_plays:
        rows, values, notes = _from_pool(library, one, scores, "discovery", config, best, model.evidence)
        if len(rows) > length:
            picked = np.sort(choose(values, alike_vectors(model, rows), length, config.diversity))
            rows, values = rows[picked], values[picked]
    else:
        rows, values, notes = _default(library, one, scores, config)
    rows, values = _with_new(library, scores, rows, values, length, config, best)
    if len(rows) < length:
        left = len(scores) - len(one.heard)
        again = len(np.setdiff1d(one.given, one.heard, assume_unique=True))
        notes.append(
            f"length: {len(rows)} of {length} tracks: {left} of the library's {len(scores)} are unheard, "
            f"and {again} of them were in the lists of the last {config.no_repeat_weeks} weeks"
        )
    return Choice(rows, values, tuple(notes))


def _default(library: Library, one: One, scores: Float32s, config: WeeklyConfig) -> tuple[Rows, Float32s, list[str]]:
    """Choose for somebody of whom no play is known: popular and new by turns, unlike each other."""
    model, length = library.model, config.lengths["discovery"]
    pool = np.sort(np.concatenate([order[:DEFAULT_POOL] for order in default_orders(model)]))
    pool = pool[scores[pool] > -np.inf]
    if len(pool) < POOL * length:
        pool = np.flatnonzero(scores > -np.inf).astype(np.int32)
    wanted = scores[pool] + VARIETY * _noise(config, one.id, "discovery", len(pool))
    if one.held is not None:
        wanted = wanted - penalties(model, one.held, pool, 1.0)
    values = wanted.astype(np.float32)
    ordered = default_order(model, values, pool, length, POOL * length, config.diversity)
    kept, notes = _capped(model, pool[ordered], length, config)
    return pool[ordered][kept][:length], values[ordered][kept][:length], notes


def _with_new(
    library: Library,
    scores: Float32s,
    rows: Rows,
    values: Float32s,
    length: int,
    config: WeeklyConfig,
    best: Best,
) -> tuple[Rows, Float32s]:
    """Let the best of what is new take the last places, up to `NEW_SHARE` of them."""
    model, new = library.model, library.new_rows
    missing = int(np.ceil(NEW_SHARE * length)) - int(np.isin(rows, new, assume_unique=True).sum())
    if missing <= 0 or len(rows) < length:
        return rows, values
    theirs = scores[new]
    theirs[np.searchsorted(new, np.intersect1d(rows, new, assume_unique=True))] = -np.inf
    more = new[best(theirs, POOL * missing, model.catalog.release_ranks[new])]
    fixed = ~np.isin(rows, new, assume_unique=True)
    last = np.flatnonzero(fixed)[-missing:]
    kept = np.delete(rows, last)
    merged = np.r_[kept, more]
    taken = np.flatnonzero(cap_artists(merged, model.artist_codes, config.max_per_artist)[len(kept) :])[: len(last)]
    if len(taken) < len(last):
        last = last[len(last) - len(taken) :]
    more = more[taken]
    rows, values = np.r_[np.delete(rows, last), more], np.r_[np.delete(values, last), scores[more]]
    order = np.argsort(-values, kind="stable")
    return rows[order].astype(np.int32), values[order].astype(np.float32)


def _familiar(library: Library, one: One, scores: Float32s, config: WeeklyConfig) -> Choice:
    model, length = library.model, config.lengths["familiar"]
    turns = config.no_repeat_weeks + 1
    quota = min(length, max(LEAST_FAMILIAR, len(one.played) // turns))
    allowed = ~np.isin(one.played, one.given, assume_unique=True)
    rows = one.played[allowed]
    values = scores[rows] + FAVOURITE * (one.emphasis[allowed] - 1)
    values = (values + VARIETY * _noise(config, one.id, "familiar", len(rows))).astype(np.float32)
    worn = np.isin(rows, one.worn, assume_unique=True)
    order = np.lexsort((rows, -values, worn))
    rows, values, worn = rows[order], values[order], worn[order]
    kept, notes = _capped(model, rows, quota, config)
    rows, values, worn = rows[kept][:quota], values[kept][:quota], worn[kept][:quota]
    if worn.any():
        notes.append(f"overplayed: {int(worn.sum())} tracks were played {OVERPLAYED} times or more of late")
    if len(rows) < length:
        why = f"{len(one.played)} tracks are known to have been played"
        if turns > 1 and len(one.played):
            again = len(one.played) - int(allowed.sum())
            why += f", {again} of them in the lists of the last {config.no_repeat_weeks} weeks; they come by turns"
        notes.append(f"length: {len(rows)} of {length} tracks: {why}")
    order = np.argsort(-values, kind="stable")
    return Choice(rows[order].astype(np.int32), values[order], tuple(notes))


def _new(library: Library, one: One, scores: Float32s, config: WeeklyConfig, best: Best) -> Choice:
    length, new = config.lengths["new"], library.new_rows
    ranks = library.model.catalog.release_ranks
    rows, values, notes = _from_pool(library, one, scores[new], "new", config, best, ranks[new])
    if len(rows) < length:
        heard, again = (int(np.isin(new, rows_, assume_unique=True).sum()) for rows_ in (one.heard, one.given))
        why = f"{len(new)} tracks are new, {heard} of them heard and {again} in the lists of the last weeks"
        notes.append(f"length: {len(rows)} of {length} tracks: {why}; none is in this week's discovery list too")
    return Choice(rows[:length], values[:length], tuple(notes))


def _from_pool(
    library: Library,
    one: One,
    scores: Float32s,
    kind: Kind,
    config: WeeklyConfig,
    best: Best,
    tie_break: npt.NDArray[Any],
) -> tuple[Rows, Float32s, list[str]]:
    """Draw the best of all tracks, or of the new ones, and let skips, the learned ranker and chance have their say.

    Returns
    -------
    rows : ndarray, int32
        At most `POOL` times the length, best first.
    values : ndarray, float32
    notes : list of str
    """
    model, length = library.model, config.lengths[kind]
    depth = POOL * length
    while True:
        places = best(scores, depth, tie_break)
        rows = (library.new_rows[places] if kind == "new" else places).astype(np.int32)
        kept, notes = _capped(model, rows, length, config)
        if kept.sum() >= min(2 * length, depth) or len(places) < depth:
            break
        depth *= 4
    places, rows = places[kept][: POOL * length], rows[kept][: POOL * length]
    values = scores[places].astype(np.float64)
    if one.held is not None:
        values -= penalties(model, one.held, rows, 1.0)
    if one.correct is not None and kind == "discovery":
        values += one.correct(rows)
    values += VARIETY * _noise(config, one.id, kind, len(rows))
    order = np.argsort(-values, kind="stable")
    return rows[order], values[order].astype(np.float32), notes


def _capped(
    model: HybridModel, rows: Rows, length: int, config: WeeklyConfig
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Tell which tracks stay when no artist has too many; the cap is raised as far as `length` tracks need it."""
    cap = config.max_per_artist
    kept = cap_artists(rows, model.artist_codes, cap)
    if cap is None or kept.sum() >= min(length, len(rows)):
        return kept, []
    counts = np.unique(model.artist_codes[rows], return_counts=True)[1]
    while np.minimum(counts, cap).sum() < min(length, len(rows)):
        cap += 1
    return cap_artists(rows, model.artist_codes, cap), [
        f"max_per_artist: up to {cap} instead of {config.max_per_artist}"
    ]


def _noise(config: WeeklyConfig, user_id: str, kind: Kind, count: int) -> npt.NDArray[np.float64]:
    """Draw what chance adds to the values of a list's pool: by seed, week, user and kind alone."""
    key = f"{config.seed} {config.week} {kind} {user_id}".encode("utf-8", "surrogatepass")
    rng = np.random.default_rng(int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "big"))
    return rng.gumbel(0, 1, count)

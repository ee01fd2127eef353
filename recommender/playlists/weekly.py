"""The lists of a week, for blocks of users: discovery, a familiar mix, new releases.

*Discovery* is what the user has not heard, at least a tenth of it new. *Familiar* is what the user has played, the
favourites more often, and what was played too much of late last; where there is little, a part of it each week, so that
all of it comes by turns. *New* is what hardly anybody has played or what came out of late, as this user would like it.
No track is in two of a week's lists, or in those of the weeks before that `Listeners.given` names.

A block of users costs one matrix product; what they get is what `recommender.playlists.weekly_reference` gives them one
by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.audio.signatures import Signatures
from recommender.data.interactions import DISLIKED
from recommender.errors import ConfigError
from recommender.models.als import play_confidence
from recommender.playlists.flow import FlowScale, fit_scale
from recommender.playlists.many_orders import order_lists, transitions_of_lists
from recommender.playlists.weeks import Week
from recommender.ranking.candidates import best_rows
from recommender.ranking.confidence import basis_of
from recommender.ranking.default_list import default_order
from recommender.ranking.distaste import Distaste, distaste_of, penalties
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.filters import cap_artists
from recommender.ranking.learned import side_corrections
from recommender.ranking.model import HybridModel
from recommender.ranking.recommendation import DIVERSITY, Source
from recommender.ranking.retrieval import default_orders
from recommender.ranking.scoring import UserVectors, score_block, sources_of, user_vectors
from recommender.ranking.taste import tastes_of

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

FEW_LISTENERS, NEW_DAYS = 2, 90
"""A track is new that no more have played, or that was released so short a time before the week's end."""

MOST_NEW = 0.25
"""At most this share of a catalog is new: the latest released of it; where nothing is dated, the least played."""

OVERPLAYED, OVERPLAYED_DAYS = 5, 28
"""So many plays within so many days before the week are too many for a familiar mix."""

DEFAULT_POOL = 2000
"""Of the most played tracks, and of the latest of those without a play: what is chosen from without a taste."""

SAMPLE_STRIDE = 16
BLOCK_BYTES = 64 * 2**20
MOST_USERS = 256


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
class Listeners:
    """A block of users; all matrices are of shape (b, n_tracks).

    Parameters
    ----------
    ids : tuple of str
    plays, heard : csr_matrix
        As in `recommender.ranking.ranker.recommend`.
    given : csr_matrix
        1 for what must not come again yet.
    worn : csr_matrix
        1 for what was played too much of late.
    """

    ids: tuple[str, ...]
    plays: sparse.csr_matrix
    heard: sparse.csr_matrix
    given: sparse.csr_matrix
    worn: sparse.csr_matrix

    def part(self, start: int, stop: int) -> Listeners:
        """Return some of them."""
        matrices = (matrix[start:stop] for matrix in (self.plays, self.heard, self.given, self.worn))
        return Listeners(self.ids[start:stop], *matrices)


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
class WeeklyList:
    """One list, in playing order.

    Parameters
    ----------
    rows : ndarray, shape (n,), int32
    scores : ndarray, shape (n,), float32
        Comparable inside the list.
    sources : tuple of str, length n
    notes : tuple of str
        A sentence for each thing that is not as asked for, and why.
    """

    rows: Rows
    scores: Float32s
    sources: tuple[Source, ...]
    notes: tuple[str, ...]


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


def library_of(model: HybridModel, signatures: Signatures | None, week: Week) -> Library:
    """Find what is new in a week, and what transitions are ordinary."""
    return Library(model, signatures, new_rows(model, week), fit_scale(model.sound, signatures, len(model.catalog)))


def new_rows(model: HybridModel, week: Week) -> Rows:
    """Return the tracks that are new in a week, ascending."""
    end = week.monday + timedelta(days=7)
    since = (end - timedelta(days=NEW_DAYS)).isoformat()
    released = model.catalog.table["released"].to_numpy(dtype=object).astype(str)
    recent = (released >= since) & (released < end.isoformat())
    found = np.flatnonzero(recent | (model.evidence <= FEW_LISTENERS))
    most = max(1, int(MOST_NEW * len(model.catalog)))
    if len(found) > most:
        latest = np.lexsort((found, model.evidence[found], -model.catalog.release_ranks[found]))
        found = np.sort(found[latest[:most]])
    return found.astype(np.int32)


def block_size(n_tracks: int) -> int:
    """Return how many users are scored at once."""
    return int(min(MOST_USERS, max(1, BLOCK_BYTES // (4 * max(1, n_tracks)))))


def weekly_lists(library: Library, listeners: Listeners, config: WeeklyConfig) -> list[dict[Kind, WeeklyList]]:
    """Make the lists of a block of users.

    Parameters
    ----------
    library : Library
    listeners : Listeners
        No more than `block_size`, for memory's sake.
    config : WeeklyConfig

    Returns
    -------
    list of dict, length b
        The lists of each user, by kind.
    """
    model = library.model
    tastes = tastes_of(model, listeners.plays)
    users = user_vectors(tastes, model.standards, model.blend)
    scores = score_block(model, users)
    chosen: list[dict[Kind, Choice]] = []
    for user, one in enumerate(ones_of(model, users, tastes.known_plays, listeners)):
        chosen.append(choose_lists(library, one, scores[user], config, best_sampled))
    found: list[dict[Kind, WeeklyList]] = [{} for _ in chosen]
    shapes = {(kind, len(choice.rows)) for lists in chosen for kind, choice in lists.items()}
    for kind, n in sorted(shapes):
        mine = [user for user, lists in enumerate(chosen) if kind in lists and len(lists[kind].rows) == n]
        rows = np.stack([chosen[user][kind].rows for user in mine])
        codes = model.artist_codes[rows]
        step = transitions_of_lists(library.model.sound, library.signatures, rows, library.scale)
        order = order_lists(step, codes, config.artist_spacing)
        sources = _sources(model, users, mine, rows)
        for place, user in enumerate(mine):
            found[user][kind] = finish(
                chosen[user][kind], order[place], codes[place], sources[place], tastes.known_plays[user], config
            )
    return [{kind: lists[kind] for kind in config.lengths} for lists in found]


def ones_of(
    model: HybridModel, users: UserVectors, known_plays: npt.NDArray[np.integer], listeners: Listeners
) -> list[One]:
    """Take a block of users apart."""
    emphasis = play_confidence(listeners.plays, 1.0)
    found = []
    for user, user_id in enumerate(listeners.ids):
        heard, said = _row(listeners.heard, user)
        played, weights = _row(emphasis, user)
        held = None
        if len(heard) > len(played) or (said == DISLIKED).any():
            held = distaste_of(model, listeners.plays[user], listeners.heard[user])
        correct = None
        if model.learned is not None and known_plays[user]:
            correct = _corrector(model, users, user, listeners.plays[user])
        given, worn = _row(listeners.given, user)[0], _row(listeners.worn, user)[0]
        found.append(One(user_id, played, weights, heard, given, worn, int(known_plays[user]), held, correct))
    return found


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


def finish(
    choice: Choice,
    order: npt.NDArray[np.integer],
    codes: npt.NDArray[np.integer],
    sources: Sequence[Source],
    known_plays: int,
    config: WeeklyConfig,
) -> WeeklyList:
    """Put a choice in order."""
    notes, codes = list(choice.notes), codes[order]
    spacing = config.artist_spacing
    if any((codes[:-apart] == codes[apart:]).any() for apart in range(1, min(spacing, len(codes) - 1) + 1)):
        notes.append(f"artist_spacing: not always {spacing} tracks between two of one artist")
    if known_plays == 0:
        notes.append("taste: no play of this user is known, so it goes by what is popular and what is new")
    elif basis_of(known_plays) == "few plays":
        notes.append(f"taste: it rests on few plays, {known_plays} known")
    return WeeklyList(choice.rows[order], choice.scores[order], tuple(sources[at] for at in order), tuple(notes))


def best_sampled(scores: Float32s, count: int, tie_break: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Do what `recommender.ranking.candidates.best_rows` does; a sample says about where to cut."""
    if count * 2 < len(scores):
        sample = scores[::SAMPLE_STRIDE]
        place = min(len(sample) - 1, int(1.3 * count / SAMPLE_STRIDE) + 8)
        cut = np.partition(sample, len(sample) - 1 - place)[len(sample) - 1 - place]
        rows = np.flatnonzero(scores >= cut)
        if cut > -np.inf and len(rows) >= count:
            return np.asarray(rows[np.lexsort((rows, -tie_break[rows], -scores[rows]))[:count]])
    return best_rows(scores, count, tie_break)


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


def _sources(
    model: HybridModel, users: UserVectors, mine: Sequence[int], rows: npt.NDArray[np.integer]
) -> list[tuple[Source, ...]]:
    """Name who put each track there, as `sources_of` does, for lists (k, n) of the users `mine`."""
    d = model.posterior_factors.shape[1]
    k, n = rows.shape
    near = users.neighbours
    parts = np.zeros((k, n, 4), dtype=np.float32)
    for place, user in enumerate(mine):
        tracks, vector = model.track_index[rows[place]], users.vectors[user]
        for column, cut in ((0, slice(0, d + 1)), (2, slice(d + 1, -1)), (3, slice(-1, None))):
            parts[place, :, column] = tracks[:, cut] @ vector[cut]
        columns, said = _row(near, user)
        if len(columns):
            order = np.argsort(columns)
            at = order[np.minimum(np.searchsorted(columns, rows[place], sorter=order), len(columns) - 1)]
            parts[place, :, 1] = np.where(columns[at] == rows[place], said[at], 0) * tracks[:, d]
    return [sources_of(each) for each in parts]


def _corrector(
    model: HybridModel, users: UserVectors, user: int, plays: sparse.csr_matrix
) -> Callable[[Rows], npt.NDArray[np.float64]]:
    side, played = users.side(user), np.unique(plays.indices[plays.data > 0])
    return lambda rows: side_corrections(model, side, played, rows)


def _row(matrix: sparse.csr_matrix, row: int) -> tuple[Any, Any]:
    mine = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[mine], matrix.data[mine]

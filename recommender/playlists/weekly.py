"""The lists of a week, for blocks of users: discovery, a familiar mix, new releases.

*Discovery* is what the user has not heard, at least a tenth of it new. *Familiar* is what the user has played, the
favourites more often, and what was played too much of late last; where there is little, a part of it each week, so that
all of it comes by turns. *New* is what hardly anybody has played or what came out of late, as this user would like it.
No track is in two of a week's lists, or in those of the weeks before that `Listeners.given` names.

A block of users costs one matrix product; what they get is what `recommender.playlists.weekly_reference` gives them one
by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.audio.signatures import Signatures
from recommender.data.interactions import DISLIKED
from recommender.models.als import play_confidence
from recommender.playlists.flow import fit_scale
from recommender.playlists.many_orders import order_lists, transitions_of_lists
from recommender.playlists.weekly_choice import Choice, Float32s, Kind, Library, One, Rows, WeeklyConfig, choose_lists
from recommender.playlists.weeks import Week
from recommender.ranking.candidates import best_rows
from recommender.ranking.confidence import basis_of
from recommender.ranking.distaste import distaste_of
from recommender.ranking.learned import side_corrections
from recommender.ranking.model import HybridModel
from recommender.ranking.recommendation import Source
from recommender.ranking.scoring import UserVectors, score_block, sources_of, user_vectors
from recommender.ranking.taste import tastes_of

FEW_LISTENERS, NEW_DAYS = 2, 90
"""A track is new that no more have played, or that was released so short a time before the week's end."""

MOST_NEW = 0.25
"""At most this share of a catalog is new: the latest released of it; where nothing is dated, the least played."""


SAMPLE_STRIDE = 16
BLOCK_BYTES = 64 * 2**20
MOST_USERS = 256


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

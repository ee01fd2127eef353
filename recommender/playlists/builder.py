"""A playlist from seeds and rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.audio.signatures import Signatures
from recommender.errors import RulesError
from recommender.playlists.account import Relaxation, shortage_of, spacing_relaxed, tracks_relaxed
from recommender.playlists.energy import Arc, energies, placing
from recommender.playlists.flow import FlowScale, fit_scale, flow_of, transitions
from recommender.playlists.named import check_seed_artists, forbidden, named_rows, rows_by
from recommender.playlists.order import order_tracks
from recommender.playlists.party import Share, blend, shares_of
from recommender.playlists.rules import Rules, Span
from recommender.playlists.selection import Selected, Wanted, select
from recommender.playlists.spacing import kept, spread
from recommender.playlists.violations import Bound, bounds_of
from recommender.ranking.ranker import HybridModel, score_users

__all__ = ["Playlist", "Rules", "Seeds", "Span", "build_playlist"]

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]
Order = npt.NDArray[np.intp]

CHANCE = 0.25
"""How far chance, by the seed, moves a track: the scale of Gumbel noise, in standard deviations of scores."""

TYPICAL_DURATION_S = 240.0
"""Stands for an unknown duration where no track's is known."""


def _none() -> Rows:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Playlist:
    """An ordered list of tracks and how it came about.

    Parameters
    ----------
    name : str
    track_ids : tuple of str
    made_at : datetime
    bundle_version : str
    seed : int
    relaxed_rules : tuple of str
        One sentence for each rule that the music at hand could not keep, and for what made the list short; empty where
        all were kept.
    relaxed : tuple of Relaxation
        The rules that gave way, in figures.
    shortage : str
        What made the list shorter than was asked for; ``""`` where it is not.
    shares : tuple of Share
        What it has for each user, where it is for several.
    """

    name: str
    track_ids: tuple[str, ...]
    made_at: datetime
    bundle_version: str
    seed: int
    relaxed_rules: tuple[str, ...]
    relaxed: tuple[Relaxation, ...] = ()
    shortage: str = ""
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True, eq=False)
class Seeds:
    """What a playlist starts from; with nothing at all it starts from what is popular.

    Parameters
    ----------
    track_rows : ndarray, shape (n,), int32
        Tracks that are in the playlist, the first of them at its beginning.
    artists : tuple of str
        Names, whatever their case; one track at least of each is in the playlist.
    plays, heard : csr_matrix, shape (b, n_tracks), optional
        One user's, or several users', see `recommender.playlists.party`. What one of them dislikes is not in it.
    recent_rows : ndarray, shape (n,), int32
        What a user heard lately and had rather not hear again yet.
    like_rows : ndarray, shape (n,), int32
        Tracks that it is to be like, and that need not be in it.
    users : tuple of str
        Who the users are, to tell their shares.
    """

    track_rows: Rows = field(default_factory=_none)
    artists: tuple[str, ...] = ()
    plays: sparse.csr_matrix | None = None
    heard: sparse.csr_matrix | None = None
    recent_rows: Rows = field(default_factory=_none)
    like_rows: Rows = field(default_factory=_none)
    users: tuple[str, ...] = ()


def build_playlist(
    model: HybridModel,
    seeds: Seeds,
    rules: Rules,
    *,
    name: str,
    made_at: datetime,
    bundle_version: str,
    seed: int = 0,
    signatures: Signatures | None = None,
) -> Playlist:
    """Build one playlist: choose its tracks, then put them in order.

    Hard rules always hold. Where the music at hand is not enough, soft ones give way, see
    `recommender.playlists.rules.RELAX_ORDER`; `Playlist.relaxed` says which, how far and why. Where that is not enough
    either, the playlist is shorter, and `Playlist.shortage` says what made it so.

    Parameters
    ----------
    model : HybridModel
    seeds : Seeds
    rules : Rules
    name : str
    made_at : datetime
    bundle_version : str
        Of the bundle that `model` is from.
    seed : int
        The same seed gives the same playlist; another one varies it.
    signatures : Signatures, optional
        In the rows of the catalog; without them the order goes by sound alone, no arc can be followed, and no track is
        known to be within a range of tempo, key or energy.

    Returns
    -------
    Playlist

    Raises
    ------
    DataError
        If no track is by a seed artist.
    RulesError
        If what must be in it must not, or cannot all be.
    """
    scores, of_users = _scores(model, seeds)
    made = _finish(model, _hints(model, signatures), scores, seeds, rules, name, made_at, bundle_version, seed)
    if len(seeds.users) < 2 or of_users is None:
        return made
    rows = model.catalog.tracks.rows(made.track_ids, unknown="raise")
    return replace(made, shares=shares_of(seeds.users, of_users, rows))


@dataclass(frozen=True, eq=False)
class _Hints:
    """What tracks are ordered by: the model's sound, their signatures, and what is ordinary in the library."""

    signatures: Signatures | None
    scale: FlowScale


def _hints(model: HybridModel, signatures: Signatures | None) -> _Hints:
    return _Hints(signatures, fit_scale(model.sound, signatures, len(model.catalog)))


def _finish(
    model: HybridModel,
    hints: _Hints,
    scores: Float32s,
    seeds: Seeds,
    rules: Rules,
    name: str,
    made_at: datetime,
    bundle_version: str,
    seed: int,
) -> Playlist:
    check_seed_artists(rules, seeds.artists)
    heard = _none() if seeds.heard is None else np.unique(seeds.heard.indices).astype(np.int32)
    bounds = bounds_of(model, hints.signatures, rules, heard, seeds.recent_rows)
    never = forbidden(model, rules, seeds.heard)
    hard = [*never, *(bound for rule, bound in bounds.items() if rule not in rules.soft)]
    soft = [bound for rule, bound in bounds.items() if rule in rules.soft]
    allowed, preferred = _keeping(model, hard), _keeping(model, soft)
    durations_s, typical_s = _durations_s(model)
    named, refused = named_rows(
        model,
        rules,
        seeds.track_rows,
        seeds.artists,
        [bound for bound in hard if bound in never or bound.rule == "unheard"],
        allowed,
        preferred,
        durations_s,
    )
    noise = np.random.default_rng(seed).gumbel(0, CHANCE, len(scores))
    wanted = Wanted(scores + noise, allowed, soft, named, durations_s, typical_s)
    selected, order, most_of_one, has_arc = _chosen_and_ordered(model, hints, wanted, rules, len(seeds.track_rows) > 0)
    rows = selected.rows[order]
    relaxed = (*refused, *tracks_relaxed(model, selected, soft, rules, named), *spacing_relaxed(model, rows, rules))
    notes = [str(each) for each in relaxed]
    if rules.ordered and rules.arc != "none" and len(rows) and not has_arc:
        notes.append(f"arc: no track has a signature, so energy does not follow {rules.arc!r}")
    shortage = "" if selected.full else shortage_of(model, selected, hard, rules, wanted, most_of_one)
    if shortage:
        notes.append(f"{'minutes' if rules.length is None else 'length'}: {shortage}")
    ids = tuple(model.catalog.tracks.ids_of(rows))
    return Playlist(name, ids, made_at, bundle_version, seed, tuple(notes), relaxed, shortage)


def _chosen_and_ordered(
    model: HybridModel, hints: _Hints, wanted: Wanted, rules: Rules, seeded: bool
) -> tuple[Selected, Order, int | None, bool]:
    """Choose tracks that hard gaps leave an order for, and put them in it.

    Where there is no such order, less of one artist is chosen, until there is one.
    """
    most_of_one: int | None = None
    while True:
        selected = select(model, wanted, rules, most_of_one)
        rows = selected.rows
        groups = (model.artist_codes[rows], model.catalog.albums[rows])
        fixed = int(seeded and len(rows) > 0)
        plain = np.arange(len(rows), dtype=np.intp)
        if not rules.ordered:
            best = np.argsort(-wanted.relevance[rows[len(wanted.named) :]], kind="stable")
            plain = np.r_[plain[: len(wanted.named)], best + len(wanted.named)].astype(np.intp)
        parted = plain if kept(plain, groups, rules.hard_gaps) else spread(plain, groups, rules.hard_gaps, fixed)
        if parted is not None:
            break
        if most_of_one == 0:
            raise RulesError(
                f"the {len(rows)} tracks that must be in the playlist cannot be kept {max(rules.hard_gaps)} tracks "
                "apart; name fewer of one artist, or make the spacing soft"
            )
        most = int(np.bincount(groups[0]).max())
        most_of_one = (most if most_of_one is None else min(most, most_of_one)) - 1
    order, has_arc = parted, False
    if rules.ordered:
        step, places = _costs(model, hints, rows, rules.arc)
        order, has_arc = order_tracks(step, groups[0], rules.artist_spacing, placing=places), places is not None
    elif kept(plain, groups, rules.gaps):
        order = plain
    if not kept(order, groups, rules.gaps):
        better = spread(order, groups, rules.gaps, fixed)
        if better is None and not kept(order, groups, rules.hard_gaps):
            better = spread(order, groups, rules.hard_gaps, fixed)
            better = parted if better is None else better
        order = order if better is None else better
    return selected, order, most_of_one, has_arc


def _costs(model: HybridModel, hints: _Hints, rows: Rows, arc: Arc) -> tuple[Floats, Floats | None]:
    """Return what transitions and places cost; where nothing is known of any two, the order is to be kept."""
    step = transitions(flow_of(model.sound, hints.signatures, rows), hints.scale)
    if not step.any():
        step = np.abs(np.subtract.outer(np.arange(len(rows)), np.arange(len(rows)))) / max(1, len(rows))
    places = None
    if hints.signatures is not None and arc != "none":
        places = placing(energies(hints.signatures, rows), arc)
    return step, places


def _keeping(model: HybridModel, bounds: Sequence[Bound]) -> npt.NDArray[np.bool_]:
    found = np.ones(len(model.catalog), dtype=bool)
    for bound in bounds:
        found &= bound.steps == 0
    return found


def _durations_s(model: HybridModel) -> tuple[Floats, float]:
    """Return every track's duration, an ordinary one where it is unknown, and the mean."""
    known = model.catalog.table["duration_s"].to_numpy(dtype=np.float64)
    usable = np.isfinite(known) & (known > 0)
    durations_s = np.where(usable, known, np.median(known[usable]) if usable.any() else TYPICAL_DURATION_S)
    return durations_s, float(durations_s.mean()) if len(known) else TYPICAL_DURATION_S


def _scores(model: HybridModel, seeds: Seeds) -> tuple[Float32s, Float32s | None]:
    """Score all tracks by the seeds, by the users' plays, or by both alike; also return each user's scores."""
    theirs = [rows_by(model, artist) for artist in seeds.artists]
    seed_rows = np.unique(np.r_[seeds.track_rows, seeds.like_rows, *theirs]).astype(np.int32)
    parts = []
    if len(seed_rows) or seeds.plays is None:
        ones, starts = np.ones(len(seed_rows), dtype=np.float32), np.array([0, len(seed_rows)])
        plays = sparse.csr_matrix((ones, seed_rows, starts), shape=(1, len(model.catalog)))
        parts.append(score_users(model, plays)[0])
    of_users = None
    if seeds.plays is not None:
        of_users = score_users(model, sparse.csr_matrix(seeds.plays))
        parts.append(of_users[0] if len(of_users) == 1 else blend(of_users))
    scores: Float32s = np.mean(parts, axis=0)
    return scores, of_users

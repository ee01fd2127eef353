"""A playlist from seeds and rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommender.audio.signatures import Signatures
from recommender.errors import ConfigError, DataError
from recommender.playlists.energy import ARCS, Arc, energies, placing
from recommender.playlists.flow import FlowScale, fit_scale, flow_of, transitions
from recommender.playlists.order import order_tracks
from recommender.ranking.filters import cap_artists
from recommender.ranking.ranker import HybridModel, score_users

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]

VARIETY = 0.25
"""How far chance, by the seed, moves a track: the scale of Gumbel noise, in standard deviations of scores."""

TYPICAL_DURATION_S = 240.0
"""Stands for an unknown duration where no track's is known."""

BLOCK_BYTES = 64 * 2**20


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
        One sentence for each rule that the music at hand could not keep; empty where all were kept.
    """

    name: str
    track_ids: tuple[str, ...]
    made_at: datetime
    bundle_version: str
    seed: int
    relaxed_rules: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Seeds:
    """What a playlist starts from; with nothing at all it starts from what is popular.

    Parameters
    ----------
    track_rows : ndarray, shape (n,), int32
        Tracks that are in the playlist, the first of them at its beginning.
    artists : tuple of str
        Names, whatever their case; one track at least of each is in the playlist.
    plays, heard : csr_matrix, shape (1, n_tracks), optional
        A user's.
    recent_rows : ndarray, shape (n,), int32
        What the user heard lately and had rather not hear again yet.
    """

    track_rows: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    artists: tuple[str, ...] = ()
    plays: sparse.csr_matrix | None = None
    heard: sparse.csr_matrix | None = None
    recent_rows: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Rules:
    """What a playlist has to look like.

    Parameters
    ----------
    length : int or None
        Tracks; None goes by `minutes` alone.
    minutes : float or None
        At most so long.
    max_per_artist : int or None
        Raised where the music at hand is not enough.
    artist_spacing : int
        Tracks between two of one artist, where the order allows.
    exclude : ndarray, shape (n,), int32
        Catalog rows that must not be in it; never relaxed.
    unheard : bool
        Only what the user has not heard; never relaxed.
    ordered : bool
        Whether neighbours are to sound alike; else the seeds come first and then what fits best.
    arc : {"none", "flat", "rising", "falling", "peak"}
        How energy moves over the playlist; ``peak`` is a warm-up, a peak and a cool-down.

    Raises
    ------
    ConfigError
        If a value is out of its range, or neither length nor minutes is given.
    """

    length: int | None = 25
    minutes: float | None = None
    max_per_artist: int | None = 3
    artist_spacing: int = 2
    exclude: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    unheard: bool = False
    ordered: bool = True
    arc: Arc = "none"

    def __post_init__(self) -> None:
        if self.length is None and self.minutes is None:
            raise ConfigError("a playlist needs a length in tracks or in minutes")
        for name in ("length", "minutes", "max_per_artist"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"playlist {name} is {value}, expected more than 0")
        if self.artist_spacing < 0:
            raise ConfigError(f"playlist artist_spacing is {self.artist_spacing}, expected 0 or more")
        if self.arc not in ARCS:
            raise ConfigError(f"playlist arc is {self.arc!r}, expected one of {', '.join(ARCS)}")


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
    """Build one playlist.

    Where the music at hand is not enough, first the artist cap gives way, then what was heard lately comes back, then
    the playlist is shorter; `Playlist.relaxed_rules` says so.

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
        In the rows of the catalog; without them the order goes by sound alone, and no arc can be followed.

    Returns
    -------
    Playlist

    Raises
    ------
    DataError
        If no track is by a seed artist.
    """
    forced = _forced_rows(model, seeds)
    scores = _scores(model, seeds)
    hints = _hints(model, signatures)
    return _finish(model, hints, scores, forced, seeds, rules, name, made_at, bundle_version, seed)


def build_playlists(
    model: HybridModel,
    plays: sparse.csr_matrix,
    heard: sparse.csr_matrix,
    rules: Rules,
    *,
    names: Sequence[str],
    made_at: datetime,
    bundle_version: str,
    seed: int = 0,
    signatures: Signatures | None = None,
) -> Iterator[Playlist]:
    """Build one playlist for each user (b, n_tracks), in blocks of users; `names` are the playlists'.

    User i's playlist is the one that `build_playlist` gives with these plays and seed ``seed + i``.
    """
    hints = _hints(model, signatures)
    size = max(1, BLOCK_BYTES // (4 * max(1, len(model.catalog))))
    for start in range(0, plays.shape[0], size):
        for place, scores in enumerate(score_users(model, plays[start : start + size]), start):
            seeds = Seeds(plays=plays[place], heard=heard[place])
            none = np.empty(0, dtype=np.int32)
            yield _finish(model, hints, scores, none, seeds, rules, names[place], made_at, bundle_version, seed + place)


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
    forced: Rows,
    seeds: Seeds,
    rules: Rules,
    name: str,
    made_at: datetime,
    bundle_version: str,
    seed: int,
) -> Playlist:
    allowed = np.ones(len(model.catalog), dtype=bool)
    allowed[rules.exclude] = False
    if rules.unheard and seeds.heard is not None:
        allowed[seeds.heard.indices] = False
    forced = forced[allowed[forced]]
    noise = np.random.default_rng(seed).gumbel(0, VARIETY, len(scores))
    ranked = np.lexsort((np.arange(len(scores)), -(scores + noise))).astype(np.int32)
    ranked = np.r_[forced, ranked[~np.isin(ranked, forced)]]
    ranked = ranked[allowed[ranked]]
    chosen, relaxed = _choose(model, ranked, forced, seeds.recent_rows, rules)
    codes = model.artist_codes[chosen]
    order = np.arange(len(chosen))
    if rules.ordered:
        step, places = _costs(model, hints, chosen, rules.arc)
        order = order_tracks(step, codes, rules.artist_spacing, placing=places)
        if rules.arc != "none" and places is None and len(chosen):
            relaxed.append(f"arc: no track has a signature, so energy does not follow {rules.arc!r}")
    if rules.ordered and _too_close(codes[order], rules.artist_spacing):
        relaxed.append(f"artist_spacing: not always {rules.artist_spacing} tracks between two of one artist")
    ids = tuple(model.catalog.tracks.ids_of(chosen[order]))
    return Playlist(name, ids, made_at, bundle_version, seed, tuple(relaxed))


def _costs(model: HybridModel, hints: _Hints, rows: Rows, arc: Arc) -> tuple[Floats, Floats | None]:
    """Return what transitions and places cost; where nothing is known of any two, the order is to be kept."""
    step = transitions(flow_of(model.sound, hints.signatures, rows), hints.scale)
    if not step.any():
        step = np.abs(np.subtract.outer(np.arange(len(rows)), np.arange(len(rows)))) / max(1, len(rows))
    places = None if hints.signatures is None else placing(energies(hints.signatures, rows), arc)
    return step, places


def _choose(model: HybridModel, ranked: Rows, forced: Rows, recent: Rows, rules: Rules) -> tuple[Rows, list[str]]:
    """Take tracks in order while the rules allow, and relax rules while tracks are missing."""
    durations_s = _durations_s(model)
    codes = model.artist_codes
    lately = np.isin(ranked, recent) & ~np.isin(ranked, forced)
    fresh = ranked[~lately]
    most = int(np.bincount(codes[ranked]).max()) if len(ranked) else 1
    first_cap = most if rules.max_per_artist is None else min(rules.max_per_artist, most)
    pools = [fresh, np.r_[fresh, ranked[lately]]] if lately.any() else [fresh]
    chosen = np.empty(0, dtype=np.int32)
    for pool, cap in [(pool, cap) for pool in pools for cap in range(first_cap, most + 1)]:
        chosen = _take(pool[cap_artists(pool, codes, cap) | np.isin(pool, forced)], durations_s, rules)
        if _is_full(chosen, pool, durations_s, rules):
            break
    relaxed = []
    if len(chosen) and rules.max_per_artist is not None:
        found = int(np.bincount(codes[chosen]).max())
        if found > rules.max_per_artist:
            relaxed.append(f"max_per_artist: {found} instead of {rules.max_per_artist}")
    back = int((np.isin(chosen, recent) & ~np.isin(chosen, forced)).sum())
    if back:
        relaxed.append(f"recent: {back} tracks were heard lately")
    if not _is_full(chosen, ranked, durations_s, rules):
        if rules.minutes is None:
            relaxed.append(f"length: {len(chosen)} tracks instead of {rules.length}, all that the other rules leave")
        else:
            relaxed.append(
                f"minutes: {durations_s[chosen].sum() / 60:.1f} of {rules.minutes:g}, all that the other rules leave"
            )
    return chosen, relaxed


def _take(pool: Rows, durations_s: Floats, rules: Rules) -> Rows:
    """Take the first tracks of the pool that fit into the length and the minutes."""
    if rules.minutes is None:
        return pool[: rules.length]
    chosen, left_s = [], rules.minutes * 60
    for row in pool:
        if durations_s[row] <= left_s:
            chosen.append(row)
            left_s -= durations_s[row]
            if len(chosen) == rules.length:
                break
    return np.array(chosen, dtype=np.int32)


def _is_full(chosen: Rows, pool: Rows, durations_s: Floats, rules: Rules) -> bool:
    """Tell whether no track more is needed: as many as asked for, or no time left for an average one."""
    if rules.length is not None and len(chosen) >= rules.length:
        return True
    if rules.minutes is None or len(pool) == 0:
        return False
    return bool(durations_s[chosen].sum() + durations_s[pool].mean() > rules.minutes * 60)


def _durations_s(model: HybridModel) -> Floats:
    known = model.catalog.table["duration_s"].to_numpy(dtype=np.float64)
    usable = np.isfinite(known) & (known > 0)
    return np.where(usable, known, np.median(known[usable]) if usable.any() else TYPICAL_DURATION_S)


def _forced_rows(model: HybridModel, seeds: Seeds) -> Rows:
    """Return the seed tracks, and of each seed artist that has none among them the one with most listeners."""
    rows = list(dict.fromkeys(int(row) for row in seeds.track_rows))
    for rows_of_artist in _rows_by_artist(model, seeds):
        if not set(rows) & set(rows_of_artist.tolist()):
            rows.append(int(rows_of_artist[np.argmax(model.evidence[rows_of_artist])]))
    return np.array(rows, dtype=np.int32)


def _rows_by_artist(model: HybridModel, seeds: Seeds) -> list[npt.NDArray[np.intp]]:
    names = model.catalog.table["artist"].str.casefold().str.strip().to_numpy(dtype=object)
    found = []
    for artist in seeds.artists:
        rows = np.flatnonzero(names == artist.casefold().strip())
        if len(rows) == 0 or not artist.strip():
            raise DataError(f"no track is by the artist {artist!r}; look the name up in the catalog")
        found.append(rows)
    return found


def _scores(model: HybridModel, seeds: Seeds) -> Float32s:
    """Score all tracks by the seeds, by the user's plays, or by both alike."""
    seed_rows = np.unique(np.r_[seeds.track_rows, *_rows_by_artist(model, seeds)]).astype(np.int32)
    histories = []
    if len(seed_rows):
        ones, starts = np.ones(len(seed_rows), dtype=np.float32), np.array([0, len(seed_rows)])
        histories.append(sparse.csr_matrix((ones, seed_rows, starts), shape=(1, len(model.catalog))))
    if seeds.plays is not None:
        histories.append(sparse.csr_matrix(seeds.plays))
    if not histories:
        histories.append(sparse.csr_matrix((1, len(model.catalog)), dtype=np.float32))
    scores: Float32s = score_users(model, sparse.vstack(histories, format="csr")).mean(axis=0)
    return scores


def _too_close(codes: npt.NDArray[np.integer], spacing: int) -> bool:
    return any(bool((codes[:-apart] == codes[apart:]).any()) for apart in range(1, min(spacing, len(codes) - 1) + 1))

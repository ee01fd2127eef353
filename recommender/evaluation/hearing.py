"""How well audio vectors hear: siblings, artists, harmless changes, shortcuts; with intervals over artists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.errors import DataError
from recommender.evaluation.bootstrap import DRAWS, interval
from recommender.evaluation.probe import probe_scores, wins

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNCHANGED = "unchanged"
LEAKS = {"codec leak AUC": "mp3 64k", "gain leak AUC": "-6 dB"}
"""What a linear probe is asked to tell from the unchanged clips."""

NEAREST = 10


@dataclass(frozen=True, eq=False)
class TestClips:
    """What is known of the clips that are evaluated.

    Parameters
    ----------
    artists, albums : tuple of str, one a track
        ``""`` where unknown.
    clip_tracks : ndarray, shape (n_clips,), int64
        The track of each clip, ascending; every track has a clip.
    starts_s : ndarray, shape (n_clips,)
        In time order inside a track.
    clip_s : float

    Raises
    ------
    DataError
        If lengths differ.
    """

    __test__ = False  # not a test of pytest's

    artists: tuple[str, ...]
    albums: tuple[str, ...]
    clip_tracks: Ints
    starts_s: Floats
    clip_s: float = 10.0

    def __post_init__(self) -> None:
        n_tracks = len(self.artists)
        if len(self.albums) != n_tracks or len(self.starts_s) != len(self.clip_tracks):
            raise DataError(
                f"{n_tracks} artists, {len(self.albums)} albums, {len(self.clip_tracks)} clips, "
                f"{len(self.starts_s)} starts do not fit together"
            )
        if (
            not np.array_equal(np.unique(self.clip_tracks), np.arange(n_tracks))
            or (np.diff(self.clip_tracks) < 0).any()
        ):
            raise DataError(f"clips do not name the tracks 0 to {n_tracks - 1} in order, each at least once")

    @property
    def clusters(self) -> Ints:
        """The artist of each track as a number; a track without one is an artist of its own."""
        names = [artist or f"\0{row}" for row, artist in enumerate(self.artists)]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    def means(self, vectors: Floats) -> Floats:
        """Return the mean of each track's clips."""
        counts = np.bincount(self.clip_tracks)[:, None]
        return np.add.reduceat(vectors, np.searchsorted(self.clip_tracks, np.arange(len(self.artists)))) / counts

    def siblings(self) -> tuple[Ints, Ints]:
        """Return the first and the last clip of each track where they share no second."""
        tracks = np.arange(len(self.artists))
        first = np.searchsorted(self.clip_tracks, tracks)
        last = np.searchsorted(self.clip_tracks, tracks, side="right") - 1
        apart = self.starts_s[last] - self.starts_s[first] >= self.clip_s - 1e-3
        return first[apart], last[apart]


@dataclass(frozen=True)
class Placing:
    """How raw vectors become comparable. Nothing but the vectors themselves is used: no labels.

    Parameters
    ----------
    kind : str
        ``"centred"``: the mean of the tracks is taken off, as `recommender.ranking.sound` does with a network's unit
        vectors. ``"standardised"``: every dimension is z-scored. ``"whitened"``: z-scored, then the first `components`
        principal axes, each brought to variance 1.
    likeness : str
        ``"cosine"`` or ``"euclid"`` (less distance is more alike).
    components : int
        Of ``"whitened"``.
    """

    kind: str = "centred"
    likeness: str = "cosine"
    components: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{f' {self.components}' if self.components else ''}, {self.likeness}"


@dataclass(frozen=True, eq=False)
class Hearing:
    """Figures of one method.

    Parameters
    ----------
    names : tuple of str
    estimates : ndarray, shape (n_figures,), float64
        NaN where nothing could be measured.
    samples : ndarray, shape (draws, n_figures), float64
        The figures for artists drawn with replacement; the same seed draws the same artists for every method.
    counts : tuple of int
        Tracks that each figure is measured on.
    """

    names: tuple[str, ...]
    estimates: Floats
    samples: Floats
    counts: tuple[int, ...]

    def __getitem__(self, name: str) -> float:
        return float(self.estimates[self.names.index(name)])

    def interval(self, name: str) -> tuple[float, float]:
        """Return the 95 % interval of a figure."""
        low, high = interval(self.samples[:, [self.names.index(name)]])
        return float(low[0]), float(high[0])

    def count(self, name: str) -> int:
        """Return the number of tracks that a figure is measured on."""
        return self.counts[self.names.index(name)]

    def difference(self, other: Hearing, name: str) -> tuple[float, float, float]:
        """Return this minus the other method's figure and the 95 % interval of that, artists drawn for both alike."""
        mine, theirs = self.names.index(name), other.names.index(name)
        low, high = interval((self.samples[:, mine] - other.samples[:, theirs])[:, None])
        return float(self.estimates[mine] - other.estimates[theirs]), float(low[0]), float(high[0])


def evaluate_vectors(
    vectors: Mapping[str, npt.NDArray[np.floating]],
    clips: TestClips,
    placing: Placing | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Hearing:
    """Measure clip vectors.

    Parameters
    ----------
    vectors : mapping of version to ndarray, shape (n_clips, dim)
        `UNCHANGED` must be there. Every other version is a change of the same clips, in the same rows; for each, the
        overlap of the nearest tracks is measured, and those of `LEAKS` are probed.
    clips : TestClips
    placing : Placing, optional
        Fitted on the unchanged vectors.
    draws, seed : int
        Of the bootstrap over artists; the seed also deals the tracks into the probe's folds.

    Returns
    -------
    Hearing
        - ``sibling MRR``, ``sibling recall@1``: the first and the last clip of a track ask for each other among the
          first and last clips of all tracks; clips that are as alike as the sibling stand before it.
        - ``artist mAP``: tracks ask for the other tracks of their artist among all others, by the mean of their clips;
          ``artist mAP, other albums`` leaves out the artist's tracks of the same album, and of unknown ones.
        - ``overlap NAME``: share of a track's 10 nearest that are still so when it alone is changed.
        - ``codec leak AUC``, ``gain leak AUC``: a ridge on standardised clip vectors tells the change from the
          original, cross-validated, both versions of a track in one fold. 0.5 is nothing heard.
        - ``effective dimension``: exponential of the entropy of the covariance's eigenvalues as shares (no interval).

    Raises
    ------
    DataError
        If a version has other rows than `clips`, or values that are not finite.
    """
    for name, array in vectors.items():
        if array.ndim != 2 or len(array) != len(clips.clip_tracks) or not np.isfinite(array).all():
            raise DataError(
                f"vectors of {name!r} have shape {array.shape}, expected {len(clips.clip_tracks)} rows, all finite"
            )
    raw = {name: array.astype(np.float64) for name, array in vectors.items()}
    placed = _place(raw, clips, placing or Placing())
    clusters = clips.clusters
    drawn = np.random.default_rng(seed).multinomial(
        n_artists := int(clusters.max()) + 1, np.full(n_artists, 1 / n_artists), size=draws
    )
    found = _Figures(clusters, drawn.astype(np.float64))

    likeness = "euclid" if placing is not None and placing.likeness == "euclid" else "cosine"
    sound, tracks = placed[UNCHANGED]
    reciprocal, measured = sibling_ranks(sound, clips, likeness)
    found.add("sibling MRR", (1 / reciprocal).mean(axis=1), measured)
    found.add("sibling recall@1", (reciprocal == 1).mean(axis=1), measured)
    between = alike(tracks, tracks, likeness)
    found.add("artist mAP", *artist_precision(between, clips, same_album=True))
    found.add("artist mAP, other albums", *artist_precision(between, clips, same_album=False))
    for name, (_, changed) in placed.items():
        if name != UNCHANGED:
            found.add(f"overlap {name}", overlap(between, alike(changed, tracks, likeness)), np.arange(len(tracks)))
    for name, change in LEAKS.items():
        if change in placed:
            found.add_auc(name, sound, placed[change][0], clips.clip_tracks, seed)
    found.add_number("effective dimension", effective_dimension(sound), len(tracks))
    return found.finish()


def alike(queries: Floats, candidates: Floats, likeness: str) -> Floats:
    """Return how alike rows are, shape (n_queries, n_candidates): the cosine, or the distance with a minus sign."""
    if likeness == "cosine":
        cosines: Floats = _unit(queries) @ _unit(candidates).T
        return cosines
    squares = (queries**2).sum(axis=1)[:, None] + (candidates**2).sum(axis=1)[None, :] - 2 * queries @ candidates.T
    nearness: Floats = -np.sqrt(squares.clip(min=0))
    return nearness


def sibling_ranks(sound: Floats, clips: TestClips, likeness: str) -> tuple[Ints, Ints]:
    """Return the rank of the sibling, shape (n, 2): asked for by the first clip and by the last; and their tracks.

    The candidates are the first and last clips of all tracks; equal ones stand before the sibling.
    """
    first, last = clips.siblings()
    pool = np.concatenate([first, last])
    between = alike(sound[pool], sound[pool], likeness)
    np.fill_diagonal(between, -np.inf)
    sibling = np.roll(np.arange(len(pool)), len(first))
    own = between[np.arange(len(pool)), sibling]
    ranks = (between >= own[:, None]).sum(axis=1)
    return ranks.reshape(2, -1).T, clips.clip_tracks[first]


def artist_precision(between: Floats, clips: TestClips, *, same_album: bool) -> tuple[Floats, Ints]:
    """Return the average precision of each track that has others of its artist to find, and these tracks' rows."""
    artists, albums = np.array(clips.artists), np.array(clips.albums)
    precision, rows = [], []
    for row in np.flatnonzero(artists != ""):
        wanted = artists == artists[row]
        candidates = np.arange(len(artists)) != row
        if not same_album:
            candidates &= ~(wanted & ((albums == albums[row]) | (albums == "") | (albums[row] == "")))
        wanted = wanted[candidates]
        if wanted.any():
            precision.append(average_precision(between[row, candidates], wanted))
            rows.append(row)
    return np.array(precision, dtype=np.float64), np.array(rows, dtype=np.int64)


def average_precision(scores: Floats, wanted: npt.NDArray[np.bool_]) -> float:
    """Return the mean, over what is wanted, of the precision at its rank; of equal scores what is not wanted is first.

    Examples
    --------
    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    0.8333333333333333
    """
    order = np.lexsort((wanted, -scores))
    ranks = np.flatnonzero(wanted[order]) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def overlap(between: Floats, changed: Floats, nearest: int = NEAREST) -> Floats:
    """Return the share of each row's nearest that the changed row has too; itself left out of both."""
    n_tracks = len(between)
    k = min(nearest, n_tracks - 1)
    found = []
    for scores in (between, changed):
        scores = scores.copy()
        np.fill_diagonal(scores, -np.inf)
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        marks = np.zeros((n_tracks, n_tracks), dtype=bool)
        np.put_along_axis(marks, rows, True, axis=1)
        found.append(marks)
    share: Floats = (found[0] & found[1]).sum(axis=1) / max(k, 1)
    return share


def effective_dimension(vectors: Floats) -> float:
    """Return how many directions the vectors spread over: exp of the entropy of their variances' shares.

    Notes
    -----
    The effective rank of Roy & Vetterli (EUSIPCO 2007), of eigenvalues of the covariance rather than singular values.
    """
    centred = vectors - vectors.mean(axis=0)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    shares = (
        variances[variances > 1e-12 * max(float(variances.sum()), 1e-300)] / variances.sum() if len(variances) else []
    )
    return float(np.exp(-np.sum(shares * np.log(shares)))) if len(shares) else 0.0


class _Figures:
    """Collects figures, each for the artists as they are and as they are drawn."""

    def __init__(self, clusters: Ints, drawn: Floats) -> None:
        self._clusters, self._drawn = clusters, drawn
        self._rows: list[tuple[str, float, Floats, int]] = []

    def add(self, name: str, values: Floats, tracks: Ints) -> None:
        """Add a mean over tracks."""
        n_artists = self._drawn.shape[1]
        sums = np.bincount(self._clusters[tracks], values, minlength=n_artists)
        counts = np.bincount(self._clusters[tracks], minlength=n_artists)
        estimate = float(values.mean()) if len(values) else np.nan
        self._rows.append((name, estimate, _ratio(self._drawn @ sums, self._drawn @ counts), len(values)))

    def add_auc(self, name: str, before: Floats, after: Floats, clip_tracks: Ints, seed: int) -> None:
        """Add the AUC of a probe that tells `after` from `before`, pairs compared inside its folds."""
        labels = np.repeat([False, True], len(before))
        tracks = np.tile(clip_tracks, 2)
        if len(np.unique(tracks)) < 6:
            self.add_number(name, np.nan, 0)
            return
        scores, folds = probe_scores(np.concatenate([before, after]), labels, tracks, seed)
        artists = self._clusters[tracks]
        weights = np.concatenate([np.ones((1, self._drawn.shape[1])), self._drawn])[:, artists]
        won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for fold in range(folds.max() + 1):
            yes, no = (folds == fold) & labels, (folds == fold) & ~labels
            better = wins(scores[yes | no], labels[yes | no])
            # An artist who is drawn twice brings his own pairs twice, not four times: they are easier than others.
            own = artists[yes][:, None] == artists[no][None, :]
            for total, each in ((won, better), (pairs, np.ones_like(better))):
                total += ((weights[:, yes] @ (each * ~own)) * weights[:, no]).sum(axis=1)
                total += weights[:, yes] @ (each * own).sum(axis=1)
        areas = _ratio(won, pairs)
        self._rows.append((name, float(areas[0]), areas[1:], len(np.unique(tracks))))

    def add_number(self, name: str, value: float, count: int) -> None:
        """Add a figure without an interval."""
        self._rows.append((name, value, np.full(len(self._drawn), np.nan), count))

    def finish(self) -> Hearing:
        names, estimates, samples, counts = zip(*self._rows, strict=True)
        return Hearing(names, np.array(estimates), np.stack(samples, axis=1), counts)


def _place(raw: dict[str, Floats], clips: TestClips, placing: Placing) -> dict[str, tuple[Floats, Floats]]:
    """Return (clip vectors, track vectors) of each version in the space that the unchanged ones define."""
    own = raw[UNCHANGED]
    if placing.kind == "centred":
        is_unit = bool(np.allclose(np.linalg.norm(own, axis=1), 1, atol=1e-3))
        tracks = {name: clips.means(array) for name, array in raw.items()}
        tracks = {name: _unit(array) if is_unit else array for name, array in tracks.items()}
        center = tracks[UNCHANGED].mean(axis=0)
        return {name: (_shape(raw[name] - center, placing), tracks[name] - center) for name in raw}
    center, spread = own.mean(axis=0), own.std(axis=0)
    spread = np.where(spread > 1e-9 * max(1.0, float(np.abs(own).max())), spread, np.inf)
    turn = np.eye(own.shape[1])
    if placing.kind == "whitened":
        _, sizes, axes = np.linalg.svd((own - center) / spread, full_matrices=False)
        kept = min(placing.components, int((sizes > 1e-6 * sizes[0]).sum()))
        turn = axes[:kept].T * (np.sqrt(len(own)) / sizes[:kept])
    elif placing.kind != "standardised":
        raise DataError(f"placing is {placing.kind!r}, expected centred, standardised or whitened")
    moved = {name: (array - center) / spread @ turn for name, array in raw.items()}
    return {name: (_shape(array, placing), clips.means(array)) for name, array in moved.items()}


def _shape(vectors: Floats, placing: Placing) -> Floats:
    return _unit(vectors) if placing.likeness == "cosine" else vectors


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def _ratio(sums: Floats, counts: Floats) -> Floats:
    ratios = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=ratios, where=counts > 0)
    return ratios

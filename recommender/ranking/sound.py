"""Embeddings in catalog rows, brought to a space where the cosine means likeness; what sounds like what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ModelError
from recommender.ranking.scan import LEFT_OUT, Scan

Float32s = npt.NDArray[np.float32]

SCANNED = 4
"""So many times the tracks that are wanted are taken from a scan, and some more."""


@dataclass(frozen=True, eq=False)
class Sound:
    """Audio vectors of a catalog's tracks and of their clips, all of unit length.

    Parameters
    ----------
    vectors : ndarray, shape (n_tracks, dim), float32
        Unit vectors in catalog rows; zeros where a track has none.
    has_vector : ndarray, shape (n_tracks,), bool
    clip_vectors : ndarray, shape (n_clips, dim), float32
        Unit vectors.
    clip_tracks : ndarray, shape (n_clips,), int32
        Catalog rows, ascending.
    clip_starts_s : ndarray, shape (n_clips,), float32
    center, spread : ndarray, shape (dim,), float32
        A raw embedding e becomes the unit vector along (e - center) / spread.
    version : str
        Of the embeddings.
    """

    vectors: Float32s
    has_vector: npt.NDArray[np.bool_]
    clip_vectors: Float32s
    clip_tracks: npt.NDArray[np.int32]
    clip_starts_s: Float32s
    center: Float32s
    spread: Float32s
    version: str

    def clips_of(self, row: int) -> slice:
        """Return where the clips of a track lie."""
        return slice(int(self._clip_ends[row]), int(self._clip_ends[row + 1]))

    @cached_property
    def _clip_ends(self) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.clip_tracks, np.arange(len(self.vectors) + 1, dtype=self.clip_tracks.dtype))


@dataclass(frozen=True, eq=False)
class SoundQuery:
    """Something to compare tracks with: unit vectors in the space of `Sound`.

    Parameters
    ----------
    vector : ndarray, shape (dim,), float32
    clip_vectors : ndarray, shape (n_clips, dim), float32
        May be empty.
    clip_starts_s : ndarray, shape (n_clips,), float32
    """

    vector: Float32s
    clip_vectors: Float32s
    clip_starts_s: Float32s


@dataclass(frozen=True)
class SimilarTrack:
    """One answer of `similar_tracks`.

    Parameters
    ----------
    track_row : int
    similarity : float
        Cosine in [-1, 1].
    query_start_s, match_start_s : float or None
        Where the two clips start that are most alike; None where clips are not known.
    """

    track_row: int
    similarity: float
    query_start_s: float | None
    match_start_s: float | None


def place_sound(embeddings: Embeddings, tracks: Vocabulary) -> Sound:
    """Lay embeddings out in catalog rows and bring them to unit length around their centre.

    Embeddings that are of unit length already come from a network that was trained by the cosine: they are only
    centred. Others (measured descriptors of several units) are standardised dimension by dimension first.

    Parameters
    ----------
    embeddings : Embeddings
        Tracks that the catalog does not have are left out.
    tracks : Vocabulary

    Returns
    -------
    Sound
    """
    raw, has_vector = embeddings.of(tracks)
    known = raw[has_vector].astype(np.float64)
    center = known.mean(axis=0) if len(known) > 1 else np.zeros(embeddings.dim)
    learned = len(known) > 0 and bool(np.allclose(np.linalg.norm(known, axis=1), 1, atol=1e-3))
    spread = np.ones(embeddings.dim)
    if not learned and len(known) > 1:
        deviation = known.std(axis=0)
        spread = np.where(deviation > 1e-9 * max(1.0, float(np.abs(known).max())), deviation, 1.0)
    space = Sound(
        np.zeros_like(raw),
        has_vector,
        embeddings.clip_vectors[:0],
        embeddings.clip_tracks[:0],
        embeddings.clip_starts_s[:0],
        center.astype(np.float32),
        spread.astype(np.float32),
        embeddings.version,
    )
    vectors = np.where(has_vector[:, None], to_unit(space, raw), np.float32(0))
    clip_vectors, clip_tracks, clip_starts_s = place_clips(space, embeddings, tracks)
    return replace(
        space, vectors=vectors, clip_vectors=clip_vectors, clip_tracks=clip_tracks, clip_starts_s=clip_starts_s
    )


def to_unit(space: Sound, raw: Float32s) -> Float32s:
    """Bring raw embeddings (n, dim) of the same version into the space; a vector at the very centre stays zero."""
    if raw.ndim != 2 or raw.shape[1] != len(space.center):
        raise ModelError(f"an embedding of shape {raw.shape[1:]} does not fit a model of dim {len(space.center)}")
    moved = (raw - space.center) / space.spread
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    units: Float32s = np.divide(moved, length, out=np.zeros_like(moved), where=length > 1e-12).astype(np.float32)
    return units


def place_clips(
    space: Sound, embeddings: Embeddings, tracks: Vocabulary
) -> tuple[Float32s, npt.NDArray[np.int32], Float32s]:
    """Return unit clip vectors, their catalog rows (ascending) and starts; clips of tracks not in `tracks` are left."""
    known = embeddings.tracks.known(tracks)
    row_of = np.full(len(embeddings.tracks), -1, dtype=np.int32)
    ids = [identifier for identifier, has in zip(tracks, known, strict=True) if has]
    row_of[embeddings.tracks.rows(ids, unknown="raise")] = np.flatnonzero(known)
    rows = row_of[embeddings.clip_tracks]
    order = np.argsort(rows, kind="stable")
    order = order[rows[order] >= 0]
    return to_unit(space, embeddings.clip_vectors[order]), rows[order], embeddings.clip_starts_s[order]


def query_of_row(space: Sound, row: int) -> SoundQuery:
    """Return a catalog track as a query.

    Raises
    ------
    ModelError
        If the track has no embedding.
    """
    if not space.has_vector[row]:
        raise ModelError(f"track row {row} has no embedding; analyse its file first")
    clips = space.clips_of(row)
    return SoundQuery(space.vectors[row], space.clip_vectors[clips], space.clip_starts_s[clips])


def query_of_vector(space: Sound, vector: Float32s, clip_vectors: Float32s, clip_starts_s: Float32s) -> SoundQuery:
    """Return raw embeddings of any sound, (dim,) and (n_clips, dim), as a query."""
    return SoundQuery(to_unit(space, vector[None])[0], to_unit(space, clip_vectors), clip_starts_s)


def similar_tracks(
    space: Sound, query: SoundQuery, top: int = 20, exclude: Sequence[int] | npt.NDArray[np.integer] = ()
) -> list[SimilarTrack]:
    """Find the tracks that sound most like the query, with the seconds that match.

    Parameters
    ----------
    space : Sound
    query : SoundQuery
    top : int
    exclude : rows
        Catalog rows that are left out, for example the query's own.

    Returns
    -------
    list of SimilarTrack
        Best first, by the cosine of the tracks' vectors; equal ones by row.
    """
    similarity = space.vectors @ query.vector
    similarity[~space.has_vector] = -np.inf
    similarity[np.asarray(exclude, dtype=np.int64)] = -np.inf
    return _nearest(space, query, np.arange(len(similarity)), similarity, top)


def similar_by_scan(
    space: Sound, scan: Scan, query: SoundQuery, top: int = 20, exclude: Sequence[int] | npt.NDArray[np.integer] = ()
) -> list[SimilarTrack]:
    """Do what `similar_tracks` does, comparing exactly only what a scan finds near.

    Parameters
    ----------
    scan : Scan
        Of the vectors of the first tracks; the others are all compared.
    """
    products = scan.products(query.vector)
    products.steps[np.asarray([row for row in exclude if row < len(scan)], dtype=np.int64)] = LEFT_OUT
    near = products.best(min(len(scan), SCANNED * top + 50))[0]
    rows = np.concatenate([near, np.setdiff1d(np.arange(len(scan), len(space.vectors)), exclude)])
    similarity = np.where(space.has_vector[rows], space.vectors[rows] @ query.vector, np.float32(-np.inf))
    return _nearest(space, query, rows, similarity, top)


def _nearest(
    space: Sound, query: SoundQuery, rows: npt.NDArray[np.integer], similarity: Float32s, top: int
) -> list[SimilarTrack]:
    """Return the most similar of some rows; equal ones by row."""
    best = np.flatnonzero(np.isfinite(similarity))
    if top < len(best):
        best = best[similarity[best] >= np.partition(similarity[best], len(best) - top)[len(best) - top]]
    best = best[np.lexsort((rows[best], -similarity[best]))][:top]
    return [
        SimilarTrack(row, min(1.0, max(-1.0, likeness)), *matching_seconds(space, query, row))
        for row, likeness in zip(rows[best].tolist(), similarity[best].tolist(), strict=True)
    ]


def matching_seconds(space: Sound, query: SoundQuery, row: int) -> tuple[float | None, float | None]:
    """Return where the clips start that are most alike: in the query, and in a track. None where there are no clips."""
    clips = space.clips_of(row)
    if clips.start == clips.stop or len(query.clip_vectors) == 0:
        return None, None
    pairs = query.clip_vectors @ space.clip_vectors[clips].T
    mine, theirs = divmod(int(pairs.argmax()), pairs.shape[1])
    return float(query.clip_starts_s[mine]), float(space.clip_starts_s[clips.start + theirs])


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    Examples
    --------
    >>> clock(64.6)
    '1:04'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

"""Embeddings: one audio vector a track, and the vectors of the clips that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Audio vectors of tracks and of their clips.

    Parameters
    ----------
    tracks : Vocabulary
        The tracks that have a vector; need not be the whole catalog.
    vectors : ndarray, shape (n_tracks, dim), float32
        One finite vector a track.
    clip_vectors : ndarray, shape (n_clips, dim), float32
    clip_tracks : ndarray, shape (n_clips,), int32
        The row in `tracks` that each clip belongs to.
    clip_starts_s : ndarray, shape (n_clips,), float32
        Seconds from the start of the track.
    version : str
        What made the vectors; vectors of different versions are not comparable.
    """

    tracks: Vocabulary
    vectors: Float32s
    clip_vectors: Float32s
    clip_tracks: npt.NDArray[np.int32]
    clip_starts_s: Float32s
    version: str

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.tracks):
            raise DataError(f"embeddings have shape {self.vectors.shape} for {len(self.tracks)} tracks")
        if not np.all(np.isfinite(self.vectors)):
            bad = int(np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))[0])
            raise DataError(f"the embedding of track {self.tracks.ids[bad]!r} holds NaN or infinity")
        if self.clip_vectors.shape[1:] != self.vectors.shape[1:] or not (
            len(self.clip_vectors) == len(self.clip_tracks) == len(self.clip_starts_s)
        ):
            raise DataError(
                f"clip vectors of shape {self.clip_vectors.shape} do not fit vectors of shape {self.vectors.shape}"
            )

    @classmethod
    def without_clips(cls, tracks: Vocabulary, vectors: Float32s, version: str) -> Embeddings:
        """Build embeddings of which only the track vectors are known."""
        none = np.empty((0, vectors.shape[1] if vectors.ndim == 2 else 0), dtype=np.float32)
        return cls(tracks, vectors, none, np.empty(0, np.int32), np.empty(0, np.float32), version)

    @classmethod
    def of_clips(
        cls,
        tracks: Vocabulary,
        clip_vectors: Float32s,
        clip_tracks: npt.NDArray[np.int32],
        clip_starts_s: Float32s,
        version: str,
    ) -> Embeddings:
        """Build embeddings of unit clip vectors: a track's is their normalised mean, and without clips it has none.

        Parameters
        ----------
        tracks : Vocabulary
            What the rows of `clip_tracks` mean.
        clip_vectors : ndarray, shape (n_clips, dim), float32
        clip_tracks : ndarray, shape (n_clips,), int32
        clip_starts_s : ndarray, shape (n_clips,), float32
        version : str
        """
        counts = np.bincount(clip_tracks, minlength=len(tracks))
        sums = np.zeros((len(tracks), clip_vectors.shape[1]), dtype=np.float32)
        np.add.at(sums, clip_tracks, clip_vectors)
        heard = np.flatnonzero(counts)
        row_of = np.cumsum(counts > 0) - 1
        return cls(
            Vocabulary(tracks.kind, tuple(tracks.ids_of(heard))),
            to_unit_length(sums[heard]),
            clip_vectors,
            row_of[clip_tracks].astype(np.int32),
            clip_starts_s,
            version,
        )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def of(self, tracks: Vocabulary) -> tuple[Float32s, npt.NDArray[np.bool_]]:
        """Lay the vectors out in the rows of another vocabulary.

        Returns
        -------
        vectors : ndarray, shape (len(tracks), dim), float32
            Zeros where a track has no vector.
        has_vector : ndarray, shape (len(tracks),), bool
        """
        has_vector = self.tracks.known(tracks)
        vectors = np.zeros((len(tracks), self.dim), dtype=np.float32)
        known = [identifier for identifier, has in zip(tracks, has_vector, strict=True) if has]
        vectors[has_vector] = self.vectors[self.tracks.rows(known, unknown="raise")]
        return vectors, has_vector


def to_unit_length(vectors: Float32s) -> Float32s:
    """Return vectors (n, dim) with the same directions and length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float32s = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit

"""What a network is taught by before it has met any library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.errors import DataError

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lessons:
    """Clips to learn from, those of a track next to each other.

    Parameters
    ----------
    mels, changed : ndarray, shape (n_clips, n_mels, n_frames), uint8
        Stored levels of each clip, and of the same clip through a codec.
    tracks : ndarray, shape (n_clips,), int64
    artists : ndarray, shape (n_clips,), int64
        -1 where nothing is to be learned from the artist.
    truth : ndarray, shape (n_clips, n_labels + n_measures), float32
        First what a clip has (1) or has not (0), then measures of about unit size; NaN where unknown.
    n_labels : int

    Raises
    ------
    DataError
        If the lengths differ.
    """

    mels: npt.NDArray[np.uint8]
    changed: npt.NDArray[np.uint8]
    tracks: Codes
    artists: Codes
    truth: npt.NDArray[np.float32]
    n_labels: int

    def __post_init__(self) -> None:
        lengths = {len(self.mels), len(self.changed), len(self.tracks), len(self.artists), len(self.truth)}
        if len(lengths) != 1 or self.mels.shape != self.changed.shape:
            raise DataError(f"lessons of {len(self.mels)} clips have parts of {sorted(lengths)}, expected one length")

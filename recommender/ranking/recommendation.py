"""What a ranker answers: ranked rows inside, recommendations with ids and reasons outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from recommender.errors import ConfigError

Source = Literal["cf", "content", "popularity", "mixed"]
SOURCES: tuple[Source, ...] = ("cf", "content", "popularity", "mixed")


@dataclass(frozen=True)
class Recommendation:
    """One recommended track, as a person or program outside sees it.

    Parameters
    ----------
    track_id : str
    score : float
        Comparable inside one user's list of one model only.
    source : {"cf", "content", "popularity", "mixed"}
        Who put it there: listeners' plays, the sound, plain popularity, or several of them about equally.
    reason : str
        One sentence, for example ``because you played Miles Davis - So What``.
    """

    track_id: str
    score: float
    source: Source
    reason: str


@dataclass(frozen=True, eq=False)
class RankedList:
    """One user's list, best first.

    Parameters
    ----------
    track_rows : ndarray, shape (k,), int32
        Catalog rows; k may be less than was asked for, where heard tracks and the artist cap leave no more.
    scores : ndarray, shape (k,), float32
        Descending.
    sources : tuple of str, length k
    """

    track_rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    sources: tuple[Source, ...]

    def __len__(self) -> int:
        return len(self.track_rows)


@dataclass(frozen=True, eq=False)
class RecommendOptions:
    """What a list should look like.

    Parameters
    ----------
    top : int
        Length of the list.
    include_heard : bool
        Whether tracks that the user has heard may come back.
    candidate_rows : ndarray of int32 or None
        Only these catalog rows may be recommended; None allows all.
    max_per_artist : int or None
        At most so many tracks of one artist in a list; None sets no cap. Tracks of unknown artists are not capped.

    Raises
    ------
    ConfigError
        If `top` or `max_per_artist` is below 1.
    """

    top: int = 20
    include_heard: bool = False
    candidate_rows: npt.NDArray[np.int32] | None = None
    max_per_artist: int | None = 2

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"top is {self.top}, expected at least 1")
        if self.max_per_artist is not None and self.max_per_artist < 1:
            raise ConfigError(f"max_per_artist is {self.max_per_artist}, expected at least 1 or none")

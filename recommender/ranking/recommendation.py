"""What a ranker answers: ranked rows inside, recommendations with ids and reasons outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from recommender.errors import ConfigError
from recommender.ranking.confidence import Basis

Source = Literal["cf", "content", "popularity", "mixed", "new"]
SOURCES: tuple[Source, ...] = ("cf", "content", "popularity", "mixed", "new")

DIVERSITY, CALIBRATION = 0.3, 0.1
"""Together they cost no NDCG@20 on real listening or in the demo world, and gain some; see ``benchmarks/lists.py``."""

ARTIST_GAP = 1


@dataclass(frozen=True)
class Recommendation:
    """One recommended track, as a person or program outside sees it.

    Parameters
    ----------
    track_id : str
    score : float
        Comparable inside one user's list of one model only.
    source : {"cf", "content", "popularity", "mixed", "new"}
        Who put it there: listeners' plays, the sound, plain popularity, or several of them about equally; in the list
        of somebody without plays also that nobody has played it yet.
    reason : str
        One sentence, for example ``because you played Miles Davis - So What``.
    confidence : float
        In [0, 1): how much evidence of the listener and of the track it rests on, see
        `recommender.ranking.confidence.confidences`.
    """

    track_id: str
    score: float
    source: Source
    reason: str
    confidence: float


@dataclass(frozen=True, eq=False)
class RankedList:
    """One user's list, best first.

    Parameters
    ----------
    track_rows : ndarray, shape (k,), int32
        Catalog rows; k may be less than was asked for, where heard tracks and the artist cap leave no more.
    scores : ndarray, shape (k,), float32
        By the model, less what skips and dislikes hold against a track. Descending, unless an artist's tracks had to be
        spaced, the popularity dial was turned, or the list is a default one.
    sources : tuple of str, length k
    confidences : ndarray, shape (k,), float32
        See `recommender.ranking.confidence.confidences`.
    basis : {"taste", "few plays", "default"}
        What the list rests on, see `recommender.ranking.confidence`.
    plays_known : int
        How many different tracks the listener is known to have played, of those that the model knows.
    """

    track_rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    sources: tuple[Source, ...]
    confidences: npt.NDArray[np.float32]
    basis: Basis
    plays_known: int

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
    artist_gap : int
        So many other tracks come between two of one artist, where that is possible; 0 lets scores alone decide.
    diversity : float in [0, 1]
        0 takes the best scores, 1 whatever is least alike; see `recommender.ranking.diversity`.
    calibration : float in [0, 1]
        How strongly the list's mix of kinds of music follows the listener's own; see `recommender.ranking.calibration`.
    popularity : float in [-1, 1]
        Raises (> 0) or lowers (< 0) popular tracks; 0 leaves them as the model has them. On real listening lists are at
        -1 about as popular as what their listeners played.
    discovery : float in [0, 1]
        Exposure of new tracks, see `recommender.ranking.scoring.user_vectors`: 0 hardly any, .5 what found most on
        plays that were hidden, 1 mostly. The list of somebody without plays has its own mix.
    distaste : float in [0, 1]
        How much skips and dislikes hold back what is like them; see `recommender.ranking.distaste`.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    top: int = 20
    include_heard: bool = False
    candidate_rows: npt.NDArray[np.int32] | None = None
    max_per_artist: int | None = 2
    artist_gap: int = ARTIST_GAP
    diversity: float = DIVERSITY
    calibration: float = CALIBRATION
    popularity: float = 0.0
    distaste: float = 1.0
    discovery: float = 0.5

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"top is {self.top}, expected at least 1")
        if self.max_per_artist is not None and self.max_per_artist < 1:
            raise ConfigError(f"max_per_artist is {self.max_per_artist}, expected at least 1 or none")
        if self.artist_gap < 0:
            raise ConfigError(f"artist_gap is {self.artist_gap}, expected 0 or more")
        for name, least in (
            ("diversity", 0),
            ("calibration", 0),
            ("popularity", -1),
            ("distaste", 0),
            ("discovery", 0),
        ):
            if not least <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a number from {least} to 1")

"""Popularity: the baseline that every personal method must beat, and the answer for who has not played anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ConfigError

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Popularity:
    """How many users play each track.

    Parameters
    ----------
    tracks : Vocabulary
    listeners : ndarray, shape (n_tracks,), float32
        Users who played the track; with a half-life, their last plays fade.
    """

    tracks: Vocabulary
    listeners: Float32s

    def score_users(self, n_users: int) -> Float32s:
        """Return the same scores for each user, a read-only view of shape (n_users, n_tracks), float32."""
        return np.broadcast_to(self.listeners, (n_users, len(self.listeners)))


def fit_popularity(interactions: Interactions, half_life_days: float | None = None) -> Popularity:
    """Count listeners.

    Parameters
    ----------
    interactions : Interactions
        Weight > 0 is a play. How often a user plays a track does not count: one fan is one listener.
    half_life_days : float > 0, optional
        A listener counts half for each such span between their last play of the track and the last play of the log.
        Plays without a time count in full. Without it all listeners count in full.

    Returns
    -------
    Popularity

    Raises
    ------
    ConfigError
        If `half_life_days` is not > 0.

    Examples
    --------
    >>> from recommender.data.interactions import Interactions
    >>> rows, none = np.array([0, 0, 1], np.int32), np.full(3, "NaT", "datetime64[s]")
    >>> users, tracks = Vocabulary("user", ("u", "v")), Vocabulary("track", ("a", "b"))
    >>> log = Interactions(users, tracks, rows, np.array([0, 0, 0], np.int32), np.ones(3, np.float32), none)
    >>> fit_popularity(log).listeners.tolist()
    [2.0, 0.0]
    """
    if half_life_days is not None and not half_life_days > 0:
        raise ConfigError(f"the popularity half-life is {half_life_days} days, expected a number > 0")
    n_tracks = len(interactions.tracks)
    played = interactions.weights > 0
    pairs = interactions.user_rows[played].astype(np.int64) * n_tracks + interactions.track_rows[played]
    unique, place = np.unique(pairs, return_inverse=True)
    counts = np.ones(len(unique))
    times = interactions.times[played]
    known = ~np.isnat(times)
    if half_life_days is not None and known.any():
        seconds = times[known].astype("datetime64[s]").astype(np.int64)
        age_days = np.full(len(times), 0.0)
        age_days[known] = (seconds.max() - seconds) / 86400
        youngest = np.full(len(unique), np.inf)
        np.minimum.at(youngest, place, age_days)
        counts = 0.5 ** (youngest / half_life_days)
    listeners = np.bincount(unique % max(1, n_tracks), counts, minlength=n_tracks)
    return Popularity(interactions.tracks, listeners.astype(np.float32))

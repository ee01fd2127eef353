"""Listeners: who would like which track, and what they therefore play, when, and skip.

A listener's affinity for a track is the sum of what audio can tell (styles, tempo, brightness, density, mode, room) and
of what it cannot (the scene an artist moves in, a soft spot for an artist, how well a track is known, chance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.errors import ConfigError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ListenerConfig:
    """How people listen.

    Parameters
    ----------
    n_users : int
    plays : float
        Mean plays of a user over the whole time.
    scenes : int
        Communities of artists and users that sound does not reveal.
    sound, scene, loyalty, fame, chance : float
        Weights of the parts of affinity, each of about unit variance before.
    traits : float
        How much tempo, brightness and the like count beside the style.
    sharpness : float
        Log-odds of a play for each unit of affinity.
    exploration : float
        Share of sessions in which taste and novelty count for little.
    novelty : float
        Log-odds that a track gains at its release; it loses them with a time constant of 60 days.
    patience : float in [0, 1]
        The place in a user's order of all tracks, worst first, where half of what is begun is skipped.

    Raises
    ------
    ConfigError
        If there is nobody, or nothing to do.
    """

    n_users: int = 500
    plays: float = 130.0
    scenes: int = 5
    sound: float = 1.7
    scene: float = 1.6
    traits: float = 0.7
    loyalty: float = 0.25
    fame: float = 1.3
    chance: float = 0.1
    sharpness: float = 0.65
    exploration: float = 0.15
    novelty: float = 1.0
    patience: float = 0.6

    def __post_init__(self) -> None:
        if self.n_users < 1 or self.scenes < 1 or not self.plays > 0:
            raise ConfigError(
                f"{self.n_users} users in {self.scenes} scenes with {self.plays} plays: expected 1 or more of each"
            )
        if not 0 <= self.patience <= 1:
            raise ConfigError(f"patience is {self.patience}, expected a place between 0 and 1")


@dataclass(frozen=True, eq=False)
class Appeal:
    """What about the tracks moves people.

    Parameters
    ----------
    styles : ndarray, shape (n_tracks, n_styles), float64
        Share of each style in a track.
    traits : ndarray, shape (n_tracks, n_traits), float64
        Audible attributes, standardised.
    artists : ndarray, shape (n_tracks,), int64
    """

    styles: Floats
    traits: Floats
    artists: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Affinity:
    """How much each user would like each track: comparable inside one user's row.

    Times ``ListenerConfig.sharpness`` it is the log-odds of a play, up to a constant.

    Parameters
    ----------
    total : ndarray, shape (n_users, n_tracks), float32
    audible : ndarray, shape (n_users, n_tracks), float32
        The part of `total` that the sound of a track explains.
    """

    total: npt.NDArray[np.float32]
    audible: npt.NDArray[np.float32]


def draw_affinity(appeal: Appeal, config: ListenerConfig, rng: np.random.Generator) -> Affinity:
    """Draw how much each user would like each track."""
    n_users, (n_tracks, n_styles) = config.n_users, appeal.styles.shape
    n_artists = int(appeal.artists.max()) + 1
    style_taste = rng.gamma(0.25, 1.0, (n_users, n_styles))
    style_taste = np.sqrt(style_taste / style_taste.max(axis=1, keepdims=True))
    trait_taste = rng.normal(0, 1, (n_users, appeal.traits.shape[1]))
    audible = config.sound * _unit(
        _unit(style_taste @ appeal.styles.T) + config.traits * _unit(trait_taste @ appeal.traits.T)
    )

    scene_of_artist = rng.dirichlet(np.full(config.scenes, 0.15), n_artists)
    own = rng.dirichlet(np.full(config.scenes, 0.3), n_tracks)
    scene_of_track = 0.65 * scene_of_artist[appeal.artists] + 0.35 * own
    scene = rng.dirichlet(np.full(config.scenes, 0.35), n_users) @ scene_of_track.T
    loyalty = (rng.normal(0, 1, (n_users, n_artists)) ** 3)[:, appeal.artists]
    fame = rng.normal(0, 0.85, n_artists)[appeal.artists] + rng.normal(0, 0.5, n_tracks)
    total = (
        audible
        + config.scene * _unit(scene)
        + config.loyalty * _unit(loyalty)
        + config.fame * fame[None, :]
        + config.chance * rng.normal(0, 1, (n_users, n_tracks))
    )
    return Affinity(total.astype(np.float32), audible.astype(np.float32))


def draw_plays(
    affinity: npt.NDArray[np.float32],
    released: npt.NDArray[np.datetime64],
    start: np.datetime64,
    end: np.datetime64,
    config: ListenerConfig,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw everything that the users play.

    Parameters
    ----------
    affinity : ndarray, shape (n_users, n_tracks)
    released : ndarray, shape (n_tracks,), datetime64[D]
        Nobody plays a track before.
    start, end : datetime64[D]
    config : ListenerConfig
    rng : Generator

    Returns
    -------
    DataFrame
        Columns user (int), track (int), weight (1 a play, 0 a skip), timestamp (datetime64[s]); in order of time.
    """
    days = int((end - start) / np.timedelta64(1, "D"))
    release_day = (released - start) / np.timedelta64(1, "D")
    pull = config.sharpness * affinity.astype(np.float64)
    likes = affinity - np.quantile(affinity, config.patience, axis=1, keepdims=True)
    rows: list[tuple[npt.NDArray[np.int64], ...]] = []
    for user in range(len(affinity)):
        sessions = max(4, rng.poisson(config.plays * rng.gamma(2.0, 0.5) / 6))
        joined = rng.uniform(0, 0.6) * days
        for day in np.sort(rng.uniform(joined, days, sessions)):
            out = np.flatnonzero(release_day <= day - 1)
            if not len(out):
                continue
            age = day - release_day[out]
            taste = pull[user, out] + config.novelty * np.exp(-age / 60)
            curious = rng.random() < config.exploration
            weights = np.exp((0.15 if curious else 1.0) * (taste - taste.max()))
            count = min(len(out), 1 + rng.poisson(5))
            chosen = rng.choice(out, count, replace=False, p=weights / weights.sum())
            begin_s = int(day) * 86_400 + int(rng.normal(19, 3) % 24 * 3600)
            stayed = rng.random(count) < 1 / (1 + np.exp(-2.0 * likes[user, chosen]))
            rows.append((np.full(count, user), chosen, stayed.astype(np.int64), begin_s + 210 * np.arange(count)))
    users, tracks, weights_, seconds = (np.concatenate(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"user": users, "track": tracks, "weight": weights_.astype(float)})
    frame["timestamp"] = start.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return frame.sort_values(["timestamp", "user", "track"], kind="stable", ignore_index=True)


def _unit(values: Floats) -> Floats:
    """Scale to mean 0 and variance 1 over each user's tracks."""
    centred = values - values.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-9))

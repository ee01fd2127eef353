"""Lists shown to the listeners of the embedded world, who play what the truth makes them play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.evaluation.bootstrap import Floats
from recommender.evaluation.off_policy import LoggedLists
from recommender.ranking.exploration import ExploreConfig, ListPolicy, draw_places, list_policy, uncertainty_of
from recommender.ranking.ranker import HybridModel, RankedList, RecommendOptions, recommend
from recommender.ranking.scoring import user_vectors
from recommender.ranking.taste import tastes_of
from recommender.synthetic.world import WorldConfig, draw_world

EAR_DIM = 12
WILLING = 0.85
"""A listener plays what he is shown with even odds where it stands there in his order of all tracks, worst first."""


@dataclass(frozen=True, eq=False)
class SilentWorld:
    """A world without its sound: tables as a workspace would hold them, and the truth.

    Parameters
    ----------
    catalog : Catalog
    past : Interactions
        What was played before the split; new tracks have no plays.
    embeddings : Embeddings
        What ears would tell of the tracks.
    play_chances : ndarray, shape (n_users, n_tracks), float64
        The probability that a user plays a track that he is shown.
    is_new : ndarray, shape (n_tracks,), bool
        Released after the split.
    """

    catalog: Catalog
    past: Interactions
    embeddings: Embeddings
    play_chances: Floats
    is_new: npt.NDArray[np.bool_]


def silent_world(config: WorldConfig, ear_noise: float = 0.5) -> SilentWorld:
    """Draw a world without rendering it.

    Parameters
    ----------
    config : WorldConfig
    ear_noise : float
        Standard deviation of what is added to the embeddings, in theirs: 0 is perfect ears.

    Returns
    -------
    SilentWorld
        Embeddings are the audible part of all affinities, in `EAR_DIM` dimensions.
    """
    world, _ = draw_world(config)
    ids = world.tracks["path"].to_numpy(dtype=object)
    catalog = Catalog.from_frame(
        pd.DataFrame({"item_id": ids, "title": world.tracks["title"], "artist": world.tracks["artist"]})
    )
    past = world.past.rename(columns={"path": "item_id"})
    interactions = Interactions.from_frame(past, Vocabulary("user", world.users), catalog.tracks)
    _, values, axes = np.linalg.svd(world.audible - world.audible.mean(axis=1, keepdims=True), full_matrices=False)
    heard = (values[:EAR_DIM, None] * axes[:EAR_DIM]).T
    heard += ear_noise * heard.std() * np.random.default_rng(config.seed).normal(size=heard.shape)
    order = np.array([catalog.tracks.row(path) for path in ids])
    affinity = np.empty_like(world.affinity)
    affinity[:, order] = world.affinity
    released = np.array([np.datetime64(day) for day in world.tracks["released"]])
    is_new = np.zeros(len(ids), dtype=bool)
    is_new[order] = released >= world.split_time
    middle = np.quantile(affinity, WILLING, axis=1, keepdims=True)
    return SilentWorld(
        catalog,
        interactions,
        Embeddings.without_clips(Vocabulary("track", tuple(ids)), heard.astype(np.float32), "ears"),
        1 / (1 + np.exp(-2.0 * (affinity - middle).astype(np.float64))),
        is_new,
    )


def policies_of(
    model: HybridModel, options: RecommendOptions, config: ExploreConfig, rng: np.random.Generator
) -> list[ListPolicy]:
    """Return what each user of the model may be shown, each with one dealing of his pool."""
    uncertainty = uncertainty_of(model)
    lists = recommend(model, model.plays, model.heard, options)
    vectors = user_vectors(tastes_of(model, model.plays), model.standards, model.blend)
    return [
        list_policy(model, uncertainty, vectors.of(user), model.heard[user], ranked, options, config, rng)
        for user, ranked in enumerate(lists)
    ]


def simulate_log(
    policies: Sequence[ListPolicy],
    others: Sequence[RankedList],
    scores: npt.NDArray[np.floating],
    play_chances: Floats,
    users: npt.NDArray[np.integer],
    rng: np.random.Generator,
) -> LoggedLists:
    """Show lists to users, and set beside each what another model would show.

    Parameters
    ----------
    policies : sequence of ListPolicy
        One a user, all of the same length.
    others : sequence of RankedList
        One a user: the lists that are to be judged.
    scores : ndarray, shape (n_users, n_tracks)
        By the other model.
    play_chances : ndarray, shape (n_users, n_tracks), float64
    users : ndarray, shape (n_lists,), int
        Who is shown each list.
    rng : Generator

    Returns
    -------
    LoggedLists
    """
    rows, propensities = (np.empty((len(users), len(policies[0].rows)), dtype=t) for t in (np.int32, np.float64))
    places = np.arange(rows.shape[1])
    for number, user in enumerate(users):
        drawn = draw_places(policies[user], rng)
        rows[number] = policies[user].rows[places, drawn]
        propensities[number] = policies[user].chances[places, drawn]
    chances = play_chances[users[:, None], rows]
    is_other = np.zeros(play_chances.shape, dtype=bool)
    for user, ranked in enumerate(others):
        is_other[user, ranked.track_rows] = True
    return LoggedLists(
        users=users.astype(np.int64),
        shown_list=np.repeat(np.arange(len(users)), rows.shape[1]),
        propensities=propensities.ravel(),
        rewards=(rng.random(chances.shape) < chances).ravel().astype(np.float64),
        wanted=is_other[users[:, None], rows].ravel(),
        shown_scores=scores[users[:, None], rows].ravel().astype(np.float64),
        other_list=np.repeat(np.arange(len(users)), [len(others[user]) for user in users]),
        other_scores=np.concatenate([others[user].scores for user in users]).astype(np.float64),
    )


def true_value(lists: Sequence[RankedList], play_chances: Floats) -> float:
    """Return what lists, one a user, are worth: the mean probability that a place of them is played."""
    return float(np.concatenate([play_chances[user, ranked.track_rows] for user, ranked in enumerate(lists)]).mean())

from dataclasses import replace

import numpy as np
import pytest

from recommender.data.interactions import Interactions
from recommender.errors import ConfigError
from recommender.models.popularity import fit_popularity


def test_listeners_are_counted_once_and_skips_not_at_all(tiny_world: Interactions) -> None:
    # t0: u0 u1 u2; t1: u0 u1; t2: u3 u4 (u2 skipped it); t3: u3 u4 u5 (u5 twice); t4: nobody
    assert fit_popularity(tiny_world).listeners.tolist() == [3, 2, 2, 3, 0]


def test_a_half_life_fades_old_listeners(tiny_world: Interactions) -> None:
    # the log ends with u5's second play of t3 on 2024-01-09; t1 was played 7 and 6 days earlier
    faded = fit_popularity(tiny_world, half_life_days=1).listeners
    np.testing.assert_allclose(faded[1], 2.0**-7 + 2.0**-6)
    np.testing.assert_allclose(faded[3], 2.0**-3 + 2.0**-2 + 1)
    assert faded[4] == 0


def test_plays_without_a_time_count_in_full(tiny_world: Interactions) -> None:
    timeless = replace(tiny_world, times=np.full(len(tiny_world), "NaT", dtype="datetime64[s]"))
    assert fit_popularity(timeless, half_life_days=1).listeners.tolist() == [3, 2, 2, 3, 0]


def test_everyone_gets_the_same_scores(tiny_world: Interactions) -> None:
    scores = fit_popularity(tiny_world).score_users(4)
    assert scores.shape == (4, 5)
    assert (scores == [3, 2, 2, 3, 0]).all()


def test_no_plays_no_listeners(tiny_world: Interactions) -> None:
    nothing = tiny_world.select(np.zeros(len(tiny_world), dtype=bool))
    assert fit_popularity(nothing, half_life_days=3).listeners.tolist() == [0] * 5


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("nan")])
def test_a_half_life_must_be_positive(tiny_world: Interactions, half_life: float) -> None:
    with pytest.raises(ConfigError, match="half-life is"):
        fit_popularity(tiny_world, half_life_days=half_life)

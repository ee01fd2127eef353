import numpy as np
import pytest

from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.ranking.validation import validation_split


def plays(days, seed=0):
    """Forty tracks, track t released on day 2 t; thirty users play random released ones, some twice."""
    rng = np.random.default_rng(seed)
    when = np.sort(rng.integers(days[0], days[1] + 1, 1500))
    tracks = rng.integers(0, np.minimum(40, when // 2 + 1))
    return Interactions(
        Vocabulary("user", tuple(f"u{n}" for n in range(30))),
        Vocabulary("track", tuple(f"t{n}" for n in range(40))),
        rng.integers(0, 30, 1500).astype(np.int32),
        tracks.astype(np.int32),
        np.ones(1500, dtype=np.float32),
        np.datetime64("2024-01-01", "s") + when * np.timedelta64(86400, "s"),
    )


def pairs(interactions):
    return set(zip(interactions.user_rows.tolist(), interactions.track_rows.tolist(), strict=True))


def test_the_last_releases_stand_for_new_tracks_and_the_last_finds_are_hidden():
    log = plays((0, 100))
    split = validation_split(log, np.ones(40, dtype=bool), seed=0)
    assert set(split.cold_rows) == set(range(35, 40))
    assert split.train.times.max() <= split.held_out.times.min()
    assert not pairs(split.train) & pairs(split.held_out)
    assert not set(split.train.track_rows) & set(split.cold_rows)
    n_known = len({pair for pair in pairs(log) if pair[1] < 35})
    assert len(pairs(split.held_out)) == pytest.approx(0.1 * n_known, abs=1)


def test_a_log_of_one_moment_is_split_at_random():
    log = plays((100, 100))
    split = validation_split(log, np.ones(40, dtype=bool), seed=0)
    assert len(split.train) > 0.7 * len(log)
    assert len(split.held_out) > 0
    assert not pairs(split.train) & pairs(split.held_out)
    other = validation_split(log, np.ones(40, dtype=bool), seed=1)
    assert pairs(other.held_out) != pairs(split.held_out)

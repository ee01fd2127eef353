import numpy as np
import pytest
from scipy import sparse

from recommender.errors import ConfigError
from recommender.models.neighbours import NeighboursConfig, fit_neighbours


def readable(confidence: np.ndarray, beta: float) -> np.ndarray:
    """Walk from each track to each other one over all listeners, by the definition."""
    n_users, n_tracks = confidence.shape
    found = np.zeros((n_tracks, n_tracks))
    for start in range(n_tracks):
        for end in range(n_tracks):
            for user in range(n_users):
                if start != end and confidence[user, start] > 0:
                    to_user = confidence[user, start] / confidence[:, start].sum()
                    found[start, end] += to_user * confidence[user, end] / confidence[user].sum()
            if confidence[:, end].any():
                found[start, end] /= confidence[:, end].sum() ** beta
    return found


def random_weights(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = (rng.random((17, 9)) < 0.3) * rng.uniform(0.5, 1.5, (17, 9))
    weights[:, 4] = 0
    weights[3] = 0
    return weights


@pytest.mark.parametrize("beta", [0.0, 0.6, 1.0])
def test_fast_and_readable_agree(beta: float) -> None:
    weights = random_weights()
    fast = fit_neighbours(sparse.csr_matrix(weights), NeighboursConfig(beta, 100))
    np.testing.assert_allclose(fast.toarray(), readable(weights, beta), atol=1e-5)


def test_only_the_best_neighbours_are_kept() -> None:
    weights = random_weights(1)
    whole, kept = (fit_neighbours(sparse.csr_matrix(weights), NeighboursConfig(0.5, most)).toarray() for most in (9, 2))
    for all_of, some in zip(whole, kept, strict=True):
        assert (some > 0).sum() == min(2, (all_of > 0).sum())
        assert set(some[some > 0]) == set(np.sort(all_of)[::-1][: (some > 0).sum()])


def test_a_track_without_plays_has_no_neighbours_and_is_nobodys() -> None:
    found = fit_neighbours(sparse.csr_matrix(random_weights())).toarray()
    assert not found[4].any()
    assert not found[:, 4].any()
    assert fit_neighbours(sparse.csr_matrix((3, 0))).shape == (0, 0)


def test_settings_that_cannot_be_used_are_named() -> None:
    with pytest.raises(ConfigError, match="popularity_penalty is -1"):
        NeighboursConfig(popularity_penalty=-1)
    with pytest.raises(ConfigError, match="per_track is 0"):
        NeighboursConfig(per_track=0)

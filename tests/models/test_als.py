import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, ModelError
from recommender.models import als_reference
from recommender.models.als import (
    AlsConfig,
    fit_als,
    fold_in_tracks,
    fold_in_users,
    initial_factors,
    play_confidence,
    row_ridges,
)


def interactions_of(plays: np.ndarray) -> Interactions:
    user_rows, track_rows = np.nonzero(plays)
    return Interactions(
        Vocabulary("user", tuple(f"u{n}" for n in range(plays.shape[0]))),
        Vocabulary("track", tuple(f"t{n}" for n in range(plays.shape[1]))),
        user_rows.astype(np.int32),
        track_rows.astype(np.int32),
        np.maximum(plays[user_rows, track_rows], 0).astype(np.float32),
        np.full(len(user_rows), "NaT", dtype="datetime64[s]"),
    )


def random_plays(n_users: int, n_tracks: int, seed: int, share: float = 0.2) -> np.ndarray:
    """Plays with uneven row and column counts; the last user and the second track have none."""
    rng = np.random.default_rng(seed)
    appeal = rng.random(n_tracks) ** 2 * 2
    plays = (rng.random((n_users, n_tracks)) < share * appeal) * rng.integers(1, 9, (n_users, n_tracks))
    plays[-1] = 0
    plays[:, 1] = 0
    return plays


def weighed(plays: np.ndarray, config: AlsConfig) -> np.ndarray:
    return play_confidence(sparse.csr_matrix(plays), config.play_emphasis).toarray().astype(float)


def start_of(plays: np.ndarray, config: AlsConfig) -> tuple[np.ndarray, np.ndarray]:
    """The start of `fit_als`, laid out over all rows: rows that have plays are drawn fewest plays first."""
    full = []
    counts = [(plays > 0).sum(axis=1), (plays > 0).sum(axis=0)]
    drawn = initial_factors(int((counts[0] > 0).sum()), int((counts[1] > 0).sum()), config)
    for count, start in zip(counts, drawn, strict=True):
        order = np.argsort(count, kind="stable")
        rows = np.zeros((len(count), config.factors))
        rows[order[count[order] > 0]] = start
        full.append(rows)
    return full[0], full[1]


@pytest.mark.parametrize("cg_steps", [0, 3])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("n_users", "n_tracks"), [(40, 25), (25, 60)])
def test_fast_and_readable_agree(n_users: int, n_tracks: int, exponent: float, cg_steps: int) -> None:
    plays = random_plays(n_users, n_tracks, seed=n_users)
    config = AlsConfig(factors=6, frequency_exponent=exponent, iterations=4, cg_steps=cg_steps, seed=3)
    fast = fit_als(interactions_of(plays), config)
    X, Y = als_reference.fit(weighed(plays, config), *start_of(plays, config), config)
    np.testing.assert_allclose(fast.user_factors, X, atol=1e-4)
    np.testing.assert_allclose(fast.track_factors, Y, atol=1e-4)
    assert np.abs(X).max() > 0.1


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_training_reaches_a_minimum_of_the_loss(exponent: float) -> None:
    plays = random_plays(30, 20, seed=1)
    config = AlsConfig(factors=4, frequency_exponent=exponent, iterations=300)
    factors = fit_als(interactions_of(plays), config)
    X, Y = factors.user_factors.astype(float), factors.track_factors.astype(float)
    weights = weighed(plays, config)
    at = als_reference.loss(weights, X, Y, config)
    start = als_reference.loss(weights, *start_of(plays, config), config)
    assert at < 0.7 * start
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-2):
        for _ in range(20):
            moved = X + size * rng.normal(size=X.shape) * X.any(axis=1, keepdims=True)
            assert als_reference.loss(weights, moved, Y, config) > at
            moved = Y + size * rng.normal(size=Y.shape) * Y.any(axis=1, keepdims=True)
            assert als_reference.loss(weights, X, moved, config) > at


def test_loss_by_hand() -> None:
    """Two users, two tracks, one factor: 2 plays of weight 1 and 2; every value below is worked on paper."""
    plays = np.array([[1.0, 0], [2, 0]])
    config = AlsConfig(factors=1, unobserved_weight=0.5, regularization=0.1, frequency_exponent=0)
    X, Y = np.array([[1.0], [2.0]]), np.array([[0.5], [0.0]])
    # scores of track 0: .5 and 1, wanted 2/3; 1.5 * (1 / 36 + 2 / 9) = .375; silent pairs score 0
    # .1 * (1 + 4) + .1 * .25 = .525
    assert als_reference.loss(plays, X, Y, config) == pytest.approx(0.375 + 0.525)


def test_with_equal_weights_the_loss_is_rendles() -> None:
    """But for a constant: a move changes both alike."""
    plays, config = random_plays(20, 12, seed=8) > 0, AlsConfig(factors=3)
    rng = np.random.default_rng(1)

    def rendle(X: np.ndarray, Y: np.ndarray) -> float:
        scores = X @ Y.T
        r = [als_reference.ridges(side, config) for side in (plays, plays.T)]
        silence = (scores[np.ix_(plays.any(axis=1), plays.any(axis=0))] ** 2).sum()
        length = (r[0] * (X**2).sum(axis=1)).sum() + (r[1] * (Y**2).sum(axis=1)).sum()
        return ((scores - 1) ** 2)[plays].sum() + config.unobserved_weight * silence + length

    points = [(rng.normal(size=(20, 3)), rng.normal(size=(12, 3))) for _ in range(2)]
    ours = [als_reference.loss(plays.astype(float), *point, config) for point in points]
    assert ours[0] - ours[1] == pytest.approx(rendle(*points[0]) - rendle(*points[1]))


def test_tiny_world_scores_follow_the_groups(tiny_world: Interactions) -> None:
    factors = fit_als(tiny_world, AlsConfig(factors=3))
    scores = factors.user_factors @ factors.track_factors.T
    assert scores[2, 1] > scores[2, 2] + 0.2, "u2 heard t0 only, the others of t0 play t1"
    assert scores[5, 2] > scores[5, 0] + 0.2
    assert not factors.user_factors[6].any()
    assert not factors.track_factors[4].any()


def test_how_far_a_count_is_ahead_does_not_matter() -> None:
    plays = random_plays(30, 20, seed=2)
    np.testing.assert_array_equal(weighed(plays, AlsConfig()), weighed(plays**3, AlsConfig()))
    weights = weighed(plays, AlsConfig())
    np.testing.assert_allclose(weights.sum(axis=1), (plays > 0).sum(axis=1))
    np.testing.assert_array_equal(weights > 0, plays > 0)
    assert 0.5 < weights[plays > 0].min() < 0.8
    by_count = np.argsort(plays[0])
    assert (np.diff(weights[0][by_count]) >= 0).all()


def test_without_emphasis_plays_are_binary_and_skips_are_no_plays(tiny_world: Interactions) -> None:
    config = AlsConfig(factors=3, play_emphasis=0)
    liked = tiny_world.select(tiny_world.weights > 0)
    ones = Interactions(
        liked.users, liked.tracks, liked.user_rows, liked.track_rows, np.ones_like(liked.weights), liked.times
    )
    np.testing.assert_array_equal(fit_als(tiny_world, config).user_factors, fit_als(ones, config).user_factors)


def test_rows_without_plays_change_nothing() -> None:
    plays = random_plays(30, 20, seed=2)
    some = fit_als(interactions_of(plays), AlsConfig(factors=5))
    more = fit_als(interactions_of(np.pad(plays, ((0, 7), (0, 11)))), AlsConfig(factors=5))
    np.testing.assert_array_equal(more.user_factors[:30], some.user_factors)
    np.testing.assert_array_equal(more.track_factors[:20], some.track_factors)
    assert not more.track_factors[20:].any()


def test_same_seed_same_factors_whatever_the_threads() -> None:
    data = interactions_of(random_plays(200, 150, seed=5))
    config = AlsConfig(factors=32, iterations=3)
    one = fit_als(data, config, num_threads=1)
    for threads in (0, 2, 4):
        again = fit_als(data, config, num_threads=threads)
        np.testing.assert_array_equal(one.user_factors, again.user_factors)
        np.testing.assert_array_equal(one.track_factors, again.track_factors)
    other = fit_als(data, AlsConfig(factors=32, iterations=3, seed=1))
    assert np.abs(other.track_factors - one.track_factors).max() > 0.01


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_fold_in_gives_what_training_converges_to(exponent: float) -> None:
    plays = random_plays(40, 25, seed=4)
    config = AlsConfig(factors=5, frequency_exponent=exponent, iterations=400)
    factors = fit_als(interactions_of(plays), config)
    weights = sparse.csr_matrix(weighed(plays, config))
    users = fold_in_users(weights, factors.track_factors, config)
    tracks = fold_in_tracks(weights, factors.user_factors, config)
    np.testing.assert_allclose(users, factors.user_factors, atol=5e-3)
    np.testing.assert_allclose(tracks, factors.track_factors, atol=5e-3)


@settings(max_examples=25, deadline=None)
@given(
    n_users=st.integers(1, 12),
    n_tracks=st.integers(1, 9),
    factors=st.integers(1, 20),
    exponent=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_fold_in_equals_its_twin(n_users: int, n_tracks: int, factors: int, exponent: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plays = (rng.random((n_users, n_tracks)) < 0.4) * rng.integers(1, 5, (n_users, n_tracks))
    config = AlsConfig(factors=factors, frequency_exponent=exponent)
    Y = rng.normal(size=(n_tracks, factors)).astype(np.float32)
    Y[0] = 0
    folded = fold_in_users(sparse.csr_matrix(plays), Y, config)
    np.testing.assert_allclose(folded, als_reference.solve_rows(plays, Y.astype(float), config), atol=2e-3)
    transposed = fold_in_tracks(sparse.csr_matrix(plays.T), Y, config)
    np.testing.assert_array_equal(transposed, folded)
    single = fold_in_users(sparse.csr_matrix(plays[:1]), Y, config)
    np.testing.assert_array_equal(single[0], folded[0])


def test_ridges_are_near_the_exact_ones_and_grow_with_plays() -> None:
    counts = np.arange(1, 5000)
    config = AlsConfig()
    exact = 0.03 * (counts + 0.03 * 2000)
    rounded = row_ridges(counts, 2000, config)
    assert np.abs(rounded / exact - 1).max() <= 0.0501
    assert np.all(np.diff(rounded) >= 0)
    assert len(np.unique(rounded)) < 60
    np.testing.assert_array_equal(row_ridges(counts, 2000, AlsConfig(frequency_exponent=0)), 0.03)


def test_more_factors_than_rows(tiny_world: Interactions) -> None:
    factors = fit_als(tiny_world, AlsConfig(factors=64))
    assert np.all(np.isfinite(factors.user_factors))
    scores = factors.user_factors @ factors.track_factors.T
    assert scores[0, 0] > scores[0, 3] + 0.3


def test_progress_is_told_and_nothing_is_printed(tiny_world: Interactions, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_als(tiny_world, AlsConfig(factors=2, iterations=3), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_without_plays_there_is_no_model(tiny_world: Interactions) -> None:
    nothing = tiny_world.select(np.zeros(len(tiny_world), dtype=bool))
    with pytest.raises(ModelError, match="none of the 0 interactions"):
        fit_als(nothing, AlsConfig(factors=2))
    with pytest.raises(ModelError, match="none of the 1 interactions has a weight above 0"):
        fit_als(tiny_world.select(tiny_world.weights == 0), AlsConfig(factors=2))


def test_fold_in_names_what_does_not_fit() -> None:
    config = AlsConfig(factors=2)
    with pytest.raises(DataError, match="3 columns for 4 track factors"):
        fold_in_users(sparse.csr_matrix((1, 3)), np.ones((4, 2), np.float32), config)
    with pytest.raises(DataError, match="1 rows for 4 user factors"):
        fold_in_tracks(sparse.csr_matrix((1, 3)), np.ones((4, 2), np.float32), config)
    with pytest.raises(DataError, match="the configuration says 2 factors"):
        fold_in_users(sparse.csr_matrix((1, 4)), np.ones((4, 3), np.float32), config)
    assert fold_in_users(sparse.csr_matrix((0, 4)), np.ones((4, 2), np.float32), config).shape == (0, 2)

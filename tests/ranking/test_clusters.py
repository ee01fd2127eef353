import numpy as np
import pytest

from recommender.ranking.clusters import choose_clusters, fit_clusters, match_clusters, nearest_centre, stability
from tests.ranking.test_layout import blobs


def test_the_right_clusters_are_found_and_found_again():
    vectors, kind = blobs(400, 8)
    clusters, stable = choose_clusters(vectors, seed=2)
    assert len(clusters.centres) == 8
    assert (stable > 0.9).all()
    for cluster in range(8):
        assert len(set(kind[clusters.member_of == cluster])) == 1
    np.testing.assert_array_equal(nearest_centre(vectors, clusters.centres), clusters.member_of)


def test_clusters_of_noise_are_not_stable():
    noise = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert stability(noise, fit_clusters(noise, 8)).mean() < 0.5


def test_the_largest_cluster_comes_first_and_the_same_seed_gives_the_same():
    vectors, _ = blobs(200, 5)
    vectors = vectors[(np.arange(200) % 5 != 0) | (np.arange(200) < 60)]
    first, second = fit_clusters(vectors, 5, seed=3), fit_clusters(vectors, 5, seed=3)
    sizes = np.bincount(first.member_of)
    assert (np.diff(sizes) <= 0).all()
    np.testing.assert_array_equal(first.member_of, second.member_of)


@pytest.mark.parametrize("n", [1, 2, 15, 16])
def test_few_or_equal_tracks_are_clusters_too(n):
    clusters, stable = choose_clusters(np.ones((n, 4), dtype=np.float32) / 2)
    assert clusters.member_of.shape == (n,)
    assert len(stable) == len(clusters.centres)


def test_a_name_follows_most_of_its_tracks():
    named = {"calm": ["a", "b", "c", "gone"], "fast": ["d", "e"], "odd": ["f", "g", "h", "i", "j"]}
    cluster_of = {"a": 1, "b": 1, "c": 0, "d": 1, "e": 0, "f": 2, "g": 3, "h": 4, "i": 5, "j": 6}
    assert match_clusters(named, cluster_of) == {1: "calm", 0: "fast"}


def test_of_two_names_the_one_with_more_tracks_takes_the_cluster():
    assert match_clusters({"few": ["a"], "many": ["b", "c"]}, {"a": 0, "b": 0, "c": 0}) == {0: "many"}

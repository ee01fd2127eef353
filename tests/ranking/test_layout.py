import numpy as np
import pytest

from recommender.ranking import layout
from recommender.ranking.layout import lay_out, nearest_neighbours, principal_plane, trustworthiness


def blobs(n: int, kinds: int, dim: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around `kinds` directions that no plane holds, and whose each is."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % kinds
    vectors = 3 * np.linalg.qr(rng.normal(size=(dim, dim)))[0][kind] + 0.6 * rng.normal(size=(n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), kind


def test_neighbours_in_the_plane_are_neighbours_in_space_far_more_than_by_principal_components():
    vectors, kind = blobs(300, 10)
    plane = lay_out(vectors, seed=1)
    assert plane.shape == (300, 2)
    assert trustworthiness(vectors, plane) > trustworthiness(vectors, principal_plane(vectors)) + 0.05
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (kind[apart.argmin(axis=1)] == kind).mean() > 0.95


def test_the_same_seed_gives_the_same_map_and_another_does_not():
    vectors, _ = blobs(60, 3)
    np.testing.assert_array_equal(lay_out(vectors, 4), lay_out(vectors, 4))
    assert not np.array_equal(lay_out(vectors, 4), lay_out(vectors, 5))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
def test_few_vectors_have_places(n):
    plane = lay_out(blobs(8, 3)[0][:n])
    assert plane.shape == (n, 2)
    assert np.isfinite(plane).all()


def test_equal_vectors_have_finite_places():
    assert np.isfinite(lay_out(np.ones((20, 4), dtype=np.float32) / 2)).all()


def test_trustworthiness_is_one_for_a_plane_and_agrees_with_its_definition():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 1, 40)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    assert trustworthiness(circle, circle, 5) == pytest.approx(1)
    vectors, _ = blobs(40, 4)
    plane, k, n = rng.normal(size=(40, 2)).astype(np.float32), 5, 40
    penalty = 0
    for i in range(n):
        by_space = sorted((j for j in range(n) if j != i), key=lambda j: -float(vectors[i] @ vectors[j]))
        by_plane = sorted((j for j in range(n) if j != i), key=lambda j: float(((plane[i] - plane[j]) ** 2).sum()))
        penalty += sum(max(0, by_space.index(j) + 1 - k) for j in by_plane[:k])
    assert trustworthiness(vectors, plane, k) == pytest.approx(1 - 2 * penalty / (n * k * (2 * n - 3 * k - 1)))


def test_searching_near_lists_finds_nearly_what_searching_everything_finds(monkeypatch):
    vectors, _ = blobs(900, 20)
    exact = nearest_neighbours(vectors, 5)
    np.testing.assert_array_equal(exact[0], np.argsort(-(vectors @ vectors[0]))[1:6])
    monkeypatch.setattr(layout, "SMALL", 100)
    fast = nearest_neighbours(vectors, 5)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact, fast, strict=True)]) > 0.95

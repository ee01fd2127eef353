import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csgraph

from recommender.errors import ConfigError, DataError
from recommender.playlists import path as path_module
from recommender.playlists.path import MAX_LENGTH, NEIGHBOURS, find_path


@dataclass
class Library:
    """What a path needs of a model."""

    sound_vectors: np.ndarray
    artist_codes: np.ndarray
    has_vector: np.ndarray
    catalog: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(label="track {}".format))


def library(vectors, codes=None, has_vector=None):
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    n = len(vectors)
    return Library(
        vectors,
        np.arange(n) if codes is None else np.asarray(codes),
        np.ones(n, dtype=bool) if has_vector is None else has_vector,
    )


def on_an_arc(angles):
    return library(np.stack([np.cos(angles), np.sin(angles)], axis=1))


def by_chance(n, n_artists, seed, dim=3):
    rng = np.random.default_rng(seed)
    return library(rng.normal(size=(n, dim)), rng.integers(0, n_artists, n))


def squares(model, rows):
    vectors = model.sound_vectors[list(rows)].astype(float)
    return float(((1 - (vectors[:-1] * vectors[1:]).sum(axis=1)) ** 2).sum())


def test_along_an_arc_the_steps_are_even():
    model = on_an_arc(np.linspace(0, 2, 21)[[20, *range(20)]])
    path = find_path(model, 1, 0, 6)
    assert path.rows == (1, 5, 9, 13, 17, 0)
    assert path.distances == pytest.approx([1 - np.cos(0.4)] * 5, abs=1e-5)
    assert path.bridges == ()
    assert find_path(model, 0, 1, 6).rows == path.rows[::-1]
    assert find_path(model, 0, 1, 2).rows == (0, 1)
    assert find_path(model, 1, 0, 21).rows == (*range(1, 21), 0)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 999), st.integers(2, 40), st.integers(1, 12), st.integers(0, 3), st.data())
def test_for_every_pair_there_is_a_path_of_just_that_length(seed, n, n_artists, silent, data):
    model = by_chance(n, n_artists, seed)
    model.sound_vectors[seed % n] = 0
    if silent:
        model.has_vector[data.draw(st.lists(st.integers(0, n - 1), max_size=silent))] = False
    known = np.flatnonzero(model.has_vector).tolist()
    if len(known) < 2:
        return
    start, end = data.draw(st.permutations(known))[:2]
    length = data.draw(st.integers(2, len(known)))
    path = find_path(model, start, end, length, seed=seed % 3)
    assert (path.rows[0], path.rows[-1]) == (start, end)
    assert len(set(path.rows)) == len(path.rows) == length
    assert set(path.rows) <= set(known)
    vectors = model.sound_vectors[list(path.rows)]
    assert path.distances == pytest.approx(1 - (vectors[:-1] * vectors[1:]).sum(axis=1), abs=1e-5)
    assert path == find_path(model, start, end, length, seed=seed % 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(3, 8), st.data())
def test_the_cheapest_walk_is_the_best_of_all(seed, n, data):
    costs = np.random.default_rng(seed).normal(size=(n, n)).astype(np.float32)
    length = data.draw(st.integers(2, n))
    walks = [(0, *between, n - 1) for between in itertools.combinations(range(1, n - 1), length - 2)]
    best = min(walks, key=lambda walk: costs[list(walk[:-1]), list(walk[1:])].sum())
    assert path_module._walk(costs, length).tolist() == list(best)


def test_close_to_the_best_of_all_paths():
    excess = []
    for seed in range(40):
        model = by_chance(7, 7, seed)
        every = [squares(model, (0, *between, 6)) for between in itertools.permutations(range(1, 6), 3)]
        excess.append(squares(model, find_path(model, 0, 6, 5).rows) / min(every))
    assert np.median(excess) == pytest.approx(1, abs=1e-5)
    assert np.mean(excess) < 1.3


def test_islands_are_joined_where_they_are_closest():
    rng = np.random.default_rng(0)
    centres = np.eye(3)[np.repeat([0, 1, 2], NEIGHBOURS + 3)]
    model = library(centres + 0.05 * rng.normal(size=centres.shape))
    costs = np.maximum(1 - model.sound_vectors @ model.sound_vectors.T, 1e-6).astype(np.float32)
    islands = np.repeat(np.arange(3), NEIGHBOURS + 3).astype(np.int32)
    bridges = path_module._bridges(costs, islands, 3)
    assert bridges.nnz == 2
    assert csgraph.connected_components(bridges, directed=False)[0] == len(costs) - 2
    closest = sorted(costs[islands == a][:, islands == b].min() for a, b in ((0, 1), (0, 2), (1, 2)))
    assert sorted(bridges.data) == pytest.approx(closest[:2])
    path = find_path(model, 0, 20, 8)
    assert len(path.bridges) == 1
    assert path.bridges[0] == int(np.argmax(path.distances))


def test_no_artist_comes_twice_where_that_can_be():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        model = library(rng.normal(size=(60, 4)), np.repeat(np.arange(20), 3))
        path = find_path(model, 0, 59, 8)
        assert len(set(model.artist_codes[list(path.rows)])) == 8
    one = library(rng.normal(size=(9, 4)), np.zeros(9, dtype=int))
    assert len(find_path(one, 0, 8, 9).rows) == 9


def test_seeds_vary_the_path_and_cost_little():
    model = by_chance(200, 200, 5, dim=4)
    best = find_path(model, 0, 199, 9)
    varied = [find_path(model, 0, 199, 9, seed=seed) for seed in range(1, 6)]
    assert len({path.rows for path in varied}) > 1
    assert all(squares(model, best.rows) <= squares(model, path.rows) + 1e-9 for path in varied)
    assert np.mean([squares(model, path.rows) for path in varied]) < 1.5 * squares(model, best.rows)


def test_steps_are_shorter_than_those_of_random_tracks():
    model = by_chance(120, 120, 2, dim=6)
    rng = np.random.default_rng(0)
    for start, end in rng.choice(120, (10, 2), replace=False):
        between = rng.choice([row for row in range(120) if row not in (start, end)], 6, replace=False)
        assert squares(model, find_path(model, int(start), int(end), 8).rows) < squares(model, (start, *between, end))


def test_of_a_large_library_only_what_lies_between_is_looked_at(monkeypatch):
    model = on_an_arc(np.linspace(0, 3, 301))
    whole = find_path(model, 100, 120, 6)
    monkeypatch.setattr(path_module, "POOL", 21)
    assert find_path(model, 100, 120, 6) == whole
    assert whole.rows == (100, 104, 108, 112, 116, 120)


def test_what_is_excluded_is_not_on_it():
    model = on_an_arc(np.linspace(0, 2, 21))
    path = find_path(model, 0, 20, 6, exclude=np.array([0, 4, 8, 20]))
    assert path.rows[0] == 0
    assert path.rows[-1] == 20
    assert not {4, 8} & set(path.rows)


@pytest.mark.parametrize(
    ("ends", "length", "error", "message"),
    [
        ((0, 1), 1, ConfigError, "a path of 1 tracks, expected 2 to 100"),
        ((0, 1), MAX_LENGTH + 1, ConfigError, "a path of 101 tracks"),
        ((1, 1), 4, DataError, "from 'track 1' to itself"),
        ((0, 3), 4, DataError, "the sound of 'track 3' is not known"),
        ((3, 0), 4, DataError, "the sound of 'track 3' is not known"),
        ((0, 1), 6, DataError, "no path of 6 tracks: the sound of only 5 tracks"),
    ],
)
def test_there_is_a_reason_why_not(ends, length, error, message):
    model = by_chance(6, 6, 0)
    model.has_vector[3] = False
    with pytest.raises(error, match=message):
        find_path(model, *ends, length)

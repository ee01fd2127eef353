import numpy as np
import pytest

from recommender.evaluation.association import separations


def artists_and_levels(rng: np.random.Generator, n_artists: int = 20, each: int = 5):
    """Tracks of one artist are alike in what they measure and in which class they are."""
    groups = np.repeat(np.arange(n_artists), each)
    features = rng.normal(size=(n_artists, 4))[groups] + 0.3 * rng.normal(size=(len(groups), 4))
    classes = (rng.normal(size=n_artists)[groups] + 0.3 * rng.normal(size=len(groups)) > 0).astype(int)
    return features, classes, groups


def test_data_without_shortcuts_are_silent():
    alarms = 0
    for seed in range(40):
        features, classes, groups = artists_and_levels(np.random.default_rng(seed))
        other = np.random.default_rng(seed + 1000).permutation(classes)
        found = separations(features, "abcd", {"one": classes, "other": other}, groups, draws=99, seed=seed)
        alarms += any(one.p <= 0.05 for one in found)
    assert alarms <= 6  # 2 of 40 are expected at 5 %


def test_whole_artists_are_exchanged_because_tracks_are_too_sure():
    alarms = 0
    for seed in range(40):
        features, classes, groups = artists_and_levels(np.random.default_rng(seed))
        found = separations(features, "abcd", {"one": classes}, np.arange(len(groups)), draws=99, seed=seed)
        alarms += any(one.p <= 0.05 for one in found)
    assert alarms >= 12


def test_what_is_planted_is_found_and_nothing_else():
    rng = np.random.default_rng(0)
    features, classes, groups = artists_and_levels(rng)
    planted = rng.permutation(np.repeat([0, 1], 50))
    features[:, 2] = 20 * planted
    found = separations(features, "abcd", {"clean": classes, "planted": planted}, groups, seed=1)
    assert [(one.label, one.feature, one.auc) for one in found if one.is_found] == [
        ("planted", "c", pytest.approx(1.0))
    ]


def test_tracks_that_are_left_out_do_not_count():
    rng = np.random.default_rng(0)
    features, _, groups = artists_and_levels(rng)
    classes = np.where(np.arange(100) < 50, np.arange(100) % 2, -1)
    features[:50, 0] = classes[:50]
    assert [one.feature for one in separations(features, "abcd", {"half": classes}, groups) if one.is_found] == ["a"]
    assert separations(features, "abcd", {"one class": np.ones(100, int)}, groups) == []


def test_artists_whose_files_differ_are_found_by_the_tell_tales_that_count():
    rng = np.random.default_rng(0)
    _, _, groups = artists_and_levels(rng)
    codec = (groups % 2).astype(float)
    features = np.stack([codec, rng.normal(size=100)], axis=1)
    found = separations(features, "xy", {"artists*": groups}, groups)
    assert [(one.feature, round(one.auc, 3)) for one in found if one.is_found] == [("x", 1.0)]
    only_y = {"artists*": np.array([False, True])}
    assert [one.feature for one in separations(features, "xy", {"artists*": groups}, groups, columns=only_y)] == ["y"]

import numpy as np
import pytest

from recommender.errors import DataError
from recommender.evaluation.hearing import (
    UNCHANGED,
    Placing,
    TestClips,
    alike,
    artist_precision,
    average_precision,
    effective_dimension,
    evaluate_vectors,
    overlap,
    sibling_ranks,
)
from recommender.evaluation.probe import auc, probe_scores


def clips(artists: str, albums: str | None = None, n_clips: int = 2) -> TestClips:
    """One letter a track; ``-`` is unknown."""
    n_tracks = len(artists)
    return TestClips(
        tuple(name.replace("-", "") for name in artists),
        tuple(name.replace("-", "") for name in albums or artists),
        np.repeat(np.arange(n_tracks), n_clips),
        np.tile(np.arange(n_clips) * 10.0, n_tracks),
    )


def angles(*degrees: float) -> np.ndarray:
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_siblings_are_ranked_among_all_clips_but_the_asking_one() -> None:
    # Tracks: (0, 10), (12, 90). Clip 0 asks for 10: first. 10 asks for 0: 12 is nearer. 12 asks for 90: 10 and 0 are.
    ranks, tracks = sibling_ranks(angles(0, 10, 12, 90), clips("ab"), "cosine")
    assert tracks.tolist() == [0, 1]
    assert ranks.tolist() == [[1, 2], [3, 1]]


def test_equal_clips_stand_before_the_sibling() -> None:
    ranks, _ = sibling_ranks(np.ones((6, 3)), clips("abc"), "cosine")
    assert (ranks == 5).all()


def test_siblings_share_no_second() -> None:
    overlapping = TestClips(("a", "b"), ("", ""), np.array([0, 0, 1, 1, 1]), np.array([0, 6, 0, 10, 20.0]))
    first, last = overlapping.siblings()
    assert (first.tolist(), last.tolist()) == ([2], [4])


def test_average_precision_counts_ties_against() -> None:
    wanted = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3, 2, 1]), wanted) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.zeros(4), wanted) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_artists_are_found_without_the_track_itself_and_without_its_album() -> None:
    tracks = angles(0, 1, 20, 90)
    found, rows = artist_precision(alike(tracks, tracks, "cosine"), clips("aaba", "xxyz"), same_album=True)
    assert rows.tolist() == [0, 1, 3]
    assert found == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2])
    found, rows = artist_precision(alike(tracks, tracks, "cosine"), clips("aaba", "xxyz"), same_album=False)
    assert rows.tolist() == [0, 1, 3]
    assert found == pytest.approx([1 / 2, 1 / 2, (1 / 2 + 2 / 3) / 2])


def test_unknown_artists_are_nobody_and_unknown_albums_may_be_the_same() -> None:
    between = np.zeros((4, 4))
    assert artist_precision(between, clips("--aa"), same_album=True)[1].tolist() == [2, 3]
    assert artist_precision(between, clips("--aa", "--x-"), same_album=False)[1].tolist() == []


def test_overlap_leaves_the_track_itself_out() -> None:
    tracks = angles(0, 10, 20, 100, 110, 120)
    between = alike(tracks, tracks, "cosine")
    assert overlap(between, between, nearest=2).tolist() == [1] * 6
    moved = alike(angles(115, 10, 20, 100, 110, 120), tracks, "cosine")
    assert overlap(between, moved, nearest=2).tolist() == [0, 1, 1, 1, 1, 1]


def test_effective_dimension_of_known_clouds() -> None:
    assert effective_dimension(np.vstack([np.eye(4), -np.eye(4)])) == pytest.approx(4)
    assert effective_dimension(np.outer(np.arange(5.0), [1, 2, 3])) == pytest.approx(1)
    assert effective_dimension(np.ones((5, 3))) == 0


def test_auc_by_hand() -> None:
    assert auc(np.array([1.0, 2, 2, 3]), np.array([False, True, False, True])) == pytest.approx(3.5 / 4)


def test_a_probe_never_sees_the_group_that_it_is_asked_about() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 2)
    # Each group has its own direction for both of its rows: known groups would give everything away.
    features, labels = np.repeat(rng.normal(size=(40, 30)), 2, axis=0), np.repeat(rng.random(40) < 0.5, 2)
    scores, folds = probe_scores(features, labels, groups)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(40))
    assert np.mean([auc(scores[folds == fold], labels[folds == fold]) for fold in range(5)]) < 0.75


def planted(leak: float, gain: float = 0.0) -> dict[str, np.ndarray]:
    """Tracks of twelve artists, two clips each, with a direction that only a codec moves."""
    rng = np.random.default_rng(1)
    artist, track = np.repeat(rng.normal(size=(12, 8)), 8, axis=0), np.repeat(rng.normal(size=(48, 8)), 2, axis=0)
    own = artist + 0.5 * track + 0.1 * rng.normal(size=(96, 8))
    changed = own + 0.02 * rng.normal(size=own.shape)
    return {UNCHANGED: own, "mp3 64k": changed + leak * np.eye(8)[3], "-6 dB": own + gain}


TRACKS = clips("".join(letter * 4 for letter in "abcdefghijkl"))


def test_a_planted_codec_is_found_and_nothing_is_found_where_there_is_none() -> None:
    leaking, clean = (evaluate_vectors(planted(leak), TRACKS, draws=50) for leak in (8.0, 0.0))
    assert leaking["codec leak AUC"] > 0.98
    assert 0.4 < clean["codec leak AUC"] < 0.6
    assert clean["gain leak AUC"] == pytest.approx(0.5)
    assert leaking["overlap mp3 64k"] < 0.6 < 0.9 < clean["overlap mp3 64k"]
    assert clean["overlap -6 dB"] == 1
    assert clean["sibling recall@1"] > 0.9
    assert clean["artist mAP"] > 0.8
    low, high = clean.interval("codec leak AUC")
    assert low <= clean["codec leak AUC"] <= high
    assert high - low < 0.2


@pytest.mark.parametrize(
    "placing",
    [Placing(), Placing("standardised"), Placing("standardised", "euclid"), Placing("whitened", "cosine", 4)],
    ids=str,
)
def test_units_change_nothing_once_vectors_are_standardised(placing: Placing) -> None:
    own = planted(0.0)
    plain = evaluate_vectors(own, TRACKS, placing, draws=5)
    shifted = evaluate_vectors({name: each + 7 for name, each in own.items()}, TRACKS, placing, draws=5)
    np.testing.assert_allclose(plain.estimates, shifted.estimates, atol=1e-6)
    if placing.kind != "centred":
        units = np.array([1, 10, 100, 0.1, 1, 3, 5, 1000])
        scaled = evaluate_vectors({name: each * units for name, each in own.items()}, TRACKS, placing, draws=5)
        np.testing.assert_allclose(plain.estimates, scaled.estimates, atol=1e-6)


def test_artists_are_drawn_whole_and_alike_for_every_method() -> None:
    rng = np.random.default_rng(2)
    good = planted(0.0)
    bad = {name: rng.normal(size=each.shape) for name, each in good.items()}
    first, second = (evaluate_vectors(each, TRACKS, draws=200, seed=3) for each in (good, bad))
    assert first.difference(first, "artist mAP") == (0, 0, 0)
    difference, low, high = first.difference(second, "artist mAP")
    assert 0 < low < difference < high
    only = evaluate_vectors(good, clips("a" * 48), draws=20)
    assert np.ptp(only.interval("sibling MRR")) == 0


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(DataError, match="expected 96 rows, all finite"):
        evaluate_vectors({UNCHANGED: np.full((96, 2), np.nan)}, TRACKS)
    with pytest.raises(DataError, match="2 artists, 1 albums"):
        TestClips(("a", "b"), ("x",), np.arange(2), np.zeros(2))
    with pytest.raises(DataError, match="each at least once"):
        TestClips(("a", "b"), ("x", "y"), np.zeros(2, dtype=int), np.zeros(2))
    with pytest.raises(DataError, match="placing is 'squeezed'"):
        evaluate_vectors(planted(0.0), TRACKS, Placing("squeezed"))

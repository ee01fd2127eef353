"""Lists as a whole: unlike tracks, spaced artists, the listener's mix, the popularity dial."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.ranking.calibration import Mix, kinds_of, mix_gain, mix_of, nearest_kind
from recommender.ranking.diversity import alike_vectors, choose
from recommender.ranking.filters import space_artists
from recommender.ranking.ranker import RecommendOptions, recommend, with_live_plays
from tests.ranking.test_live import plays_of

N_TRACKS = 64
PLAIN = RecommendOptions(top=8, max_per_artist=None, artist_gap=0, diversity=0, calibration=0, distaste=0)


def slow_choice(relevance, vectors, top, diversity):
    """Maximal marginal relevance as it is written down."""
    values = (relevance - relevance.mean()) / relevance.std()
    chosen = []
    while len(chosen) < min(top, len(values)):
        rest = [i for i in range(len(values)) if i not in chosen]
        nearest = {i: max([0.0, *(float(vectors[i] @ vectors[j]) for j in chosen)]) for i in rest}
        chosen.append(max(rest, key=lambda i: (1 - diversity) * values[i] - diversity * nearest[i]))
    return chosen


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8, 1.0])
def test_choice_equals_its_slow_twin(diversity):
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(30, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    relevance = rng.normal(size=30).astype(np.float32)
    assert choose(relevance, vectors, 12, diversity) == slow_choice(relevance, vectors, 12, diversity)
    assert sorted(choose(relevance, vectors, 99, diversity)) == list(range(30))


def test_equal_scores_leave_the_order_to_the_pool():
    assert choose(np.ones(4, dtype=np.float32), np.zeros((4, 2), dtype=np.float32), 3, 0.0) == [0, 1, 2]
    assert choose(np.empty(0, dtype=np.float32), np.zeros((0, 2), dtype=np.float32), 3, 0.5) == []


def unlikeness(model, ranked):
    vectors = alike_vectors(model, ranked.track_rows)
    pairs = np.triu_indices(len(vectors), 1)
    return 1 - (vectors @ vectors.T)[pairs].mean()


def test_the_dial_trades_scores_for_unlikeness(model, clusters):
    plays, heard = clusters.to_csr()[:40], clusters.heard()[:40]
    lists = {d: recommend(model, plays, heard, replace(PLAIN, diversity=d)) for d in (0.0, 0.5, 1.0)}
    found = {d: np.mean([unlikeness(model, one) for one in some]) for d, some in lists.items()}
    assert found[0.0] < found[0.5] < found[1.0]
    scores = {d: np.mean([one.scores.sum() for one in some]) for d, some in lists.items()}
    assert scores[0.0] > scores[0.5] > scores[1.0]
    for one in lists[0.5]:
        assert np.all(np.diff(one.scores) <= 0), "the chosen tracks come in the order of their scores"


def test_alike_vectors_join_sound_and_factors(hybrid, cf_only):
    rows = np.arange(N_TRACKS)
    joint = alike_vectors(hybrid, rows)
    factors = hybrid.posterior_factors / np.linalg.norm(hybrid.posterior_factors, axis=1, keepdims=True)
    expected = (hybrid.sound.vectors @ hybrid.sound.vectors.T + factors @ factors.T) / 2
    np.testing.assert_allclose(joint @ joint.T, expected, atol=1e-5)
    assert not alike_vectors(cf_only, np.array([60])).any(), "nothing is known of it"


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 3))
def test_spacing_keeps_every_track_and_only_moves_what_is_too_close(codes, gap):
    codes = np.array(codes, dtype=np.int32)
    rows = np.arange(len(codes))
    order = space_artists(rows, codes, gap)
    assert sorted(order.tolist()) == rows.tolist()
    apart = all(len(set(codes[at : at + gap + 1])) == len(codes[at : at + gap + 1]) for at in range(len(codes)))
    if apart:
        assert order.tolist() == rows.tolist()


@pytest.mark.parametrize(
    ("codes", "gap", "expected"),
    [
        ([1, 1, 2, 3], 1, [0, 2, 1, 3]),
        ([1, 2, 3, 4, 4, 5, 6, 6], 2, [0, 1, 2, 3, 6, 5, 4, 7]),  # 6 goes forward, or it would end side by side
        ([1, 1, 1], 2, [0, 1, 2]),  # impossible: relaxed
    ],
)
def test_spacing_by_hand(codes, gap, expected):
    assert space_artists(np.arange(len(codes)), np.array(codes), gap).tolist() == expected


def test_artists_are_spaced_in_lists(hybrid, clusters):
    options = replace(PLAIN, top=10, artist_gap=2)
    for one in recommend(hybrid, clusters.to_csr(), clusters.heard(), options):
        artists = hybrid.artist_codes[one.track_rows]
        for gap in (1, 2):
            assert not (artists[gap:] == artists[:-gap]).any()


def test_mix_gain_is_the_divergence_written_out():
    wanted = np.array([0.5, 0.5, 0.0])
    gain = mix_gain(np.array([2.0, 1.0, 0.0]), wanted)
    lists = np.array([[3, 1, 0], [2, 2, 0], [2, 1, 1]]) / 4
    smoothed = 0.99 * lists + 0.01 * wanted
    expected = [-4 * sum(p * np.log(p / q) for p, q in zip(wanted[:2], row[:2], strict=True)) for row in smoothed]
    np.testing.assert_allclose(gain, expected)
    assert gain.argmax() == 1


def test_mix_alone_decides_at_full_weight():
    groups = np.array([0] * 10 + [1] * 10)
    mix = Mix(groups, np.array([0.25, 0.75]), 1.0)
    chosen = choose(np.linspace(1, 0, 20).astype(np.float32), np.zeros((20, 1), dtype=np.float32), 8, 0.0, mix)
    assert np.bincount(groups[chosen]).tolist() == [2, 6]
    assert mix_of(np.array([], dtype=int), 4).tolist() == [0.25] * 4


def test_calibrated_lists_follow_the_listeners_own_mix(hybrid, clusters, cluster_of):
    """A listener of both kinds alike, whose scores alone give mostly one."""
    kinds = kinds_of(hybrid, alike_vectors)
    assert len(kinds) > 1
    heard = clusters.heard()[:40]
    plays = clusters.to_csr()[:40]

    def distance(options):
        found = []
        for user, one in enumerate(recommend(hybrid, plays, heard, options)):
            own, its = (
                mix_of(nearest_kind(alike_vectors(hybrid, rows), kinds), len(kinds))
                for rows in (plays[user].indices, one.track_rows)
            )
            found.append(np.abs(own - its).sum())
        return np.mean(found)

    assert distance(replace(PLAIN, calibration=1.0)) < distance(PLAIN) - 0.05


def test_kinds_do_not_move_with_live_plays(hybrid):
    before = kinds_of(hybrid, alike_vectors)
    live = replace(with_live_plays(hybrid, plays_of([("u02", "t01")], hybrid)), standards=replace(hybrid.standards))
    np.testing.assert_array_equal(kinds_of(live, alike_vectors), before)


def test_the_popularity_dial_raises_and_lowers_popular_tracks(hybrid, clusters):
    plays, heard = clusters.to_csr()[:40], clusters.heard()[:40]
    listeners = [
        np.mean([hybrid.evidence[one.track_rows].mean() for one in recommend(hybrid, plays, heard, options)])
        for options in (replace(PLAIN, popularity=dial) for dial in (-1.0, -0.5, 0.0, 0.5, 1.0))
    ]
    assert listeners == sorted(listeners)
    assert listeners[0] < listeners[2] < listeners[-1]

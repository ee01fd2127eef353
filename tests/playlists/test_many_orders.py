import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.audio.signatures import Signature, Signatures
from recommender.playlists.flow import fit_scale, flow_of, transitions
from recommender.playlists.many_orders import order_lists, transitions_of_lists
from recommender.playlists.moves import OrderCosts, cost_of
from recommender.playlists.weekly_reference import order_one


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 14), st.integers(0, 3), st.integers(0, 30), st.integers(1, 8))
def test_many_lists_are_ordered_as_each_alone(seed, n, spacing, moves, artists):
    rng = np.random.default_rng(seed)
    step = rng.integers(-8, 9, (5, n, n)).astype(np.float32) / 2  # halves add up exactly
    codes = rng.integers(0, artists, (5, n))
    found = order_lists(step, codes, spacing, moves)
    for each, one in enumerate(found):
        assert sorted(one.tolist()) == list(range(n))
        assert one.tolist() == order_one(step[each], codes[each], spacing, moves).tolist()


def test_moves_make_orders_better_and_the_first_track_stays():
    rng = np.random.default_rng(1)
    step = rng.normal(size=(8, 20, 20)).astype(np.float32)
    codes = np.tile(np.arange(20), (8, 1))
    apart = [OrderCosts(each, np.zeros((20, 20)), 0) for each in step]
    costs = [list(map(cost_of, order_lists(step, codes, 0, moves), apart)) for moves in (0, 50)]
    assert np.all(np.array(costs[1]) <= np.array(costs[0]) + 1e-5)
    assert np.mean(costs[1]) < np.mean(costs[0])
    assert (order_lists(step, codes, 2, 50)[:, 0] == 0).all()


@pytest.mark.parametrize("with_sound", [True, False])
@pytest.mark.parametrize("with_signatures", [True, False])
def test_transitions_of_many_lists_are_those_of_each(model, with_sound, with_signatures):
    rng = np.random.default_rng(2)
    n = len(model.catalog)
    signatures = None
    if with_signatures:
        numbers = rng.uniform(0.2, 1, (n, len(Signature.__dataclass_fields__) - 2)).astype(np.float32)
        numbers[3] = np.nan
        tonics, minor = rng.integers(0, 12, n).astype(np.int8), rng.integers(0, 2, n).astype(np.int8)
        tonics[3] = minor[3] = -1
        signatures = Signatures(numbers, tonics, minor)
    sound = model.sound if with_sound else None
    scale = fit_scale(sound, signatures, n)
    rows = np.stack([rng.permutation(n)[:9] for _ in range(4)])
    rows[0, 0] = 3
    found = transitions_of_lists(sound, signatures, rows, scale)
    for each, mine in zip(found, rows, strict=True):
        np.testing.assert_allclose(each, transitions(flow_of(sound, signatures, mine), scale), atol=2e-5)

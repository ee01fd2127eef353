from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.data.interactions import Interactions
from recommender.data.splits import (
    Split,
    check_no_leakage,
    split_by_time,
    split_cold_tracks,
    split_cold_users,
    split_per_user,
    without_repeats,
)
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, LeakageError

N_USERS, N_TRACKS = 5, 7
USERS = Vocabulary("user", tuple(f"u{n}" for n in range(N_USERS)))
TRACKS = Vocabulary("track", tuple(f"t{n}" for n in range(N_TRACKS)))
ROWS = st.lists(
    st.tuples(
        st.integers(0, N_USERS - 1), st.integers(0, N_TRACKS - 1), st.sampled_from([0.0, 1.0, 3.0]), st.integers(0, 50)
    ),
    max_size=60,
)
FRACTIONS = st.floats(0.01, 0.99)
Row = tuple[int, int, float, int]


def make(rows: list[Row]) -> Interactions:
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Interactions(
        USERS,
        TRACKS,
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int32),
        np.array(columns[2], np.float32),
        np.array(columns[3], np.int64).view("datetime64[s]"),
    )


def rows_of(interactions: Interactions) -> list[Row]:
    i = interactions
    return list(
        zip(i.user_rows.tolist(), i.track_rows.tolist(), i.weights.tolist(), i.times.astype(int).tolist(), strict=True)
    )


def pairs_of(interactions: Interactions) -> set[tuple[int, int]]:
    return {row[:2] for row in rows_of(interactions)}


def assert_nothing_lost(whole: Interactions, split: Split) -> None:
    assert sorted(rows_of(split.train) + rows_of(split.test)) == sorted(rows_of(whole))
    assert split.train.users == split.test.users == whole.users
    assert split.train.tracks == split.test.tracks == whole.tracks


def at(second: int) -> np.datetime64:
    return np.datetime64(second, "s")


@given(ROWS, st.integers(-1, 52))
def test_a_time_split_is_strict(rows: list[Row], second: int) -> None:
    whole = make(rows)
    split = split_by_time(whole, at(second))
    assert_nothing_lost(whole, split)
    assert all(time < second for *_, time in rows_of(split.train))
    assert all(time >= second for *_, time in rows_of(split.test))
    check_no_leakage(split)


@given(ROWS, st.integers(0, 50))
def test_without_repeats_asks_only_for_what_is_new(rows: list[Row], second: int) -> None:
    split = split_by_time(make(rows), at(second))
    new = without_repeats(split)
    assert rows_of(new.train) == rows_of(split.train)
    before = pairs_of(split.train)
    assert rows_of(new.test) == [row for row in rows_of(split.test) if row[:2] not in before]


@given(ROWS, FRACTIONS, st.integers(0, 5))
def test_a_pair_is_on_one_side_and_each_user_keeps_some(rows: list[Row], fraction: float, seed: int) -> None:
    whole = make(rows)
    split = split_per_user(whole, fraction, seed)
    assert_nothing_lost(whole, split)
    assert not pairs_of(split.train) & pairs_of(split.test)
    for user in range(N_USERS):
        n_pairs = sum(pair[0] == user for pair in pairs_of(whole))
        hidden = sum(pair[0] == user for pair in pairs_of(split.test))
        assert hidden == min(int(fraction * n_pairs + 0.5), max(n_pairs - 1, 0))
    check_no_leakage(split)
    again = split_per_user(whole, fraction, seed)
    assert rows_of(again.test) == rows_of(split.test)


def test_the_share_and_the_draw_of_a_split_by_user() -> None:
    whole = make([(user, track, 1.0, 0) for user in range(N_USERS) for track in range(N_TRACKS)])
    hidden = [frozenset(pairs_of(split_per_user(whole, 0.2, seed).test)) for seed in range(200)]
    assert {len(pairs) for pairs in hidden} == {N_USERS}  # 0.2 x 7 = 1.4: one of seven
    assert len(set(hidden)) > 150  # another seed, another draw
    counts = pd.Series([track for pairs in hidden for _, track in pairs]).value_counts()
    assert counts.min() > 0.75 * 200 * N_USERS / N_TRACKS  # and a fair one
    assert counts.max() < 1.25 * 200 * N_USERS / N_TRACKS


@given(ROWS, FRACTIONS, st.integers(0, 5), st.lists(st.booleans(), min_size=N_TRACKS, max_size=N_TRACKS))
def test_cold_tracks_have_no_train_plays(rows: list[Row], fraction: float, seed: int, eligible: list[bool]) -> None:
    whole, mask = make(rows), np.array(eligible)
    pool = {track for _, track, *_ in rows if eligible[track]}
    if not pool:
        with pytest.raises(DataError, match="no track can be held out"):
            split_cold_tracks(whole, fraction, seed=seed, eligible=mask)
        return
    split = split_cold_tracks(whole, fraction, seed=seed, eligible=mask)
    assert_nothing_lost(whole, split)
    held = set(split.held_rows.tolist())
    assert held <= pool
    assert len(held) == max(1, int(fraction * len(pool) + 0.5))
    assert not {track for _, track, *_ in rows_of(split.train)} & held
    assert {track for _, track, *_ in rows_of(split.test)} == held
    assert not split.train.heard().toarray()[:, sorted(held)].any()
    check_no_leakage(split)
    assert split_cold_tracks(whole, fraction, seed=seed, eligible=mask).held_rows.tolist() == split.held_rows.tolist()


@given(ROWS, st.sets(st.integers(0, N_USERS - 1)))
def test_cold_users_have_no_train_plays(rows: list[Row], held: set[int]) -> None:
    whole = make(rows)
    split = split_cold_users(whole, rows=np.array(sorted(held), np.int32))
    assert_nothing_lost(whole, split)
    assert rows_of(split.test) == [row for row in rows_of(whole) if row[0] in held]
    check_no_leakage(split)


def test_cold_tracks_by_name(tiny_world: Interactions) -> None:
    split = split_cold_tracks(tiny_world, rows=np.array([2, 0, 2], np.int32))
    assert split.held_rows.tolist() == [0, 2]
    assert split.train.track_evidence().tolist() == [0, 2, 0, 3, 0]
    assert split.test.track_evidence().tolist() == [3, 0, 2, 0, 0]


def test_a_user_is_asked_about_the_rest_of_a_cold_history(tiny_world: Interactions) -> None:
    cold = split_cold_users(tiny_world, fraction=0.5, seed=1)
    given_and_hidden = split_per_user(cold.test, 0.5, seed=1)
    assert set(given_and_hidden.train.user_rows) == set(given_and_hidden.test.user_rows) == set(cold.held_rows)


def test_requests_that_make_no_sense(tiny_world: Interactions) -> None:
    for fraction in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(DataError, match=f"a fraction of {fraction} cannot be held out"):
            split_per_user(tiny_world, fraction, 0)
        with pytest.raises(DataError, match="cannot be held out"):
            split_cold_tracks(tiny_world, fraction)
    with pytest.raises(DataError, match="either rows or a fraction"):
        split_cold_tracks(tiny_world)
    with pytest.raises(DataError, match="either rows or a fraction"):
        split_cold_users(tiny_world, 0.5, rows=np.array([1], np.int32))
    with pytest.raises(DataError, match="rows 1 to 5 are not all among the 5 tracks"):
        split_cold_tracks(tiny_world, rows=np.array([1, 5], np.int32))
    with pytest.raises(DataError, match=r"eligible has shape \(3,\) for 5 tracks"):
        split_cold_tracks(tiny_world, 0.5, eligible=np.ones(3, bool))
    untimed = replace(tiny_world, times=np.where(np.arange(12) == 3, np.datetime64("NaT"), tiny_world.times))
    with pytest.raises(DataError, match="1 of 12 interactions have no time"):
        split_by_time(untimed, "2024-01-05")
    with pytest.raises(DataError, match="needs a moment"):
        split_by_time(tiny_world, np.datetime64("NaT"))


@pytest.mark.parametrize(
    "moment",
    [
        np.datetime64("2024-01-05"),
        "2024-01-05",
        pd.Timestamp("2024-01-05"),
        pd.Timestamp("2024-01-05 01:00", tz="Europe/Berlin"),
        "2024-01-05T00:00:00Z",
    ],
)
def test_moments(tiny_world: Interactions, moment: np.datetime64 | pd.Timestamp | str) -> None:
    split = split_by_time(tiny_world, moment)
    assert split.at == np.datetime64("2024-01-05", "s")
    assert (len(split.train), len(split.test)) == (7, 5)


def test_leaks_are_found(tiny_world: Interactions) -> None:
    everything = np.ones(12, bool)
    timed = split_by_time(tiny_world, "2024-01-05")
    with pytest.raises(
        LeakageError, match=r"5 plays of train are on the wrong side of 2024-01-05T00:00:00, the first one"
    ):
        check_no_leakage(replace(timed, train=tiny_world))
    with pytest.raises(LeakageError, match="7 plays of test are on the wrong side"):
        check_no_leakage(replace(timed, test=tiny_world))
    with pytest.raises(LeakageError, match="without a moment"):
        check_no_leakage(replace(timed, at=None))
    by_user = split_per_user(tiny_world, 0.5, 0)
    with pytest.raises(
        LeakageError, match=r"pairs are in train and in test, the first one is user 'u0' with track 't[01]'"
    ):
        check_no_leakage(replace(by_user, train=tiny_world))
    cold = split_cold_tracks(tiny_world, rows=np.array([1], np.int32))
    leaky = replace(cold, train=tiny_world, test=tiny_world.select(~everything))
    with pytest.raises(LeakageError, match="1 cold tracks have plays in train, the first one is 't1'"):
        check_no_leakage(leaky)
    with pytest.raises(LeakageError, match="3 tracks in test are not held out, the first one is 't0'"):
        check_no_leakage(replace(cold, train=cold.test.select(np.zeros(2, bool)), test=tiny_world))
    users = split_cold_users(tiny_world, rows=np.array([6, 2], np.int32))
    with pytest.raises(LeakageError, match="1 cold users have plays in train, the first one is 'u2'"):
        check_no_leakage(replace(users, train=tiny_world, test=tiny_world.select(~everything)))
    other = replace(tiny_world, users=Vocabulary("user", tuple("abcdefg")))
    with pytest.raises(LeakageError, match="different vocabularies"):
        check_no_leakage(Split(tiny_world, other))


def test_one_play_on_both_sides_is_a_leak_of_any_split(tiny_world: Interactions) -> None:
    first, later = tiny_world.select(np.arange(12) < 11), tiny_world.select(np.arange(12) >= 11)
    check_no_leakage(Split(first, later))  # the same pair at another time is another play
    with pytest.raises(LeakageError, match="1 plays"):
        check_no_leakage(Split(tiny_world, later))

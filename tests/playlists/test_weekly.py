from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ConfigError
from recommender.playlists.weekly import (
    KINDS,
    LEAST_FAMILIAR,
    NEW_SHARE,
    Library,
    Listeners,
    WeeklyConfig,
    library_of,
    new_rows,
    weekly_lists,
)
from recommender.playlists.weekly_reference import weekly_lists_of
from recommender.playlists.weeks import Week
from recommender.ranking.ranker import HybridModel, fit_hybrid

WEEK = Week.of("2026-W47")
N_USERS, N_TRACKS, N_NEW = 24, 120, 20
NOBODY, FAN = N_USERS - 1, N_USERS - 2


@pytest.fixture(scope="module")
def played() -> HybridModel:
    """Thirty artists of four tracks, two tastes; the last twenty tracks are new, and one user has played nothing."""
    rng = np.random.default_rng(5)
    rows = np.arange(N_TRACKS)
    catalog = Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": [f"t{row:03d}" for row in rows],
                "title": [f"Title {row}" for row in rows],
                "artist": [f"Artist {row % 30}" for row in rows],
                "released": np.where(rows == 3, "2026-10-20", np.where(rows >= N_TRACKS - N_NEW, "2026", "2010-01-01")),
            }
        )
    )
    vectors = 0.4 * rng.normal(size=(N_TRACKS, 6))
    vectors[rows, rows % 2] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    plays = [
        (f"u{user:02d}", f"t{track:03d}", float(rng.integers(1, 9)))
        for user in range(N_USERS - 1)
        for track in rng.choice(np.arange(user % 2, N_TRACKS - N_NEW, 2), 30, replace=False)
    ]
    plays += [(f"u{user:02d}", f"t{user:03d}", 0.0) for user in range(5)] + [(f"u{NOBODY:02d}", "t000", -1.0)]
    frame = pd.DataFrame(plays, columns=["user_id", "item_id", "weight"])
    frame["timestamp"] = np.datetime64("NaT", "s")
    users = Vocabulary.of("user", frame["user_id"])
    embeddings = Embeddings.without_clips(catalog.tracks, vectors.astype(np.float32), "ears")
    return fit_hybrid(catalog, Interactions.from_frame(frame, users, catalog.tracks), embeddings)


@pytest.fixture(scope="module")
def library(played) -> Library:
    return library_of(played, None, WEEK)


def everyone(
    model: HybridModel, given: sparse.csr_matrix | None = None, worn: sparse.csr_matrix | None = None
) -> Listeners:
    none = sparse.csr_matrix(model.plays.shape, dtype=np.float32)
    return Listeners(
        model.users.ids, model.plays, model.heard, none if given is None else given, none if worn is None else worn
    )


def config(length: int = 8, **options: object) -> WeeklyConfig:
    return replace(WeeklyConfig(WEEK, dict.fromkeys(KINDS, length)), **options)


def matrix(model: HybridModel, pairs: list[tuple[int, int]]) -> sparse.csr_matrix:
    rows, columns = zip(*pairs, strict=True)
    return sparse.csr_matrix((np.ones(len(pairs), dtype=np.float32), (rows, columns)), shape=model.plays.shape)


@pytest.mark.parametrize("length", [1, 8, 70])
def test_blocks_give_what_the_slow_twin_gives_one_by_one(played, library, length):
    given = matrix(played, [(user, track) for user in range(N_USERS) for track in range(user % 7, 118, 7)])
    listeners, wanted = everyone(played, given, matrix(played, [(1, track) for track in range(60)])), config(length)
    made = weekly_lists(library, listeners, wanted)
    for user, lists in enumerate(made):
        alone = weekly_lists_of(library, listeners, user, wanted)
        assert list(lists) == list(alone) == list(KINDS)
        for kind, one in lists.items():
            assert one.rows.tolist() == alone[kind].rows.tolist()
            assert (one.sources, one.notes) == (alone[kind].sources, alone[kind].notes)
            np.testing.assert_allclose(one.scores, alone[kind].scores, atol=1e-4)


def test_discovery_is_unheard_familiar_is_played_new_is_new_and_none_is_twice(played, library):
    for user, lists in enumerate(weekly_lists(library, everyone(played), config())):
        rows = {kind: set(one.rows.tolist()) for kind, one in lists.items()}
        assert not rows["discovery"] & set(played.heard[user].indices)
        assert rows["familiar"] <= set(played.plays[user].indices)
        assert rows["new"] <= set(library.new_rows) - set(played.heard[user].indices)
        assert len(set.union(*rows.values())) == sum(len(one.rows) for one in lists.values())
        assert len(rows["discovery"] & set(library.new_rows)) >= NEW_SHARE * 8
        assert len(lists["new"].rows) == len(lists["discovery"].rows) == 8


def test_what_was_given_does_not_come_again_for_weeks(played, library):
    seen: list[tuple[int, int]] = []
    for back in range(3):
        given = matrix(played, seen) if seen else None
        lists = weekly_lists(library, everyone(played, given), config(4, week=WEEK.before(-back)))
        more = [(user, row) for user, each in enumerate(lists) for one in each.values() for row in one.rows.tolist()]
        assert not set(more) & set(seen)
        assert len(more) > 10 * N_USERS
        seen += more


def test_what_was_played_too_much_waits(played, library):
    first = weekly_lists(library, everyone(played), config())[0]["familiar"]
    worn = matrix(played, [(0, row) for row in first.rows])
    second = weekly_lists(library, everyone(played, worn=worn), config())[0]["familiar"]
    assert not set(first.rows) & set(second.rows)
    all_worn = weekly_lists(library, everyone(played, worn=played.heard), config())[0]["familiar"]
    assert len(all_worn.rows) == len(first.rows)
    assert any(note.startswith("overplayed: ") for note in all_worn.notes)


def test_a_short_list_says_why_and_nobody_known_gets_what_is_popular_and_new(played, library):
    lists = weekly_lists(library, everyone(played), config(50))
    assert "length: 6 of 50 tracks: 30 tracks are known to have been played" in lists[0]["familiar"].notes[0]
    assert len(lists[0]["familiar"].rows) == 6 > LEAST_FAMILIAR
    nobody = lists[NOBODY]
    assert nobody["familiar"].rows.tolist() == []
    assert nobody["familiar"].notes[0] == "length: 0 of 50 tracks: 0 tracks are known to have been played"
    assert set(nobody["discovery"].sources) == {"popularity"}
    assert "taste: no play of this user is known" in " ".join(nobody["discovery"].notes)
    assert 0 not in nobody["discovery"].rows  # disliked
    full = weekly_lists(library, everyone(played, played.heard + 0), config(200))[0]
    assert "length: " in full["discovery"].notes[0] or "length: " in full["discovery"].notes[1]


def test_artists_are_capped_and_the_cap_is_raised_where_it_must_be(played, library):
    for lists in weekly_lists(library, everyone(played), config(20, max_per_artist=1)):
        rows = lists["discovery"].rows
        assert len(np.unique(played.artist_codes[rows])) == len(rows) == 20
    raised = weekly_lists(library, everyone(played), config(60, max_per_artist=1))[0]["discovery"]
    assert len(raised.rows) == 60
    assert "max_per_artist: up to " in raised.notes[0]


def test_seed_and_week_vary_lists_and_other_users_do_not(played, library):
    def rows(listeners: Listeners, wanted: WeeklyConfig) -> list[list[int]]:
        return [lists["discovery"].rows.tolist() for lists in weekly_lists(library, listeners, wanted)]

    listeners = everyone(played)
    assert rows(listeners, config()) == rows(listeners, config())
    assert rows(listeners, config(seed=1)) != rows(listeners, config())
    assert rows(listeners, config(seed=-1)) != rows(listeners, config())
    assert rows(listeners, config(week=WEEK.before(1))) != rows(listeners, config())
    assert rows(listeners.part(3, 9), config()) == rows(listeners, config())[3:9]


def test_new_is_hardly_played_or_just_released_and_a_part_of_the_library(played):
    new = new_rows(played, WEEK)
    assert 3 in new
    assert set(range(N_TRACKS - N_NEW, N_TRACKS)) <= set(new)
    assert 3 not in new_rows(played, Week.of("2026-W40"))
    unplayed = replace(played, evidence=np.zeros_like(played.evidence))
    assert len(new_rows(unplayed, WEEK)) == N_TRACKS // 4
    assert set(range(N_TRACKS - N_NEW, N_TRACKS)) <= set(new_rows(unplayed, WEEK))


@pytest.mark.parametrize(
    ("lengths", "weeks", "says"),
    [({}, 4, "no kind"), ({"jazz": 3}, 4, "'jazz' is no kind"), ({"new": 0}, 4, "is 0"), ({"new": 5}, -1, "-1")],
)
def test_what_cannot_be_made_is_said(lengths, weeks, says):
    with pytest.raises(ConfigError, match=says):
        WeeklyConfig(WEEK, lengths, weeks)

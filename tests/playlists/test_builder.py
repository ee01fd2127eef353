from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import sparse

from recommender.errors import ConfigError, DataError
from recommender.playlists.builder import Rules, Seeds, build_playlist

N_TRACKS = 40
MADE_AT = datetime(2024, 5, 1, tzinfo=UTC)


def rows_of(*rows):
    return np.array(rows, dtype=np.int32)


def played(*rows):
    matrix = np.zeros((1, N_TRACKS), dtype=np.float32)
    matrix[0, list(rows)] = 1
    return sparse.csr_matrix(matrix)


@pytest.fixture
def build(model):
    def build(seeds=None, seed=0, **rules):
        playlist = build_playlist(
            model, seeds or Seeds(), Rules(**rules), name="Mix", made_at=MADE_AT, bundle_version="b1", seed=seed
        )
        return playlist, model.catalog.tracks.rows(playlist.track_ids, unknown="raise")

    return build


def test_a_seed_track_comes_first_and_its_sound_follows(build):
    playlist, rows = build(Seeds(track_rows=rows_of(2)), length=12)
    assert len(rows) == len(set(rows)) == 12
    assert rows[0] == 2
    assert np.mean(rows < 20) > 0.8
    assert (playlist.name, playlist.made_at, playlist.bundle_version, playlist.seed) == ("Mix", MADE_AT, "b1", 0)
    assert playlist.relaxed_rules == ()


def test_the_same_seed_gives_the_same_playlist_and_another_varies_it(build):
    seeds = Seeds(track_rows=rows_of(2))
    assert build(seeds, seed=4, length=10)[0] == build(seeds, seed=4, length=10)[0]
    assert len({build(seeds, seed=seed, length=10)[0].track_ids for seed in range(5)}) > 1


def test_every_seed_artist_is_in_it_whatever_the_case(build):
    _, rows = build(Seeds(artists=("ARTIST 9", " artist 1")), length=6)
    assert {1, 9} <= set(rows // 4)


def test_an_unknown_artist_is_named(build):
    with pytest.raises(DataError, match="no track is by the artist 'Nobody'"):
        build(Seeds(artists=("Nobody",)))


def test_the_cap_holds_where_it_can(build):
    for cap in (1, 2):
        playlist, rows = build(Seeds(track_rows=rows_of(0)), length=10, max_per_artist=cap)
        assert np.bincount(rows // 4).max() == cap
        assert playlist.relaxed_rules == ()


def test_a_cap_that_leaves_too_few_tracks_is_raised_and_said(build):
    playlist, rows = build(length=25, max_per_artist=2)
    assert len(rows) == 25
    assert np.bincount(rows // 4).max() == 3
    assert playlist.relaxed_rules == (
        "max_per_artist: 3 instead of 2 (5 tracks), since there are only 20 of 25 tracks without",
    )
    assert playlist.relaxed[0].tracks == 5


def test_no_cap(build):
    playlist, rows = build(length=N_TRACKS, max_per_artist=None)
    assert sorted(rows) == list(range(N_TRACKS))
    assert not any(rule.startswith("max_per_artist") for rule in playlist.relaxed_rules)


def test_excluded_tracks_stay_out_even_seeds_and_even_when_too_few_are_left(build):
    excluded = np.arange(0, 35, dtype=np.int32)
    playlist, rows = build(Seeds(track_rows=rows_of(3, 38)), length=10, max_per_artist=9, exclude=excluded)
    assert sorted(rows) == [35, 36, 37, 38, 39]
    assert playlist.shortage == "5 of 10 tracks: only 5 of the library's 40 tracks are not excluded"
    assert playlist.relaxed_rules[-1] == f"length: {playlist.shortage}"
    assert playlist.relaxed[0].reason == "since 1 is excluded"
    assert playlist.relaxed[-1].rule == "artist_spacing"


def test_nothing_left_is_an_empty_playlist(build):
    playlist, rows = build(exclude=np.arange(N_TRACKS, dtype=np.int32))
    assert len(rows) == 0
    assert playlist.relaxed_rules == ("length: 0 of 25 tracks: none of the library's 40 tracks is not excluded",)


def test_unheard_is_kept(build):
    history = played(0, 1, 2, 3, 9)
    _, rows = build(Seeds(plays=history, heard=history), length=35, unheard=True, max_per_artist=None)
    assert not set(rows) & {0, 1, 2, 3, 9}
    assert len(rows) == 35
    _, rows = build(Seeds(plays=history, heard=history), length=N_TRACKS, max_per_artist=None)
    assert len(rows) == N_TRACKS


def test_recently_heard_tracks_come_back_only_if_they_must(build):
    recent = np.arange(10, dtype=np.int32)
    playlist, rows = build(Seeds(recent_rows=recent), length=25, max_per_artist=None, artist_spacing=0)
    assert not set(rows) & set(recent)
    assert playlist.relaxed_rules == ()
    playlist, rows = build(Seeds(recent_rows=recent), length=34, max_per_artist=None, artist_spacing=0)
    assert len(set(rows) & set(recent)) == 4
    assert playlist.relaxed_rules == (
        "recent: heard lately instead of not heard lately (4 tracks), since there are only 30 of 34 tracks without",
    )


def test_minutes(build, model):
    playlist, rows = build(Seeds(track_rows=rows_of(2)), length=None, minutes=30)
    total_s = np.nansum(model.catalog.table["duration_s"].to_numpy()[rows])
    assert 26 * 60 < total_s <= 30 * 60
    assert playlist.relaxed_rules == ()
    _, rows = build(Seeds(track_rows=rows_of(2)), length=4, minutes=30)
    assert len(rows) == 4
    playlist, rows = build(length=None, minutes=600, max_per_artist=None, artist_spacing=0)
    assert len(rows) == N_TRACKS
    assert playlist.relaxed_rules[0].startswith("minutes: 129.7 of 600")


def test_one_artist_does_not_follow_itself(build):
    playlist, rows = build(Seeds(track_rows=rows_of(0)), length=20, max_per_artist=2, artist_spacing=2)
    artists = rows // 4
    assert all(artists[i] != artists[j] for i in range(20) for j in range(i + 1, min(i + 3, 20)))
    assert playlist.relaxed_rules == ()


def test_spacing_that_cannot_be_kept_is_said(build):
    excluded = np.arange(4, N_TRACKS, dtype=np.int32)
    playlist, rows = build(length=4, max_per_artist=None, exclude=excluded, artist_spacing=1)
    assert len(rows) == 4
    assert playlist.relaxed_rules == (
        "artist_spacing: 0 instead of 1 (3 tracks), no order of these tracks was found that keeps it",
    )


def test_a_users_taste_alone(build):
    history = played(21, 25, 30)
    _, rows = build(Seeds(plays=history, heard=history), length=10, unheard=True)
    assert np.mean(rows >= 20) > 0.8


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"length": None}, "length in tracks or in minutes"),
        ({"length": 0}, "length is 0"),
        ({"minutes": -1.0}, "minutes is -1"),
        ({"max_per_artist": 0}, "max_per_artist is 0"),
        ({"artist_spacing": -1}, "artist_spacing is -1"),
    ],
)
def test_rules_out_of_range_are_refused(rules, message):
    with pytest.raises(ConfigError, match=message):
        Rules(**rules)

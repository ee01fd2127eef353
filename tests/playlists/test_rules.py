"""Whatever the rules: hard ones hold, what is said of soft ones is true, and no more was given up than had to be."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from recommender.errors import RulesError
from recommender.playlists import party as party_room
from recommender.playlists.builder import Rules, Seeds, Span, build_playlist
from recommender.playlists.energy import energies
from recommender.playlists.rules import RELAX_ORDER

N = 40
PER_TRACK = ("energy", "key", "tempo", "year", "genre", "recent", "unheard")
some_rows = st.lists(st.integers(0, N - 1), max_size=8, unique=True).map(lambda rows: np.array(rows, dtype=np.int32))


def spans(low, high):
    ends = st.one_of(st.none(), st.floats(low, high, allow_nan=False))
    return st.tuples(ends, ends).map(
        lambda pair: Span(*sorted(pair)) if None not in pair and pair[0] > pair[1] else Span(*pair)
    )


asked = st.fixed_dictionaries(
    {
        "length": st.integers(1, 30),
        "minutes": st.one_of(st.none(), st.floats(3, 90)),
        "max_per_artist": st.one_of(st.none(), st.integers(1, 4)),
        "artist_spacing": st.integers(0, 4),
        "album_spacing": st.integers(0, 5),
        "exclude": some_rows,
        "exclude_artists": st.lists(st.sampled_from(["ARTIST 1", "artist 4", "nobody"]), max_size=2).map(tuple),
        "exclude_genres": st.sampled_from([(), ("dub",)]),
        "tempo": st.one_of(st.none(), spans(80, 160)),
        "energy": st.one_of(st.none(), spans(0, 1)),
        "year": st.one_of(st.none(), spans(1980, 2010)),
        "key": st.lists(st.sampled_from(["8A", "1B", "5a"]), max_size=2).map(tuple),
        "genre": st.sampled_from([(), ("rock",), ("Techno", "folk")]),
        "unheard": st.booleans(),
        "variety": st.sampled_from([0.0, 0.3, 1.0]),
        "ordered": st.booleans(),
        "soft": st.sets(st.sampled_from(RELAX_ORDER)).map(frozenset),
    }
)


def breaks(catalog, signatures, rules, recent, heard):
    """Return of each rule on single tracks which tracks break it, row by row."""
    energy = energies(signatures, np.arange(N))
    known = [value for value in energy if not np.isnan(value)]
    found = {rule: [False] * N for rule in PER_TRACK}

    def outside(span, value):
        if span is None:
            return False
        low, high = (-np.inf if span.low is None else span.low), (np.inf if span.high is None else span.high)
        return value is None or np.isnan(value) or not low <= value <= high

    for row in range(N):
        mine = signatures.row(row)
        share = None if mine is None else sum(value < energy[row] for value in known) / (len(known) - 1)
        year = catalog.table["released"][row]
        genres = [part.strip().lower() for part in catalog.table["genre"][row].split(";")]
        found["energy"][row] = outside(rules.energy, share)
        found["tempo"][row] = outside(rules.tempo, None if mine is None else mine.tempo_bpm)
        found["year"][row] = outside(rules.year, float(year) if year else None)
        found["key"][row] = bool(rules.key) and (
            mine is None or not any(_goes_with(mine.camelot, key.upper()) for key in rules.key)
        )
        found["genre"][row] = bool(rules.genre) and not any(
            wanted.lower() in genre.split() for wanted in rules.genre for genre in genres
        )
        found["recent"][row] = row in recent
        found["unheard"][row] = rules.unheard and row in heard
    return {rule: np.array(each) for rule, each in found.items()}


def _goes_with(key, other):
    apart = abs(int(key[:-1]) - int(other[:-1]))
    return min(apart, 12 - apart) + (key[-1] != other[-1]) <= 1


def forbidden(catalog, rules, hated):
    artists = {name.lower() for name in rules.exclude_artists}
    return np.array(
        [
            row in rules.exclude
            or row in hated
            or catalog.table["artist"][row].lower() in artists
            or bool(rules.exclude_genres and "Dub" in catalog.table["genre"][row])
            for row in range(N)
        ]
    )


def room(eligible, artists, cap):
    return sum(min(cap, count) for count in Counter(artists[eligible].tolist()).values())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=asked,
    seed=st.integers(0, 3),
    recent=some_rows,
    heard=some_rows,
    hated=some_rows,
    seeds=st.lists(st.integers(0, N - 1), max_size=2, unique=True),
    include=st.lists(st.integers(0, N - 1), max_size=2, unique=True),
)
def test_hard_rules_hold_and_the_account_is_true(
    model, catalog, signatures, asked, seed, recent, heard, hated, seeds, include
):
    check(model, catalog, signatures, asked, seed, recent, heard, hated, seeds, include)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=asked, seed=st.integers(0, 3), recent=some_rows, heard=some_rows)
def test_soft_rules_give_way_in_their_order_and_no_more_than_they_must(
    model, catalog, signatures, asked, seed, recent, heard
):
    free = asked | {"minutes": None, "artist_spacing": 0, "album_spacing": 0, "soft": frozenset(RELAX_ORDER)}
    check(model, catalog, signatures, free, seed, recent, heard, np.empty(0, dtype=np.int32), [], [])


def check(model, catalog, signatures, asked, seed, recent, heard, hated, seeds, include):
    matrix = np.zeros((1, N), dtype=np.float32)
    matrix[0, heard] = 1
    matrix[0, hated] = -1
    heard = np.union1d(heard, hated)
    try:
        rules = Rules(**asked, include=np.array(include, dtype=np.int32))
        made = build_playlist(
            model,
            Seeds(
                track_rows=np.array(seeds, dtype=np.int32),
                plays=sparse.csr_matrix(matrix.clip(0)),
                heard=sparse.csr_matrix(matrix),
                recent_rows=recent,
            ),
            rules,
            name="Mix",
            made_at=datetime(2024, 5, 1, tzinfo=UTC),
            bundle_version="b1",
            seed=seed,
            signatures=signatures,
        )
    except RulesError:
        assert include or seeds
        return
    rows = catalog.tracks.rows(made.track_ids, unknown="raise")
    artists, albums = np.arange(N) // 4, np.arange(N) // 2
    broken, never = breaks(catalog, signatures, rules, recent, heard), forbidden(catalog, rules, hated)
    relaxed = {each.rule: each for each in made.relaxed}
    free = np.array([row for row in rows if row not in {*seeds, *include}], dtype=int)
    durations_s = catalog.table["duration_s"].to_numpy()
    durations_s = np.nan_to_num(durations_s, nan=np.nanmedian(durations_s))

    assert len(set(rows.tolist())) == len(rows) <= rules.length
    assert set(include) <= set(rows.tolist())
    assert not never[rows].any()
    assert rules.minutes is None or durations_s[rows].sum() <= rules.minutes * 60 + 1e-6
    for rule in PER_TRACK:
        count = int(broken[rule][free].sum())
        assert count == (relaxed[rule].tracks if rule in relaxed else 0), rule
        assert not count or rule in rules.soft
    counts = np.bincount(artists[rows], minlength=10)
    if rules.max_per_artist is not None and counts.max() > rules.max_per_artist:
        assert relaxed["max_per_artist"].given == str(counts.max())
        assert "max_per_artist" in rules.soft
    for rule, codes, gap in (
        ("artist_spacing", artists, rules.artist_spacing),
        ("album_spacing", albums, rules.album_spacing),
    ):
        close = any(
            codes[rows[i]] == codes[rows[j]]
            for i in range(len(rows))
            for j in range(i + 1, min(i + 1 + gap, len(rows)))
        )
        assert close == (rule in relaxed)
        assert not close or rule in rules.soft
    assert all(str(each) in made.relaxed_rules for each in made.relaxed)

    if rules.minutes is not None:
        return
    assert (made.shortage == "") == (len(rows) == rules.length)
    if seeds or include or any(rules.hard_gaps):
        return
    hard = ~never
    for rule in PER_TRACK:
        if rule not in rules.soft:
            hard &= ~broken[rule]
    cap = N if rules.max_per_artist is None else rules.max_per_artist
    for place, rule in enumerate(RELAX_ORDER):
        if rule in relaxed and (rule in PER_TRACK or rule == "max_per_artist"):
            eligible = hard.copy()
            for later in RELAX_ORDER[place:]:
                if later in PER_TRACK and later in rules.soft:
                    eligible &= ~broken[later]
            kept_cap = "max_per_artist" not in rules.soft or place <= RELAX_ORDER.index("max_per_artist")
            assert room(eligible, artists, cap if kept_cap else N) < rules.length, rule
    if made.shortage:
        assert len(rows) == room(hard, artists, N if "max_per_artist" in rules.soft else cap)


@pytest.fixture
def build(model, signatures):
    def build(seeds=None, **rules):
        return build_playlist(
            model,
            seeds or Seeds(),
            Rules(**rules),
            name="Mix",
            made_at=datetime(2024, 5, 1, tzinfo=UTC),
            bundle_version="b1",
            signatures=signatures,
        )

    return build


def test_a_range_is_widened_no_further_than_it_must_be(build, catalog):
    made = build(length=12, tempo=Span(100, 110), soft=frozenset({"tempo", "artist_spacing"}), max_per_artist=None)
    assert len(made.track_ids) == 12
    rows = catalog.tracks.rows(made.track_ids, unknown="raise")
    assert sorted(rows) == [6, 7, 8, *range(10, 19)]
    told = made.relaxed[0]
    assert (told.rule, told.asked, told.given) == ("tempo", "between 100 and 110 BPM", "92 to 116 BPM")
    assert told.reason == "since there are only 6 of 12 tracks without"
    assert told.tracks == 6


def test_a_hard_range_makes_a_list_short_and_the_answer_says_so(build):
    made = build(length=30, tempo=Span(100, 110))
    assert made.shortage == (
        "6 of 30 tracks: only 6 of the library's 40 tracks are between 100 and 110 BPM; the tempo of 4 is unknown"
    )
    both = build(length=30, tempo=Span(100, 110), genre=("rock",))
    assert (
        "only 2 of the library's 40 tracks are between 100 and 110 BPM (6) and in the genre rock (14)" in both.shortage
    )
    capped = build(length=30, max_per_artist=1, soft=frozenset())
    assert capped.shortage == "10 of 30 tracks: the library has only 40 tracks, at most 1 of each artist may be in it"


def test_nobody_gets_what_somebody_hates_and_the_one_of_four_has_a_share(build, catalog, monkeypatch):
    plays = np.zeros((4, N), dtype=np.float32)
    plays[:3, [0, 4, 8]] = 1
    plays[3, [21, 25, 30]] = 1
    heard = plays.copy()
    heard[3, 5] = -1
    heard[0, 22] = -1
    party = Seeds(plays=sparse.csr_matrix(plays), heard=sparse.csr_matrix(heard), users=("a", "b", "c", "d"))
    made = build(party, length=12)
    rows = catalog.tracks.rows(made.track_ids, unknown="raise")
    assert not {5, 22} & set(rows.tolist())
    assert [share.user for share in made.shares] == ["a", "b", "c", "d"]
    assert made.shares[0].fit == made.shares[1].fit
    monkeypatch.setattr(party_room, "MISERY", 0.0)
    averaged = build(party, length=12)
    assert made.shares[3].fit > averaged.shares[3].fit + 0.05
    assert all(0 <= share.tracks <= 12 for share in made.shares)


def test_variety_makes_the_tracks_less_alike(build, model, catalog):
    def likeness(variety):
        rows = catalog.tracks.rows(
            build(
                Seeds(like_rows=np.array([2], dtype=np.int32)), length=8, variety=variety, max_per_artist=None
            ).track_ids,
            unknown="raise",
        )
        return float(np.mean(model.sound_vectors[rows] @ model.sound_vectors[rows].T))

    assert likeness(1.0) < likeness(0.5) < likeness(0.0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"include": [3], "exclude": [3]}, "Artist 0 - Title 3 must be in the playlist and is excluded"),
        ({"include": [3], "exclude_artists": ("artist 0",)}, "must be in the playlist and is by an excluded artist"),
        ({"include": [0, 1], "length": 1}, "2 tracks must be in the playlist and its length is 1"),
        ({"include": [0, 1, 2], "minutes": 5.0}, "last 9.5 minutes and it may last 5"),
        ({"include": [0, 1], "max_per_artist": 1, "soft": frozenset()}, "2 tracks by Artist 0 must be in the playlist"),
        (
            {"include": [0, 1], "length": 2, "soft": frozenset({"max_per_artist"})},
            "cannot be kept 2 tracks apart; name fewer",
        ),
        ({"genre": ("Hip-Hop",), "exclude_genres": ("hip hop",)}, "the genre 'hip hop' is both asked for and excluded"),
        ({"key": ("13A",)}, "the key '13A' is no place on the Camelot wheel"),
        ({"soft": frozenset({"exclude"})}, "'exclude' cannot be soft"),
        ({"variety": 2.0}, "variety is 2, expected 0 to 1"),
    ],
)
def test_rules_that_contradict_each_other_are_refused_in_one_sentence(build, rules, message):
    with pytest.raises(RulesError, match=message) as error:
        build(
            **{
                name: np.array(value, dtype=np.int32) if name in ("include", "exclude") else value
                for name, value in rules.items()
            }
        )
    assert "\n" not in str(error.value)


def test_a_range_from_high_to_low_is_refused():
    with pytest.raises(RulesError, match="a range goes from 130 to 120, expected the lower end first"):
        Span(130, 120)


def test_an_artist_cannot_be_asked_for_and_excluded(build):
    with pytest.raises(RulesError, match="the artist 'Artist 2' is both asked for and excluded"):
        build(Seeds(artists=("Artist 2",)), exclude_artists=("ARTIST 2",))

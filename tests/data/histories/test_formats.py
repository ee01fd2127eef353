"""One history, told by every service: the same plays come out."""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from recommender.data.listens import MatchReport, read_listens
from recommender.data.matching import TrackMatcher
from recommender.errors import DataError
from tests.data.histories.conftest import FERRY_MBID

PLAYS = [("ferry", 1700000000), ("comet", 1700000300), ("rose", 1700000600)]


def plays_of(frame: pd.DataFrame) -> list[tuple[str, int]]:
    seconds = frame["timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64).tolist()
    return sorted(zip(frame["item_id"].tolist(), seconds, strict=True), key=lambda play: play[1])


@pytest.mark.parametrize(
    ("file", "service", "user", "unusable"),
    [
        ("listenbrainz.jsonl", "ListenBrainz", "listenbrainz", 0),
        ("listenbrainz-api.json", "ListenBrainz", "ola_listens", 0),
        ("lastfmstats.csv", "Last.fm", "ola_listens", 0),
        ("lastfmstats.json", "lastfmstats", "ola_listens", 0),
        ("lastfm-ghan.csv", "Last.fm", "lastfm-ghan", 0),
        ("lastfm-api-pages.json", "Last.fm", "lastfm-api-pages", 1),
        ("librefm.csv", "Libre.fm", "librefm", 0),
        ("spotify-extended.json", "Spotify", "spotify-extended", 2),
        ("maloja.json", "Maloja", "maloja", 0),
        ("rockbox.scrobbler.log", "scrobbler log", "rockbox.scrobbler", 1),
        ("excel-unicode.txt", "table of plays", "excel-unicode", 0),
    ],
)
def test_a_history_in_every_format(
    tmp_path: Path, matcher: TrackMatcher, golden: Path, file: str, service: str, user: str, unusable: int
) -> None:
    frame, report = read_listens(golden / file, matcher)
    assert plays_of(frame) == PLAYS
    assert frame["weight"].tolist() == [1.0] * 3
    assert set(frame["user_id"]) == {user}
    assert (report.service, report.n_unmatched, report.n_unusable, report.n_broken) == (service, 1, unusable, 0)
    assert report.unmatched == (("Nobody Known - Not Here", 1),)
    assert report.examples() == ("Nobody Known - Not Here (1 play): no such artist",)
    anything = tmp_path / "history"  # told by content
    anything.write_bytes((golden / file).read_bytes())
    assert plays_of(read_listens(anything, matcher, "me")[0]) == PLAYS


@pytest.mark.parametrize("file", ["lastfm-to-csv.csv", "spotify-account.json"])
def test_formats_whose_times_have_no_seconds(matcher: TrackMatcher, golden: Path, file: str) -> None:
    frame, _ = read_listens(golden / file, matcher)
    assert plays_of(frame) == [(track, time - time % 60) for track, time in PLAYS]


@pytest.mark.parametrize("file", ["subsonic.xml", "subsonic.json"])
def test_stars_are_as_good_as_the_most_played(matcher: TrackMatcher, golden: Path, file: str) -> None:
    frame, report = read_listens(golden / file, matcher, "ola")
    assert dict(zip(frame["item_id"], frame["weight"], strict=True)) == {"ferry": 7.0, "comet": 7.0, "rose": 7.0}
    assert frame["timestamp"].isna().all()
    assert (report.service, report.n_unmatched) == ("Subsonic", 1)


def navidrome(path: Path, *, scrobbles: bool = True, old: bool = False) -> Path:
    """Write a database with the tables and columns of Navidrome that matter, and some that do not."""
    mbid = "mbz_track_id" if old else "mbz_recording_id"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            f"""
            CREATE TABLE user (id varchar(255) PRIMARY KEY, user_name varchar(255), email varchar(255), password text);
            CREATE TABLE media_file (id varchar(255) PRIMARY KEY, path text, title text, album text, artist text,
                duration real, {mbid} varchar(255));
            CREATE TABLE annotation (user_id text, item_id text, item_type text, play_count integer, play_date datetime,
                rating integer, starred bool, starred_at datetime);
            INSERT INTO user VALUES ('u1', 'ola', 'ola@example.org', 'secret'), ('u2', 'per', '', 'secret');
            INSERT INTO media_file VALUES
                ('m1', '/x', 'Winter Ferry', 'Harbour Lights', 'Ola Sundby', 214, '{FERRY_MBID}'),
                ('m2', '/x', 'Slow Comet', 'Night Bus', 'The Paper Lanterns', 187.2, ''),
                ('m3', '/x', 'Sipkova ruze', '', 'Zofie Mala', 243, NULL);
            INSERT INTO annotation VALUES ('u1', 'm1', 'media_file', 5, '2023-11-14', 4, 0, NULL),
                ('u1', 'm2', 'media_file', 0, NULL, 0, 1, '2023-11-14'), ('u1', 'al', 'album', 9, NULL, 0, 1, NULL),
                ('u2', 'm3', 'media_file', 2, NULL, 0, 0, NULL), ('u2', 'm1', 'media_file', 0, NULL, 1, 0, NULL);
            """
        )
        if scrobbles:
            database.executescript(
                """
                CREATE TABLE scrobbles (media_file_id text, user_id text, submission_time integer);
                INSERT INTO scrobbles VALUES ('m1', 'u1', 1700000000), ('m1', 'u1', 1700009000);
                """
            )
        database.commit()
    return path


@pytest.mark.parametrize("old", [False, True])
def test_navidromes_database(tmp_path: Path, matcher: TrackMatcher, old: bool) -> None:
    path = navidrome(tmp_path / "navidrome.db", scrobbles=not old, old=old)
    path.chmod(0o444)
    before = path.read_bytes()
    frame, report = read_listens(path, matcher)
    found = {(row.user_id, row.item_id, str(row.timestamp)): row.weight for row in frame.itertuples()}
    counts = {("ola", "comet", "NaT"): 5.0, ("per", "rose", "NaT"): 2.0}
    single = {("ola", "ferry", "2023-11-14 22:13:20"): 1.0, ("ola", "ferry", "2023-11-15 00:43:20"): 1.0}
    assert found == counts | ({("ola", "ferry", "NaT"): 5.0} if old else single | {("ola", "ferry", "NaT"): 3.0})
    assert report.service == "Navidrome"
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["navidrome.db"]


def test_another_programs_database(tmp_path: Path, matcher: TrackMatcher) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute("CREATE TABLE annotation (id)")
    with pytest.raises(DataError, match="database of another program than Navidrome"):
        read_listens(tmp_path / "x.db", matcher)


def test_a_listenbrainz_export_with_feedback(tmp_path: Path, matcher: TrackMatcher, golden: Path) -> None:
    feedback = [
        {"recording_msid": None, "recording_mbid": FERRY_MBID, "score": -1, "created": 1700000000},
        {"recording_msid": None, "recording_mbid": "00000000-0a41-4f0e-8f5c-6a0e5f3a1d01", "score": 1, "created": 1},
        {"recording_msid": "x", "recording_mbid": None, "score": 1, "created": 1},
    ]
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", '{"user_id": 7, "username": "ola"}\n')
        archive.write(golden / "listenbrainz.jsonl", "listens/2023/11.jsonl")
        archive.writestr("feedback.jsonl", "".join(json.dumps(value) + "\n" for value in feedback))
        archive.writestr("pinned_recording.jsonl", '{"recording_msid": "x", "blurb_content": "!"}\n')
    frame, report = read_listens(tmp_path / "export.zip", matcher)
    assert set(frame["user_id"]) == {"ola"}
    assert plays_of(frame[frame["timestamp"].notna()]) == PLAYS
    assert frame[frame["timestamp"].isna()][["item_id", "weight"]].to_numpy().tolist() == [["ferry", -1.0]]
    assert report.service == "ListenBrainz"
    assert (report.n_unmatched, report.n_unusable, report.n_broken) == (2, 1, 0)


def test_a_spotify_zip_and_what_it_must_not_tell(tmp_path: Path, matcher: TrackMatcher, golden: Path) -> None:
    skip = json.loads((golden / "spotify-extended.json").read_text())[0] | {
        "ts": "2023-11-15T10:00:00Z", "ms_played": 1500, "reason_end": "fwdbtn", "skipped": True,
    }  # fmt: skip
    lost = skip | {"ts": "2023-11-15T11:00:00Z", "reason_end": "unexpected-exit", "skipped": False}
    broken = skip | {"ts": "yesterday"}
    with zipfile.ZipFile(tmp_path / "my_spotify_data.zip", "w") as archive:
        folder = "Spotify Extended Streaming History"
        archive.write(golden / "spotify-extended.json", f"{folder}/Streaming_History_Audio_2023_0.json")
        archive.writestr(f"{folder}/Streaming_History_Audio_2023_1.json", json.dumps([skip, lost, broken]))
        archive.writestr(f"{folder}/ReadMeFirst.pdf", b"%PDF-1.4 \0\1")
        archive.writestr("Spotify Account Data/Userdata.json", '{"username": "secretname", "email": "o@example.org"}')
        archive.writestr(
            "Spotify Account Data/StreamingHistory_podcast_0.json", '[{"endTime": "x", "podcastName": "y"}]'
        )
    frame, report = read_listens(tmp_path / "my_spotify_data.zip", matcher, "ola")
    assert frame.groupby("item_id")["weight"].apply(list).to_dict() == {
        "ferry": [1.0, 0.0],
        "comet": [1.0],
        "rose": [1.0],
    }
    assert (report.n_unusable, report.n_broken) == (3, 1)
    everything = frame.to_csv() + report.names.to_csv() + repr(report)
    for private in ("203.0.113", "secret", "Linux", "ios", "example.org"):
        assert private not in everything


def test_rockbox_skips_zones_and_no_clock(tmp_path: Path, matcher: TrackMatcher) -> None:
    lines = [
        "#AUDIOSCROBBLER/1.1", "#TZ/UNKNOWN", "#CLIENT/Rockbox",
        "Ola Sundby\tx\tWinter Ferry\t1\t214\tS\t1700000000\t",
        "Ola Sundby\tx\tWinter Ferry\t1\t214\tL\t1690000000\t",
        "The Paper Lanterns\tx\tSlow Comet\t1\t187\tL\t0\t",
        "The Paper Lanterns\tx\tSlow Comet\t1\t187\tL\t12\t",
        *["Zofie Mala\t\tSipkova ruze\t\t243\tL\t1700000600"] * 8,
        "Zofie Mala\t\tSipkova ruze\t\t243\tX\t1700000600",
        "Zofie Mala",
    ]  # fmt: skip
    (tmp_path / ".scrobbler.log").write_text("\n".join(lines), encoding="utf-8")
    frame, report = read_listens(tmp_path / ".scrobbler.log", matcher, "ola", ZoneInfo("Europe/Oslo"))
    assert plays_of(frame[frame["item_id"] == "ferry"]) == [("ferry", 1690000000 - 7200), ("ferry", 1700000000 - 3600)]
    assert frame[frame["item_id"] == "ferry"]["weight"].tolist() == [0.0, 1.0]
    assert frame[frame["item_id"] == "comet"]["weight"].tolist() == [2.0]
    assert frame[frame["item_id"] == "comet"]["timestamp"].isna().all()
    assert report.problems == (
        "line 16: is no listen: rating 'X' is not L or S",
        "line 17: is no listen: has fewer than 7 fields",
    )


def test_counts_are_rows_without_a_time(tmp_path: Path, matcher: TrackMatcher) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(
        "Artist,Title,Plays\nOla Sundby,Winter Ferry,12\nOla Sundby,WINTER FERRY,3\nZofie Mala,Sipkova ruze,0\n"
    )
    frame, report = read_listens(path, matcher)
    assert frame[["item_id", "weight"]].to_numpy().tolist() == [["ferry", 15.0]]
    assert report.n_unusable == 1


def rules_of(report: MatchReport) -> dict[str, str]:
    return dict(zip(report.names["title"], report.names["rule"], strict=True))


def test_what_was_matched_by_which_rule_is_told(tmp_path: Path, matcher: TrackMatcher, golden: Path) -> None:
    _, report = read_listens(golden / "listenbrainz.jsonl", matcher)
    assert rules_of(report) == {
        "Winter Ferry": "MusicBrainz id",
        "Slow Comet - 2011 Remaster": "name without edition",
        "Sipkova ruze": "name",
        "Not Here": "",
    }
    row = report.names.set_index("title").loc["Slow Comet - 2011 Remaster"]
    assert row[["item_id", "matched", "score", "plays"]].tolist() == [
        "comet",
        "The Paper Lanterns - Slow Comet",
        100.0,
        1,
    ]
    assert "1 by MusicBrainz id, 1 by name, 1 by name without edition" in report.summary()

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.listens import read_listens
from recommender.data.matching import TrackMatcher
from recommender.data.names import normalise
from recommender.errors import DataError


@pytest.fixture
def catalog() -> Catalog:
    rows = [
        ("t0", "Déjà Vu", "Beyoncé", "B'Day"),
        ("t1", "Heroes", "David Bowie", "Heroes"),
        ("t2", "Heroes", "David Bowie", "Best of Bowie"),
        ("t3", "Back in Black", "AC/DC", "Back in Black"),
        ("t4", "", "", ""),
    ]
    return Catalog.from_frame(pd.DataFrame(rows, columns=["item_id", "title", "artist", "album"]))


def listenbrainz(artist: str, title: str, time: object, album: str = "", **more: object) -> dict[str, object]:
    return {
        "listened_at": time,
        "track_metadata": {"artist_name": artist, "track_name": title, "release_name": album},
        **more,
    }


def write_lines(path: Path, *values: object) -> Path:
    path.write_text("".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values), encoding="utf-8")
    return path


def test_listenbrainz_lines(tmp_path: Path, catalog: Catalog) -> None:
    path = write_lines(
        tmp_path / "ann.jsonl",
        listenbrainz("beyonce", "Deja vu (feat. Jay-Z)", 1700000000),
        listenbrainz("David Bowie", "Heroes", 1700000100, "Best of Bowie"),
        "",
        listenbrainz("David Bowie", "Heroes", 1700000200, "Somewhere else"),
        listenbrainz("Nobody", "Nothing", 1700000300),
        listenbrainz("Nobody", "Nothing", 1700000400),
        "{",  # line 7
        listenbrainz("AC/DC", "Back In Black", 1700000500),
        listenbrainz("AC/DC", "Back In Black", 1700000500),  # again
    )
    frame, report = read_listens(path, TrackMatcher(catalog))
    assert frame["user_id"].tolist() == ["ann"] * 4
    assert frame["item_id"].tolist() == ["t0", "t2", "t1", "t3"]
    assert frame["weight"].tolist() == [1.0] * 4
    assert frame["timestamp"].dtype == "datetime64[s]"
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2023-11-14T22:13:20")
    assert (report.n_read, report.n_matched, report.n_unmatched, report.n_broken) == (8, 5, 2, 1)
    assert report.unmatched == (("Nobody - Nothing", 2),)
    assert report.problems[0].startswith("line 7: is no listen:")
    assert report.summary() == (
        "ann.jsonl: ListenBrainz, 5 of 8 plays matched for ann (5 by name), 2 of tracks not in the catalog, 1 broken"
    )


def test_a_listenbrainz_export_names_its_user(tmp_path: Path, catalog: Catalog) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("user.json", json.dumps({"user_id": 7, "username": "rob"}))
        archive.writestr("listens/2023/12.jsonl", json.dumps(listenbrainz("AC/DC", "Back in Black", 1701400000)))
        archive.writestr("listens/2023/11.jsonl", json.dumps(listenbrainz("David Bowie", "Heroes", 1700000000)))
        archive.writestr("feedback.jsonl", "")
    frame, report = read_listens(tmp_path / "export.zip", TrackMatcher(catalog))
    assert frame["user_id"].tolist() == ["rob", "rob"]
    assert frame["item_id"].tolist() == ["t1", "t3"]
    assert report.users == ("rob",)
    assert read_listens(tmp_path / "export.zip", TrackMatcher(catalog), user="me")[0]["user_id"].tolist() == [
        "me",
        "me",
    ]


@pytest.mark.parametrize(
    "text",
    [
        'AC/DC,Back in Black,"Back in Black",14 Nov 2023 22:13\n',
        "\ufeffuts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n"
        '1700000000,"14 Nov 2023, 22:13",AC/DC,,Back in Black,,Back in Black,\n',
        'Artist,Album,Track,Date\r\nAC/DC,x,Back in Black,"14 Nov 2023, 22:13"\r\n',
        "track,artist,time\nBack in Black,AC/DC,2023-11-14T22:13:20Z\n",
    ],
)
def test_lastfm(tmp_path: Path, catalog: Catalog, text: str) -> None:
    (tmp_path / "rj.csv").write_text(text, encoding="utf-8", newline="")
    frame, report = read_listens(tmp_path / "rj.csv", TrackMatcher(catalog))
    assert frame[["user_id", "item_id", "weight"]].to_numpy().tolist() == [["rj", "t3", 1.0]]
    assert frame["timestamp"].iloc[0].floor("min") == pd.Timestamp("2023-11-14T22:13")
    assert report.service == (
        "Last.fm" if "track,artist" not in text and "Track,Date" not in text else "table of plays"
    )


def test_lastfm_rows_that_are_broken(tmp_path: Path, catalog: Catalog) -> None:
    good = [f"AC/DC,x,Back in Black,14 Nov 2023 22:{minute}" for minute in range(10, 20)]
    bad = ["AC/DC,x", "AC/DC,x,Back in Black,01 Jan 1970 00:00"]
    (tmp_path / "rj.csv").write_text("\n".join([*good, *bad]))
    frame, report = read_listens(tmp_path / "rj.csv", TrackMatcher(catalog))
    assert len(frame) == 10
    assert [problem.split(":")[0] for problem in report.problems] == ["line 11", "line 12"]
    (tmp_path / "rj.csv").write_text("\n".join([*good[:4], *bad]))
    with pytest.raises(DataError, match="2 of 6 entries cannot be used"):
        read_listens(tmp_path / "rj.csv", TrackMatcher(catalog))


def spotify(ms: int, title: str | None = "Heroes", **more: object) -> dict[str, object]:
    return {
        "ts": "2023-11-14T22:13:20Z",
        "ms_played": ms,
        "master_metadata_track_name": title,
        "master_metadata_album_artist_name": "David Bowie" if title else None,
        "master_metadata_album_album_name": "Heroes",
        **more,
    }


def test_spotify_skips_are_weight_zero(tmp_path: Path, catalog: Catalog) -> None:
    plays = [
        spotify(200_000, reason_end="trackdone"),
        spotify(40_000, reason_end="fwdbtn", skipped=True, ts="2023-11-14T22:14:00Z"),  # long enough to be a play
        spotify(3_000, reason_end="fwdbtn", skipped=True, ts="2023-11-14T22:15:00Z"),
        spotify(3_000, reason_end="logout", skipped=None, ts="2023-11-14T22:16:00Z"),  # neither played nor skipped
        spotify(500_000, None, ts="2023-11-14T22:17:00Z", episode_name="A podcast"),
        spotify(10_000, reason_end="trackdone", ts="2023-11-14T22:18:00Z"),  # a short track, heard to its end
    ]
    with zipfile.ZipFile(tmp_path / "spotify.zip", "w") as archive:
        archive.writestr("Spotify Extended Streaming History/Streaming_History_Audio_2023.json", json.dumps(plays))
        archive.writestr("Spotify Extended Streaming History/ReadMe.json", "{}")
    frame, report = read_listens(tmp_path / "spotify.zip", TrackMatcher(catalog), user="ann")
    assert frame["weight"].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert set(frame["item_id"]) == {"t1"}
    assert (report.n_read, report.n_unusable, report.n_unmatched) == (6, 2, 0)


def test_spotifys_short_history(tmp_path: Path, catalog: Catalog) -> None:
    value = {"endTime": "2023-11-14 22:13", "artistName": "David Bowie", "trackName": "Heroes", "msPlayed": 60000}
    (tmp_path / "StreamingHistory0.json").write_text(json.dumps([value]))
    frame, _ = read_listens(tmp_path / "StreamingHistory0.json", TrackMatcher(catalog))
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2023-11-14T22:13")


def test_files_that_are_no_history(tmp_path: Path, catalog: Catalog) -> None:
    with pytest.raises(DataError, match="cannot be read as a listening history"):
        read_listens(tmp_path / "absent.zip", TrackMatcher(catalog))
    for name, text in (
        ("x.zip", "no zip"),
        ("x.json", "{"),
        ("x.json", "[]"),
        ("x.txt", "?"),
        ("x.csv", "artist,track\na,b"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError):
            read_listens(tmp_path / name, TrackMatcher(catalog))
    (tmp_path / "half.json").write_text('[{"ts": "2023')
    with pytest.raises(DataError, match=r"holds no listening history .*ends early"):
        read_listens(tmp_path / "half.json", TrackMatcher(catalog))


def test_a_track_without_a_name_matches_nothing(tmp_path: Path, catalog: Catalog) -> None:
    lines = [listenbrainz("AC/DC", "Back in Black", 1700000000 + n) for n in range(9)]
    _, report = read_listens(
        write_lines(tmp_path / "a.jsonl", *lines, listenbrainz("", "", 1700000000)), TrackMatcher(catalog)
    )
    assert (report.n_matched, report.n_broken) == (9, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Beatles", "beatles"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
        ("Don't Stop", "Don’t stop"),
        ("Ｆｕｌｌ", "full"),
        ("Song ft. Somebody", "Song"),
        ("Song [feat. A & B]", "song"),
    ],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("!!!", "???"),
        ("Song", "Song 2"),
        ("The The", "The"),
        ("Left", "Le ft"),
        ("Heroes", "Heroes (live)"),
        ("が", "か"),
    ],
)
def test_names_that_are_not_one(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)

from pathlib import Path

import numpy as np
import pytest

from recommender.data.datasets import read_dataset
from recommender.errors import DataError

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
ROWS = (
    "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\n"
    "track_0000382\tartist_000020\talbum_000046\t82/382.mp3\t211.1\tgenre---classical\tinstrument---voice\n"
)
ONE_MORE = "track_0000948\tartist_000087\talbum_000149\t48/948.mp3\t212.7\tgenre---rock\n"
META = (
    "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL\n"
    'track_0000214\tartist_000014\talbum_000031\tNos "Combats\tJingle Punks\tTheme\t2004-12-28\thttp://j.com/track/214\n'
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    (data / "autotagging.tsv").write_text(HEADER + ROWS, encoding="utf-8")
    return tmp_path


def test_a_table_alone(repository):
    tables = read_dataset("mtg-jamendo", repository)
    assert (tables.plays, tables.embeddings) == (None, None)
    assert tables.tracks["item_id"].tolist() == ["track_0000214", "track_0000382"]
    assert tables.tracks["artist"].tolist() == ["artist_000014", "artist_000020"]
    assert tables.tracks["duration_s"].tolist() == [124.6, 211.1]
    assert tables.tracks["path"].tolist() == ["", ""]
    assert tables.notes == ("no audio is there",)


def test_names_and_more_tracks_from_the_tables_beside_it(repository):
    (repository / "data" / "raw.meta.tsv").write_text(META, encoding="utf-8")
    (repository / "data" / "raw_30s.tsv").write_text(HEADER + ROWS + ONE_MORE, encoding="utf-8")
    tracks = read_dataset("mtg-jamendo", repository).tracks.set_index("item_id")
    assert len(tracks) == 3
    assert tracks.loc["track_0000214", ["title", "artist", "album", "released"]].tolist() == [
        'Nos "Combats', "Jingle Punks", "Theme", "2004-12-28",
    ]  # fmt: skip
    assert tracks.loc["track_0000948", ["title", "artist", "released"]].tolist() == ["", "artist_000087", ""]


def test_audio_of_either_edition_is_found(repository):
    for name in ("14/214.mp3", "82/382.low.mp3", "99/999.mp3"):
        path = repository / "raw_30s" / "audio" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    tables = read_dataset("mtg-jamendo", repository)
    audio = repository.resolve() / "raw_30s" / "audio"
    assert tables.tracks["path"].tolist() == [str(audio / "14/214.mp3"), str(audio / "82/382.low.mp3")]
    assert tables.notes == ("audio is there for 2 of 2 tracks",)


def test_a_link_that_an_archive_left_as_text_is_passed_over(repository):
    (repository / "data" / "autotagging.tsv").rename(repository / "data" / "raw_30s_cleantags_50artists.tsv")
    (repository / "data" / "autotagging.tsv").write_text("raw_30s_cleantags_50artists.tsv")
    assert len(read_dataset("mtg-jamendo", repository).tracks) == 2
    (repository / "data" / "raw_30s_cleantags_50artists.tsv").unlink()
    with pytest.raises(DataError, match=r"has no table of MTG-Jamendo; expected autotagging.tsv"):
        read_dataset("mtg-jamendo", repository)


def test_rows_that_cannot_be_used_are_named(repository):
    more = "".join(ONE_MORE.replace("948", str(n)) for n in range(400, 408))
    broken = "track_0000001\tartist_000001\n" + ONE_MORE.replace("212.7", "long")
    (repository / "data" / "autotagging.tsv").write_text(HEADER + ROWS + more + broken)
    tables = read_dataset("mtg-jamendo", repository)
    assert len(tables.tracks) == 10
    assert np.isfinite(tables.tracks["duration_s"]).all()
    assert tables.reports[0].problems == (
        "line 12: has 2 fields, expected 6",
        "line 13: DURATION 'long' is not a number",
    )

import json
import unicodedata
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.data.catalog import Catalog
from recommender.errors import UnknownIdError
from recommender.playlists.builder import Playlist
from recommender.playlists.formats import (
    MAX_NAME_BYTES,
    Entry,
    file_name_of,
    file_names_of,
    jspf_text,
    m3u8_text,
    write_m3u8,
    xspf_text,
)


def parse_m3u8(path: Path):
    """Read entries (seconds, label, location) as a player would: comments are skipped, a location ends an entry."""
    lines = path.read_bytes().decode("utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    entries, about = [], None
    for line in lines[1:]:
        if line.startswith("#EXTINF:"):
            seconds, about = line.removeprefix("#EXTINF:").split(",", 1)
        elif line and not line.startswith("#"):
            entries.append((int(seconds), about, line))
    return entries


def playlist_of(*ids, name="Mix"):
    return Playlist(name, ids, datetime(2024, 5, 1, tzinfo=UTC), "b1", 0, ())


def catalog_of(rows):
    return Catalog.from_frame(pd.DataFrame(rows, columns=["item_id", "title", "artist", "duration_s", "path"]))


def test_entries_read_back(catalog, tmp_path):
    path = tmp_path / "lists" / "mix.m3u8"
    written = write_m3u8(path, playlist_of("t02", "t07", "t05", "t39"), catalog, tmp_path / "music")
    assert written == 3
    assert parse_m3u8(path) == [
        (200, "Artist 0 - Title 2", "../music/artist 0/title 2.mp3"),
        (-1, "Artist 1 - Title 7", "../music/artist 1/title 7.mp3"),
        (210, "Artist 9 - Title 39", "../music/artist 9/title 39.mp3"),
    ]
    assert "# no file: Artist 1 - Title 5" in path.read_text(encoding="utf-8")
    for _, _, location in parse_m3u8(path):
        assert (path.parent / location).resolve().is_relative_to((tmp_path / "music").resolve())


def test_absolute_paths(catalog, tmp_path):
    path = tmp_path / "mix.m3u8"
    write_m3u8(path, playlist_of("t02"), catalog, tmp_path / "music", absolute=True)
    assert parse_m3u8(path)[0][2] == str(tmp_path / "music" / "artist 0" / "title 2.mp3")


def test_a_catalog_with_absolute_paths_needs_no_root(tmp_path):
    catalog = catalog_of([("a", "Song", "Ada", 61.5, str(tmp_path / "music" / "a.mp3"))])
    write_m3u8(tmp_path / "mix.m3u8", playlist_of("a"), catalog, Path("/elsewhere"))
    assert parse_m3u8(tmp_path / "mix.m3u8") == [(62, "Ada - Song", "music/a.mp3")]


def test_awkward_titles_and_paths(tmp_path):
    catalog = catalog_of(
        [
            ("a", "Two\nlines", "Ada", 10.0, "#1 hits/a.mp3"),
            ("b", "أغنية", "فيروز", 20.0, "فيروز/أغنية.mp3"),
            ("c", "Broken", "Cyd", 30.0, "bad\nname.mp3"),
            ("d", "Only a title", "", 30.4, "d.mp3"),
        ]
    )
    path = tmp_path / "mix.m3u8"
    assert write_m3u8(path, playlist_of("a", "b", "c", "d", name="A\nB"), catalog, tmp_path) == 3
    assert parse_m3u8(path) == [
        (10, "Ada - Two lines", "./#1 hits/a.mp3"),
        (20, "فيروز - أغنية", "فيروز/أغنية.mp3"),
        (30, "Only a title", "d.mp3"),
    ]
    assert "#PLAYLIST:A B\n" in path.read_text(encoding="utf-8")


def test_a_track_that_is_not_in_the_catalog_writes_nothing(catalog, tmp_path):
    with pytest.raises(UnknownIdError, match="'nope'"):
        write_m3u8(tmp_path / "mix.m3u8", playlist_of("t02", "nope"), catalog, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_playlist_is_a_file_all_the_same(catalog, tmp_path):
    assert write_m3u8(tmp_path / "mix.m3u8", playlist_of(), catalog, tmp_path) == 0
    assert parse_m3u8(tmp_path / "mix.m3u8") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Plain name", "Plain name"),
        ("AC/DC", "AC_DC"),
        ('a\\b:c*d?e"f<g>h|i', "a_b_c_d_e_f_g_h_i"),
        ("../../etc/passwd", "___.._etc_passwd"),
        (".hidden", "_hidden"),
        ("..", "__"),
        ("ends with dots...", "ends with dots___"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1", "_com1"),
        ("LPT¹", "_LPT¹"),
        ("Console", "Console"),
        ("", "playlist"),
        ("tab\there", "tab_here"),
        ("zero\0byte", "zero_byte"),
        ("שלום עולם", "שלום עולם"),
        ("evil\u202egnp.exe", "evil_gnp.exe"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("日本語 🎧", "日本語 🎧"),
        ("\ud800", "_"),
    ],
)
def test_file_names(name, expected):
    assert file_name_of(name) == expected


@given(st.text(max_size=300))
def test_any_name_makes_a_usable_file_name(name):
    made = file_name_of(name)
    assert 0 < len(made.encode("utf-8")) <= MAX_NAME_BYTES + 1
    assert not set(made) & set('<>:"/\\|?*')
    assert made[0] != "."
    assert made[-1] not in ". "
    assert all(unicodedata.category(sign)[0] != "C" or sign in "\u200c\u200d" for sign in made)
    assert made.split(".")[0].casefold() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}


@given(st.lists(st.sampled_from(["Mix", "mix", "MIX", "a/b", "a_b", "", "Mix (2)"]), max_size=12))
def test_names_in_one_folder_never_meet(names):
    made = file_names_of(names)
    assert len({name.casefold() for name in made}) == len(names)


def test_long_names_are_cut_between_characters(tmp_path):
    made = file_name_of("é" * 200)
    assert made == "é" * (MAX_NAME_BYTES // 2)
    (tmp_path / f"{made}.m3u8").write_text("x")


ENTRIES = [
    Entry("http://host/v1/tracks/a/audio", "Ruhe & <b>", "Ånd\x0b", "Süd", 61.4),
    Entry("", "أغنية", "", "", None),
]


def test_three_formats_say_the_same():
    lines = m3u8_text("My\nmix", ENTRIES).splitlines()
    assert lines[:4] == ["#EXTM3U", "#PLAYLIST:My mix", "#EXTINF:61,Ånd - Ruhe & <b>", "http://host/v1/tracks/a/audio"]
    assert lines[4:] == ["# no file: أغنية"]
    root = ET.fromstring(xspf_text("My mix", ENTRIES))
    space = "{http://xspf.org/ns/0/}"
    first, second = root.findall(f"{space}trackList/{space}track")
    assert [(child.tag.removeprefix(space), child.text) for child in first] == [
        ("location", "http://host/v1/tracks/a/audio"),
        ("title", "Ruhe & <b>"),
        ("creator", "Ånd"),
        ("album", "Süd"),
        ("duration", "61400"),
    ]
    assert [child.tag.removeprefix(space) for child in second] == ["title"]
    tracks = json.loads(jspf_text("My mix", ENTRIES))["playlist"]["track"]
    assert tracks[0]["location"] == ["http://host/v1/tracks/a/audio"]
    assert tracks[0]["duration"] == 61400
    assert tracks[1] == {"title": "أغنية"}

import json
import math
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit
from xml.dom import minidom
from xml.etree import ElementTree

import m3u8
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.data.catalog import TRACK_COLUMNS, Catalog
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ConfigError, DataError, UnknownIdError
from recommender.playlists.builder import Playlist
from recommender.playlists.entries import Entry, entries_of
from recommender.playlists.formats import MEDIA_TYPES, playlist_bytes, read_playlist, write_playlist

XSPF_TRACK = {"location", "identifier", "title", "creator", "album", "duration"}
URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+")
ENDINGS = tuple(MEDIA_TYPES)


def parse_m3u8(path: Path):
    """Read entries (seconds, label, location) as a player would: comments are skipped, a location ends an entry."""
    lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    assert lines[:2] == ["#EXTM3U", "#EXTENC:UTF-8"]
    entries, about = [], None
    for line in lines[2:]:
        if line.startswith("#EXTINF:"):
            seconds, about = line.removeprefix("#EXTINF:").split(",", 1)
        elif line.strip() and not line.startswith("#"):
            entries.append((int(seconds), about, line))
    return entries


def parse_xspf(path: Path):
    """Read a playlist's title and its tracks' fields, and hold the document to what the specification demands."""
    root = minidom.parseString(path.read_bytes()).documentElement
    assert (root.tagName, root.namespaceURI, root.getAttribute("version")) == ("playlist", "http://xspf.org/ns/0/", "1")
    fields = {}
    for child in (node for node in root.childNodes if node.nodeType == node.ELEMENT_NODE):
        if child.tagName == "meta":
            assert URI.fullmatch(child.getAttribute("rel"))
        else:
            assert child.tagName not in fields
            fields[child.tagName] = child
    assert set(fields) == {"title", "creator", "date", "trackList"}
    assert datetime.fromisoformat(text_of(fields["date"])).tzinfo is not None
    tracks = []
    for track in (node for node in fields["trackList"].childNodes if node.nodeType == node.ELEMENT_NODE):
        parts = [node for node in track.childNodes if node.nodeType == node.ELEMENT_NODE]
        found = {node.tagName: text_of(node) for node in parts}
        assert track.tagName == "track"
        assert len(found) == len(parts)
        assert set(found) <= XSPF_TRACK
        assert found.get("duration", "0").isdecimal()
        assert all(URI.fullmatch(found[key]) for key in ("location", "identifier") if key in found)
        tracks.append(found)
    return text_of(fields["title"]), tracks


def parse_jspf(path: Path):
    about = json.loads(path.read_text(encoding="utf-8"))["playlist"]
    assert all(
        isinstance(track[key], list) for track in about["track"] for key in ("location", "identifier") if key in track
    )
    tracks = [
        {key: str(value[0] if isinstance(value, list) else value) for key, value in track.items()}
        for track in about["track"]
    ]
    return about["title"], tracks


def text_of(node):
    return "".join(child.data for child in node.childNodes)


def file_of(uri: str, playlist: Path) -> Path:
    """Resolve a location as RFC 3986 has it."""
    parts = urlsplit(urljoin(playlist.absolute().as_uri(), uri))
    assert parts.scheme == "file"
    assert not parts.netloc
    assert not parts.query
    assert not parts.fragment
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))


def playlist_of(*ids, name="Mix", relaxed=()):
    return Playlist(name, ids, datetime(2024, 5, 1, tzinfo=UTC), "b1", 7, relaxed)


def catalog_of(rows):
    """Make a catalog, of text that Parquet could not hold too."""
    frame = pd.DataFrame(rows, columns=["item_id", "title", "artist", "duration_s", "path"], dtype=object)
    table = frame.assign(album="", released="", duration_s=frame["duration_s"].astype(float))
    return Catalog(
        Vocabulary("track", tuple(frame["item_id"])), table.reindex(columns=list(TRACK_COLUMNS), fill_value="")
    )


def test_entries_read_back(catalog, tmp_path):
    path = tmp_path / "lists" / "mix.m3u8"
    written = write_playlist(path, playlist_of("t02", "t07", "t05", "t39"), catalog, tmp_path / "music")
    assert written == 3
    assert parse_m3u8(path) == [
        (200, "Artist 0 - Title 2", "../music/artist 0/title 2.mp3"),
        (-1, "Artist 1 - Title 7", "../music/artist 1/title 7.mp3"),
        (210, "Artist 9 - Title 39", "../music/artist 9/title 39.mp3"),
    ]
    assert "# no file: Artist 1 - Title 5" in path.read_text(encoding="utf-8")
    assert "#EXTART:Artist 0\n" in path.read_text(encoding="utf-8")
    for _, _, location in parse_m3u8(path):
        assert (path.parent / location).resolve().is_relative_to((tmp_path / "music").resolve())


@pytest.mark.parametrize(("ending", "parse"), [(".xspf", parse_xspf), (".jspf", parse_jspf)])
def test_fields_of_xspf_and_jspf(catalog, tmp_path, ending, parse):
    path = tmp_path / "lists" / f"mix{ending}"
    playlist = playlist_of("t02", "t07", "t05", name="A & <B>")
    assert write_playlist(path, playlist, catalog, tmp_path / "music", absolute=False) == 2
    name, tracks = parse(path)
    assert name == "A & <B>"
    assert tracks[0] == {
        "album": "Album 1",
        "location": "../music/artist%200/title%202.mp3",
        "identifier": "firstlisten:track:t02",
        "title": "Title 2",
        "creator": "Artist 0",
        "duration": "200000",
    }
    assert "duration" not in tracks[1]
    assert tracks[2] == {
        "album": "Album 2",
        "identifier": "firstlisten:track:t05",
        "title": "Title 5",
        "creator": "Artist 1",
        "duration": "190000",
    }
    write_playlist(path, playlist_of("t02"), catalog, tmp_path / "music")
    assert parse(path)[1][0]["location"] == (tmp_path / "music" / "artist 0" / "title 2.mp3").as_uri()


def test_where_a_playlist_comes_from_is_in_it(catalog, tmp_path):
    playlist = playlist_of("t02", relaxed=("length: 1 track", "recent: 2"))
    for ending in ENDINGS:
        write_playlist(tmp_path / f"mix{ending}", playlist, catalog, tmp_path)
    about = json.loads((tmp_path / "mix.jspf").read_text())["playlist"]
    assert about["extension"] == {
        "firstlisten:playlist": [{"bundle_version": "b1", "seed": 7, "relaxed_rules": ["length: 1 track", "recent: 2"]}]
    }
    assert about["date"] == "2024-05-01T00:00:00+00:00"
    metas = minidom.parse(str(tmp_path / "mix.xspf")).getElementsByTagName("meta")
    assert [(meta.getAttribute("rel").split(":")[-1], text_of(meta)) for meta in metas] == [
        ("bundle_version", "b1"),
        ("seed", "7"),
        ("relaxed_rules", "length: 1 track"),
        ("relaxed_rules", "recent: 2"),
    ]
    assert "bundle b1, seed 7" in (tmp_path / "mix.m3u").read_text()


def test_absolute_paths(catalog, tmp_path):
    path = tmp_path / "mix.m3u8"
    write_playlist(path, playlist_of("t02"), catalog, tmp_path / "music", absolute=True)
    assert parse_m3u8(path)[0][2] == str(tmp_path / "music" / "artist 0" / "title 2.mp3")


def test_a_catalog_with_absolute_paths_needs_no_root(tmp_path):
    catalog = catalog_of([("a", "Song", "Ada", 61.5, str(tmp_path / "music" / "a.mp3"))])
    write_playlist(tmp_path / "mix.m3u8", playlist_of("a"), catalog, Path("/elsewhere"))
    assert parse_m3u8(tmp_path / "mix.m3u8") == [(62, "Ada - Song", "music/a.mp3")]


AWKWARD = {
    "a": ("Two\nlines", "Ada", 10.0, "#1 hits/a.mp3"),
    "b": ("أغنية", "فيروز", 20.0, "فيروز/أغنية.mp3"),
    "c": ("Broken", "Cyd", 30.0, "bad\nname.mp3"),
    "d": ("Only a title", "", 30.4, "d.mp3"),
    "e": ("100 %", "A & B <C>", 1.0, "100 %/50%25 & more?.mp3"),
    "f": ("Bytes\udce9\ud800\x07", "\x00", 2.0, os.fsdecode(b"latin \xe9.mp3")),
    "g": ("Time", "12:30", 3.0, "12:30/what; is=it,~now.mp3"),
    "h": ("Space", "  ", 4.0, " in front.mp3"),
    "i e/ü": ("日本語", "🎧", 5.0, "日本語/🎧 \u200fx.mp3"),
    "j": ("Impossible", "Nul", 6.0, "a\0b.mp3"),
    "k": ("Half", "Pair", 7.0, "\ud83c.mp3"),
    "l": ("Scheme", "Name", 7.0, "http://x/y.mp3"),
}


@pytest.fixture
def awkward():
    return catalog_of([(key, *values) for key, values in AWKWARD.items()])


def test_awkward_titles_and_paths_in_m3u8(awkward, tmp_path):
    path = tmp_path / "mix.m3u8"
    assert write_playlist(path, playlist_of(*AWKWARD, name="A\nB"), awkward, tmp_path) == 9
    assert parse_m3u8(path) == [
        (10, "Ada - Two lines", "./#1 hits/a.mp3"),
        (20, "فيروز - أغنية", "فيروز/أغنية.mp3"),
        (30, "Only a title", "d.mp3"),
        (1, "A & B <C> - 100 %", "100 %/50%25 & more?.mp3"),
        (2, "\ufffd - Bytes\ufffd\ufffd\ufffd", "latin \udce9.mp3"),
        (3, "12:30 - Time", "./12:30/what; is=it,~now.mp3"),
        (4, "   - Space", "./ in front.mp3"),
        (5, "🎧 - 日本語", "日本語/🎧 \u200fx.mp3"),
        (7, "Name - Scheme", "./http:/x/y.mp3"),
    ]
    assert "#PLAYLIST:A B\n" in path.read_bytes().decode("utf-8", "replace")


@pytest.mark.parametrize(("ending", "parse"), [(".xspf", parse_xspf), (".jspf", parse_jspf)])
@pytest.mark.parametrize("absolute", [False, True])
def test_awkward_paths_in_xspf_and_jspf(awkward, tmp_path, ending, parse, absolute):
    path = tmp_path / "sub #1" / f"mix{ending}"
    assert write_playlist(path, playlist_of(*AWKWARD), awkward, tmp_path / "100% mine", absolute=absolute) == 10
    _, tracks = parse(path)
    files = [file_of(track["location"], path) if "location" in track else None for track in tracks]
    for (key, (*_, place)), file in zip(AWKWARD.items(), files, strict=True):
        assert file == (None if key in "jk" else Path(os.path.normpath(tmp_path / "100% mine" / place)))


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_our_own_reader_gives_back_what_was_written(awkward, tmp_path, ending, absolute):
    path = tmp_path / "lists" / f"mix{ending.upper()}"
    count = write_playlist(path, playlist_of(*AWKWARD, name="Mix & match"), awkward, tmp_path / "m", absolute=absolute)
    name, entries = read_playlist(path)
    assert name == "Mix & match"
    expected = [Path(os.path.normpath(tmp_path / "m" / row[-1])) for key, row in AWKWARD.items() if key not in "jk"]
    if ending.startswith(".m3u"):
        expected = [file for file in expected if "\n" not in str(file)]
    assert [entry.file for entry in entries if entry.file] == expected
    assert count == len(expected)
    if ending in (".xspf", ".jspf"):
        assert [entry.track_id for entry in entries] == list(AWKWARD)
    assert [(entry.title, entry.artist) for entry in entries[:2]] == [("Two lines", "Ada"), ("أغنية", "فيروز")]
    assert entries[0].duration_s == 10


names = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(names, min_size=1, max_size=3), st.text(max_size=12), st.sampled_from([".xspf", ".jspf"]), st.booleans()
)
def test_any_path_and_any_title_survive(tmp_path_factory, parts, title, ending, absolute):
    folder = tmp_path_factory.getbasetemp() / "lists"
    catalog = catalog_of([("x", title, "", float("nan"), "/".join(parts))])
    write_playlist(folder / f"m{ending}", playlist_of("x"), catalog, folder / "music", absolute)
    _, tracks = (parse_xspf if ending == ".xspf" else parse_jspf)(folder / f"m{ending}")
    try:
        os.fsencode("/".join(parts))
    except UnicodeEncodeError:
        assert "location" not in tracks[0]
        return
    assert file_of(tracks[0]["location"], folder / f"m{ending}") == folder / "music" / "/".join(parts)
    assert read_playlist(folder / f"m{ending}")[1][0].file == folder / "music" / "/".join(parts)


def test_an_independent_parser_reads_our_m3u8(awkward, tmp_path):
    for absolute in (False, True):
        path = tmp_path / f"mix{absolute}.m3u8"
        write_playlist(path, playlist_of("a", "b", "d", "e", "i e/ü"), awkward, tmp_path / "music", absolute)
        found = m3u8.loads(path.read_text(encoding="utf-8")).segments
        assert [(segment.duration, segment.title) for segment in found[:3]] == [
            (10, "Ada - Two lines"),
            (20, "فيروز - أغنية"),
            (30, "Only a title"),
        ]
        files = [tmp_path / "music" / AWKWARD[key][-1] for key in ("a", "b", "d", "e", "i e/ü")]
        assert [Path(os.path.normpath(tmp_path / segment.uri)) for segment in found] == files


def test_a_download_has_paths_below_the_music_folder_or_absolute_ones(catalog, tmp_path):
    entries = list(entries_of(playlist_of("t02"), catalog, tmp_path))
    relative = playlist_bytes(".xspf", playlist_of("t02"), entries, folder=tmp_path)
    assert b"<location>artist%200/title%202.mp3</location>" in relative
    assert f"\n{tmp_path}/artist 0/title 2.mp3\n" in playlist_bytes(".m3u8", playlist_of("t02"), entries).decode()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_is_replaced_whole_and_the_same_playlist_is_the_same_file(catalog, tmp_path, ending):
    path = tmp_path / f"mix{ending}"
    write_playlist(path, playlist_of("t02", "t03"), catalog, tmp_path)
    before = path.read_bytes()
    with pytest.raises(UnknownIdError, match="'nope'"):
        write_playlist(path, playlist_of("t02", "nope"), catalog, tmp_path)
    assert path.read_bytes() == before
    write_playlist(path, playlist_of("t02", "t03"), catalog, tmp_path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_playlist_is_a_file_all_the_same(catalog, tmp_path, ending):
    assert write_playlist(tmp_path / f"mix{ending}", playlist_of(), catalog, tmp_path) == 0
    assert read_playlist(tmp_path / f"mix{ending}") == ("Mix", [])


def test_another_ending_is_refused(catalog, tmp_path):
    with pytest.raises(ConfigError, match=r"mix.pls: a playlist is written as .m3u8, .m3u, .xspf, .jspf, not .pls"):
        write_playlist(tmp_path / "mix.pls", playlist_of("t02"), catalog, tmp_path)
    with pytest.raises(ConfigError, match="without an ending"):
        read_playlist(tmp_path / "mix")


def test_m3u_of_other_programs(tmp_path):
    path = tmp_path / "old.m3u"
    path.write_bytes(
        b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:123 tvg-id=1,Caf\xe9 - A - B\r\nsub/a.mp3\r\n\r\nb%20.mp3\r\n"
        b"file:///m/c%20d.mp3\r\nhttp://host/stream.mp3\r\n#EXTINF:x,only\r\n/abs/e.mp3"
    )
    name, entries = read_playlist(path)
    assert name == ""
    assert [entry.file for entry in entries] == [
        tmp_path / "sub/a.mp3",
        tmp_path / "b%20.mp3",
        Path("/m/c d.mp3"),
        None,
        Path("/abs/e.mp3"),
    ]
    assert (entries[0].artist, entries[0].title, entries[0].duration_s) == ("Café", "A - B", 123)
    assert (entries[4].artist, entries[4].title) == ("", "only")
    assert math.isnan(entries[1].duration_s)
    assert math.isnan(entries[4].duration_s)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xspf", b"<playlist", "a.xspf: an XSPF cannot be read"),
        ("a.xspf", b"\xff\xfe<", "cannot be read"),
        ("a.xspf", b"<html/>", "begins with <html>"),
        ("a.xspf", b'<!DOCTYPE x [<!ENTITY a "b">]><playlist/>', "document type declaration"),
        ("a.jspf", b"{", "a.jspf: a JSPF cannot be read"),
        ("a.jspf", b"[" * 100_000, "a JSPF cannot be read"),
        ("a.jspf", b"[]", "has no playlist"),
        ("a.jspf", b'{"playlist": {"track": [1]}}', "has no playlist"),
        ("a.jspf", b'{"playlist": {"track": {"a": 1}}}', "has no playlist"),
        ("a.jspf", b'{"playlist": {"track": 3}}', "has no playlist"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_playlist(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none.xspf cannot be read: No such file"):
        read_playlist(tmp_path / "none.xspf")


def test_network_locations_and_other_identifiers_are_no_files(tmp_path):
    (tmp_path / "a.jspf").write_text(
        '{"playlist": {"title": "T", "track": [{"location": ["https://x/a.mp3", "b%20c.mp3"], "duration": 1500,'
        ' "identifier": ["https://musicbrainz.org/recording/1"], "title": 5, "album": null}]}}'
    )
    name, (entry,) = read_playlist(tmp_path / "a.jspf")
    assert (name, entry.file, entry.track_id, entry.title, entry.album) == ("T", tmp_path / "b c.mp3", "", "5", "")
    assert entry.duration_s == 1.5


def test_a_track_on_the_network_is_named_by_its_address():
    address = "http://host/v1/tracks/a/audio"
    entries = [
        Entry("a", "Ruhe & <b>", "Ånd\x0b", "Süd", 61.4, None, address),
        Entry("b", "أغنية", "", "", math.nan, None),
    ]
    lines = playlist_bytes(".m3u8", playlist_of("t02"), entries).decode().splitlines()
    assert any(line.startswith("#EXTINF:61,Ånd") for line in lines[: lines.index(address)])
    assert lines[-1] == "# no file: أغنية"
    root = ElementTree.fromstring(playlist_bytes(".xspf", playlist_of("t02"), entries))
    locations = [found.text for found in root.iter("{http://xspf.org/ns/0/}location")]
    assert locations == [address]
    first, second = json.loads(playlist_bytes(".jspf", playlist_of("t02"), entries))["playlist"]["track"]
    assert first["location"] == [address]
    assert "location" not in second

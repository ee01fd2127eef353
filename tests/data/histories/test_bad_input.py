import io
import json
import os
import resource
import zipfile
from pathlib import Path

import pytest

from recommender.data.histories import opening
from recommender.data.histories.json_stream import records
from recommender.data.listens import read_listens
from recommender.data.matching import TrackMatcher
from recommender.errors import DataError

LISTEN = {"listened_at": 1700000000, "track_metadata": {"artist_name": "Ola Sundby", "track_name": "Winter Ferry"}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"  \n\n", "it is empty"),
        (bytes(range(256)) * 40, "understood are ListenBrainz"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "understood are ListenBrainz"),
        (b"dear diary, today I heard a song", "understood are ListenBrainz"),
        (b"{", "ends early"),
        (b"[1, 2", "ends early"),
        (b'[{"ts": "2023', "ends early"),
        (b'{"a": nonsense}', "is not valid JSON"),
        (b'{"a" 1}', "a key is missing"),
        (b'{"a": 1} {"b": 2}', "follows after its end"),
        (b"{}", "understood are"),
        (b"[]", "understood are"),
        (b'[{"podcastName": "x", "endTime": "y"}]', "understood are"),
        (b"[" * 100_000, "nested"),
        (b'{"a": ' * 100_000, "nested"),
        (b'[{"a": ' + b"[" * 200_000, "nested too deeply|ends early"),
        (b"artist,track\na,b\nc,d", "understood are"),
        (b"artist;date\na;b", "understood are"),
        (b"<html><body>Sign in</body></html>", "understood are"),
        (b"#AUDIO", "understood are"),
        (b"SQLite format 3\0" + b"\1" * 5000, "cannot be read as a Navidrome database"),
        (b"PK\x03\x04 and then nothing", "cut short; fetch it again"),
        (b'{"subsonic-response": {"status": "failed", "error": {"code": 40, "message": "Wrong name"}}}', "Wrong name"),
        (
            b'<subsonic-response status="failed"><error code="40" message="Wrong name"/></subsonic-response>',
            "Wrong name",
        ),
        (b'<subsonic-response status="ok"><starred2><song title="x" ', "not XML to its end"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><subsonic-response>&a;</subsonic-response>', "document type"),
    ],
)
def test_what_is_no_history_is_said_in_one_sentence(
    tmp_path: Path, matcher: TrackMatcher, content: bytes, said: str
) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_listens(path, matcher)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("file", ["maloja.json", "spotify-extended.json", "listenbrainz-api.json", "subsonic.xml"])
def test_a_document_that_ends_early_is_refused_wherever_it_ends(
    tmp_path: Path, matcher: TrackMatcher, golden: Path, file: str
) -> None:
    whole = (golden / file).read_bytes().rstrip()
    for end in range(0, len(whole) - 1, 37):
        (tmp_path / "cut").write_bytes(whole[:end])
        with pytest.raises(DataError):
            read_listens(tmp_path / "cut", matcher)


def test_a_document_that_breaks_in_the_middle_says_where(tmp_path: Path, matcher: TrackMatcher) -> None:
    text = json.dumps([LISTEN] * 30)
    (tmp_path / "a.json").write_text(text[:-400])
    with pytest.raises(DataError, match=r"after entry 2\d the file ends early; export it again"):
        read_listens(tmp_path / "a.json", matcher)
    (tmp_path / "a.json").write_text(text.replace("}, {", "} {", 5).replace("} {", "}, {", 4))
    with pytest.raises(DataError, match=r"after entry 5 the file '\{' follows after entry 5, where a comma belongs"):
        read_listens(tmp_path / "a.json", matcher)


def test_records_that_lie_on_the_edge_of_the_window() -> None:
    values = [{"n": number, "text": "x" * (number % 977)} for number in range(3000)]
    for start in range(0, 40, 7):
        file = io.StringIO(" " * start + json.dumps({"head": 123456, "list": values, "tail": [[1, 22], "end"]}))
        found = list(records(file))
        assert [value for path, value in found if path == "list[]"] == values
        assert found[0] == ("head", 123456)
        assert found[-3:] == [("tail[][]", 1), ("tail[][]", 22), ("tail[]", "end")]


def test_broken_zips(tmp_path: Path, matcher: TrackMatcher, golden: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", (json.dumps(LISTEN) + "\n") * 2000)
    whole = path.read_bytes()
    for end in (1, 3, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            read_listens(path, matcher)
    path.write_bytes(whole[:60] + b"\0\1\2\3" * 5 + whole[80:])
    with pytest.raises(DataError, match=r"zip|cannot be read"):
        read_listens(path, matcher)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", whole)
        archive.writestr("photo.jpg", b"\xff\xd8\xff\0")
    with pytest.raises(DataError, match="holds no listening history"):
        read_listens(path, matcher)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, matcher: TrackMatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.json", "w") as file:
        file.write(b"[")
        for _ in range(64):
            file.write(b" " * (1 << 20))
    with pytest.raises(DataError, match="bytes, which no history does"):
        read_listens(path, matcher)
    monkeypatch.setattr(opening, "MAX_PARTS", 3)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.jsonl", json.dumps(LISTEN))
    with pytest.raises(DataError, match="holds 4 files"):
        read_listens(path, matcher)


def test_names_that_are_absurd_are_broken_entries(tmp_path: Path, matcher: TrackMatcher) -> None:
    long = json.loads(json.dumps(LISTEN))
    long["track_metadata"]["track_name"] = "x" * 5000
    lines = [LISTEN | {"listened_at": 1700000000 + second} for second in range(9)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, long]))
    _, report = read_listens(tmp_path / "a.jsonl", matcher)
    assert report.problems == ("line 10: is no listen: its title has 5000 letters",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(tmp_path: Path, matcher: TrackMatcher, encoding: str) -> None:
    text = "Artist;Titel;Title;Date\r\nOla Sundby;é;Winter Ferry;14.11.2023 22:13\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    frame, _ = read_listens(tmp_path / "a.csv", matcher)
    assert frame["item_id"].tolist() == ["ferry"]


def test_an_open_quote_does_not_swallow_the_rest_silently(tmp_path: Path, matcher: TrackMatcher) -> None:
    good = 'Ola Sundby,x,Winter Ferry,"14 Nov 2023, 22:13"\n'
    (tmp_path / "a.csv").write_text(good * 30 + 'Ola "Sundby,"x,y\n' + 'a,"' + good * 9000)
    _, report = read_listens(tmp_path / "a.csv", matcher)
    assert report.n_broken >= 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_history(tmp_path: Path, matcher: TrackMatcher) -> None:
    path = tmp_path / "large.json"
    entry = json.dumps(LISTEN | {"padding": "x" * 1000})
    with path.open("w") as file:
        file.write("[")
        for number in range(200_000):
            file.write(("," if number else "") + entry)
        file.write("]")
    assert os.path.getsize(path) > 200e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, report = read_listens(path, matcher)
    assert report.n_read == 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB

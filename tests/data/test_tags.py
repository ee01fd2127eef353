import math
from pathlib import Path, PurePosixPath

import mutagen.mp3
import mutagen.oggvorbis
import numpy as np
import pytest

from recommender.data.library import scan_music
from recommender.data.tags import AUDIO_ENDINGS, OTHER_ENDINGS, read_tags
from recommender.errors import AudioError

ENDINGS = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav")


def read(path: Path, root: Path) -> object:
    return read_tags(path, PurePosixPath(path.relative_to(root).as_posix()))


@pytest.mark.parametrize("ending", ENDINGS)
def test_tags_of_every_format(tmp_path: Path, make_audio, ending: str) -> None:
    path = make_audio(
        tmp_path / f"x{ending}",
        title="  Tïtle\none ",
        artist="Ada",
        album="First",
        date="2021-03-04",
        albumartist="Various",
    )
    tags = read(path, tmp_path)
    assert (tags.title, tags.artist, tags.album, tags.released) == ("Tïtle one", "Ada", "First", "2021-03-04")
    assert tags.duration_s == pytest.approx(0.5, abs=0.06)
    assert tags.warning == ""


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_album_artist_stands_in_for_the_artist(tmp_path: Path, make_audio, ending: str) -> None:
    path = make_audio(tmp_path / "Folder" / "Album" / f"x{ending}", albumartist="Ben", date="2019")
    tags = read(path, tmp_path)
    assert (tags.title, tags.artist, tags.album, tags.released) == ("x", "Ben", "Album", "2019")


def test_raw_aac(tmp_path: Path, make_audio) -> None:
    tags = read(make_audio(tmp_path / "Ada" / "First" / "03. Three.aac"), tmp_path)
    assert (tags.title, tags.artist, tags.album) == ("Three", "Ada", "First")
    assert tags.duration_s == pytest.approx(0.5, abs=0.2)


def test_every_ending_that_is_scanned_is_tried_here() -> None:
    assert set(AUDIO_ENDINGS) == {*ENDINGS, ".aac", ".oga", *OTHER_ENDINGS}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Ada/First/One", ("One", "Ada", "First")),
        ("Genre/Ada/First/CD 2/07 - Seven", ("Seven", "Ada", "First")),
        ("Ada/First/Ada - One", ("One", "Ada", "First")),
        ("Ada/First/Ben - One", ("Ben - One", "Ada", "First")),
        ("Ada/1-03 Three", ("Three", "Ada", "")),
        ("Downloads/Ben - Two", ("Two", "Ben", "")),
        ("Ben - Two", ("Two", "Ben", "")),
        ("Two", ("Two", "", "")),
        ("99 Luftballons", ("99 Luftballons", "", "")),
        ("Ada/First/1999", ("1999", "Ada", "First")),
        ("Ada/First/05", ("05", "Ada", "First")),
    ],
)
def test_names_from_folders(tmp_path: Path, make_audio, path: str, expected: tuple[str, str, str]) -> None:
    tags = read(make_audio(tmp_path / f"{path}.wav"), tmp_path)
    assert (tags.title, tags.artist, tags.album) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2021-03", "2021-03"),
        ("2021-03-04T10:00:00", "2021-03-04"),
        ("0000", ""),
        ("unknown", ""),
        ("2021-00-00", "2021"),
    ],
)
def test_release_dates(tmp_path: Path, make_audio, date: str, expected: str) -> None:
    assert read(make_audio(tmp_path / "x.flac", date=date), tmp_path).released == expected


def test_the_first_of_several_values_counts(tmp_path: Path, make_audio) -> None:
    path = make_audio(tmp_path / "x.ogg")
    file = mutagen.oggvorbis.OggVorbis(path)
    file["artist"] = ["", "Ada", "Ben"]
    file.save()
    assert read(path, tmp_path).artist == "Ada"


def test_names_inside_a_wav(tmp_path: Path, make_audio) -> None:
    path = make_audio(tmp_path / "x.wav")
    info = b"INFO" + b"".join(
        name + len(text).to_bytes(4, "little") + text + b"\0" * (len(text) % 2)
        for name, text in ((b"INAM", b"Caf\xe9\0"), (b"IART", "Ädа\0".encode()), (b"ICRD", b"2020\0"))
    )
    data = path.read_bytes()
    path.write_bytes(data + b"LIST" + len(info).to_bytes(4, "little") + info)
    tags = read(path, tmp_path)
    assert (tags.title, tags.artist, tags.released) == ("Café", "Ädа", "2020")


@pytest.mark.parametrize("named", ENDINGS)
def test_a_file_is_what_it_begins_with_not_what_it_is_called(tmp_path: Path, make_audio, named: str) -> None:
    for ending in ENDINGS:
        path = make_audio(tmp_path / f"x{ending}", title="Right")
        wrong = path.rename(tmp_path / f"y{named}")
        if ending == ".mp3" and named == ".flac":
            continue  # an ID3 tag before something else: only decoding can tell
        tags = read(wrong, tmp_path)
        assert (tags.title, tags.warning) == ("Right", ""), ending


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_hold_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"")
    with pytest.raises(AudioError, match=r"the file is empty \(0 bytes\)"):
        read(path, tmp_path)
    for content in (b"<html>404</html>", b"\0" * 5000, np.random.default_rng(0).bytes(70_000)):
        path.write_bytes(content)
        with pytest.raises(AudioError, match=r"holds no \w+ audio; it begins with b"):
            read(path, tmp_path)


def test_damaged_tags_before_sound_music_are_no_reason_to_drop_it(tmp_path: Path, make_audio) -> None:
    path = make_audio(tmp_path / "Ada" / "First" / "One.mp3")
    body = path.read_bytes()
    body = body[body.index(b"\xff\xfb") :]
    path.write_bytes(b"ID3\x09\x00\x00\x00\x00\x00\x0a" + b"\xfe" * 10 + body)  # a version that does not exist
    tags = read(path, tmp_path)
    assert (tags.title, tags.artist) == ("One", "Ada")
    assert tags.duration_s == pytest.approx(0.5, abs=0.06)
    assert "its tags cannot be read" in tags.warning
    scan = scan_music(tmp_path)
    assert scan.files["error"].tolist() == [""]
    assert scan.warnings[0].startswith("Ada/First/One.mp3: its tags cannot be read")


@pytest.mark.parametrize("ending", ENDINGS)
def test_damage_anywhere_is_an_error_of_its_own_or_none(tmp_path: Path, make_audio, ending: str) -> None:
    path = make_audio(tmp_path / f"x{ending}", title="Title", artist="Ada")
    data = path.read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(60):
        head = bytearray(data[: int(rng.integers(1, len(data)))] if rng.random() < 0.5 else data)
        for at in rng.integers(0, min(len(head), 400), size=int(rng.integers(1, 8))):
            head[at] = int(rng.integers(256))
        path.write_bytes(bytes(head))
        try:
            tags = read(path, tmp_path)
        except AudioError as error:
            assert str(error)  # noqa: PT017
        else:
            assert math.isnan(tags.duration_s) or tags.duration_s > 0
            assert tags.title.isprintable()


@pytest.mark.parametrize("ending", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav"])
def test_the_recordings_musicbrainz_id_as_picard_writes_it(tmp_path: Path, make_audio, ending: str) -> None:
    path, mbid = make_audio(tmp_path / f"x{ending}", title="One"), "3F0F6FF0-0A41-4F0E-8F5C-6A0E5F3A1D01"
    file = mutagen.File(path)
    if ending in (".mp3", ".wav"):
        if file.tags is None:
            file.add_tags()
        file.tags.add(mutagen.id3.UFID(owner="http://musicbrainz.org", data=mbid.encode()))
        file.tags.add(mutagen.id3.TXXX(encoding=3, desc="MusicBrainz Release Track Id", text=["0" * 36]))
    elif ending == ".m4a":
        file["----:com.apple.iTunes:MusicBrainz Track Id"] = mbid.encode()
    else:
        file["musicbrainz_trackid"] = mbid
    file.save()
    tags = read(path, tmp_path)
    assert (tags.recording_mbid, tags.title) == (mbid.lower(), "One")


def test_what_is_no_musicbrainz_id_is_none(tmp_path: Path, make_audio) -> None:
    path = make_audio(tmp_path / "x.flac", title="One")
    file = mutagen.File(path)
    file["musicbrainz_trackid"] = "unknown"
    file.save()
    assert read(path, tmp_path).recording_mbid == ""


@pytest.mark.parametrize("ending", [".mp3", ".flac", ".ogg", ".m4a"])
def test_all_genres_are_read_and_old_numbers_have_names(tmp_path: Path, make_audio, ending: str) -> None:
    path = make_audio(tmp_path / f"x{ending}", title="One")
    file = mutagen.File(path)
    if ending == ".mp3":
        if file.tags is None:
            file.add_tags()
        file.tags.add(mutagen.id3.TCON(encoding=3, text=["(17)", "Dub"]))
    else:
        file["\xa9gen" if ending == ".m4a" else "genre"] = ["Rock", "Dub"]
    file.save()
    assert read(path, tmp_path).genre == "Rock; Dub"

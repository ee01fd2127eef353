import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recommender.data import library
from recommender.data.library import FILE_COLUMNS, LibraryScan, content_hash, scan_music
from recommender.data.tables import write_table
from recommender.errors import DataError

NOT_READ = "broken: the file was read again"


def song(path: Path, content: str, mtime: int = 1_000_000_000) -> Path:
    """A file that is enough of a WAV for a scan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode().ljust(64, b"\0")
    fmt = b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    body = b"WAVE" + fmt + b"data" + len(data).to_bytes(4, "little") + data
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    os.utime(path, (mtime, mtime))
    return path


def ids(scan: LibraryScan) -> dict[str, str]:
    return dict(zip(scan.files["path"], scan.files["item_id"], strict=True))


def outcome(scan: LibraryScan) -> dict[str, tuple[object, ...]]:
    """What is not empty of the outcome."""
    names = ("added", "moved", "changed", "removed", "unchanged")
    return {name: getattr(scan, name) for name in names if getattr(scan, name)}


def error_of(scan: LibraryScan, path: str) -> str:
    return str(scan.files.set_index("path").loc[path, "error"])


def test_a_first_scan(tmp_path: Path) -> None:
    song(tmp_path / "Ada" / "First" / "02 - Two.wav", "two")
    song(tmp_path / "Ada" / "First" / "01 - One.wav", "one")
    song(tmp_path / "Ben - Solo.WAV", "solo")
    (tmp_path / "cover.jpg").write_bytes(b"x")
    (tmp_path / ".hidden.wav").write_bytes(b"x")
    (tmp_path / "._Ben - Solo.wav").write_bytes(b"x")
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "x.wav").write_bytes(b"x")
    told: list[tuple[int, int]] = []
    scan = scan_music(tmp_path, None, lambda done, total: told.append((done, total)))
    files = scan.files
    assert tuple(files.columns) == FILE_COLUMNS
    assert files["path"].tolist() == ["Ada/First/01 - One.wav", "Ada/First/02 - Two.wav", "Ben - Solo.WAV"]
    assert files["title"].tolist() == ["One", "Two", "Solo"]
    assert files["artist"].tolist() == ["Ada", "Ada", "Ben"]
    assert files["album"].tolist() == ["First", "First", ""]
    assert files["error"].tolist() == ["", "", ""]
    assert files["size"].tolist() == [108, 108, 108]
    assert files["mtime_ns"].tolist() == [10**18] * 3
    assert files["item_id"].str.fullmatch(r"t[0-9a-f]{16}").all()
    assert files["item_id"].is_unique
    assert outcome(scan) == {"added": tuple(files["path"])}
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_second_scan_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        song(tmp_path / f"{name}.wav", name)
    first = scan_music(tmp_path)

    def refuse(*_: object) -> None:
        raise AssertionError(NOT_READ)

    monkeypatch.setattr(library, "content_hash", refuse)
    monkeypatch.setattr(library, "read_tags", refuse)
    second = scan_music(tmp_path, first.files)
    assert outcome(second) == {"unchanged": ("a.wav", "b.wav", "c.wav")}
    pd.testing.assert_frame_equal(second.files, first.files)
    (tmp_path / "a.wav").touch()
    with pytest.raises(AssertionError, match=NOT_READ):
        scan_music(tmp_path, first.files)


def test_ids_stay_when_the_library_moves_and_files_are_renamed_inside(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "other" / "new"
    for name in "abcd":
        song(old / "Ada" / f"{name}.wav", name)
    first = scan_music(old)
    shutil.copytree(old, new, copy_function=shutil.copyfile)  # other times of change
    second = scan_music(new, first.files)
    assert ids(second) == ids(first)
    assert outcome(second) == {"unchanged": tuple(first.files["path"])}
    (new / "Ada").rename(new / "Ada Lovelace")
    (new / "Ada Lovelace" / "a.wav").rename(new / "z.wav")
    third = scan_music(new, second.files)
    assert outcome(third) == {
        "moved": (
            ("Ada/b.wav", "Ada Lovelace/b.wav"),
            ("Ada/c.wav", "Ada Lovelace/c.wav"),
            ("Ada/d.wav", "Ada Lovelace/d.wav"),
            ("Ada/a.wav", "z.wav"),
        )
    }
    assert ids(third)["z.wav"] == ids(first)["Ada/a.wav"]
    assert ids(third)["Ada Lovelace/c.wav"] == ids(first)["Ada/c.wav"]
    assert third.files.set_index("path").loc["Ada Lovelace/c.wav", "artist"] == "Ada Lovelace"


def test_changed_and_removed_files(tmp_path: Path) -> None:
    song(tmp_path / "a.wav", "a")
    song(tmp_path / "b.wav", "b")
    first = scan_music(tmp_path)
    song(tmp_path / "a.wav", "a with other tags", 1_000_000_001)
    (tmp_path / "b.wav").unlink()
    song(tmp_path / "c.wav", "c")
    second = scan_music(tmp_path, first.files)
    assert outcome(second) == {"added": ("c.wav",), "changed": ("a.wav",), "removed": ("b.wav",)}
    assert ids(second)["a.wav"] == ids(first)["a.wav"]
    assert second.files["content_hash"][0] != first.files["content_hash"][0]
    song(tmp_path / "d.wav", "a")  # what a.wav was before: another track now
    third = scan_music(tmp_path, second.files)
    assert outcome(third) == {"added": ("d.wav",), "unchanged": ("a.wav", "c.wav")}
    assert ids(third)["d.wav"] not in ids(second).values()


def test_a_file_of_the_same_size_is_noticed_by_its_time(tmp_path: Path) -> None:
    song(tmp_path / "a.wav", "aaa")
    first = scan_music(tmp_path)
    song(tmp_path / "a.wav", "bbb", 1_000_000_001)
    assert scan_music(tmp_path, first.files).changed == ("a.wav",)


def test_an_album_in_one_file_is_named_and_one_that_is_split_is_not(tmp_path: Path) -> None:
    whole = song(tmp_path / "Ada" / "whole.wav", "whole")
    tracks = "".join(f'  TRACK {n:02d} AUDIO\n    TITLE "x"\n    INDEX 01 00:0{n}:00\n' for n in (1, 2, 3))
    sheet = whole.with_suffix(".cue")
    sheet.write_text(f'PERFORMER "Ada"\nFILE "whole.wave" WAVE\n{tracks}', encoding="utf-8-sig")
    parts = [song(tmp_path / "Ben" / f"{n:02d}.wav", str(n)) for n in (1, 2)]
    lines = [f'FILE "{part.name}" WAVE\n  TRACK {n:02d} AUDIO\n' for n, part in enumerate(parts, 1)]
    (tmp_path / "Ben" / "split.cue").write_text("".join(lines))
    (tmp_path / "Ben" / "other.cue").write_bytes(b"\xff\xfeFILE\0" * 9)
    scan = scan_music(tmp_path)
    assert scan.warnings == ("Ada/whole.wav: 3 tracks in one file by whole.cue, taken as one; split it",)
    assert len(scan.files) == 3
    assert scan_music(tmp_path, scan.files).warnings == ()


def test_files_that_change_places(tmp_path: Path) -> None:
    song(tmp_path / "a.wav", "a")
    song(tmp_path / "b.wav", "bb", 1_000_000_002)
    first = scan_music(tmp_path)
    song(tmp_path / "a.wav", "bb", 1_000_000_003)
    song(tmp_path / "b.wav", "a", 1_000_000_004)
    second = scan_music(tmp_path, first.files)
    assert outcome(second) == {"moved": (("b.wav", "a.wav"), ("a.wav", "b.wav"))}
    assert ids(second) == {"a.wav": ids(first)["b.wav"], "b.wav": ids(first)["a.wav"]}


def test_a_file_that_makes_room_for_another(tmp_path: Path) -> None:
    song(tmp_path / "a.wav", "a")
    first = scan_music(tmp_path)
    (tmp_path / "a.wav").rename(tmp_path / "a (old).wav")
    song(tmp_path / "a.wav", "remastered", 1_000_000_001)
    second = scan_music(tmp_path, first.files)
    assert outcome(second) == {"added": ("a.wav",), "moved": (("a.wav", "a (old).wav"),)}
    assert ids(second)["a (old).wav"] == ids(first)["a.wav"] != ids(second)["a.wav"]


def test_identical_files_are_one_track_until_one_changes(tmp_path: Path) -> None:
    song(tmp_path / "a.wav", "same")
    first = scan_music(tmp_path)
    song(tmp_path / "copy" / "b.wav", "same")
    second = scan_music(tmp_path, first.files)
    assert len(set(ids(second).values())) == 1
    assert second.duplicates == (("copy/b.wav", "a.wav"),)
    assert outcome(second) == {"added": ("copy/b.wav",), "unchanged": ("a.wav",)}
    song(tmp_path / "copy" / "b.wav", "same, edited", 1_000_000_001)
    third = scan_music(tmp_path, second.files)
    assert ids(third)["a.wav"] == ids(first)["a.wav"] != ids(third)["copy/b.wav"]
    assert third.duplicates == ()
    shutil.copy2(tmp_path / "a.wav", tmp_path / "copy" / "b.wav")
    fourth = scan_music(tmp_path, third.files)
    assert len(set(ids(fourth).values())) == 1


def test_removing_the_first_of_two_copies_keeps_the_track(tmp_path: Path) -> None:
    song(tmp_path / "a.wav", "same")
    song(tmp_path / "b.wav", "same")
    first = scan_music(tmp_path)
    (tmp_path / "a.wav").unlink()
    second = scan_music(tmp_path, first.files)
    assert outcome(second) == {"removed": ("a.wav",), "unchanged": ("b.wav",)}
    assert ids(second)["b.wav"] == ids(first)["a.wav"]


def test_links_in_a_circle_and_links_to_nothing(tmp_path: Path) -> None:
    music, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    song(music / "b" / "real.wav", "real")
    song(elsewhere / "far.wav", "far")
    (music / "b" / "up").symlink_to(music)
    (music / "a link").symlink_to(music / "b")
    (music / "more").symlink_to(elsewhere)
    (music / "self").symlink_to(music / "self")
    (music / "self.wav").symlink_to(music / "self.wav")
    (music / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    (music / "linked.wav").symlink_to(elsewhere / "far.wav")
    scan = scan_music(music)
    assert scan.files["path"].tolist() == ["b/real.wav", "gone.wav", "linked.wav", "more/far.wav", "self.wav"]
    assert error_of(scan, "gone.wav") == "is a link to nothing"
    assert error_of(scan, "self.wav") != ""
    assert error_of(scan, "b/real.wav") == ""
    assert ids(scan)["linked.wav"] == ids(scan)["more/far.wav"]
    assert scan_music(music, scan.files).files.equals(scan.files)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")  # reading it would wait forever
    (tmp_path / "folder.mp3").mkdir()
    song(tmp_path / "folder.mp3" / "x.wav", "x")
    scan = scan_music(tmp_path)
    assert error_of(scan, "pipe.mp3") == "is no plain file"
    assert error_of(scan, "folder.mp3/x.wav") == ""


def test_a_file_that_cannot_be_read_keeps_its_id_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song(tmp_path / "a.wav", "a")
    song(tmp_path / "b.wav", "b")
    first = scan_music(tmp_path)
    (tmp_path / "a.wav").touch()

    def denied(path: Path) -> str:
        if path.name in ("a.wav", "new.wav"):
            raise PermissionError(13, "Permission denied", str(path))
        return content_hash(path)

    monkeypatch.setattr(library, "content_hash", denied)
    song(tmp_path / "new.wav", "new")
    second = scan_music(tmp_path, first.files)
    assert error_of(second, "a.wav") == "cannot be read: Permission denied"
    assert ids(second)["a.wav"] == ids(first)["a.wav"]
    assert error_of(second, "b.wav") == ""
    monkeypatch.undo()
    third = scan_music(tmp_path, second.files)
    assert third.files["error"].tolist() == ["", "", ""]
    assert ids(third) == ids(second)
    assert set(third.unchanged) | set(third.changed) == set(ids(third))


def test_a_folder_that_cannot_be_listed_is_not_a_folder_of_removed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song(tmp_path / "a" / "x.wav", "x")
    song(tmp_path / "b" / "y.wav", "y")
    first = scan_music(tmp_path)
    scandir = os.scandir

    def denied(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    second = scan_music(tmp_path, first.files)
    assert second.removed == ()
    assert ids(second) == ids(first)
    assert second.warnings == ("a/: the folder cannot be listed: Permission denied",)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    song(tmp_path / "fine ü.wav", "x")
    shutil.copy(tmp_path / "fine ü.wav", os.fsencode(tmp_path) + b"/caf\xe9.wav")
    scan = scan_music(tmp_path)
    assert scan.files["path"].tolist() == ["caf\\xe9.wav", "fine ü.wav"]
    assert error_of(scan, "caf\\xe9.wav") == "its name is not UTF-8; rename it"
    write_table(tmp_path / "files.parquet", scan.files)
    assert ids(scan_music(tmp_path, scan.files)) == ids(scan)


def test_the_table_survives_a_file(tmp_path: Path) -> None:
    song(tmp_path / "music" / "a.wav", "a")
    (tmp_path / "music" / "bad.wav").write_bytes(b"")
    first = scan_music(tmp_path / "music")
    write_table(tmp_path / "files.parquet", first.files)
    stored = pd.read_parquet(tmp_path / "files.parquet")
    second = scan_music(tmp_path / "music", stored)
    assert outcome(second) == {"unchanged": ("a.wav", "bad.wav")}
    pd.testing.assert_frame_equal(second.files, first.files)


def test_an_empty_folder_no_folder_and_a_foreign_table(tmp_path: Path) -> None:
    scan = scan_music(tmp_path)
    assert len(scan.files) == 0
    assert scan.files.dtypes.astype(str).to_dict() == dict.fromkeys(FILE_COLUMNS, "str") | {
        "size": "int64",
        "mtime_ns": "int64",
        "duration_s": "float64",
    }
    assert outcome(scan_music(tmp_path, scan.files)) == {}
    with pytest.raises(DataError, match="cannot be listed as a folder of music: No such file"):
        scan_music(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be listed as a folder of music: Not a directory"):
        scan_music(tmp_path / "file")
    with pytest.raises(DataError, match="has no column 'item_id'"):
        scan_music(tmp_path, pd.DataFrame({"path": ["x"]}))


def test_content_hash_sees_the_size_and_the_first_the_middle_and_the_last_part(tmp_path: Path) -> None:
    path = tmp_path / "x"
    data = np.random.default_rng(0).bytes(1_000_000)
    path.write_bytes(data)
    whole = content_hash(path)
    assert len(whole) == 32
    for at in (0, 65_535, 500_000, 999_999):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert content_hash(path) != whole, at
    path.write_bytes(data + b"x")
    assert content_hash(path) != whole
    path.write_bytes(data)
    assert content_hash(path) == whole
    path.write_bytes(b"")
    assert content_hash(path) != whole


NAMES = st.sampled_from(["a.wav", "b.wav", "c/a.wav", "c/d.wav"])
WORLDS = st.dictionaries(NAMES, st.sampled_from(["one", "two", "three"]), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORLDS, min_size=2, max_size=4))
def test_whatever_happens_a_content_has_one_id_and_a_file_one_outcome(
    tmp_path_factory: pytest.TempPathFactory, worlds: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("music")
    known: pd.DataFrame | None = None
    clock = 1_000_000_000
    before: dict[str, str] = {}
    for world in worlds:
        for path in set(before) - set(world):
            (folder / path).unlink()
        for path, content in world.items():
            if before.get(path) != content:
                clock += 1
                song(folder / path, content, clock)
        scan = scan_music(folder, known)
        files = scan.files
        assert files["path"].tolist() == sorted(world)
        assert files.groupby("content_hash")["item_id"].nunique().le(1).all()
        assert files.groupby("item_id")["content_hash"].nunique().le(1).all()
        parts = [*scan.added, *scan.changed, *scan.unchanged, *(new for _, new in scan.moved)]
        assert sorted(parts) == sorted(world)
        for path in world:
            if before.get(path) == world[path]:
                assert path in scan.unchanged
                assert known is not None
                assert ids(scan)[path] == dict(zip(known["path"], known["item_id"], strict=True))[path]
        parts = [*scan.changed, *scan.unchanged, *scan.removed, *(old for old, _ in scan.moved)]
        assert sorted(parts) == sorted(before)
        before, known = world, files


@pytest.mark.real
def test_the_real_folder(shared_dir: Path) -> None:
    scan = scan_music(shared_dir / "music")
    files = scan.files.set_index("path")
    good = files[~files.index.str.startswith("broken/")]
    assert len(good) == 102
    assert (good["error"] == "").all()
    assert good["artist"].nunique() == 29
    assert good["item_id"].is_unique
    assert good["duration_s"].between(31, 46).all()
    known = pd.read_csv(shared_dir / "music" / "ATTRIBUTION.csv").set_index("file")
    for column in ("title", "artist", "album"):
        assert good[column].to_dict() == known.loc[good.index, column].to_dict()
    again = scan_music(shared_dir / "music", scan.files)
    assert len(again.unchanged) == len(files)
    pd.testing.assert_frame_equal(again.files, scan.files)


@pytest.mark.real
def test_the_real_broken_files(shared_dir: Path) -> None:
    """Four hold no audio that tags could tell of; what is wrong with the others only decoding can find out."""
    scan = scan_music(shared_dir / "music" / "broken")
    errors = dict(zip(scan.files["path"], scan.files["error"], strict=True))
    assert errors.pop("empty.mp3") == "the file is empty (0 bytes)"
    assert errors.pop("header only.wav") == "has a WAV header and no audio after it"
    assert errors.pop("not music.ogg").startswith("holds no OGG audio; it begins with b'")
    assert errors.pop("random bytes.mp3").startswith("holds no MP3 audio; it begins with b'")
    assert errors == dict.fromkeys(["blip.ogg", "damaged.flac", "silence.opus", "truncated.mp3"], "")

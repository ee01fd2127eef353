import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recommender.data import storage
from recommender.data.storage import atomic_path, digest_of, load_arrays, read_json, save_arrays, write_json
from recommender.errors import ArtifactError, VersionError

ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "rows": np.array([3, 1], dtype=np.int32)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "x.txt") as part:
        assert part.suffix == ".txt"
        assert part.parent == tmp_path / "deep"
        part.write_text("whole")
        assert not (tmp_path / "deep" / "x.txt").exists()
    assert names(tmp_path / "deep") == ["x.txt"]
    assert (tmp_path / "deep" / "x.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_after_an_error_the_old_content_is_there_and_no_part(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_path(path) as part:
            part.write_text("half of the ne")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x.txt"]


def test_a_full_disk_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_arrays(tmp_path / "x.safetensors", "factors", "v1", ARRAYS)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_arrays(tmp_path / "x.safetensors", "factors", "v2", {"x": np.zeros(3)})
    monkeypatch.undo()
    assert load_arrays(tmp_path / "x.safetensors", "factors", "v1")[0]["rows"].tolist() == [3, 1]
    assert names(tmp_path) == ["x.safetensors"]


def test_an_error_of_the_flush_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, [1])

    def broken_disk(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken_disk)
    with pytest.raises(OSError, match="Input/output"):
        write_json(path, [2])
    monkeypatch.undo()
    assert read_json(path) == [1]
    assert names(tmp_path) == ["x.json"]


def test_content_is_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that a crash of the machine needs: flush the file, rename it, flush the folder."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(handle: int) -> None:
        events.append("fsync " + Path(os.readlink(f"/proc/self/fd/{handle}")).name[:6])
        fsync(handle)

    def note_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to tell which file was flushed")
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    folder = tmp_path / "folder"
    write_json(folder / "x.json", 1)
    assert events == ["fsync .part-", "rename", "fsync folder"]


def test_a_kill_in_the_middle_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, "old")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom recommender.data.storage import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert read_json(path) == "old"
    write_json(path, "new")  # what the kill left behind is in nobody's way
    assert read_json(path) == "new"


def test_files_get_the_rights_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "x.json", 1)
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o640


def test_json_there_and_back_and_what_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"title": "Ünïcode", "n": [1, 2.5, None]})
    assert read_json(path) == {"title": "Ünïcode", "n": [1, 2.5, None]}
    assert "Ünïcode" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert read_json(path)["n"] == [1, 2.5, None]
    with pytest.raises(ArtifactError, match="absent is missing"):
        read_json(tmp_path / "absent")
    for damaged in (b'{"a": 1', b"", b"\xff\xfe\x00"):
        path.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"x\.json cannot be read as JSON"):
            read_json(path)


def test_arrays_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    transposed = np.arange(6, dtype=np.float64).reshape(2, 3).T  # not contiguous
    save_arrays(
        path, "factors", "v1", {**ARRAYS, "t": transposed, "none": np.empty((0, 4)), "one": np.float32(3)}, {"k": [1]}
    )
    arrays, metadata = load_arrays(path, "factors", "v1")
    assert metadata == {"k": [1]}
    np.testing.assert_array_equal(arrays["x"], ARRAYS["x"])
    np.testing.assert_array_equal(arrays["t"], transposed)
    assert arrays["rows"].dtype == np.int32
    assert arrays["none"].shape == (0, 4)
    assert arrays["one"].shape == ()
    assert load_arrays(path, "factors", None)[1] == {"k": [1]}


def test_two_versions_are_both_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_arrays(path, "factors", "2024-05-01-aa", ARRAYS)
    with pytest.raises(VersionError, match="version '2024-05-01-aa', expected '2024-06-01-bb'"):
        load_arrays(path, "factors", "2024-06-01-bb")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_arrays(path, "factors", "v1", ARRAYS)
    with pytest.raises(ArtifactError, match="holds 'factors', expected 'embeddings'"):
        load_arrays(path, "embeddings", "v1")


@pytest.mark.parametrize("damage", ["empty", "cut", "head", "text", "bit", "no header"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.safetensors"
    save_arrays(path, "factors", "v1", ARRAYS)
    data = path.read_bytes()
    if damage == "no header":
        from safetensors.numpy import save_file

        save_file(ARRAYS, path)
    else:
        path.write_bytes(
            {
                "empty": b"",
                "cut": data[:-5],
                "head": b"\xff" * 20 + data[20:],
                "text": b"not arrays at all",
                "bit": data[:-3] + b"\x01" + data[-2:],
            }[damage]
        )
    with pytest.raises(ArtifactError, match=r"x\.safetensors"):
        load_arrays(path, "factors", "v1")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"x\.safetensors is missing"):
        load_arrays(tmp_path / "x.safetensors", "factors", None)
    with pytest.raises(ArtifactError, match="is damaged"):
        load_arrays(tmp_path, "factors", None)


def test_a_header_without_metadata_json_is_damaged(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    save_file(ARRAYS, path, metadata={"kind": "factors", "version": "v1", "metadata": "{"})
    with pytest.raises(ArtifactError, match="is damaged"):
        load_arrays(path, "factors", "v1")
    save_file(ARRAYS, path, metadata={"kind": "factors", "metadata": json.dumps(None)})
    with pytest.raises(ArtifactError, match="is damaged"):
        load_arrays(path, "factors", "v1")


def test_digests_tell_content_shape_and_type_apart() -> None:
    x = np.arange(6, dtype=np.float32)
    different = [
        x,
        x.reshape(2, 3),
        x.astype(np.float64),
        x + 1,
        np.array(["a", "bc"], object),
        np.array(["ab", "c"], object),
    ]
    assert len({digest_of(array) for array in different}) == len(different)
    assert digest_of(x) == digest_of(x.copy())
    assert digest_of(x.reshape(2, 3).T) == digest_of(np.ascontiguousarray(x.reshape(2, 3).T))
    assert digest_of(x, x) != digest_of(x)

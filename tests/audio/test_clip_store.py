import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender.audio.clip_store import ClipStore
from recommender.audio.clips import ClipConfig, TrackClips
from recommender.audio.mel import MelConfig
from recommender.audio.signatures import Signature
from recommender.data.storage import load_arrays, save_arrays
from recommender.errors import ArtifactError, DataError

CONFIG = ClipConfig(clip_s=1.0, mel=MelConfig(n_mels=8))


def track(seed: int, n_clips: int = 2, *warnings: str) -> TrackClips:
    mels = np.random.default_rng(seed).integers(0, 256, (n_clips, 8, CONFIG.n_frames), dtype=np.uint8)
    return TrackClips(mels, np.arange(n_clips, dtype=np.float32) + seed, 100.0 + seed, warnings)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    store = ClipStore(tmp_path / "clips", CONFIG)
    store.append([("aa", track(1, 3)), ("bb", track(2, 1, "damaged: 1.00 s"))])
    store.append([("cc", track(3, 2))])
    return store


def test_an_empty_store_needs_no_folder(tmp_path: Path) -> None:
    store = ClipStore(tmp_path / "clips", CONFIG)
    assert store.keys() == set()
    assert store.failures() == {}
    assert len(store.load({})) == 0
    store.append([])
    assert not (tmp_path / "clips").exists()


def test_a_table_has_the_tracks_that_were_asked_for_in_their_order(store: ClipStore) -> None:
    clips = store.load({"three": "cc", "one": "aa", "again": "cc"})
    assert clips.tracks.ids == ("three", "one", "again")
    assert clips.clip_tracks.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert clips.clip_tracks.dtype == np.int32
    assert clips.starts_s.tolist() == [3, 4, 1, 2, 3, 3, 4]
    np.testing.assert_array_equal(clips.mels, np.concatenate([track(3, 2).mels, track(1, 3).mels, track(3, 2).mels]))


def test_another_process_finds_everything(store: ClipStore, tmp_path: Path) -> None:
    store.add_failures({"xx": "silent"})
    other = ClipStore(tmp_path / "clips", CONFIG)
    assert other.keys() == {"aa", "bb", "cc"}
    assert other.failures() == {"xx": "silent"}
    assert other.warnings() == {"bb": ("damaged: 1.00 s",)}
    found = other.get("bb")
    np.testing.assert_array_equal(found.mels, track(2, 1).mels)
    assert found.duration_s == 102.0
    assert found.warnings == ("damaged: 1.00 s",)
    store.append([("dd", track(4))])
    assert other.keys() == {"aa", "bb", "cc", "dd"}
    np.testing.assert_array_equal(other.get("dd").mels, track(4).mels)


def test_a_key_that_is_written_again_is_replaced(store: ClipStore) -> None:
    store.keys()
    store.append([("aa", track(9, 1))])
    assert store.get("aa").starts_s.tolist() == [9]
    assert len(store.load({"x": "aa"})) == 1
    assert ClipStore(store.folder.parent, CONFIG).get("aa").duration_s == 109.0


def test_failures_add_up_until_they_are_forgotten(store: ClipStore) -> None:
    store.add_failures({"xx": "silent"})
    store.add_failures({"yy": "0 bytes", "xx": "still silent"})
    assert store.failures() == {"xx": "still silent", "yy": "0 bytes"}
    store.forget_failures()
    store.forget_failures()
    assert store.failures() == {}


def test_other_settings_see_none_of_it_and_leave_it_alone(store: ClipStore) -> None:
    other = ClipStore(store.folder.parent, ClipConfig(clip_s=2.0, mel=MelConfig(n_mels=8)))
    assert other.keys() == set()
    assert other.version != store.version
    with pytest.raises(DataError, match="no clips are stored of content aa; run: firstlisten analyse"):
        other.get("aa")
    assert ClipStore(store.folder.parent, CONFIG).keys() == {"aa", "bb", "cc"}


def test_clips_of_other_settings_are_refused(store: ClipStore) -> None:
    wrong = TrackClips(np.zeros((1, 9, CONFIG.n_frames), np.uint8), np.zeros(1, np.float32), 1.0, ())
    with pytest.raises(DataError, match=r"clips of ee have shape \(1, 9, 44\)"):
        store.append([("dd", track(4)), ("ee", wrong)])
    assert store.keys() == {"aa", "bb", "cc"}


def test_a_missing_track_is_named(store: ClipStore) -> None:
    with pytest.raises(DataError, match="no clips are stored of content zz"):
        store.load({"one": "aa", "nothing": "zz"})


def test_half_written_shards_do_no_harm_and_are_cleared_away(store: ClipStore) -> None:
    half = store.folder / ".part-abc.safetensors"
    half.write_bytes(b"\x10\x00")
    store = ClipStore(store.folder.parent, CONFIG)
    assert store.keys() == {"aa", "bb", "cc"}
    assert half.exists(), "a reader must not remove what a writer is writing"
    store.append([("dd", track(4))])
    assert not half.exists()
    assert len(store.keys()) == 4


def test_a_full_disk_costs_only_the_shard_in_hand(store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recommender.data.storage.save_file", full)
        with pytest.raises(ArtifactError, match=r"shard-000002.* cannot be written: .*No space left.*make room"):
            store.append([("dd", track(4))])
    store.append([("ee", track(5))])
    assert ClipStore(store.folder.parent, CONFIG).keys() == {"aa", "bb", "cc", "ee"}
    assert not list(store.folder.glob(".part-*"))


def test_a_damaged_shard_says_what_to_do_and_doing_it_helps(store: ClipStore) -> None:
    first, _ = sorted(store.folder.glob("shard-*"))
    first.write_bytes(first.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match=r"shard-000000.* is damaged.*delete it and run firstlisten analyse"):
        ClipStore(store.folder.parent, CONFIG).keys()
    first.unlink()
    again = ClipStore(store.folder.parent, CONFIG)
    assert again.keys() == {"cc"}
    again.append([("aa", track(1))])
    assert again.keys() == {"aa", "cc"}


def test_a_shard_from_elsewhere_is_refused(store: ClipStore) -> None:
    other = ClipStore(store.folder.parent, ClipConfig(clip_s=2.0, mel=MelConfig(n_mels=8)))
    shutil.copytree(store.folder, other.folder)
    with pytest.raises(ArtifactError, match=f"expected clips of {other.version}"):
        other.keys()


def test_signatures_are_kept_and_what_was_stored_before_them_still_loads(store: ClipStore) -> None:
    signature = Signature(120.5, 0.8, 60.25, 9, "minor", 0.5, -14.1, 0.9, 2000.7, 0.9, 4.0, 0.8, 0.7, 0.95)
    store.append([("dd", replace(track(4), signature=signature)), ("ee", track(5))])
    first = sorted(store.folder.glob("shard-*"))[0]
    arrays, metadata = load_arrays(first, "clips", store.version)
    for row in metadata["tracks"]:
        del row["signature"]
    save_arrays(first, "clips", store.version, arrays, json.loads(json.dumps(metadata)))
    other = ClipStore(store.folder.parent, CONFIG)
    assert other.signatures({"old": "aa", "new": "dd", "without": "ee", "unknown": "zz"}) == {"new": signature}
    assert other.get("dd").signature == signature
    assert other.get("aa").signature is None

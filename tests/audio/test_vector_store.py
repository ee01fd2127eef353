from pathlib import Path

import numpy as np
import pytest

from recommender.audio.vector_store import ClipVectors, VectorStore, forget_others
from recommender.errors import ArtifactError, DataError


def heard(seed: int, n_clips: int = 2) -> ClipVectors:
    vectors = np.random.default_rng(seed).normal(size=(n_clips, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ClipVectors(vectors, np.arange(n_clips, dtype=np.float32) + seed)


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    store = VectorStore(tmp_path, "cnn-1", "clips-1")
    store.append([("aa", heard(1, 3)), ("bb", heard(2, 1))])
    store.append([("cc", heard(3))])
    return store


def test_tracks_come_back_in_the_order_that_was_asked_for(store: VectorStore, tmp_path: Path) -> None:
    other = VectorStore(tmp_path, "cnn-1", "clips-1")
    assert other.keys() == {"aa", "bb", "cc"}
    found = other.load({"three": "cc", "one": "aa", "again": "cc"})
    assert found.tracks.ids == ("three", "one", "again")
    assert found.version == "cnn-1"
    assert found.clip_tracks.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert found.clip_starts_s.tolist() == [3, 4, 1, 2, 3, 3, 4]
    np.testing.assert_array_equal(found.clip_vectors[2:5], heard(1, 3).vectors)
    mean = heard(1, 3).vectors.sum(axis=0)
    np.testing.assert_allclose(found.vectors[1], mean / np.linalg.norm(mean), rtol=1e-5)


def test_a_key_that_is_written_again_is_replaced(store: VectorStore) -> None:
    store.append([("aa", heard(9))])
    np.testing.assert_array_equal(store.load({"one": "aa"}).clip_vectors, heard(9).vectors)


def test_networks_and_clips_do_not_mix(store: VectorStore, tmp_path: Path) -> None:
    newer, longer = VectorStore(tmp_path, "cnn-2", "clips-1"), VectorStore(tmp_path, "cnn-1", "clips-2")
    assert newer.keys() == longer.keys() == set()
    newer.append([("aa", heard(5))])
    assert store.keys() == {"aa", "bb", "cc"}
    forget_others(tmp_path, {"cnn-2"})
    assert VectorStore(tmp_path, "cnn-1", "clips-1").keys() == set()
    assert VectorStore(tmp_path, "cnn-2", "clips-1").keys() == {"aa"}
    forget_others(tmp_path / "not there", set())


def test_what_is_not_there_or_damaged_is_named(store: VectorStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 tracks have no vectors of cnn-1; run: firstlisten analyse"):
        store.load({"one": "aa", "x": "xx"})
    with pytest.raises(DataError, match="no track"):
        store.load({})
    shard = store.folder / "shard-000000.safetensors"
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.raises(ArtifactError, match=r"shard-000000\.safetensors is damaged"):
        VectorStore(tmp_path, "cnn-1", "clips-1").keys()

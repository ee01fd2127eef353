from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recommender.data.datasets import read_dataset
from recommender.errors import DataError

LISTENS = {
    "uid": ([10, 10, 10, 10, 20, 20], pa.uint32()),
    "timestamp": ([5, 100, 200, 300, 0, 86400], pa.uint32()),
    "item_id": ([7, 7, 7, 8, 8, 9_390_000], pa.uint32()),
    "is_organic": ([1, 0, 1, 1, 1, 0], pa.uint8()),
    "played_ratio_pct": ([3, 50, 120, 49, 100, 90], pa.uint16()),
    "track_length_seconds": ([200, 200, 200, 180, 180, 60], pa.uint32()),
}


def write(path: Path, columns: dict[str, tuple[list[object], pa.DataType]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: pa.array(values, kind) for name, (values, kind) in columns.items()}), path)


def events(*rows: tuple[int, int, int]) -> dict[str, tuple[list[object], pa.DataType]]:
    columns = list(zip(*rows, strict=True))
    named = dict(zip(("uid", "timestamp", "item_id"), columns, strict=True))
    return {name: (list(values), pa.uint32()) for name, values in named.items()} | {
        "is_organic": ([1] * len(rows), pa.uint8())
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "flat" / "50m" / "listens.parquet", LISTENS)
    vectors = [[3.0, 4.0], [0.0, 2.0], [1.0, 1.0]]
    unit = [(np.array(v) / np.linalg.norm(v)).tolist() for v in vectors]
    kind = pa.list_(pa.float64())
    columns = {"item_id": ([8, 5, 7], pa.uint32()), "embed": (vectors, kind), "normalized_embed": (unit, kind)}
    write(tmp_path / "embeddings.parquet", columns)
    mapping = {"artist_id": ([4, 9, 4], pa.uint32()), "item_id": ([7, 7, 8], pa.uint32())}
    write(tmp_path / "artist_item_mapping.parquet", mapping)
    return tmp_path


def plays_of(folder: Path) -> dict[tuple[str, str], tuple[float, int]]:
    plays = read_dataset("yambda", folder).plays
    seconds = plays["timestamp"].to_numpy().astype("datetime64[s]").view(np.int64)
    rows = zip(plays["user_id"], plays["item_id"], plays["weight"], seconds.tolist(), strict=True)
    return {(user, item): (weight, time) for user, item, weight, time in rows}


def test_a_listen_of_half_a_track_is_a_play_and_a_shorter_one_a_skip(root):
    assert plays_of(root) == {
        ("10", "7"): (2, 100),  # the skip at 5 is no play: the first play counts
        ("10", "8"): (0, 300),
        ("20", "8"): (1, 0),
        ("20", "9390000"): (1, 86400),
    }


@pytest.mark.parametrize("place", [".", "flat/50m"])
def test_tracks_and_sound_are_found_from_the_root_and_from_a_size(root, place):
    tables = read_dataset("yambda", root / place)
    tracks = tables.tracks.set_index("item_id")
    assert tracks["duration_s"].to_dict() == {"7": 200, "8": 180, "9390000": 60}
    assert tracks["artist"].to_dict() == {"7": "artist 4", "8": "artist 4", "9390000": ""}
    ids, vectors = tables.embeddings
    assert ids == ["7", "8"]  # track 5 is in no listen
    np.testing.assert_allclose(vectors, [[0.5**0.5] * 2, [0.6, 0.8]], rtol=1e-6)
    assert [(report.path.name, report.rows_used) for report in tables.reports] == [
        ("listens.parquet", 6), ("embeddings.parquet", 2), ("artist_item_mapping.parquet", 3),
    ]  # fmt: skip
    assert "1970-01-01" in tables.notes[0]


def test_likes_count_and_dislikes_make_a_skip_until_taken_back(root):
    size = root / "flat" / "50m"
    write(size / "likes.parquet", events((10, 400, 7), (20, 400, 5), (20, 10, 6), (20, 500, 8)))
    write(size / "unlikes.parquet", events((20, 20, 6), (20, 450, 8), (10, 300, 7)))
    write(size / "dislikes.parquet", events((20, 600, 8), (10, 700, 7), (10, 900, 99)))
    write(size / "undislikes.parquet", events((10, 800, 7)))
    plays = plays_of(root)
    assert plays[("10", "7")] == (3, 100)
    assert plays[("20", "5")] == (1, 400)
    assert ("20", "6") not in plays
    assert plays[("20", "8")][0] == 0
    assert plays[("10", "99")] == (0, 900)


def test_embeddings_alone(root):
    tables = read_dataset("yambda", root / "embeddings.parquet")
    assert tables.plays is None
    assert tables.embeddings[0] == ["5", "7", "8"]
    assert tables.tracks["item_id"].tolist() == ["5", "7", "8"]
    assert tables.notes == ()


def test_rows_with_holes_are_named(root):
    listens = {name: (values * 2, kind) for name, (values, kind) in LISTENS.items()}
    listens["played_ratio_pct"][0][8] = None
    write(root / "flat" / "50m" / "listens.parquet", listens)
    (report, *_) = read_dataset("yambda", root).reports
    assert (report.rows_read, report.rows_used) == (12, 11)
    assert report.problems == ("row 9: played_ratio_pct is empty",)


def test_two_sizes_and_other_files_are_told_apart(root):
    write(root / "flat" / "500m" / "listens.parquet", LISTENS)
    with pytest.raises(DataError, match=r"several files listens.parquet: .*give the folder of one of them"):
        read_dataset("yambda", root)
    sequential = {"uid": ([10], pa.uint32()), "item_ids": ([[7, 8]], pa.list_(pa.uint32()))}
    write(root / "sequential" / "50m" / "listens.parquet", sequential)
    with pytest.raises(
        DataError, match=r"listens.parquet has no column item_id and .*found uid, item_ids; expected the"
    ):
        read_dataset("yambda", root / "sequential" / "50m")
    (root / "flat" / "50m" / "listens.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"listens.parquet cannot be read as Parquet"):
        read_dataset("yambda", root / "flat" / "50m")


def test_times_stay_in_order(root):
    plays = read_dataset("yambda", root).plays
    assert plays["timestamp"].max() - plays["timestamp"].min() == pd.Timedelta(days=1)

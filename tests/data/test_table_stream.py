import pandas as pd
import pytest

from recommender.data.table_stream import write_frames
from recommender.errors import DataError

FRAMES = [
    pd.DataFrame({"user_id": ["ü", "b"], "rank": [1, 2], "score": [0.5, 0.25]}),
    pd.DataFrame({"user_id": ["c"], "rank": [1], "score": [0.125]}),
]
READERS = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.mark.parametrize("ending", READERS)
def test_frames_come_back_as_one_table(tmp_path, ending):
    path = tmp_path / f"lists{ending}"
    assert write_frames(path, iter(FRAMES)) == 3
    expected = pd.concat(FRAMES, ignore_index=True)
    pd.testing.assert_frame_equal(READERS[ending](path), expected, check_dtype=False)


@pytest.mark.parametrize("ending", READERS)
def test_an_error_half_way_leaves_the_old_file(tmp_path, ending):
    path = tmp_path / f"lists{ending}"
    path.write_text("old")

    def broken():
        yield FRAMES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_frames(path, broken())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_unknown_ending_is_refused_before_any_work(tmp_path):
    with pytest.raises(DataError, match=r"'\.txt' is none"):
        write_frames(tmp_path / "lists.txt", (pytest.fail("asked for a frame") for _ in range(1)))

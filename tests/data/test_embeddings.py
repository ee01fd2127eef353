import numpy as np
import pytest

from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError

TRACKS = Vocabulary("track", ("a", "b", "c"))
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_vectors_are_laid_out_in_another_vocabulary() -> None:
    embeddings = Embeddings.without_clips(TRACKS, VECTORS, "v1")
    vectors, has = embeddings.of(Vocabulary("track", ("c", "x", "a")))
    np.testing.assert_array_equal(vectors, [[4, 5], [0, 0], [0, 1]])
    assert has.tolist() == [True, False, True]
    assert vectors.dtype == np.float32
    assert embeddings.dim == 2


def test_no_track_in_common() -> None:
    vectors, has = Embeddings.without_clips(TRACKS, VECTORS, "v1").of(Vocabulary("track", ("x",)))
    assert vectors.tolist() == [[0, 0]]
    assert not has.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_names_its_track(bad: float) -> None:
    vectors = VECTORS.copy()
    vectors[1, 0] = bad
    with pytest.raises(DataError, match="track 'b' holds NaN or infinity"):
        Embeddings.without_clips(TRACKS, vectors, "v1")


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 2\) for 3 tracks"):
        Embeddings.without_clips(TRACKS, VECTORS[:2], "v1")
    with pytest.raises(DataError, match=r"shape \(6,\) for 3 tracks"):
        Embeddings.without_clips(TRACKS, VECTORS.ravel(), "v1")
    starts, rows = np.zeros(4, np.float32), np.zeros(4, np.int32)
    with pytest.raises(DataError, match=r"clip vectors of shape \(4, 3\) do not fit"):
        Embeddings(TRACKS, VECTORS, np.zeros((4, 3), np.float32), rows, starts, "v1")
    with pytest.raises(DataError, match="do not fit"):
        Embeddings(TRACKS, VECTORS, np.zeros((4, 2), np.float32), rows[:3], starts, "v1")

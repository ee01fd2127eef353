import numpy as np
import pytest

from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ModelError
from recommender.ranking.sound import (
    place_sound,
    query_of_row,
    query_of_vector,
    similar_tracks,
    to_unit,
)

TRACKS = Vocabulary("track", ("a", "b", "c", "d", "e"))


def embed(ids, vectors, clips=(), clip_tracks=(), starts_s=()):
    vectors = np.asarray(vectors, dtype=np.float32)
    clips = np.asarray(clips, dtype=np.float32).reshape(-1, vectors.shape[1])
    tracks = Vocabulary("track", tuple(ids))
    return Embeddings(tracks, vectors, clips, np.array(clip_tracks, np.int32), np.array(starts_s, np.float32), "v")


def test_descriptors_of_several_units_are_standardised():
    """By hand: loudness -10, -20, -30 dB and tempo 100, 200, 300 bpm count alike."""
    space = place_sound(embed("bca", [[-10, 100], [-20, 200], [-30, 300]]), TRACKS)
    np.testing.assert_allclose(space.center, [-20, 200])
    np.testing.assert_allclose(space.spread, np.array([10, 100]) * np.sqrt(2 / 3), rtol=1e-6)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(space.vectors, [[-half, half], [half, -half], [0, 0], [0, 0], [0, 0]], atol=1e-6)
    np.testing.assert_array_equal(space.has_vector, [True, True, True, False, False])


def test_unit_vectors_are_only_centred():
    space = place_sound(embed("ab", [[1, 0], [0, 1]]), TRACKS)
    np.testing.assert_allclose(space.center, [0.5, 0.5])
    np.testing.assert_allclose(space.spread, [1, 1])


def test_a_dimension_that_never_varies_does_no_harm():
    space = place_sound(embed("abc", [[1, 7], [2, 7], [4, 7]]), TRACKS)
    assert np.isfinite(space.vectors).all()
    assert space.vectors[0, 1] == 0


def test_one_track_alone():
    space = place_sound(embed("a", [[3, 4]]), TRACKS)
    assert np.isfinite(space.vectors).all()
    assert similar_tracks(space, query_of_row(space, 0), 5, [0]) == []


CIRCLE = [[1, 0], [0.8, 0.6], [0, 1], [-1, 0], [0, -1]]


@pytest.fixture
def circle():
    """Five unit vectors whose clips are of track c at 0 s and 10 s, of track a at 3 s."""
    clips = [[0, 1], [1, 0], [0.6, 0.8]]
    return place_sound(embed("abcde", CIRCLE, clips, [2, 2, 0], [0, 10, 3]), TRACKS)


def test_similar_tracks_are_ordered_by_cosine(circle):
    query = query_of_row(circle, 0)
    found = similar_tracks(circle, query, 10, [0])
    cosine = circle.vectors @ circle.vectors[0]
    assert [one.track_row for one in found] == [row for row in np.argsort(-cosine) if row != 0]
    np.testing.assert_allclose([one.similarity for one in found], np.sort(np.delete(cosine, 0))[::-1], atol=1e-6)
    assert len(similar_tracks(circle, query, 2)) == 2
    assert similar_tracks(circle, query, 2)[0].track_row == 0


def test_the_seconds_that_match_are_the_best_pair_of_clips(circle):
    found = {one.track_row: one for one in similar_tracks(circle, query_of_row(circle, 0), 10, [0])}
    mine, theirs = circle.clip_vectors[circle.clip_tracks == 0], circle.clip_vectors[circle.clip_tracks == 2]
    expected = [0.0, 10.0][int((mine @ theirs.T).argmax())]
    assert (found[2].query_start_s, found[2].match_start_s) == (3.0, expected)
    assert (found[1].query_start_s, found[1].match_start_s) == (None, None)


def test_a_sound_from_outside_is_compared_in_the_same_space(circle):
    raw, clips = np.array([0.8, 0.6], np.float32), np.array([[0, 1], [1, 0]], np.float32)
    query = query_of_vector(circle, raw, clips, np.array([20, 40], np.float32))
    found = similar_tracks(circle, query, 5)
    assert found[0].track_row == 1
    assert found[0].similarity == pytest.approx(1, abs=1e-6)
    matched = {one.track_row: one for one in found}[2]
    assert (matched.query_start_s, matched.match_start_s) in {(20.0, 0.0), (40.0, 10.0)}


def test_clips_follow_the_catalog_and_others_are_left_out():
    embeddings = embed("xdb", [[1, 0], [0, 1], [0.6, 0.8]], [[1, 0], [0, 1], [0.6, 0.8]], [0, 1, 2], [1, 2, 3])
    space = place_sound(embeddings, TRACKS)
    np.testing.assert_array_equal(space.clip_tracks, [1, 3])
    np.testing.assert_array_equal(space.clip_starts_s, [3, 2])


def test_a_track_without_embedding_cannot_be_asked_for_and_is_never_found():
    space = place_sound(embed("ab", [[1, 0], [0, 1]]), TRACKS)
    with pytest.raises(ModelError, match="track row 4 has no embedding"):
        query_of_row(space, 4)
    assert {one.track_row for one in similar_tracks(space, query_of_row(space, 0), 5)} == {0, 1}


def test_embeddings_of_another_length_are_refused(circle):
    with pytest.raises(ModelError, match="does not fit a model of dim 2"):
        to_unit(circle, np.zeros((1, 3), dtype=np.float32))

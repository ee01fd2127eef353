import numpy as np
import pytest
import torch

from recommender.audio.clips import Clips, TrackClips
from recommender.audio.mel import MelConfig, dequantise
from recommender.data.vocabulary import Vocabulary
from recommender.models.cnn import CnnConfig, SpectrogramCNN
from recommender.models.crops import ClipTable, decibels
from recommender.models.embed import embed_clips, embed_track


@pytest.fixture
def model() -> SpectrogramCNN:
    torch.manual_seed(0)
    return SpectrogramCNN(
        CnnConfig(mel=MelConfig(n_mels=12), dim=6, pitch_channels=3, channels=8, events=8), version="cnn-test"
    ).eval()


@pytest.fixture
def clips() -> Clips:
    """Track a has two clips, b none, c one; stored out of order."""
    mels = np.random.default_rng(0).integers(0, 255, (3, 12, 20), dtype=np.uint8)
    return Clips(
        Vocabulary("track", ("a", "b", "c")),
        mels,
        np.array([2, 0, 0], np.int32),
        np.array([0.0, 1.0, 7.0], np.float32),
    )


def test_levels_are_what_audio_stored():
    steps = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(decibels(torch.from_numpy(steps)).numpy(), dequantise(steps))


def test_a_track_is_the_normalised_mean_of_its_clips(model, clips):
    embeddings = embed_clips(model, clips)
    assert embeddings.tracks.ids == ("a", "c")
    assert embeddings.version == "cnn-test"
    assert embeddings.clip_tracks.tolist() == [1, 0, 0]
    assert embeddings.clip_starts_s.tolist() == [0.0, 1.0, 7.0]
    mean = embeddings.clip_vectors[1] + embeddings.clip_vectors[2]
    np.testing.assert_allclose(embeddings.vectors[0], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(embeddings.vectors[1], embeddings.clip_vectors[0], atol=1e-6)


def test_batches_and_single_tracks_give_the_same_vectors(model, clips):
    embeddings = embed_clips(model, clips)
    np.testing.assert_allclose(embed_clips(model, clips, batch_clips=1).vectors, embeddings.vectors, atol=1e-6)
    vector, clip_vectors = embed_track(model, TrackClips(clips.mels[1:], clips.starts_s[1:], 20.0, ()))
    np.testing.assert_allclose(vector, embeddings.vectors[0], atol=1e-6)
    np.testing.assert_allclose(clip_vectors, embeddings.clip_vectors[1:], atol=1e-6)
    assert vector.dtype == clip_vectors.dtype == np.float32


def test_an_empty_library_has_no_vectors(model, clips):
    none = Clips(Vocabulary("track", ()), clips.mels[:0], clips.clip_tracks[:0], clips.starts_s[:0])
    assert embed_clips(model, none).vectors.shape == (0, 6)


def test_random_crops_come_from_their_own_track_anywhere_in_it(clips):
    numbered = np.broadcast_to(np.arange(20, dtype=np.uint8), (3, 12, 20)) + clips.clip_tracks[:, None, None] * 40
    numbered[2] += 20  # track a: frames 0-19 and 20-39; track c: 80-99
    table = ClipTable.of(Clips(clips.tracks, numbered.astype(np.uint8), clips.clip_tracks, clips.starts_s))
    tracks = torch.tensor([0, 2]).repeat(200)
    crops = (table.random_crops(tracks, 5, torch.Generator().manual_seed(0)) + 100) * 2
    starts = crops[:, 0, 0]
    assert (crops == (starts[:, None] + torch.arange(5))[:, None, :]).all()
    assert set(starts[0::2].tolist()) == {*range(16), *range(20, 36)}
    assert set(starts[1::2].tolist()) == set(range(80, 96))


def test_the_fixed_pair_is_as_far_apart_as_can_be(clips):
    numbered = np.broadcast_to(np.arange(20, dtype=np.uint8), (3, 12, 20)) + np.zeros((3, 1, 1), np.uint8)
    numbered[2] += 20
    table = ClipTable.of(Clips(clips.tracks, numbered, clips.clip_tracks, clips.starts_s))
    first, last = ((crops[:, 0] + 100) * 2 for crops in table.fixed_pair(torch.tensor([0, 2])))
    assert first[:, 0].tolist() == [0, 0]
    assert last[:, -1].tolist() == [39, 19]
    assert first.shape == last.shape == (2, 10)

import numpy as np
import pytest

from pipelines.pretrain_data import render_corpus
from recommender.errors import ArtifactError, ConfigError
from recommender.synthetic.corpus.shards import CorpusConfig, open_corpus

SMALL = CorpusConfig(tracks_per_artist=2, clips_per_track=2, clip_s=1.0, artists_per_shard=2, seed=4)


@pytest.fixture(scope="module")
def rendered(soundfont, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return folder, render_corpus(folder, 4, SMALL, [soundfont])


def test_a_corpus_holds_every_clip_and_its_truth(rendered):
    _, corpus = rendered
    assert len(corpus.truth) == 4 * 2 * 2
    assert corpus.truth["artist"].nunique() == 4
    assert corpus.truth["album"].nunique() == 8
    assert set(corpus.truth.columns) >= {"track", "clip", "tempo_bpm", "key", "minor", "families", "density", "energy"}
    sound = corpus.waveforms(np.array([0, 15, 7]))
    assert sound.shape == (3, 22_050)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 1
    assert np.array_equal(sound[1], corpus.waveforms(np.array([15]))[0])
    assert all(np.abs(corpus.waveforms(np.array([row]))).max() > 0 for row in range(0, 16, 4))


def test_a_shard_that_is_missing_is_rendered_again_and_alike(rendered, soundfont):
    folder, corpus = rendered
    before = corpus.waveforms(np.arange(16))
    whole = (folder / "clips-00000.npy").stat().st_mtime_ns
    (folder / "truth-00001.parquet").unlink()
    assert len(open_corpus(folder).truth) == 8
    again = render_corpus(folder, 4, SMALL, [soundfont])
    assert np.array_equal(again.waveforms(np.arange(16)), before)
    assert (folder / "clips-00000.npy").stat().st_mtime_ns == whole, "what was whole is left alone"


def test_a_corpus_grows(rendered, soundfont, tmp_path):
    _, corpus = rendered
    render_corpus(tmp_path, 2, SMALL, [soundfont])
    assert np.array_equal(open_corpus(tmp_path).waveforms(np.arange(8)), corpus.waveforms(np.arange(8)))


def test_another_corpus_is_not_mixed_in(rendered, soundfont):
    folder, _ = rendered
    with pytest.raises(ConfigError, match="another config"):
        render_corpus(folder, 4, CorpusConfig(seed=5), [soundfont])


def test_a_folder_without_a_whole_shard_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"corpus\.json is missing"):
        open_corpus(tmp_path)


def test_a_corpus_of_nobody_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="0 artists"):
        render_corpus(tmp_path, 0)

from dataclasses import replace

import numpy as np
import pytest
import torch

from recommender.audio.mel import MelConfig
from recommender.errors import DataError, ModelError, VersionError
from recommender.models.cnn_config import CnnConfig, PretrainConfig
from recommender.models.discriminants import discriminants
from recommender.models.embed import load_cnn
from recommender.models.lessons import Lessons
from recommender.models.pretrain import contrasts, pretrain

N_MELS = 16
TINY = PretrainConfig(
    cnn=CnnConfig(mel=MelConfig(n_mels=N_MELS), dim=6, pitch_channels=4, channels=8, events=12),
    epochs=2,
    steps=6,
    batch_recordings=4,
    batch_artists=4,
    tracks_an_artist=2,
    crop_frames=24,
    held_out=0.25,
    threads=1,
    device="cpu",
)


class KilledError(Exception):
    pass


def lessons(n_artists: int = 8, n_recordings: int = 6) -> Lessons:
    """Artists differ in where their sound lies, tracks a little, clips by chance; labels tell high from low."""
    rng = np.random.default_rng(0)
    mels, tracks, artists, truth = [], [], [], []
    for number in range(n_artists * 2 + n_recordings):
        artist = number // 2 if number < n_artists * 2 else -1
        centre = N_MELS * (artist + 0.5) / n_artists if artist >= 0 else rng.uniform(2, N_MELS - 2)
        shape = 120 * np.exp(-(((np.arange(N_MELS) - centre - rng.normal(0, 0.3)) / 3) ** 2))
        for _ in range(3):
            mels.append(np.clip(shape[:, None] + rng.normal(40, 12, (N_MELS, 40)), 0, 255))
            tracks.append(number)
            artists.append(artist)
            truth.append([float(centre > N_MELS / 2), centre / N_MELS] if artist >= 0 else [np.nan, np.nan])
    levels = np.array(mels).astype(np.uint8)
    changed = levels.copy()
    changed[:, -3:] = 0
    return Lessons(levels, changed, np.array(tracks), np.array(artists), np.array(truth, np.float32), 1)


def test_it_learns_and_finds_siblings() -> None:
    trained = pretrain(lessons(), replace(TINY, epochs=4, steps=30, learning_rate=5e-3))
    assert [entry["epoch"] for entry in trained.history] == [1, 2, 3, 4]
    assert trained.history[-1]["train_loss"] < 0.9 * trained.history[0]["train_loss"]
    assert {"val_loss", "val_mrr", "gap"} <= set(trained.history[-1])
    fresh = lessons(n_artists=4)
    vectors = load_cnn(trained)(torch.from_numpy(fresh.mels[:24].astype(np.float32)) * 0.5 - 100)
    likeness = (vectors @ vectors.T).fill_diagonal_(-1)
    assert (fresh.artists[:24][likeness.argmax(1).numpy()] == fresh.artists[:24]).mean() > 0.9


def test_stop_and_resume_is_the_uninterrupted_run(tmp_path) -> None:
    def kill(done: int, _total: int) -> None:
        if done == 8:
            raise KilledError

    checkpoint = tmp_path / "pretraining.safetensors"
    whole = pretrain(lessons(), TINY)
    with pytest.raises(KilledError):
        pretrain(lessons(), TINY, checkpoint, kill)
    resumed = pretrain(lessons(), TINY, checkpoint)
    assert (resumed.version, resumed.history) == (whole.version, whole.history)
    with pytest.raises(VersionError, match="cannot be mixed"):
        pretrain(lessons(), replace(TINY, temperature=0.2), checkpoint)


def test_contrasts_worked_by_hand() -> None:
    # Two rendered artists of two tracks and one clip each but the first, which has two; a recording of two clips.
    vectors = torch.eye(6)[[0, 0, 1, 2, 3, 4, 4]]
    tracks = torch.tensor([0, 0, 1, 2, 3, 4, 4])
    artists = torch.tensor([0, 0, 0, 1, 1, -1, -1])
    of_track, of_artist = contrasts(vectors, tracks, artists, 1.0)
    # Both clips of track 0 have similarity 1, and two rivals of similarity 0: those of the other artist.
    siblings = np.log(np.e + 2) - 1
    # The recording's clips have no rivals but each other.
    np.testing.assert_allclose(of_track.item(), (2 * siblings + 2 * 0) / 4, atol=1e-5)
    # All similarities to others of the artist are 0: one right of three rivals; of the third clip, two of four.
    expected = (2 * np.log(3) + np.log(4) + 2 * np.log(4)) / 5
    np.testing.assert_allclose(of_artist.item(), expected, atol=1e-5)


def test_discriminants_keep_what_differs_between_classes() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(40), 5)
    values = rng.normal(0, 1, (200, 4)) * [0.1, 5.0, 1.0, 1.0]
    values[:, 0] += rng.normal(0, 1, 40)[classes]
    directions = discriminants([(values, classes)], [], 2, 1.0, 0.01)
    assert directions.shape == (4, 2)
    best = np.abs(directions[:, 0]) * values.std(axis=0)
    assert best[0] > 20 * best[1:].max()
    assert np.linalg.norm(directions[:, 0]) > np.linalg.norm(directions[:, 1])


def test_discriminants_turn_away_from_nuisances() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(40), 5)
    values = rng.normal(0, 0.3, (200, 2)) + rng.normal(0, 1, (40, 2))[classes]
    tone = rng.normal(0, 1, (50, 1)) * [[1.0, 0.0]]
    blind, warned = (discriminants([(values, classes)], [tone], 1, weight, 0.01)[:, 0] for weight in (0.0, 10.0))
    assert abs(warned[0]) < 0.1 * abs(warned[1])
    assert abs(blind[0]) > 0.3 * abs(blind[1])


def test_lessons_that_do_not_fit_are_refused() -> None:
    whole = lessons()
    with pytest.raises(DataError, match="expected one length"):
        replace(whole, tracks=whole.tracks[1:])
    with pytest.raises(DataError, match="expected their clips together"):
        pretrain(replace(whole, tracks=whole.tracks[::2].repeat(2) * 0 + np.arange(len(whole.tracks)) % 5), TINY)
    with pytest.raises(ModelError, match="artists are too few"):
        pretrain(lessons(n_artists=3), TINY)

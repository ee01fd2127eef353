"""A small world of spectrograms: four timbres; tracks that vary each of them and have a beat of their own; and clips of
one track that differ in colour, which is to be ignored.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from recommender.audio.augment import AugmentConfig
from recommender.audio.clips import Clips
from recommender.audio.mel import MelConfig
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError, DataError, ModelError, VersionError
from recommender.models.cnn import CnnConfig, SpectrogramCNN
from recommender.models.embed import embed_clips, load_cnn
from recommender.models.factors import AlsConfig, Factors
from recommender.models.train_cnn import TrainCnnConfig, TrainedCnn, train_cnn
from recommender.models.trained_cnn import load_trained, save_cnn

N_MELS, N_TIMBRES = 24, 4
SMALL = TrainCnnConfig(
    cnn=CnnConfig(mel=MelConfig(n_mels=N_MELS), dim=16, pitch_channels=4, channels=16, events=16),
    epochs=4,
    batch_tracks=8,
    crop_frames=24,
    learning_rate=3e-3,
    min_evidence=1,
    threads=1,
    device="cpu",
)

UNCHANGED = AugmentConfig(gain_db=0, tilt_db=0, band_limit_share=0, time_mask=0, band_mask=0)


def make_clips(n_tracks: int, seed: int = 0, n_clips: int = 2, n_frames: int = 60) -> Clips:
    timbres = np.random.default_rng(7).normal(size=(N_TIMBRES, N_MELS)).cumsum(axis=1) * 4
    rng = np.random.default_rng(seed)
    colours = np.cos(np.outer([1, 2], np.linspace(0, np.pi, N_MELS)))
    mels = []
    for track in range(n_tracks):
        spectrum = timbres[track % N_TIMBRES] + rng.normal(size=N_MELS).cumsum() * 1.5
        period = rng.integers(6, 16)
        for _ in range(n_clips):
            beat = 10.0 * (np.arange(n_frames) % period < 3)
            colour = rng.normal(0, 5, 2) @ colours
            level = -50 + rng.normal(0, 4) + (spectrum - spectrum.mean() + colour)[:, None] + beat
            mels.append(np.clip(np.rint((level + rng.normal(0, 3, (N_MELS, n_frames)) + 100) * 2), 0, 255))
    return Clips(
        Vocabulary("track", tuple(f"t{track}" for track in range(n_tracks))),
        np.array(mels).astype(np.uint8),
        np.repeat(np.arange(n_tracks, dtype=np.int32), n_clips),
        np.tile(np.arange(n_clips, dtype=np.float32) * 10, n_tracks),
    )


def make_factors(clips: Clips, seed: int = 0, width: int = 6) -> Factors:
    """Tracks of one timbre have nearly the same factors."""
    centres = np.random.default_rng(8).normal(size=(N_TIMBRES, width))
    tastes = centres[np.arange(len(clips.tracks)) % N_TIMBRES]
    vectors = tastes + 0.2 * np.random.default_rng(seed).normal(size=tastes.shape)
    users = Vocabulary("user", ("u",))
    none = np.zeros((1, width), np.float32)
    return Factors(users, clips.tracks, none, vectors.astype(np.float32), AlsConfig(factors=width))


def assert_same(one: TrainedCnn, other: TrainedCnn) -> None:
    assert one.history == other.history
    assert (one.version, one.best_epoch, one.held_out) == (other.version, other.best_epoch, other.held_out)
    for name, weights in one.weights.items():
        np.testing.assert_array_equal(weights, other.weights[name])


class KilledError(Exception):
    pass


def kill_after(batches: int):
    def progress(done: int, total: int) -> None:
        if done == batches:
            raise KilledError

    return progress


def mean_sibling_rank(model: SpectrogramCNN, clips: Clips) -> float:
    vectors = embed_clips(model, clips).clip_vectors
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    sibling = np.arange(len(vectors)) ^ 1
    return float((similarity > similarity[np.arange(len(vectors)), sibling][:, None]).sum(axis=1).mean())


@pytest.fixture(scope="module")
def world() -> tuple[Clips, Factors]:
    clips = make_clips(24)
    return clips, make_factors(clips)


@pytest.fixture(scope="module")
def trained(world) -> TrainedCnn:
    return train_cnn(*world, None, SMALL)


def test_it_learns_what_it_is_asked_on_tracks_it_has_never_met():
    clips = make_clips(48, n_clips=6)
    config = replace(SMALL, epochs=25, patience=25, contrastive_weight=1.0, augment=UNCHANGED)
    trained = train_cnn(clips, make_factors(clips), None, config)
    torch.manual_seed(0)
    untrained = SpectrogramCNN(config.cnn).eval()
    unseen = make_clips(40, seed=99)
    model = load_cnn(trained)
    assert mean_sibling_rank(model, unseen) < 0.75 * mean_sibling_rank(untrained, unseen)

    vectors, timbre = embed_clips(model, unseen).vectors, np.arange(40) % N_TIMBRES
    similarity = vectors @ vectors.T - 9 * np.eye(40)
    assert (timbre[similarity.argmax(axis=1)] == timbre).mean() > 0.8
    assert trained.history[-1]["val_align"] < 0.75 * trained.history[0]["val_align"]


def test_it_overfits_four_clips():
    clips = make_clips(4, n_clips=1)
    config = replace(SMALL, epochs=120, held_out=0.0, learning_rate=5e-3, augment=UNCHANGED)
    last = train_cnn(clips, make_factors(clips), None, config).history[-1]
    assert last["train_contrast"] < 0.05
    assert last["train_align"] < 0.02


def test_the_same_seed_gives_the_same_model(world, trained):
    assert_same(train_cnn(*world, None, SMALL), trained)


def test_another_seed_gives_another_model(world, trained):
    assert train_cnn(*world, None, replace(SMALL, seed=1)).version != trained.version


@pytest.mark.parametrize("batches", [1, 4, 8])
def test_stop_and_resume_is_the_uninterrupted_run(world, trained, tmp_path, batches):
    checkpoint = tmp_path / "cnn.safetensors"
    with pytest.raises(KilledError):
        train_cnn(*world, None, SMALL, checkpoint, kill_after(batches))
    assert checkpoint.exists() == (batches > 3)
    assert_same(train_cnn(*world, None, SMALL, checkpoint), trained)
    assert_same(train_cnn(*world, None, SMALL, checkpoint), trained)  # of a finished run: nothing is left to do


@pytest.mark.parametrize("change", ["config", "clips"])
def test_a_checkpoint_of_another_run_is_refused(world, tmp_path, change):
    clips, factors = world
    checkpoint = tmp_path / "cnn.safetensors"
    train_cnn(clips, factors, None, replace(SMALL, epochs=1), checkpoint)
    config = replace(SMALL, epochs=1, learning_rate=1e-4 if change == "config" else SMALL.learning_rate)
    with pytest.raises(VersionError, match="cannot be mixed"):
        train_cnn(make_clips(24, seed=5) if change == "clips" else clips, factors, None, config, checkpoint)


@pytest.mark.parametrize("objective", ["regression", "factors", "listeners", "towers"])
def test_held_out_tracks_do_not_train(world, trained, objective):
    clips, _ = world
    factors, plays = make_lessons(clips)
    held_out = np.array([identifier in trained.held_out for identifier in clips.tracks])
    assert held_out.sum() == round(SMALL.held_out * 24)
    other_sound = clips.mels.copy()
    other_sound[held_out[clips.clip_tracks]] = 255 - other_sound[held_out[clips.clip_tracks]]
    other_taste, other_plays = factors.track_factors.copy(), plays.toarray()
    other_taste[held_out] *= -1
    other_plays[:, held_out] = 1 - other_plays[:, held_out]
    config = replace(SMALL, objective=objective, epochs=2)
    one = train_cnn(clips, factors, None, config, plays=plays)
    other = train_cnn(
        replace(clips, mels=other_sound),
        replace(factors, track_factors=other_taste),
        None,
        config,
        plays=sparse.csr_matrix(other_plays),
    )
    for before, after in zip(one.history, other.history, strict=True):
        assert all(before[name] == after[name] for name in before if name.startswith("train_"))
        assert before["val_align"] != after["val_align"]


def test_a_library_without_plays_learns_by_contrast_alone(world):
    trained = train_cnn(world[0], None, None, SMALL)
    assert all(entry["train_align"] == 0 for entry in trained.history)
    assert trained.history[-1]["train_contrast"] < trained.history[0]["train_contrast"]


def test_each_loss_can_be_left_out(world):
    contrast = train_cnn(*world, None, replace(SMALL, alignment_weight=0.0))
    alone = train_cnn(world[0], None, None, SMALL)
    assert [e["train_contrast"] for e in contrast.history] == [e["train_contrast"] for e in alone.history]
    align = train_cnn(*world, None, replace(SMALL, contrastive_weight=0.0))
    assert align.history[-1]["train_align"] < align.history[0]["train_align"]


def test_tracks_without_evidence_have_no_say(world):
    clips, factors = world
    evidence = np.where(np.arange(24) % 2 == 0, 5, 0)
    noise = factors.track_factors.copy()
    noise[1::2] = np.random.default_rng(3).normal(size=noise[1::2].shape)
    config = replace(SMALL, epochs=2)
    one = train_cnn(clips, factors, evidence, config)
    assert_same(train_cnn(clips, replace(factors, track_factors=noise), evidence, config), one)


def test_it_stops_when_it_no_longer_gets_better_and_keeps_the_best(world):
    clips, factors = world
    trained = train_cnn(clips, factors, None, replace(SMALL, epochs=40, patience=2, learning_rate=0.05))
    losses = [entry["val_loss"] for entry in trained.history]
    assert len(losses) < 40
    assert len(losses) == trained.best_epoch + 2
    assert losses[trained.best_epoch - 1] == min(losses)


def test_it_says_why_it_stopped_and_how_far_training_and_validation_are_apart(world, trained):
    assert trained.stopped_because == "all 4 epochs were done"
    noise = replace(world[1], track_factors=np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32))
    config = replace(SMALL, epochs=60, patience=5, contrastive_weight=0.0, augment=UNCHANGED)
    memorised = train_cnn(world[0], noise, None, config)
    assert memorised.stopped_because.startswith("the validation loss had not fallen for 5 epochs, since epoch")
    assert memorised.history[-1]["gap"] > memorised.history[0]["gap"] + 0.3


def make_lessons(clips: Clips) -> tuple[Factors, sparse.csr_matrix]:
    """Eight users, two of each timbre, with factors that say what they play."""
    factors = make_factors(clips)
    centres = np.random.default_rng(8).normal(size=(N_TIMBRES, 6)).astype(np.float32)
    users = Vocabulary("user", tuple("abcdefgh"))
    likes = np.arange(8)[:, None] % N_TIMBRES == np.arange(len(clips.tracks))[None, :] % N_TIMBRES
    return replace(factors, users=users, user_factors=centres[np.arange(8) % N_TIMBRES]), sparse.csr_matrix(likes * 1.0)


@pytest.mark.parametrize("objective", ["regression", "factors", "listeners", "towers"])
def test_every_objective_teaches_whose_taste_a_track_is(objective):
    clips = make_clips(48)
    factors, plays = make_lessons(clips)
    config = replace(SMALL, epochs=10, objective=objective, contrastive_weight=0.0, augment=UNCHANGED)
    trained = train_cnn(clips, factors, None, config, plays=plays)
    assert trained.history[-1]["val_align"] < 0.95 * trained.history[0]["val_align"]
    unseen = make_clips(40, seed=99)
    vectors, timbre = embed_clips(load_cnn(trained), unseen).vectors, np.arange(40) % N_TIMBRES
    similarity = vectors @ vectors.T - 9 * np.eye(40)
    assert (timbre[similarity.argmax(axis=1)] == timbre).mean() > 0.7


@pytest.mark.parametrize("objective", ["listeners", "towers"])
def test_an_objective_that_needs_plays_says_so(world, objective):
    with pytest.raises(ModelError, match=f"'{objective}' learns from plays and got none"):
        train_cnn(*world, None, replace(SMALL, objective=objective))


def test_without_an_objective_the_factors_teach_nothing(world):
    config = replace(SMALL, epochs=2, objective="none")
    assert train_cnn(*world, None, config).version == train_cnn(world[0], None, None, config).version


def test_artists_are_held_out_whole(world):
    artists = np.arange(24) // 3
    trained = train_cnn(*world, None, replace(SMALL, epochs=1), artists=artists)
    held_out = np.array([identifier in trained.held_out for identifier in world[0].tracks])
    assert 0 < held_out.sum() < 12
    assert set(artists[held_out]).isdisjoint(artists[~held_out])


def test_one_artist_alone_is_divided(world):
    trained = train_cnn(*world, None, replace(SMALL, epochs=1), artists=np.zeros(24, dtype=int))
    assert len(trained.held_out) == round(SMALL.held_out * 24)


def test_artists_bring_their_tracks_together():
    clips = make_clips(48)
    artists = np.arange(48) % N_TIMBRES
    spread = []
    for weight in (0.0, 1.0):
        config = replace(SMALL, epochs=8, held_out=0.0, artist_weight=weight)
        vectors = embed_clips(load_cnn(train_cnn(clips, None, None, config, artists=artists)), clips).vectors
        alike = vectors @ vectors.T
        same = artists[:, None] == artists
        spread.append(alike[same & ~np.eye(48, dtype=bool)].mean() - alike[~same].mean())
    assert spread[1] > spread[0] + 0.1


def test_codes_of_other_tracks_are_refused(world):
    with pytest.raises(DataError, match=r"albums has shape \(3,\), expected one code for each of 24"):
        train_cnn(*world, None, SMALL, albums=np.zeros(3, dtype=int))


def test_too_few_tracks_are_refused_with_the_least_number():
    with pytest.raises(ModelError, match=r"7 tracks have audio.*at least 8"):
        train_cnn(make_clips(7), None, None, SMALL)


def test_nothing_to_learn_from_is_refused(world):
    silent = replace(SMALL, contrastive_weight=0.0, min_evidence=3)
    with pytest.raises(ModelError, match=r"played by 3 users or more.*nothing to learn"):
        train_cnn(*world, np.full(24, 2), silent)


def test_a_training_that_diverges_says_so(world):
    with pytest.raises(ModelError, match=r"diverged in epoch \d+; lower learning_rate"):
        train_cnn(*world, None, replace(SMALL, epochs=20, learning_rate=1e30))


def test_clips_shorter_than_a_crop_are_refused(world):
    with pytest.raises(ModelError, match="clips have 60 frames, crops of 61"):
        train_cnn(world[0], None, None, replace(SMALL, crop_frames=61))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_tracks": 1},
        {"crop_frames": 3},
        {"learning_rate": 0.0},
        {"alignment_weight": -1.0},
        {"held_out": 0.7},
        {"objective": "triplets"},
        {"trains": "tail"},
        {"adapt_epochs": 0},
        {"start_from": ""},
    ],
)
def test_settings_that_cannot_be_used_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        TrainCnnConfig(**wrong)


def test_progress_counts_to_the_end(world):
    seen: list[tuple[int, int]] = []
    train_cnn(*world, None, replace(SMALL, epochs=2), progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


def test_the_settings_of_torch_are_as_before(world):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    before = torch.get_num_threads()
    train_cnn(world[0], None, None, replace(SMALL, epochs=1))
    torch.testing.assert_close(torch.rand(3), expected)
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_is_saved_is_what_is_loaded(trained, tmp_path: Path):
    path = tmp_path / "cnn.safetensors"
    save_cnn(trained, path)
    loaded = load_trained(path)
    assert loaded.config == trained.config
    assert_same(loaded, trained)
    with pytest.raises(VersionError, match=f"{trained.version}.*expected 'other'"):
        load_trained(path, "other")


def test_a_damaged_file_is_refused(trained, tmp_path: Path):
    path = tmp_path / "cnn.safetensors"
    save_cnn(trained, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="damaged"):
        load_trained(path)

from dataclasses import replace

import numpy as np
import pytest

from recommender.errors import ModelError, VersionError
from recommender.models.cnn import CnnConfig
from recommender.models.train_cnn import TrainedCnn, train_cnn
from recommender.models.trained_cnn import load_trained, save_cnn
from tests.models.test_train_cnn import SMALL, KilledError, assert_same, kill_after, make_clips, make_factors

ADAPT = replace(SMALL, adapt_epochs=3, trains="all")


@pytest.fixture(scope="module")
def initial() -> TrainedCnn:
    return train_cnn(make_clips(24, seed=50), None, None, SMALL)


@pytest.fixture(scope="module")
def world():
    clips = make_clips(24)
    return clips, make_factors(clips), None


def moved(before: TrainedCnn, after: TrainedCnn) -> dict[str, float]:
    """How far each stage went, statistics included."""
    steps: dict[str, float] = {}
    for name, weights in before.weights.items():
        stage = name.split(".")[0]
        if weights.dtype == np.float32:
            steps[stage] = max(steps.get(stage, 0.0), float(np.abs(weights - after.weights[name]).max()))
    return steps


@pytest.mark.parametrize(
    ("trains", "still"), [("all", set()), ("upper", {"pitch"}), ("head", {"pitch", "patterns", "events"})]
)
def test_only_what_is_to_move_moves(world, initial, trains, still):
    adapted = train_cnn(*world, replace(ADAPT, trains=trains), initial=initial)
    steps = moved(initial, adapted)
    assert {stage for stage, step in steps.items() if step == 0} == still


def test_the_body_moves_less_than_the_head(world, initial):
    held, free = (
        train_cnn(*world, replace(ADAPT, body_rate=rate), initial=initial).weights["patterns.0.body.0.weight"]
        for rate in (0.01, 1.0)
    )
    before = initial.weights["patterns.0.body.0.weight"]
    assert 0 < np.abs(held - before).max() < 0.1 * np.abs(free - before).max()


def test_it_begins_where_the_initial_network_was(world, initial):
    config = replace(ADAPT, adapt_epochs=1, objective="none", learning_rate=1e-9)
    steps = moved(initial, train_cnn(*world, replace(config, trains="head"), initial=initial))
    assert max(step for stage, step in steps.items() if stage != "embed") == 0


@pytest.mark.parametrize("trains", ["all", "head"])
def test_stop_and_resume_is_the_uninterrupted_run(world, initial, tmp_path, trains):
    config, checkpoint = replace(ADAPT, trains=trains), tmp_path / "cnn.safetensors"
    whole = train_cnn(*world, config, initial=initial)
    with pytest.raises(KilledError):
        train_cnn(*world, config, checkpoint, kill_after(5), initial=initial)
    assert checkpoint.exists()
    assert_same(train_cnn(*world, config, checkpoint, initial=initial), whole)


def test_a_checkpoint_that_began_elsewhere_is_refused(world, initial, tmp_path):
    checkpoint = tmp_path / "cnn.safetensors"
    train_cnn(*world, ADAPT, checkpoint, initial=initial)
    other = train_cnn(make_clips(24, seed=51), None, None, replace(SMALL, epochs=1))
    for start in (other, None):
        with pytest.raises(VersionError, match="cannot be mixed"):
            train_cnn(*world, ADAPT, checkpoint, initial=start)


def test_the_file_says_where_it_began_and_why_it_stopped(world, initial, tmp_path):
    adapted = train_cnn(*world, ADAPT, initial=initial)
    save_cnn(adapted, tmp_path / "cnn.safetensors")
    loaded = load_trained(tmp_path / "cnn.safetensors")
    assert loaded.started_from == adapted.started_from == initial.version
    assert loaded.stopped_because == "all 3 epochs were done"


def test_training_the_head_alone_learns_taste(world, initial):
    config = replace(ADAPT, trains="head", adapt_epochs=12, objective="factors")
    history = train_cnn(*world, config, initial=initial).history
    assert history[-1]["train_align"] < 0.8 * history[0]["train_align"]


def test_a_network_of_another_shape_is_refused(world, initial):
    wider = replace(SMALL, cnn=CnnConfig(mel=SMALL.cnn.mel, dim=8, pitch_channels=4, channels=16, events=16))
    with pytest.raises(ModelError, match="another shape"):
        train_cnn(*world, wider, initial=initial)

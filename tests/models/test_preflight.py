"""Each way of being broken is planted, and found by the check that is there for it; what is whole passes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recommender.audio.clips import Clips
from recommender.audio.mel import MelConfig
from recommender.data.checks import SILENT, names_of
from recommender.data.vocabulary import Vocabulary
from recommender.models.cnn import CnnConfig, SpectrogramCNN
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.factors import AlsConfig, Factors
from recommender.models.preflight import try_network
from recommender.models.preflight_verdicts import judge_network
from recommender.models.rate_sweep import SWEEP_STEPS, read_sweep

N_MELS, N_TRACKS, N_TIMBRES = 24, 32, 4
SMALL = TrainCnnConfig(
    cnn=CnnConfig(mel=MelConfig(n_mels=N_MELS), dim=16, pitch_channels=4, channels=16, events=16),
    batch_tracks=8,
    crop_frames=24,
    learning_rate=3e-3,
    min_evidence=1,
    threads=1,
    device="cpu",
)


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Four timbres; each track varies one of them, and has two clips."""
    timbres = np.random.default_rng(7).normal(size=(N_TIMBRES, N_MELS)).cumsum(axis=1) * 4
    rng = np.random.default_rng(0)
    mels = []
    for track in range(N_TRACKS):
        spectrum = timbres[track % N_TIMBRES] + rng.normal(size=N_MELS).cumsum() * 1.5
        period = rng.integers(6, 16)
        for _ in range(2):
            beat = 10.0 * (np.arange(60) % period < 3)
            level = -50 + rng.normal(0, 4) + (spectrum - spectrum.mean())[:, None] + beat
            mels.append(np.clip(np.rint((level + rng.normal(0, 3, (N_MELS, 60)) + 100) * 2), 0, 255))
    return clips_of(np.array(mels).astype(np.uint8))


def clips_of(mels: np.ndarray) -> Clips:
    tracks = Vocabulary("track", tuple(f"t{track}" for track in range(len(mels) // 2)))
    owners = np.repeat(np.arange(len(tracks), dtype=np.int32), 2)
    return Clips(tracks, mels, owners, np.zeros(len(mels), np.float32))


def factors_of(clips: Clips, order: np.ndarray | None = None) -> Factors:
    centres = np.random.default_rng(8).normal(size=(N_TIMBRES, 6))
    timbres = (np.arange(len(clips.tracks)) if order is None else order) % N_TIMBRES
    vectors = centres[timbres] + 0.2 * np.random.default_rng(0).normal(size=(len(clips.tracks), 6))
    none = np.zeros((1, 6), np.float32)
    return Factors(Vocabulary("user", ("u",)), clips.tracks, none, vectors.astype(np.float32), AlsConfig(factors=6))


def verdicts(clips: Clips, config: TrainCnnConfig = SMALL, network=None, factors: Factors | None = None):
    report = try_network(clips, factors or factors_of(clips), None, config, network)
    return {check.name: check for check in judge_network(report, config)}


def fresh() -> SpectrogramCNN:
    torch.manual_seed(0)
    return SpectrogramCNN(SMALL.cnn)


HEART = "one batch by heart: siblings"


def test_what_is_whole_passes(clips):
    checks = verdicts(clips)
    assert [check for check in checks.values() if check.verdict not in SILENT] == []
    assert {HEART, "one batch by heart: taste", "learning rate", "dead units"} <= set(checks)


def test_without_plays_only_the_siblings_are_learnt(clips):
    report = try_network(clips, None, None, SMALL)
    checks = judge_network(report, SMALL)
    assert names_of(checks, "broken") == []
    assert "one batch by heart: taste" not in {check.name for check in checks}
    assert report.plays is None


def test_a_learning_rate_of_nothing_is_found(clips):
    checks = verdicts(clips, replace(SMALL, learning_rate=1e-12))
    assert checks["one batch by heart: taste"].verdict == "broken"
    assert "the weights do not move: learning_rate 1e-12 is too low" in checks["one batch by heart: taste"].advice
    assert "flat" in checks["one batch by heart: taste"].found
    assert checks["a step against the weights"].verdict == "broken"
    assert checks["learning rate"].verdict == "warning"


def test_a_learning_rate_that_explodes_is_found(clips):
    checks = verdicts(clips, replace(SMALL, learning_rate=30.0))
    assert checks["dead units"].verdict in ("warning", "broken")
    assert checks["a step against the weights"].verdict == "warning"
    assert checks["learning rate"].verdict in ("warning", "broken")


def test_frozen_parameters_are_found(clips):
    checks = verdicts(clips, network=fresh().requires_grad_(False))
    assert checks["what can learn"].verdict == "warning"
    assert "frozen" in checks[HEART].advice or checks[HEART].verdict == "ok"
    part = fresh()
    part.pitch.requires_grad_(False)
    assert verdicts(clips, network=part)["what can learn"].verdict == "warning"


def test_a_dead_network_is_found(clips):
    dead = fresh()
    with torch.no_grad():
        for weights in dead.parameters():
            weights.zero_()
    checks = verdicts(clips, network=dead)
    assert checks["dead units"].verdict == "broken"
    assert checks["gradients"].verdict == "broken"
    assert checks[HEART].verdict != "ok"
    assert "the same to every input" in checks[HEART].advice
    assert checks["clips belong to their tracks"].verdict == "broken"


def test_a_network_that_does_not_listen_is_found(clips):
    class Deaf(SpectrogramCNN):
        def forward(self, mels):
            return super().forward(torch.zeros_like(mels))

    torch.manual_seed(0)
    checks = verdicts(clips, network=Deaf(SMALL.cnn))
    assert checks["the loss depends on the input"].verdict == "broken"
    assert checks[HEART].verdict == "broken"
    assert "the same to every input" in checks[HEART].advice


class Faint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.needs_input_grad[0] * 1e-12


def test_vanishing_gradients_are_found(clips):
    vanishing = fresh()
    vanishing.patterns[0].register_forward_hook(lambda _module, _inputs, output: Faint.apply(output))
    check = verdicts(clips, network=vanishing)["gradients"]
    assert check.verdict == "broken"
    assert "vanishing" in check.advice


def test_equal_inputs_are_found(clips):
    same = clips_of(np.full_like(clips.mels, 80))
    checks = verdicts(same)
    assert checks[HEART].verdict == "broken"
    assert "all inputs are equal" in checks[HEART].advice
    assert checks["the loss depends on the input"].verdict == "broken"
    assert checks["clips belong to their tracks"].verdict == "broken"


def test_shuffled_clips_are_found(clips):
    shuffled = clips_of(clips.mels[np.random.default_rng(1).permutation(len(clips))])
    check = verdicts(shuffled)["clips belong to their tracks"]
    assert check.verdict == "broken"
    assert "shuffled" in check.advice


def test_shuffled_plays_are_found(clips):
    order = np.random.default_rng(2).permutation(N_TRACKS)
    checks = verdicts(clips, factors=factors_of(clips, order))
    assert checks["plays belong to their tracks"].verdict == "warning"
    assert checks["one batch by heart: taste"].verdict == "ok"  # anything can be learnt by heart


def test_a_sweep_finds_where_the_loss_falls_and_where_it_comes_back():
    rates = np.geomspace(1e-6, 1, SWEEP_STEPS)
    fall, back = 1 / (1 + (rates / 1e-3) ** 2), 2 / (1 + (0.1 / rates) ** 3)
    sweep = read_sweep(rates, fall + back)
    assert 2e-5 < sweep.recommended < 2e-3
    assert 0.03 < sweep.too_high < 0.3
    flat = read_sweep(rates, np.ones(SWEEP_STEPS))
    assert np.isnan(flat.recommended)

"""Signatures of sounds whose truth is known."""

import time
from dataclasses import asdict

import numpy as np
import pytest

from recommender.audio.descriptors import describe
from recommender.audio.key import NAMES, camelot, key_name
from recommender.audio.signatures import Signature
from recommender.synthetic.music import render
from recommender.synthetic.plans import draw_signature, plan_track
from recommender.synthetic.styles import STYLES

RATE_HZ = 22050
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 11)


def clicks(bpm: float, seconds: float = 10.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sound = np.zeros(int(seconds * RATE_HZ), np.float32)
    burst = (np.exp(-np.arange(1500) / 250) * rng.normal(size=1500)).astype(np.float32)
    for at in np.arange(0.1, seconds - 0.1, 60 / bpm):
        start = int(at * RATE_HZ)
        sound[start : start + len(burst)] += 0.5 * burst
    return sound


def notes(pitches: list[list[int]], each_s: float = 0.5, detune: float = 0.0) -> np.ndarray:
    """Chords of tones with harmonics, one after the other."""
    t = np.arange(int(each_s * RATE_HZ)) / RATE_HZ
    parts = []
    for chord in pitches:
        tones = [
            np.sin(2 * np.pi * harmonic * 440 * 2 ** ((pitch + detune - 69) / 12) * t) / harmonic**1.5
            for pitch in chord
            for harmonic in (1, 2, 3, 4)
        ]
        parts.append(np.sum(tones, axis=0) * np.exp(-2 * t))
    return (0.1 * np.concatenate(parts)).astype(np.float32)


def cadence(tonic: int, mode: str) -> list[list[int]]:
    """I IV I V over their roots, in four voices; minor with its leading note."""
    scale = MAJOR if mode == "major" else MINOR
    chords = []
    for degree in (0, 3, 0, 4, 0):
        classes = [(tonic + scale[(degree + step) % 7]) % 12 for step in (0, 2, 4)]
        chords.append([36 + classes[0], *(60 + each for each in classes)])
    return chords


@pytest.mark.parametrize("bpm", [72.0, 96.0, 120.0, 150.0])
def test_clicks_have_their_tempo(bpm: float) -> None:
    found = describe([clicks(bpm, seed=seed) for seed in range(3)], RATE_HZ)
    readings = np.array([found.tempo_bpm, found.rival_bpm])
    assert np.abs(readings / bpm - 1).min() < 0.02, f"{bpm} bpm read as {readings}"
    assert found.pulse > 0.6
    assert found.density_hz == pytest.approx(bpm / 60, rel=0.1)
    if bpm >= 90:
        assert found.tempo_bpm == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_cadences_have_their_key(tonic: int, mode: str) -> None:
    found = describe([notes(cadence(tonic, mode) * 3)], RATE_HZ)
    assert found.key == f"{NAMES[tonic]} {mode}"


def test_an_instrument_out_of_tune_is_in_the_same_key() -> None:
    assert {describe([notes(cadence(2, "minor") * 3, detune=cents / 100)], RATE_HZ).key for cents in (-35, 35)} == {
        "D minor"
    }


def test_the_camelot_wheel_turns_by_fifths() -> None:
    assert [camelot(tonic, "major") for tonic in (0, 7, 2, 9, 4, 11, 6, 1, 8, 3, 10, 5)] == [
        f"{(hour + 7) % 12 + 1}B" for hour in range(12)
    ]
    assert all(camelot(tonic, "major")[:-1] == camelot((tonic + 9) % 12, "minor")[:-1] for tonic in range(12))
    assert key_name(3, "major") == "Eb major"


def test_loudness_and_brightness_are_those_of_a_sine() -> None:
    t = np.arange(10 * RATE_HZ) / RATE_HZ
    found = describe([(0.5 * np.sin(2 * np.pi * 997 * t)).astype(np.float32)] * 2, RATE_HZ)
    assert found.loudness_lufs == pytest.approx(-3.01 - 6.02, abs=0.1)
    assert found.brightness_hz == pytest.approx(997, rel=0.03)
    assert found.loudness_confidence == pytest.approx(1 - np.exp(-2), abs=0.01)


def test_level_changes_nothing_but_loudness() -> None:
    sound = clicks(120) + notes(cadence(5, "major") * 4)[: 10 * RATE_HZ].mean()
    loud, quiet = (describe([gain * sound], RATE_HZ) for gain in (np.float32(1), np.float32(0.1)))
    assert loud.loudness_lufs - quiet.loudness_lufs == pytest.approx(20, abs=0.1)
    same = ("tempo_bpm", "pulse", "density_hz", "brightness_hz")
    for name in same:
        assert getattr(loud, name) == pytest.approx(getattr(quiet, name), rel=0.02), name


def test_noise_has_no_beat_and_no_key() -> None:
    rng = np.random.default_rng(0)
    found = describe([rng.normal(0, 0.1, 10 * RATE_HZ).astype(np.float32) for _ in range(3)], RATE_HZ)
    assert found.tempo_confidence < 0.1
    assert found.key_confidence < 0.1
    assert found.pulse < 0.1
    check_finite(found)


@pytest.mark.parametrize("seconds", [0.2, 1.0, 10.0])
def test_silence_is_finite_and_sure_of_nothing(seconds: float) -> None:
    found = describe([np.zeros(int(seconds * RATE_HZ), np.float32)], RATE_HZ)
    check_finite(found)
    assert found.loudness_lufs == -70
    assert [value for name, value in asdict(found).items() if name.endswith("_confidence")] == [0.0] * 6


def test_clips_that_disagree_are_less_sure() -> None:
    same = describe([clicks(120, seed=1), clicks(120, seed=2)], RATE_HZ)
    other = describe([clicks(120, seed=1), np.float32(0.05) * clicks(83, seed=2)], RATE_HZ)
    assert other.tempo_confidence < same.tempo_confidence
    assert other.loudness_confidence < same.loudness_confidence
    short = describe([clicks(120, 2.0)], RATE_HZ)
    assert short.density_confidence < same.density_confidence


@pytest.fixture(scope="module")
def generated() -> list[tuple[str, float, Signature]]:
    found = []
    for number, style in enumerate(STYLES):
        for take in range(3):
            rng = np.random.default_rng([3, number, take])
            plan = plan_track(style, draw_signature(style, rng), 24.0, 0.0, -14.0, rng)
            sound = render(plan)
            half = len(sound) // 2
            found.append(
                (style.name, plan.tempo_bpm, describe([sound[:half][-220500:], sound[half:][:220500]], RATE_HZ))
            )
    return found


def test_generated_tracks_have_their_tempo_and_the_surer_half_more_often(
    generated: list[tuple[str, float, Signature]],
) -> None:
    ratios = np.array([found.tempo_bpm / truth for _, truth, found in generated])
    right = np.abs(ratios - 1) <= 0.04
    but_for_octaves = np.min([np.abs(ratios / factor - 1) for factor in (1, 2, 0.5, 3, 1 / 3)], axis=0) <= 0.04
    assert right.mean() >= 0.65
    assert but_for_octaves.mean() >= 0.9
    order = np.argsort([found.tempo_confidence for *_, found in generated], kind="stable")
    assert right[order[len(order) // 2 :]].mean() >= right[order[: len(order) // 2]].mean() + 0.1


def test_what_is_written_to_be_danced_to_pulses_more(generated: list[tuple[str, float, Signature]]) -> None:
    def mean(style: str, name: str) -> float:
        return float(np.mean([getattr(found, name) for which, _, found in generated if which == style]))

    assert mean("house", "pulse") > mean("ambient", "pulse") + 0.2
    assert mean("metal", "density_hz") > 2 * mean("ambient", "density_hz")
    assert mean("chiptune", "brightness_hz") > mean("dub", "brightness_hz")


def test_a_signature_takes_little_time() -> None:
    clips = [clicks(120, seed=seed) for seed in range(3)]
    describe(clips, RATE_HZ)
    began = time.process_time()
    for _ in range(3):
        describe(clips, RATE_HZ)
    assert (time.process_time() - began) / 3 < 0.12, "30 ms on an idle core"


def check_finite(found: Signature) -> None:
    assert all(np.isfinite(value) for value in asdict(found).values() if not isinstance(value, str))
    assert all(0 <= value <= 1 for name, value in asdict(found).items() if name.endswith("_confidence"))

from pathlib import Path

import av
import numpy as np
import pytest

from recommender.audio.mel import MelConfig
from recommender.errors import ConfigError, DataError
from recommender.evaluation.hearing import UNCHANGED, Placing
from recommender.evaluation.hearing_baselines import (
    Method,
    baselines,
    describe,
    describe_level,
    measure,
    mel_extract,
)
from recommender.evaluation.hearing_tracks import FILE_HZ, HEARD_HZ, VERSIONS, Extract, hear_folders, versions_of

LEVEL = Extract("level", lambda waveforms: np.sqrt((waveforms**2).mean(axis=1, keepdims=True)))


def write(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=FILE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray((waveform * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = FILE_HZ
        for part in (frame, None):
            file.mux(stream.encode(part))


def tone(hz: float, seconds: float) -> np.ndarray:
    times = np.arange(round(seconds * FILE_HZ)) / FILE_HZ
    return 0.3 * np.sin(2 * np.pi * hz * times) * (1 + np.sin(2 * np.pi * 2 * times)) / 2


METHODS = baselines(MelConfig())
EXTRACTS = [LEVEL, *{each.extract.name: each.extract for each in METHODS}.values()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("music")
    for row, (artist, album) in enumerate([("Ada", "A"), ("Ada", "B"), ("Ben", "C"), ("Cyd", "D")]):
        write(root / artist / album / "One.flac" if album != "B" else root / "Ada/B/Two.flac", tone(200 * 1.5**row, 20))
    write(root / "Ada" / "Again" / "one.flac", tone(200, 15))
    write(root / "Ben" / "C" / "Short.flac", tone(500, 3))
    write(root / "Ben" / "C" / "Silence.flac", np.zeros(20 * FILE_HZ))
    return root


@pytest.fixture(scope="module")
def cache(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = tmp_path_factory.mktemp("cache")
    hear_folders([folder], EXTRACTS, cache=kept)
    return kept


def test_each_song_is_heard_once_with_its_artist_and_what_cannot_be_heard_is_told(folder: Path, cache: Path) -> None:
    heard = hear_folders([folder], [LEVEL], cache=cache)
    assert heard.clips.artists == ("Ada", "Ada", "Ben", "Cyd")
    assert heard.clips.albums == ("A", "B", "C", "D")
    assert heard.clips.starts_s.tolist() == [0, 10] * 4
    assert sorted(reason.split(":")[0] for reason in heard.unusable) == ["Short.flac", "Silence.flac"]
    assert set(heard.extracts["level"]) == set(VERSIONS)
    quiet, loud = heard.extracts["level"]["-6 dB"], heard.extracts["level"][UNCHANGED]
    np.testing.assert_allclose(20 * np.log10(quiet / loud), -6, atol=1e-4)


def test_artists_of_the_training_are_left_out_and_whole_artists_are_drawn(folder: Path, cache: Path) -> None:
    assert hear_folders([folder], [LEVEL], cache=cache, leave_out=frozenset({"ada"})).clips.artists == ("Ben", "Cyd")
    drawn = [hear_folders([folder], [LEVEL], cache=cache, max_tracks=2, seed=seed).clips.artists for seed in range(8)]
    assert {len(artists) for artists in drawn} == {2}
    assert ("Ada", "Ada") in drawn
    assert len(set(drawn)) > 1
    with pytest.raises(DataError, match="no audio file"):
        hear_folders([folder], [LEVEL], leave_out=frozenset({"ada", "ben", "cyd"}))


def test_a_second_run_computes_nothing(folder: Path, cache: Path) -> None:
    def refuse(_: np.ndarray) -> np.ndarray:
        raise AssertionError("computed again")

    heard = hear_folders([folder], [Extract(LEVEL.name, refuse)], cache=cache)
    assert heard.extracts["level"][UNCHANGED].shape == (8, 1)


def test_versions_are_in_their_order_and_of_one_length() -> None:
    stereo = np.stack([tone(440, 2.1), tone(440, 2.1)]).astype(np.float32)
    versions = versions_of(stereo, 2 * HEARD_HZ)
    assert versions.shape == (len(VERSIONS), 2 * HEARD_HZ)
    pitches = np.abs(np.fft.rfft(versions * np.hanning(2 * HEARD_HZ), axis=1)).argmax(axis=1) / 2
    assert dict(zip(VERSIONS, pitches.round(), strict=True)) == pytest.approx(
        dict.fromkeys(VERSIONS, 440) | {"pitch +1 semitone": 466}, abs=2
    )


def test_descriptors_follow_what_they_are_named_after() -> None:
    dark, bright = (tone(hz, 4)[::2].astype(np.float32) for hz in (300, 3000))
    assert describe(dark, HEARD_HZ).shape == (89,)
    assert np.isfinite(describe(np.zeros(HEARD_HZ * 2, np.float32), HEARD_HZ)).all()
    assert np.exp(describe_level(dark, HEARD_HZ)[3]) * HEARD_HZ / 2 == pytest.approx(300, rel=0.02)
    assert np.exp(describe_level(bright, HEARD_HZ)[3]) * HEARD_HZ / 2 == pytest.approx(3000, rel=0.02)
    assert describe_level(dark / 2, HEARD_HZ)[0] - describe_level(dark, HEARD_HZ)[0] == pytest.approx(-6.02, abs=0.01)


def test_every_baseline_hears_and_the_best_placing_is_kept(folder: Path, cache: Path) -> None:
    heard = hear_folders([folder], EXTRACTS, cache=cache)
    for method in METHODS:
        found, placing = measure(method, heard, draws=10)
        assert placing in method.placings
        assert found["sibling MRR"] > 1 / 7, method.name
    deaf = Method("deaf", LEVEL, lambda array: np.zeros((len(array), 2)))
    assert measure(deaf, heard, draws=10)[0]["sibling MRR"] == pytest.approx(1 / 7)
    inverted = Method("two ways", LEVEL, lambda array: array, (Placing(), Placing("standardised", "euclid")))
    assert measure(inverted, heard, draws=10)[1] == Placing("standardised", "euclid")


def test_spectrograms_are_of_the_rate_that_is_heard() -> None:
    with pytest.raises(ConfigError, match="sample_rate_hz is 16000, expected 22050"):
        mel_extract(MelConfig(sample_rate_hz=16000, f_max_hz=8000.0))

"""A network that hears the level, one that hears the codec's cut-off, and one that hears neither."""

import wave
from pathlib import Path

import numpy as np
import pytest

from recommender.audio.clips import ClipConfig
from recommender.audio.mel import dequantise
from recommender.data.embeddings import to_unit_length
from recommender.errors import AudioError
from recommender.evaluation.association import Separation
from recommender.evaluation.audit import judge_hearing, judge_tell_tales
from recommender.evaluation.audit_hearing import Changed, Heard, change_and_embed, probe_auc, what_is_heard

N_FILES, RATE = 10, 44100
CONFIG = ClipConfig(clip_s=2.0, max_clips=1)


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> Changed:
    """Every version of every file, as spectrograms: a network is then a function of them."""
    changed, used = change_and_embed(write_files(tmp_path_factory), lambda mels: mels, CONFIG)
    assert used == list(range(N_FILES))
    return changed


def write_files(tmp_path_factory) -> list[tuple[Path, float]]:
    folder = tmp_path_factory.mktemp("music")
    made = []
    for number in range(N_FILES):
        rng = np.random.default_rng(number)
        n = int(2.6 * RATE)
        hz = np.fft.rfftfreq(n, 1 / RATE)
        tilt = 1 / np.sqrt(1 + (hz / rng.uniform(800, 6000)) ** 2)
        waveform = np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * tilt, n)
        waveform *= 0.1 / np.abs(waveform).max()
        path = folder / f"{number}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE, n, "NONE", ""))
            file.writeframes((waveform * 32767).astype("<i2").tobytes())
        made.append((path, 2.6))
    return made


def hears_level(mels: np.ndarray) -> np.ndarray:
    db = dequantise(mels).mean(axis=2)
    return to_unit_length(np.concatenate([db - db.mean(), 3 * np.ones((len(db), 1)) * db.mean()], axis=1))


def hears_music(mels: np.ndarray) -> np.ndarray:
    db = dequantise(mels).mean(axis=2)[:, :64]
    return to_unit_length(db - db.mean(axis=1, keepdims=True))


def heard_by(network, changed: Changed) -> dict[str, Heard]:
    changed = Changed({name: network(mels) for name, mels in changed.vectors.items()}, changed.clip_tracks)
    library = changed.tracks("unchanged")
    rows = np.arange(N_FILES)
    return what_is_heard(changed, library, rows, rows, lambda raw: raw)


def test_a_network_that_hears_the_level_is_found(changed):
    heard = heard_by(hears_level, changed)
    assert heard["gain -6 dB"].auc > 0.9
    checks = {check.name: check for check in judge_hearing(heard, N_FILES)}
    assert checks["the vectors tell gain"].verdict == "found"


def test_a_network_that_hears_music_is_not(changed):
    heard = heard_by(hears_music, changed)
    assert heard["gain -6 dB"].stay > 0.95
    assert heard["tone"].stay == 1.0
    checks = {check.name: check for check in judge_hearing(heard, N_FILES)}
    assert {checks[name].verdict for name in ("the vectors tell gain", "a tone at 19 kHz")} == {"ok"}
    assert "not heard" in checks["a tone at 19 kHz"].found


def test_without_files_there_is_one_sentence(tmp_path):
    with pytest.raises(AudioError, match="none of 1 files can be decoded"):
        change_and_embed([(tmp_path / "gone.wav", 3.0)], hears_music, CONFIG)


def test_a_probe_is_asked_about_other_artists():
    rng = np.random.default_rng(0)
    artists = np.repeat(np.arange(10), 6)
    vectors = rng.normal(size=(10, 8))[artists] + 0.1 * rng.normal(size=(60, 8))
    by_artist = artists % 2 == 0
    assert probe_auc(vectors, by_artist, np.arange(60))[0] > 0.95
    assert probe_auc(vectors, by_artist, artists)[1] < 0.6


def test_what_the_network_cannot_hear_is_said_to_be_in_the_data_only():
    deaf, open_eared = Heard(0.5, 0.4, 0.6, 1.0, 0.5), Heard(0.95, 0.9, 1.0, 0.4, 0.02)
    found = [Separation("popular", "tone at 19 kHz", 0.99, 0.001), Separation("new", "tone at 19 kHz", 0.5, 1.0)]
    kinds = {"tone at 19 kHz": "tone", "codec mp3": "codec"}
    popular, new = judge_tell_tales(found, kinds, {"tone": deaf}, 100)
    assert (popular.verdict, new.verdict) == ("found", "ok")
    assert "planted in the data; the model cannot hear it" in popular.advice
    artists = [Separation("artists*", "codec mp3", 0.9, 0.001)]
    assert judge_tell_tales(artists, kinds, {"MP3 64k": deaf}, 100)[0].verdict == "warning"
    (by_codec,) = judge_tell_tales(artists, kinds, {"MP3 64k": open_eared}, 100)
    assert by_codec.verdict == "found"
    assert "the model hears codec" in by_codec.advice

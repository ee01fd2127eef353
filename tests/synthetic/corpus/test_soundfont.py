import numpy as np
import pytest

from recommender.errors import ConfigError
from recommender.synthetic.corpus import soundfont as module
from recommender.synthetic.corpus.soundfont import DRUM_BANK, Played, find_soundfont
from recommender.synthetic.instruments import SAMPLE_RATE_HZ

HALF_S = SAMPLE_RATE_HZ // 2


def loudest_hz(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return np.argmax(spectrum) * SAMPLE_RATE_HZ / len(sound)


def test_a_soundfont_is_found_in_the_folders_of_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDERS", (tmp_path,))
    with pytest.raises(ConfigError, match="apt install fluid-soundfont-gm"):
        find_soundfont()
    (tmp_path / "FluidR3_GM.sf2").touch()
    assert find_soundfont() == tmp_path / "FluidR3_GM.sf2"


def test_a_path_that_is_no_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.sf2 is not a file"):
        find_soundfont(tmp_path / "none.sf2")


def test_a_file_that_is_no_soundfont_is_named(tmp_path):
    pytest.importorskip("tinysoundfont")
    (tmp_path / "song.sf2").write_bytes(b"not a soundfont")
    with pytest.raises(ConfigError, match=r"song\.sf2 cannot be read"):
        module.SoundFont(tmp_path / "song.sf2")


def test_a_note_has_its_pitch_its_place_and_its_end(fonts):
    sound = fonts[0].play(0, 73, [Played(0.5, 0.6, 69, 0.8)], 2 * SAMPLE_RATE_HZ)
    assert np.abs(sound[:HALF_S]).max() < 1e-4 < 0.01 < np.abs(sound[HALF_S : 2 * HALF_S]).max()
    assert loudest_hz(sound[HALF_S : 2 * HALF_S]) == pytest.approx(440, rel=0.02)
    assert np.abs(sound[-HALF_S // 2 :]).max() < 0.05 * np.abs(sound).max()


def test_tuning_moves_the_pitch(fonts):
    note = [Played(0.0, 0.9, 69, 0.8)]
    flat, sharp = (loudest_hz(fonts[0].play(0, 73, note, 2 * HALF_S, tuning)) for tuning in (0.0, 2.0))
    assert sharp / flat == pytest.approx(2 ** (2 / 12), rel=0.02)


def test_what_was_played_before_is_not_heard(fonts):
    notes = [Played(0.0, 0.4, 60, 0.7), Played(0.1, 0.4, 67, 0.7)]
    first = fonts[0].play(0, 0, notes, HALF_S)
    fonts[0].play(DRUM_BANK, 0, [Played(0.0, 0.4, 49, 1.0)], HALF_S)
    assert np.array_equal(fonts[0].play(0, 0, notes, HALF_S), first)


def test_a_missing_variation_falls_back_to_the_main_preset(fonts):
    assert fonts[0].name(77, 0) is None
    note = [Played(0.0, 0.4, 60, 0.7)]
    assert np.array_equal(fonts[0].play(77, 0, note, HALF_S), fonts[0].play(0, 0, note, HALF_S))

import numpy as np
import pytest

from recommender.synthetic.corpus.kits import LEVELS, PIECES, draw_kit, machine
from recommender.synthetic.corpus.patches import FAMILIES, FAMILY_OF, PROGRAMS, draw_patch
from recommender.synthetic.corpus.soundfont import Played
from recommender.synthetic.corpus.synth import Player
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, frequency_hz


@pytest.mark.parametrize("group", ["synth bass", "synth lead", "pad", "chip", "voice", "organ", "mallet"])
def test_synthesizers_sound_and_stay_in_range(group):
    rng = np.random.default_rng(3)
    patches = [patch for patch in (draw_patch(group, rng) for _ in range(60)) if patch.engine != "font"]
    assert len(patches) >= 5
    for patch in patches[:12]:
        notes = [Played(0.1, 0.5, 45, 0.9), Played(0.3, 0.6, 93, 0.9)]
        sound = Player(patch, np.random.default_rng(0)).play(notes, SAMPLE_RATE_HZ)
        assert sound.dtype == np.float32
        assert np.all(np.isfinite(sound))
        assert not sound[: SAMPLE_RATE_HZ // 11].any(), "before the first note"
        assert 0.01 < np.abs(sound).max() < 8


@pytest.mark.parametrize("pitch", [40, 69, 88])
def test_a_chip_is_in_tune(pitch):
    rng = np.random.default_rng(1)
    patch = next(each for each in (draw_patch("chip", rng) for _ in range(99)) if each.engine == "table")
    sound = Player(patch, rng).play([Played(0.0, 2.0, pitch, 1.0)], 2 * SAMPLE_RATE_HZ)[: SAMPLE_RATE_HZ // 4]
    similarity = np.correlate(sound, sound, "full")[len(sound) - 1 :]
    period = SAMPLE_RATE_HZ / frequency_hz(pitch)
    around = np.arange(int(0.8 * period), int(1.25 * period) + 2)
    assert around[np.argmax(similarity[around])] == pytest.approx(period, abs=1)


def test_every_group_belongs_to_a_family():
    assert {FAMILY_OF.get(group, group) for group in PROGRAMS} | {"drums"} == set(FAMILIES)


def test_a_machine_has_every_piece():
    for seed in range(4):
        kit = draw_kit("machine", np.random.default_rng(seed))
        sounds = machine(kit)
        assert set(sounds) == set(PIECES) == set(LEVELS)
        for takes in sounds.values():
            assert all(np.all(np.isfinite(take)) and np.abs(take).max() > 0.001 for take in takes)

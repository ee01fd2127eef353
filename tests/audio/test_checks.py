import numpy as np
import pytest

from recommender.audio.checks import check_clips, check_plays, find_doubles, measure_clips
from recommender.audio.clips import Clips
from recommender.audio.mel import MelConfig
from recommender.data.checks import SILENT
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary

MEL = MelConfig(n_mels=48)
N_TRACKS = 30


@pytest.fixture
def mels() -> np.ndarray:
    """Two clips a track: notes that come and go over a slope."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, -30, MEL.n_mels)[:, None]
    notes = rng.normal(0, 8, (2 * N_TRACKS, MEL.n_mels, 40)).repeat(5, axis=2)
    level_db = -40 + slope + notes + rng.normal(0, 2, notes.shape)
    return np.clip(np.rint((level_db + 100) * 2), 0, 255).astype(np.uint8)


def clips_of(mels: np.ndarray, owners: np.ndarray | None = None) -> Clips:
    owners = np.repeat(np.arange(len(mels) // 2, dtype=np.int32), 2) if owners is None else owners
    tracks = Vocabulary("track", tuple(f"t{row}" for row in range(int(owners.max()) + 1)))
    return Clips(tracks, mels, owners, np.zeros(len(mels), np.float32))


def verdicts(clips: Clips, durations=None):
    return {check.name: check for check in check_clips(clips, measure_clips(clips, MEL), durations)}


def test_sound_data_pass(mels):
    checks = verdicts(clips_of(mels), np.full(N_TRACKS, 180.0))
    assert [check for check in checks.values() if check.verdict not in SILENT] == []
    assert "duration" in checks


def test_silence_is_found_and_named(mels):
    mels[6] = 4
    check = verdicts(clips_of(mels))["silent clips"]
    assert (check.verdict, check.found) == ("warning", "1 of 60 clips, of t3")
    mels[:20] = 4
    assert verdicts(clips_of(mels))["silent clips"].verdict == "broken"


def test_a_constant_spectrogram_is_found(mels):
    mels[8] = np.linspace(60, 160, MEL.n_mels, dtype=np.uint8)[:, None]
    check = verdicts(clips_of(mels))["constant spectrograms"]
    assert (check.verdict, check.found) == ("warning", "1 of 60 clips, of t4")


def test_a_double_is_found_whatever_its_level_and_noise(mels):
    mels[10:12] = mels[4:6]
    rng = np.random.default_rng(1)
    mels[30:32] = np.clip(mels[20:22].astype(int) - 12 + rng.integers(-6, 7, mels[20:22].shape), 0, 255)
    clips = clips_of(mels)
    assert find_doubles(clips) == [(2, 5), (10, 15)]
    check = verdicts(clips)["the same recording under two ids"]
    assert check.verdict == "warning"
    assert "t2 = t5" in check.found


def test_tracks_with_one_clip_are_counted(mels):
    owners = np.concatenate([np.arange(20), np.repeat(np.arange(20, 40), 2)])[: len(mels)].astype(np.int32)
    check = verdicts(clips_of(mels, owners))["clips a track"]
    assert check.verdict == "ok"
    check = verdicts(clips_of(mels, np.arange(len(mels), dtype=np.int32)))["clips a track"]
    assert (check.verdict, check.found) == ("warning", "60 of 60 tracks have one clip")


@pytest.mark.parametrize("name", ["level", "bandwidth", "duration"])
def test_what_stands_out_is_named(mels, name):
    durations = np.full(N_TRACKS, 180.0)
    if name == "level":
        mels[14:16] = np.maximum(mels[14:16].astype(int) - 70, 12)
    elif name == "bandwidth":
        mels[14:16, 20:] = 0
    else:
        durations[7] = 7200
    checks = verdicts(clips_of(mels), durations)
    assert checks[name].verdict == "warning"
    assert "t7" in checks[name].found


def test_plays_of_what_cannot_be_heard_are_found(mels):
    clips = clips_of(mels)
    tracks = Vocabulary("track", tuple(f"t{row}" for row in range(100)))

    def plays(rows: np.ndarray) -> Interactions:
        users = Vocabulary("user", tuple("abcd"))
        each = np.tile(rows, 4).astype(np.int32)
        who = np.repeat(np.arange(4, dtype=np.int32), len(rows))
        return Interactions(
            users, tracks, who, each, np.ones(len(each), np.float32), np.full(len(each), "NaT", "M8[s]")
        )

    assert check_plays(plays(np.arange(60, 100)), clips, 3).verdict == "broken"
    assert check_plays(plays(np.arange(20, 100)), clips, 3).verdict == "warning"
    few = check_plays(plays(np.arange(30)), clips, 3)
    assert (few.verdict, few.found) == ("warning", "100% of the plays, 30 tracks with 3 listeners or more")

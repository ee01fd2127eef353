from dataclasses import replace
from pathlib import Path

import mutagen
import numpy as np
import pandas as pd
import pytest

from recommender.data.library import content_hash
from recommender.errors import DataError
from recommender.synthetic.listeners import Appeal, ListenerConfig, draw_affinity, draw_plays
from recommender.synthetic.world import TINY, build_world, listening_log, load_world


def hashes(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): content_hash(p) for p in sorted((folder / "music").rglob("*.flac"))}


def test_the_result_does_not_depend_on_the_number_of_workers(world, world_folder, tmp_path):
    again = build_world(TINY, tmp_path, workers=1)
    assert hashes(tmp_path) == hashes(world_folder)
    pd.testing.assert_frame_equal(again.past, world.past)
    assert np.array_equal(again.affinity, world.affinity)


def test_an_interrupted_build_goes_on(world, world_folder, tmp_path):
    small = replace(TINY, n_tracks=12)
    build_world(small, tmp_path, workers=1)
    files = sorted((tmp_path / "music").rglob("*.flac"))
    whole = hashes(tmp_path)
    kept, gone = files[0], files[-1]
    before = kept.stat().st_mtime_ns
    gone.unlink()
    build_world(small, tmp_path, workers=1)
    assert hashes(tmp_path) == whole
    assert kept.stat().st_mtime_ns == before


def test_another_config_does_not_overwrite_a_world(world, world_folder):
    with pytest.raises(DataError, match="another config"):
        build_world(replace(TINY, seed=9), world_folder)


def test_load_gives_back_what_was_built(world, world_folder):
    loaded = load_world(world_folder)
    pd.testing.assert_frame_equal(loaded.future, world.future)
    assert loaded.users == world.users
    assert loaded.split_time == world.split_time
    assert np.array_equal(loaded.affinity, world.affinity)


def test_files_carry_their_tags(world, world_folder):
    for row in world.tracks.head(5).itertuples():
        tags = mutagen.File(world_folder / "music" / row.path)
        assert (tags["title"], tags["artist"], tags["album"], tags["date"]) == (
            [row.title], [row.artist], [row.album], [row.released],
        )  # fmt: skip


def test_nobody_plays_a_track_before_its_release_and_new_ones_have_no_past(world):
    released = world.tracks.set_index("path")["released"]
    for plays in (world.past, world.future):
        assert np.all(plays["timestamp"].to_numpy() >= pd.to_datetime(plays["path"].map(released)).to_numpy())
    assert world.past["timestamp"].max() < world.split_time <= world.future["timestamp"].min()
    new = set(world.tracks["path"][pd.to_datetime(world.tracks["released"]) >= world.split_time])
    assert new
    assert not new & set(world.past["path"])
    assert new & set(world.future["path"])


def test_newness_cannot_be_heard(world):
    new = (pd.to_datetime(world.tracks["released"]) >= world.split_time).to_numpy()
    lengths = world.tracks["length_s"].to_numpy()
    assert lengths[new].min() < lengths[~new].mean() < lengths[new].max()


def test_the_log_names_tracks_by_the_ids_of_a_library(world):
    ids = {path: f"id of {path}" for path in world.tracks["path"]}
    log = listening_log(world.past, ids)
    assert list(log.columns) == ["user_id", "item_id", "weight", "timestamp"]
    assert log["item_id"].iloc[0] == f"id of {world.past['path'].iloc[0]}"


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    styles = np.eye(4)[rng.integers(4, size=80)]
    appeal = Appeal(styles, rng.normal(size=(80, 3)), rng.integers(20, size=80))
    config = ListenerConfig(n_users=150)
    affinity = draw_affinity(appeal, config, rng)
    start, end = np.datetime64("2022-01-01"), np.datetime64("2024-01-01")
    plays = draw_plays(affinity, np.full(80, start), start, end, config, rng)
    return styles, affinity, plays


def test_people_play_what_they_like_and_skip_what_they_do_not(drawn):
    _, affinity, plays = drawn
    centred = affinity - affinity.mean(axis=1, keepdims=True)
    felt = centred[plays["user"], plays["track"]]
    assert felt.mean() > 0.5
    assert felt[plays["weight"] == 0].mean() < felt[plays["weight"] == 1].mean() - 0.5
    assert 0.01 < (plays["weight"] == 0).mean() < 0.3


def test_sound_explains_a_part_of_taste_and_only_a_part(drawn):
    styles, affinity, _ = drawn
    centred = affinity - affinity.mean(axis=0) - affinity.mean(axis=1, keepdims=True)
    of_style = centred @ styles / styles.sum(axis=0)
    explained = 1 - np.var(centred - of_style @ styles.T) / np.var(centred)
    assert 0.1 < explained < 0.7

import shutil
from dataclasses import replace
from pathlib import Path

import av
import mutagen
import numpy as np
import pandas as pd
import pytest

from recommender.data.library import content_hash
from recommender.errors import ConfigError, DataError
from recommender.synthetic.instruments import SAMPLE_RATE_HZ
from recommender.synthetic.listeners import ListenerConfig
from recommender.synthetic.music import render
from recommender.synthetic.world import TINY, WorldConfig, build_world, draw_world, listening_log, load_world


def hashes(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): content_hash(p) for p in sorted((folder / "music").rglob("*.flac"))}


def test_the_result_does_not_depend_on_the_number_of_workers(world, world_folder, tmp_path):
    told = []
    shutil.copytree(world_folder / "music", tmp_path / "music")
    for path in world.tracks["path"].iloc[4:16]:
        (tmp_path / "music" / path).unlink()
    again = build_world(TINY, tmp_path, lambda done, total: told.append((done, total)), workers=2)
    assert hashes(tmp_path) == hashes(world_folder)
    pd.testing.assert_frame_equal(again.past, world.past)
    assert np.array_equal(again.affinity, world.affinity)
    assert told == [(done, TINY.n_tracks) for done in range(TINY.n_tracks - 12, TINY.n_tracks + 1)]


def test_another_seed_is_another_world(world):
    other, _ = draw_world(replace(TINY, seed=1))
    assert set(other.tracks["path"]).isdisjoint(world.tracks["path"])
    assert not np.array_equal(other.affinity, world.affinity)


def test_an_interrupted_build_goes_on(world, world_folder, tmp_path):
    small = replace(TINY, n_tracks=12, min_length_s=3.0, max_length_s=3.0)
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
    assert np.array_equal(loaded.audible, world.audible)


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


def test_files_hold_what_was_rendered(world, world_folder):
    releases = draw_world(TINY)[1]
    for release in releases[:3]:
        with av.open(str(world_folder / "music" / release.path)) as container:
            stream = container.streams.audio[0]
            assert (stream.codec.name, stream.rate, stream.channels) == ("flac", SAMPLE_RATE_HZ, 1)
            read = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
        assert np.array_equal(read, np.rint(render(release.plan) * 32767).astype(np.int16))


def test_newness_cannot_be_told_from_the_file():
    """Length, loudness, tilt and tempo are drawn alike before and after the split."""
    world, releases = draw_world(WorldConfig(n_tracks=1500))
    new = (pd.to_datetime(world.tracks["released"]) >= world.split_time).to_numpy()
    for values in (
        [r.plan.length_s for r in releases],
        [r.plan.level_db for r in releases],
        [r.plan.tilt_db for r in releases],
        [r.plan.signature.touch.brightness for r in releases],
    ):
        of_new, of_known = np.array(values)[new], np.array(values)[~new]
        assert abs(of_new.mean() - of_known.mean()) < 0.35 * of_known.std()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_tracks": 11}, "n_tracks is 11"),
        ({"min_length_s": 9.0, "max_length_s": 8.0}, "tracks of 9.0 to 8.0 s"),
        ({"new_share": 1.0}, "new_share is 1.0"),
        ({"days": 100, "days_after_split": 100}, "days_after_split is 100"),
    ],
)
def test_a_world_that_cannot_be_is_named(settings, says):
    with pytest.raises(ConfigError, match=says):
        WorldConfig(**settings)


def test_a_world_needs_people():
    with pytest.raises(ConfigError, match="0 users"):
        ListenerConfig(n_users=0)


def test_the_log_names_tracks_by_the_ids_of_a_library(world):
    ids = {path: f"id of {path}" for path in world.tracks["path"]}
    log = listening_log(world.past, ids)
    assert list(log.columns) == ["user_id", "item_id", "weight", "timestamp"]
    assert log["item_id"].iloc[0] == f"id of {world.past['path'].iloc[0]}"

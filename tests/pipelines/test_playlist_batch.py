import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest

from pipelines import cli, playlist_batch, playlist_workers
from pipelines.playlist_batch import endings_of, lengths_of
from pipelines.workspace import Workspace, open_workspace
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError, DataError
from recommender.models.als import AlsConfig
from recommender.playlists import weekly
from recommender.playlists.formats import read_playlist
from recommender.ranking.ranker import RankerConfig, fit_hybrid
from recommender.serving.bundle import use_bundle, write_bundle
from recommender.serving.store import Listen, Store

QUICK = RankerConfig(als=AlsConfig(factors=8), search_als=False, learned=False)
VERSION, WEEK = "20260101T000000-test", "2026-W47"
ODD = ("Ann", "ann", "../../up", "a/b", "a_b", "con", ".hidden", "ünï 🎧", "x" * 300, "line\nbreak")
N_TRACKS = 60


def write_workspace(folder: Path, users: tuple[str, ...], with_paths: bool = True) -> Workspace:
    rng = np.random.default_rng(0)
    rows = np.arange(N_TRACKS)
    catalog = Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": [f"t{row:02d}" for row in rows],
                "title": [f"Title {row}" for row in rows],
                "artist": [f"Artist {row % 20}" for row in rows],
                "duration_s": 200.0,
                "path": [f"/music/artist {row % 20}/{row}.flac" if with_paths else "" for row in rows],
            }
        )
    )
    vectors = rng.normal(size=(N_TRACKS, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    plays = [(user, f"t{track:02d}") for user in users for track in rng.choice(50, 20, replace=False)]
    frame = pd.DataFrame(plays, columns=["user_id", "item_id"]).assign(weight=1.0, timestamp=np.datetime64("NaT", "s"))
    known = Vocabulary("user", users)
    interactions = Interactions.from_frame(frame, known, catalog.tracks)
    model = fit_hybrid(catalog, interactions, Embeddings.without_clips(catalog.tracks, vectors, "ears"), QUICK)
    workspace = open_workspace(folder, create=True)
    write_bundle(workspace.bundles / VERSION, model, None, config={}, data_digest="d", metrics={})
    use_bundle(workspace.bundles, VERSION)
    return workspace


@pytest.fixture(scope="session")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / "w"
    write_workspace(folder, ODD)
    return folder


@pytest.fixture
def workspace(odd_folder: Path, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(odd_folder, tmp_path / "w")))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Three users a block; the blocks that are made."""
    made: list[int] = []
    real = playlist_workers.make_block
    monkeypatch.setattr(weekly, "MOST_USERS", 3)
    monkeypatch.setattr(playlist_workers, "make_block", lambda batch, block: (made.append(block), real(batch, block)))
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def table_of(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "playlists.parquet")


def test_every_user_gets_three_lists_in_every_format_and_a_table_has_them_all(workspace, tmp_path):
    out = tmp_path / "out"
    playlist_batch.run(workspace, out, length=6, week=WEEK, formats="m3u8,xspf,jspf")
    table = table_of(out)
    assert list(table) == [
        "user_id", "kind", "position", "item_id", "score", "source", "playlist", "week", "bundle", "relaxed_rules",
    ]  # fmt: skip
    users = set(ODD)
    assert set(table["user_id"]) == users
    assert set(table["week"]) == {WEEK}
    files = {path for path in out.iterdir() if path.suffix != ".parquet"}
    assert len({path.name.casefold() for path in files}) == len(files) == len(users) * 3 * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "w"]  # nobody came out of the folder
    by_name = {name: rows["item_id"].tolist() for name, rows in table.groupby("playlist")}
    titles = {row: f"Title {int(row[1:])}" for row in table["item_id"]}
    for path in files:
        name, entries = read_playlist(path)
        expected = next(ids for title, ids in by_name.items() if " ".join(title.split()) == name)
        assert [entry.title for entry in entries] == [titles[track] for track in expected]
        assert all(entry.file and entry.file.parts[1] == "music" for entry in entries)


def test_files_have_the_same_names_week_after_week_and_tracks_do_not_come_again(workspace, tmp_path):
    out, weeks = tmp_path / "out", [f"2026-W{number}" for number in (47, 48, 49)]
    names, given = [], []
    for week in weeks:
        playlist_batch.run(workspace, out, length=4, week=week)
        names.append(sorted(contents(out)))
        given.append(table_of(out)[["user_id", "item_id"]])
    assert names[0] == names[1] == names[2]
    assert not pd.concat(given).duplicated().any()
    playlist_batch.run(workspace, out, length=4, week="2026-W50", no_repeat_weeks=0)
    assert pd.concat([*given, table_of(out)[["user_id", "item_id"]]]).duplicated().any()


def test_the_same_week_again_is_the_same_and_other_kinds_of_it_stay_known(workspace, tmp_path):
    out = tmp_path / "out"
    playlist_batch.run(workspace, out, length=4, week=WEEK)
    first = contents(out)
    playlist_batch.run(workspace, out, length=4, week=WEEK)
    assert contents(out) == first
    playlist_batch.run(workspace, out, length=4, week=WEEK, seed=1)
    assert contents(out) != first
    playlist_batch.run(workspace, tmp_path / "other", kinds="new:2", week=WEEK)
    kinds = pd.read_parquet(workspace.given_lists / f"{WEEK}.parquet")["kind"].value_counts()
    assert kinds["discovery"] == 4 * len(ODD)
    assert kinds["new"] == 2 * len(ODD)


def test_a_newcomer_changes_nobody_elses_file(tmp_path):
    outs = []
    for number, users in enumerate([("ann", "bo"), ("aaron", "ann", "bo")]):
        place = write_workspace(tmp_path / f"w{number}", users)
        playlist_batch.run(place, tmp_path / f"o{number}", length=3, week=WEEK, formats="xspf")
        outs.append(set(contents(tmp_path / f"o{number}")))
    assert outs[0] < outs[1]


def test_two_processes_make_what_one_makes(tmp_path):
    made = write_workspace(tmp_path / "w", tuple(f"u{number:03d}" for number in range(2 * weekly.MOST_USERS + 9)))
    playlist_batch.run(made, tmp_path / "out", length=3, week=WEEK, formats="jspf,m3u8", workers=2)
    two = contents(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    playlist_batch.run(made, tmp_path / "out", length=3, week=WEEK, formats="jspf,m3u8", workers=1)
    assert contents(tmp_path / "out") == two


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines import playlist_batch, playlist_workers
from pipelines.workspace import Workspace
from recommender.playlists import batch_files, weekly

def dies(function, after):
    calls = []
    def counted(*arguments, **named):
        calls.append(1)
        if len(calls) > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted

weekly.MOST_USERS = 3
where = sys.argv[1]
if where == "between blocks":
    playlist_workers.make_block = dies(playlist_workers.make_block, 2)
elif where == "between files":
    batch_files.BatchFiles.content = dies(batch_files.BatchFiles.content, 14)
elif where == "before the history":
    playlist_batch.GivenLists.replace = dies(playlist_batch.GivenLists.replace, 0)
else:
    playlist_batch._flush = lambda: setattr(os, "replace", dies(os.replace, 7))
playlist_batch.run(Workspace(Path(sys.argv[2])), Path(sys.argv[3]), length=4, week=sys.argv[4], workers=1)
"""


@pytest.mark.parametrize("where", ["between blocks", "between files", "before the history", "between renames"])
def test_a_batch_that_was_killed_goes_on_and_is_as_if_it_had_not_been(where, workspace, tmp_path, small_blocks):
    out = tmp_path / "out"
    playlist_batch.run(workspace, out, length=4, week="2026-W46", workers=1)
    old = contents(out)
    arguments = [where, str(workspace.folder), str(out), WEEK]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    if where != "between renames":
        assert contents_of_files(out) == old
    small_blocks.clear()
    playlist_batch.run(workspace, out, length=4, week=WEEK, workers=1)
    blocks = -(-len(ODD) // 3)
    assert len(small_blocks) == {"between blocks": blocks - 2, "between files": blocks - 1}.get(where, 0)
    gone_on, given = contents(out), contents_of_files(workspace.given_lists)
    shutil.rmtree(out)
    (workspace.given_lists / f"{WEEK}.parquet").unlink()
    playlist_batch.run(workspace, out, length=4, week=WEEK, workers=1)
    assert contents(out) == gone_on
    assert contents_of_files(workspace.given_lists) == given


def contents_of_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_what_another_plan_left_behind_is_not_used(workspace, tmp_path, small_blocks):
    out = tmp_path / "out"
    arguments = ["between blocks", str(workspace.folder), str(out), WEEK]
    subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, env=os.environ)
    assert (out / ".part-playlists").is_dir()
    playlist_batch.run(workspace, out, length=5, week=WEEK, workers=1)
    assert len(small_blocks) == -(-len(ODD) // 3)
    assert table_of(out).query("kind == 'discovery'").groupby("user_id").size().eq(5).all()


def test_what_was_played_too_much_just_before_the_week_is_left_out(workspace, tmp_path):
    playlist_batch.run(workspace, tmp_path / "out", kinds="familiar:4", week=WEEK)
    mine = table_of(tmp_path / "out").query("user_id == 'con'")["item_id"].tolist()
    (workspace.given_lists / f"{WEEK}.parquet").unlink()
    at = int(datetime(2026, 11, 12, tzinfo=UTC).timestamp() * 1000)
    with closing(Store.open(workspace.store_url)) as store:
        store.add_listens([Listen("con", track, at + number) for track in mine for number in range(5)])
    playlist_batch.run(workspace, tmp_path / "out", kinds="familiar:4", week=WEEK)
    assert not set(table_of(tmp_path / "out").query("user_id == 'con'")["item_id"]) & set(mine)
    playlist_batch.run(workspace, tmp_path / "out", kinds="familiar:4", week="2027-W20")
    assert set(table_of(tmp_path / "out").query("user_id == 'con'")["item_id"]) & set(mine)


def test_short_lists_are_counted_and_say_why_in_their_files(workspace, tmp_path, capsys):
    playlist_batch.run(workspace, tmp_path / "out", kinds="familiar", length=30, week=WEEK)
    assert "familiar: 10 of 10 are shorter than asked for and 0 are empty" in capsys.readouterr().out
    text = (tmp_path / "out" / "_hidden - familiar.m3u8").read_text(encoding="utf-8")
    assert "# length: 5 of 30 tracks: 20 tracks are known to have been played" in text


def test_without_paths_there_is_no_m3u(tmp_path, capsys):
    made = write_workspace(tmp_path / "w", ("ann",), with_paths=False)
    playlist_batch.run(made, tmp_path / "out", formats="m3u8,xspf", week=WEEK, length=3)
    assert not list((tmp_path / "out").glob("*.m3u8"))
    assert len(list((tmp_path / "out").glob("*.xspf"))) == 3
    assert "no M3U files since no track has a path" in capsys.readouterr().out


def test_what_is_asked_for_is_read():
    assert lengths_of("discovery", 7) == {"discovery": 7}
    for kinds in ("jazz", "new:x", "new:-1", "new,new"):
        with pytest.raises(ConfigError, match="--kinds has"):
            lengths_of(kinds, 7)
    assert endings_of("M3U8, .xspf,m3u8") == (".m3u8", ".xspf")
    with pytest.raises(ConfigError, match=r"not \.mp3"):
        endings_of("mp3")


@pytest.mark.parametrize(
    "options", [{"week": "next"}, {"kinds": ""}, {"kinds": "new:0"}, {"formats": "m3u8,doc"}, {"no_repeat_weeks": -1}]
)
def test_bad_options_leave_nothing_behind(workspace, tmp_path, options):
    with pytest.raises(ConfigError):
        playlist_batch.run(workspace, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_batch_at_work_and_a_damaged_history_are_one_line_and_the_old_lists_stay(
    workspace, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    playlist_batch.run(workspace, out, length=3, week="2026-W46")
    old = contents(out)
    with filelock.FileLock(workspace.given_lists / ".lock"), pytest.raises(ArtifactError, match="are being made"):
        playlist_batch.run(workspace, out, week=WEEK)
    (workspace.given_lists / "2026-W46.parquet").write_bytes(b"nothing")
    command = ["firstlisten", "playlists", workspace.folder, "--all-users", "--out", out, "--week", WEEK]
    monkeypatch.setattr(sys, "argv", [str(part) for part in command])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "2026-W46.parquet is damaged" in said
    assert said.count("\n") == 1
    assert contents(out) == old


def test_a_workspace_without_users_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="has no users; ingest"):
        playlist_batch.run(write_workspace(tmp_path / "w", ()), tmp_path / "out", week=WEEK)

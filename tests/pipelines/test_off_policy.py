"""The log of a server, judged: a workspace whose log is written by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import ingest, off_policy
from pipelines.cli import main
from pipelines.config import Settings
from pipelines.train import run as train
from pipelines.workspace import Workspace, open_workspace
from recommender.errors import ArtifactError, ConfigError, DataError
from recommender.ranking.exploration import ExploreConfig, explore, generator_of, uncertainty_of
from recommender.ranking.ranker import RecommendOptions, recommend
from recommender.serving.bundle import current_bundle, load_bundle, read_manifest
from recommender.serving.served import DAY_MS, ServedSlot
from recommender.serving.store import Listen, Store

TOP, N_USERS, N_TRACKS = 4, 40, 30


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two kinds of listeners and tracks; one bundle."""
    folder = tmp_path_factory.mktemp("off-policy")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user:02d}", f"t{track:02d}", 1.0, "2024-01-01")
        for user in range(N_USERS)
        for track in rng.choice(np.arange(user % 2, N_TRACKS, 2), 6, replace=False)
    ]
    plays = pd.DataFrame(rows, columns=["user_id", "item_id", "weight", "timestamp"])
    plays.to_csv(folder / "plays.csv", index=False)
    workspace = open_workspace(folder / "w", create=True)
    ingest.run(workspace, interactions=folder / "plays.csv")
    settings = Settings()
    train(workspace, settings)
    return workspace


@pytest.fixture
def workspace(trained: Workspace):
    """The workspace, with an empty log."""
    yield trained
    for path in trained.folder.glob("store.sqlite*"):
        path.unlink()


def made_ms(workspace: Workspace) -> int:
    made = read_manifest(current_bundle(workspace.bundles)).created_at
    return int(pd.Timestamp(made).timestamp() * 1000)


def serve(workspace: Workspace, *, share: float, days: int = 20, start_ms: int | None = None) -> int:
    """Show every user a list a day; even users play what is even, the others what is odd. Returns the end."""
    model = load_bundle(current_bundle(workspace.bundles)).model
    uncertainty, options = uncertainty_of(model), RecommendOptions(top=TOP)
    store = Store.open(workspace.store_url)
    start_ms = (made_ms(workspace) // DAY_MS + 1) * DAY_MS if start_ms is None else start_ms
    for day in range(days):
        slots, listens = [], []
        at_ms = start_ms + day * DAY_MS + 1000
        for user_id in model.users:
            row, rng = model.users.row(user_id), generator_of("test", user_id, day)
            plays, heard = model.plays[row], model.heard[row]
            ranked = recommend(model, plays, heard, options)[0]
            found = explore(model, uncertainty, plays, heard, ranked, options, ExploreConfig(share=share), rng)
            for place, track_row in enumerate(found.ranked.track_rows):
                track = model.catalog.tracks.ids[track_row]
                slots.append(
                    ServedSlot(
                        f"{user_id}-{day}",
                        at_ms,
                        at_ms - 1000,
                        user_id,
                        track,
                        "b",
                        place + 1,
                        0.0,
                        float(found.propensities[place]),
                        bool(found.explored[place]),
                        2,
                    )
                )
                if rng.random() < 0.5:
                    weight = float(int(track[1:]) % 2 == int(user_id[1:]) % 2)
                    listens.append(Listen(user_id, track, at_ms + 60_000, weight))
        store.add_served(slots)
        if day == 0:
            first_listens = listens
    # only the first day's answers: what was heard once is not shown again
    store.add_listens(first_listens)
    store.close()
    return start_ms + days * DAY_MS + 2 * DAY_MS


def test_a_bundle_is_judged_by_the_log_of_its_own_lists(workspace: Workspace, tmp_path: Path, capsys) -> None:
    end = serve(workspace, share=0.3, days=1)
    found = off_policy.run(workspace, version=None, window_hours=24, out=tmp_path / "t.csv", now_ms=end)
    by_method = found.table.set_index("method")["value"]
    assert by_method["SNIPS"] == pytest.approx(0.5, abs=0.12), "half of what fits is played, and nearly all fits"
    assert found.overlap == pytest.approx(1, abs=0.15)
    assert (found.n_users, found.n_lists, found.n_shown) == (N_USERS, N_USERS, N_USERS * TOP)
    assert found.clipped == 0
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["method"].tolist() == ["logged lists", "IPS", "SNIPS", "DR"]
    assert table["n_users"].tolist() == [N_USERS] * 4
    np.testing.assert_allclose(table["value"], found.table["value"])
    said = capsys.readouterr().out
    assert "SNIPS" in said
    assert "40 lists of 40 users" in said


def test_heard_tracks_leave_the_bundle_s_lists_as_they_leave_the_served_ones(workspace: Workspace) -> None:
    """After a day of plays the bundle would show other tracks: lists that were not renewed overlap less."""
    end = serve(workspace, share=0.0, days=2)
    found = off_policy.run(workspace, version=None, window_hours=24, out=None, now_ms=end)
    assert found.n_lists == 2 * N_USERS
    assert 0.6 < found.overlap < 0.9, "1 on the first day, the half that was not heard on the second"


def test_repeated_lists_of_a_span_and_lists_whose_window_runs_are_left_out(workspace: Workspace) -> None:
    end = serve(workspace, share=0.3, days=1)
    store = Store.open(workspace.store_url)
    slots, _ = store.served_after(0)
    again = [
        vars(slot) | {"request_id": slot.request_id + "x", "served_at_ms": slot.served_at_ms + 5} for slot in slots
    ]
    young = [
        vars(slot) | {"request_id": slot.request_id + "y", "served_at_ms": end - DAY_MS + 1, "bucket_ms": 1}
        for slot in slots
    ]
    store.add_served([ServedSlot(**values) for values in again + young])
    store.close()
    found = off_policy.run(workspace, version=None, window_hours=24, out=None, now_ms=end)
    assert found.n_lists == N_USERS


def test_a_log_that_says_too_little_says_so(workspace: Workspace, capsys) -> None:
    end = serve(workspace, share=0.3, days=1)
    store = Store.open(workspace.store_url)
    few = [slot for slot in store.served_after(0)[0] if slot.user_id < "u05"]
    store.close()
    Path(workspace.folder / "store.sqlite").unlink()
    store = Store.open(workspace.store_url)
    store.add_served(few)
    store.close()
    off_policy.run(workspace, version=None, window_hours=24, out=None, now_ms=end)
    assert "Do not rely on it: the log holds lists of 5 users, 30 are needed" in " ".join(
        capsys.readouterr().out.split()
    )


def test_without_lists_that_count_the_reason_is_one_sentence(workspace: Workspace, tmp_path: Path) -> None:
    def judge(**changes):
        values = {"version": None, "window_hours": 24.0, "out": None}
        return off_policy.run(workspace, **(values | changes))

    with pytest.raises(DataError, match="holds no list that was shown to anybody; serve it with the log on"):
        judge()
    Store.open(workspace.store_url).close()
    with pytest.raises(DataError, match="holds no list"):
        judge()
    end = serve(workspace, share=0.3, days=1, start_ms=made_ms(workspace) - 30 * DAY_MS)
    with pytest.raises(DataError, match=r"none of the 40 logged lists.*: 40 were shown before it was made and 0 less"):
        judge(now_ms=end)
    with pytest.raises(ArtifactError, match="has no bundle 'nope'; it has "):
        judge(version="nope")
    with pytest.raises((ConfigError, DataError), match="xls"):
        judge(out=tmp_path / "t.xls")


def test_a_play_counts_in_the_window_after_it_was_shown() -> None:
    shown = pd.DataFrame({"user_id": list("aaab"), "track_id": list("xxyx"), "served_at_ms": [1000, 5000, 1000, 1000]})
    played = pd.DataFrame({"user_id": list("aaa"), "track_id": list("xyx"), "played_at_ms": [2000, 900, 2500]})
    assert off_policy.was_played(shown, played, 1500).tolist() == [1, 0, 0, 0]
    assert off_policy.was_played(shown, played, 500).tolist() == [0, 0, 0, 0]


def test_the_command_line(workspace: Workspace, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["firstlisten", "evaluate", str(workspace.folder), "--off-policy"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr("sys.argv", ["firstlisten", "evaluate", str(workspace.folder), "--bundle", "b"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2

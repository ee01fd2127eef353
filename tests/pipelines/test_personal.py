"""A user is told what is kept of them from the command line too, and no training brings back who was erased."""

import json
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipelines import ingest, train
from pipelines.cli import app
from pipelines.workspace import Workspace, open_workspace
from recommender.playlists.weeks import GivenLists, Week
from recommender.serving.store import Feedback, Listen, Store

DAY_MS = 86_400_000


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    opened = open_workspace(tmp_path / "w", create=True)
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id,weight,timestamp\nu1,a,1,2024-01-01\nu1,b,2,2024-01-02\nu2,a,1,2024-01-03\n")
    ingest.run(opened, interactions=log)
    return opened


def plays(workspace: Workspace) -> set[tuple[str, str]]:
    return set(workspace.interaction_table()[["user_id", "item_id"]].itertuples(index=False, name=None))


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_no_training_brings_back_who_was_erased(workspace: Workspace, tmp_path: Path) -> None:
    assert train.take_in(workspace) == {}
    with closing(Store.open(workspace.store_url)) as store:
        store.add_listens([Listen("u1", "b", 20_000 * DAY_MS), Listen("u2", "b", 20_000 * DAY_MS)])
        train.take_in(workspace)
        store.add_feedback(Feedback("u1", "a", 1, 20_000 * DAY_MS))
        store.erase("u1")
        heeded = train.take_in(workspace)
        assert heeded == {"store": store.hash_of(""), "through": 1}
        assert plays(workspace) == {("u2", "a"), ("u2", "b")}
        assert workspace.feedback().empty
        ingest.run(workspace, interactions=tmp_path / "log.csv")
        store.add_listens([Listen("u1", "a", 21_000 * DAY_MS)])
        train.take_in(workspace)
        assert plays(workspace) == {("u2", "a"), ("u2", "b"), ("u1", "a")}, "what came after the erasure counts"


def test_what_is_kept_of_a_user_is_written_or_erased(workspace: Workspace, tmp_path: Path) -> None:
    with closing(Store.open(workspace.store_url)) as store:
        store.add_listens([Listen("u1", "ü", n) for n in range(3)])
    assert "5 lines about 'u1'" in run("user", workspace.folder, "export", "u1", "--out", tmp_path / "u1.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "u1.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["listens"] * 3 + ["plays"] * 2
    assert (lines[0]["track_id"], lines[0]["listened_at_ms"]) == ("ü", 0)
    assert (lines[4]["item_id"], lines[4]["weight"], lines[4]["timestamp"][:10]) == ("b", 2, "2024-01-02")
    given = pa.table({"user_id": ["u1", "u2"], "kind": ["new", "new"], "item_id": ["a", "b"]})
    GivenLists(workspace.given_lists).replace(Week.of("2026-W47"), ["new"], given)
    assert "6 lines about 'u1'" in run("user", workspace.folder, "export", "u1", "--out", tmp_path / "u1.jsonl")
    told = json.loads((tmp_path / "u1.jsonl").read_text().splitlines()[-1])
    assert told == {"kind": "weekly playlists", "week": "2026-W47", "list": "new", "item_id": "a"}
    assert "erased: 3 listens, 1 weekly playlists" in run("user", workspace.folder, "erase", "u1")
    assert "nothing was stored" in run("user", workspace.folder, "erase", "u1")


def test_a_database_elsewhere_is_named_by_the_environment(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLISTEN_STORE_URL", f"sqlite:///{tmp_path / 'elsewhere'}")
    with closing(Store.open(workspace.store_url)) as store:
        store.add_listens([Listen("u9", "a", 20_000 * DAY_MS)])
    train.take_in(workspace)
    assert ("u9", "a") in plays(workspace)
    assert not (workspace.folder / "store.sqlite").exists()

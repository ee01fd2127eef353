"""A workspace whose listens are in another database than its own file."""

from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines import ingest
from pipelines.cli import app
from pipelines.workspace import Workspace, open_workspace
from recommender.errors import DataError
from recommender.serving.bundle import current_bundle, load_bundle
from recommender.serving.store import Feedback, Listen, Store
from tests.serving.conftest import postgres, postgres_url, store_url  # noqa: F401 - fixtures


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    plays = [(f"u{user:02d}", f"t{(user + n) % 10}", 1) for user in range(20) for n in range(4)]
    pd.DataFrame(plays, columns=["user_id", "item_id", "weight"]).to_csv(tmp_path / "plays.csv", index=False)
    workspace = open_workspace(tmp_path / "w", create=True)
    ingest.run(workspace, interactions=tmp_path / "plays.csv")
    return workspace


def test_training_and_recommending_read_the_store_that_is_named(
    workspace: Workspace,
    store_url: str,  # noqa: F811
) -> None:
    url = store_url.replace("store.sqlite", "elsewhere.sqlite")
    with closing(Store.open(url)) as store:
        store.add_listens([Listen("zoé", "t3", 1_700_000_000_000, 1.0), Listen("zoé", "t4", 1_700_000_300_000, 0.0)])
        store.add_feedback(Feedback("zoé", "t5", 1, 1_700_000_600_000))
        trained = CliRunner().invoke(app, ["train", str(workspace.folder), "--store", url])
        assert trained.exit_code == 0, trained.output
        model = load_bundle(current_bundle(workspace.bundles)).model
        row = model.users.row("zoé")
        told = {model.catalog.tracks.ids[at]: value for at, value in enumerate(model.heard[row].toarray()[0]) if value}
        assert set(told) == {"t3", "t4", "t5"}
        assert model.plays[row].nnz == 2, "a skip is no play"
        store.add_listens([Listen("yann", "t1", 1_700_000_900_000, 1.0)])
    command = ["recommend", str(workspace.folder), "--user", "yann"]
    answered = CliRunner().invoke(app, [*command, "--store", url])
    assert answered.exit_code == 0, answered.output
    with pytest.raises(DataError, match="yann"):
        raise CliRunner().invoke(app, command).exception or AssertionError
    by_environment = CliRunner().invoke(app, command, env={"FIRSTLISTEN_STORE_URL": url})
    assert by_environment.output == answered.output


def test_an_empty_variable_names_no_store(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLISTEN_STORE_URL", "")
    assert not workspace.has_store
    assert workspace.store_url.endswith("w/store.sqlite")

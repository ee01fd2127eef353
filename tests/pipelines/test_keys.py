"""The command line's keys, and a server that refuses to start without one."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import serve
from pipelines.cli import app
from pipelines.workspace import Workspace, open_workspace
from recommender.errors import ConfigError, FirstListenError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "w", create=True)


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["keys", *map(str, arguments)])
    if isinstance(done.exception, FirstListenError):
        return 1, done.stdout, str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_a_key_is_made_listed_and_revoked(workspace: Workspace) -> None:
    status, out, _ = run(workspace.folder, "create", "--name", "my [app]", "--scope", "read", "--scope", "listen")
    assert status == 0
    assert re.fullmatch(r"fl_[0-9a-f]{12}_[\w-]{43}\n", out)
    key_id = out.split("_")[1]
    status, out, _ = run(workspace.folder, "list")
    assert status == 0
    for part in (key_id, "my [app]", "listen read", "any", "never", "valid"):
        assert part in out
    assert run(workspace.folder, "revoke", key_id)[0] == 0
    assert "revoked" in run(workspace.folder, "list")[1]
    status, _, error = run(workspace.folder, "revoke", key_id)
    assert status == 1
    assert "no key" in error


def test_a_password_goes_with_a_key_of_one_user(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [
        run(workspace.folder, "create", "--name", "n", "--scope", "read", "--user", who)[1] for who in ("ada", "bo")
    ]
    ids = [text.split("_")[1] for text in made]
    passwords = [run(workspace.folder, "password", key_id)[1] for key_id in ids]
    assert len(set(passwords)) == 2
    assert all(re.fullmatch(r"[a-z2-7]{24}\n", text) for text in passwords)
    assert run(workspace.folder, "password", ids[0])[1] == passwords[0]
    secret = workspace.folder / "player.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert serve.server_settings(workspace).player_secret == secret.read_text()
    assert secret.read_text() not in repr(serve.server_settings(workspace))
    monkeypatch.setenv("FIRSTLISTEN_PLAYER_SECRET", "another")
    assert run(workspace.folder, "password", ids[0])[1] != passwords[0]
    unbound = run(workspace.folder, "create", "--name", "n", "--scope", "read")[1].split("_")[1]
    for key_id, says in ((unbound, "bound to no user"), ("nothing", "no key")):
        status, _, error = run(workspace.folder, "password", key_id)
        assert (status, says in error) == (1, True)


def test_another_store_has_other_keys(workspace: Workspace, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    made = run("--store", url, workspace.folder, "create", "--name", "n", "--scope", "read", "--user", "ada")
    assert made[0] == 0
    key_id = made[1].split("_")[1]
    assert "ada" in run("--store", url, workspace.folder, "list")[1]
    assert key_id not in run(workspace.folder, "list")[1]


def test_wrong_choices_are_named(workspace: Workspace) -> None:
    assert run(workspace.folder, "create", "--name", "n")[0] == 2
    status, _, error = run(workspace.folder, "create", "--name", "n", "--scope", "write")
    assert status == 1
    assert "'write' is no scope" in error


def test_a_server_that_others_reach_does_not_start_without_a_key(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(serve, "serve_until_ended", lambda config: started.append(config.host))
    monkeypatch.setenv(serve.SETTINGS_VARIABLE, "")
    workspace.bundles.mkdir(exist_ok=True)
    (workspace.bundles / "current").write_text("b\n")
    with pytest.raises(ConfigError, match=r"asks for API keys and there is none; make one with: firstlisten keys"):
        serve.run(workspace, host="0.0.0.0", port=8765, workers=1)
    with pytest.raises(ConfigError, match="there is none"):
        serve.run(workspace, host="127.0.0.1", port=8765, workers=1, require_keys=True)
    assert started == []
    key_id = run(workspace.folder, "create", "--name", "n", "--scope", "read")[1].split("_")[1]
    serve.run(workspace, host="0.0.0.0", port=8765, workers=1)
    serve.run(workspace, host="127.0.0.1", port=8765, workers=1)
    assert started == ["0.0.0.0", "127.0.0.1"]
    run(workspace.folder, "revoke", key_id)
    with pytest.raises(ConfigError, match="there is none"):
        serve.run(workspace, host="0.0.0.0", port=8765, workers=1)

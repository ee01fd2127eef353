"""The command line's contract: exit codes, one line for an error, help at once."""

import subprocess
import sys
import time
from inspect import signature

import pytest

from pipelines.cli import recommend
from recommender.ranking.ranker import RecommendOptions


def firstlisten(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "pipelines", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_answers_in_under_a_second():
    times = []
    for _ in range(3):
        started = time.monotonic()
        assert firstlisten("--help").returncode == 0
        times.append(time.monotonic() - started)
    assert min(times) < 1.0


@pytest.mark.parametrize(
    "command",
    ["demo", "ingest", "analyse", "train", "evaluate", "recommend", "similar", "embed", "playlist", "playlists",
     "experiment", "export", "bundles", "serve", "preflight", "audit", "keys"],
)  # fmt: skip
def test_every_command_has_help(command):
    done = firstlisten(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest", "w"),
        ("recommend", "w"),
        ("recommend", "w", "--all-users"),
        ("recommend", "w", "--user", "u", "--all-users", "--out", "o.csv"),
        ("playlist", "w"),
        ("playlist", "w", "--from", "a"),
        ("playlist", "w", "--from", "a", "--to", "b", "--track", "c"),
        ("playlist", "w", "--user", "u", "--tempo", "130-120"),
        ("playlist", "w", "--user", "u", "--soft", "exclude"),
        ("playlist", "w", "--artist", "A", "--length", "1", "--include", "a", "--include", "b"),
        ("recommend", "w", "--user", "u", "--top", "0"),
        ("nonsense",),
    ],
)
def test_wrong_usage_exits_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = firstlisten(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "nowhere"), "is not a workspace; make one with: firstlisten ingest nowhere"),
        (("serve", "nowhere"), "is not a workspace"),
        (("recommend", "nowhere", "--user", "u"), "is not a workspace"),
    ],
)
def test_a_named_error_is_one_line_and_exits_with_1(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = firstlisten(*arguments)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr


def test_lists_are_the_same_from_the_command_line_and_the_library():
    options = RecommendOptions()
    for name, parameter in signature(recommend).parameters.items():
        if name in ("artist_gap", "diversity", "calibration", "popularity", "distaste"):
            assert parameter.default == getattr(options, name)


def test_an_empty_workspace_says_how_to_fill_it(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id\nu,a\n")
    assert firstlisten("ingest", tmp_path / "w", "--interactions", log).returncode == 0
    done = firstlisten("recommend", tmp_path / "w", "--user", "u")
    assert done.returncode == 1
    assert "firstlisten train" in done.stderr

import json

import numpy as np
import pandas as pd
import pytest

from pipelines import experiment, ingest
from pipelines.config import Settings, load_settings
from pipelines.workspace import open_workspace
from recommender.errors import ConfigError
from recommender.evaluation import cold_start


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """A workspace of 60 tracks in two camps of 15 artists each, with supplied embeddings and times."""
    folder = tmp_path_factory.mktemp("experiment")
    rng = np.random.default_rng(0)
    camp = np.arange(60) % 2
    likes = rng.random((50, 60)) < np.where((np.arange(50) % 2)[:, None] == camp, 0.5, 0.03)
    users, tracks = np.nonzero(likes)
    names = [f"t{row}" for row in range(60)]
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90 * 86400, len(users)), unit="s")
    pd.DataFrame(
        {"user_id": [f"u{u}" for u in users], "item_id": [names[t] for t in tracks], "weight": 1.0, "timestamp": stamps}
    ).to_csv(folder / "plays.csv", index=False)
    pd.DataFrame({"item_id": names, "title": names, "artist": [f"a{row % 30}" for row in range(60)]}).to_csv(
        folder / "tracks.csv", index=False
    )
    vectors = (camp[:, None] + 0.3 * rng.standard_normal((60, 4))).astype(np.float32)
    pd.DataFrame({"item_id": names, "embedding": list(vectors)}).to_parquet(folder / "sound.parquet")
    workspace = open_workspace(folder / "w", create=True)
    (workspace.folder / "firstlisten.toml").write_text("[ranker.als]\nfactors = 8\niterations = 5\n")
    ingest.run(
        workspace,
        interactions=folder / "plays.csv",
        tracks=folder / "tracks.csv",
        embeddings=folder / "sound.parquet",
    )
    return workspace


def run(workspace, out, **options):
    options = {
        "seeds": 1,
        "fraction": 0.2,
        "min_users": 5,
        "tasks": ("cold",),
        "methods": ("random", "content kNN"),
    } | options
    experiment.cold_start(workspace, load_settings(workspace.folder), out, **options)
    return json.loads((out / "report.json").read_text())


@pytest.mark.parametrize("split", ["random", "time", "artist"])
def test_each_split_runs_on_a_workspace(heard, split, tmp_path):
    report = run(heard, tmp_path, split=split)
    assert report["left_out"] == []
    assert {row["method"] for row in report["table"]} == {"random", "content kNN"}
    found = {row["method"]: row["mean"] for row in report["table"] if row["metric"] == "ndcg@10"}
    assert found["content kNN"] > found["random"]


def test_a_split_by_time_is_one_split_unless_more_are_asked_for(heard, tmp_path):
    assert run(heard, tmp_path / "time", split="time", seeds=None)["config"]["seeds"] == [0]
    assert run(heard, tmp_path / "random", seeds=None)["config"]["seeds"] == [0, 1, 2, 3, 4]


def test_own_methods_and_a_comparison_from_a_workspace(heard, tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text("def silent(task, fits):\n    return lambda users, k: [[] for _ in users]\n")
    run(heard, tmp_path / "a", methods=("random", "silent"), methods_from=own)
    run(heard, tmp_path / "b", methods=("random",))
    experiment.compare(tmp_path / "a", tmp_path / "b", out=tmp_path / "both.csv")
    both = pd.read_csv(tmp_path / "both.csv")
    assert set(both["method"]) == {"random"}
    assert (both["difference"] == 0).all()
    with pytest.raises(ConfigError, match=r"own\.py does not exist"):
        run(heard, tmp_path / "c", methods_from=tmp_path / "absent" / "own.py")


def test_what_is_heard_and_how_names_the_parts(heard, tmp_path, monkeypatch):
    seen = []

    def spy(*args, **options):
        seen.append(options["embed_version"])
        raise KeyboardInterrupt

    monkeypatch.setattr(cold_start, "run_cold_start_experiment", spy)
    base = load_settings(heard.folder)
    for settings in (base, base, Settings(clips=base.clips, train_cnn=base.train_cnn)):
        with pytest.raises(KeyboardInterrupt):
            experiment.cold_start(heard, settings, tmp_path, seeds=1, fraction=0.2, min_users=5)
    assert seen[0] == seen[1] != seen[2]
    assert all(seen)

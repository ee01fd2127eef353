import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recommender.errors import ConfigError
from recommender.evaluation import suite as suites
from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment
from recommender.evaluation.curve_figures import monotone
from recommender.evaluation.suite import SUITE

METHODS = ("random", "popularity", "ALS alone", "content kNN", "audio alone", "First Listen")


@pytest.fixture(scope="module")
def config(small_ranker) -> ColdStartConfig:
    return ColdStartConfig(
        seeds=(0, 1), ks=(5, 10), draws=50, ranker=small_ranker, methods=METHODS, track_points=(0, 1, 3, 60),
        user_points=(0, 1, 3), min_new=5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(planted, config, tmp_path_factory):
    out = tmp_path_factory.mktemp("experiment")
    report = run_cold_start_experiment(planted.catalog, planted.interactions, planted.embeddings, config, out)
    return report, out


def test_the_page_needs_no_other_file_and_no_network(written):
    _, out = written
    page = (out / "report.html").read_text()
    without_pictures = re.sub(r'src="data:image/png;base64,[A-Za-z0-9+/=]+"', "", page)
    assert len(page) - len(without_pictures) > 50_000
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script|<link", without_pictures)
    assert page.count("<img") == 6  # cold, mixed, its two parts, two curves
    for words in ("First Listen", "mixed, cold", "First plays of new tracks", "First plays of new users", "Left out"):
        assert words in page


def test_every_table_is_a_csv_and_in_the_json(written):
    _, out = written
    stored = json.loads((out / "report.json").read_text())
    for name in ("table", "differences", "catalog", "by_seed", "curves", "parents", "steps"):
        frame = pd.read_csv(out / f"{name}.csv")
        assert len(frame) == len(stored[name]) > 0
        assert list(frame.columns) == list(stored[name][0])


def test_what_was_left_out_is_said(written):
    report, out = written
    assert dict(report.left_out) == {
        "curve of tracks, 60 plays": "too few new tracks have so many plays and 5 more to be found"
    }
    assert "curve of tracks, 60 plays" in (out / "report.html").read_text()
    assert json.loads((out / "report.json").read_text())["curve_points"] == {"tracks": [0, 1, 3], "users": [0, 1, 3]}


def test_each_point_is_compared_with_the_best_parent(written):
    report, out = written
    parents = pd.read_csv(out / "parents.csv")
    assert set(zip(parents["curve"], parents["plays"], strict=True)) == {
        (c, k) for c in ("tracks", "users") for k in (0, 1, 3)
    }
    for row in parents.itertuples():
        name = f"{row.curve}, {row.plays} play{'' if row.plays == 1 else 's'}"
        others = {m: report.figure(name, m, row.metric) for m in suites.PARENTS}
        assert others[row.parent] == pytest.approx(max(others.values()))
        assert row.difference == pytest.approx(
            report.figure(name, "First Listen", row.metric) - others[row.parent], abs=1e-5
        )
        assert row.low <= row.difference <= row.high


def test_steps_tell_gains_from_losses(written):
    _, out = written
    steps = pd.read_csv(out / "steps.csv")
    assert (steps.loc[steps["low"] > 0, "verdict"] == "gain").all()
    assert (steps.loc[steps["high"] < 0, "verdict"] == "loss").all()
    als = steps.query("curve == 'users' and method == 'ALS alone' and metric == 'ndcg@10' and from_plays == 0")
    assert als["verdict"].tolist() == ["gain"]
    fallen = steps.assign(verdict=np.where(steps["from_plays"] == 1, "loss", "gain"))
    assert monotone(fallen, "tracks", "First Listen", "ndcg@10") == "not monotone, it loses from 1 to 3 plays"


def test_a_task_that_the_data_cannot_support_is_left_out_and_said(planted, config, tmp_path):
    by_artist = replace(config, split="artist", seeds=(0,), tasks=("cold", "users"), methods=("popularity", "random"))
    report = run_cold_start_experiment(planted.catalog, planted.interactions, None, by_artist, tmp_path / "deaf")
    assert dict(report.left_out)["task cold"].startswith("needs embeddings")
    assert {task.partition(",")[0] for task in report.table["task"]} == {"users"}
    heard = run_cold_start_experiment(
        planted.catalog, planted.interactions, planted.embeddings, by_artist, tmp_path / "heard"
    )
    assert "each of the tracks has an artist of its own" in dict(heard.left_out)["task cold"]


def test_a_method_that_a_catalog_is_too_large_for_is_left_out_and_said(planted, config, tmp_path):
    small = SUITE | {"EASE": replace(SUITE["EASE"], max_tracks=10)}
    one = replace(config, seeds=(0,), tasks=("warm",), methods=("EASE", "random"))
    report = run_cold_start_experiment(planted.catalog, planted.interactions, None, one, tmp_path, suite=small)
    assert re.fullmatch(r"is made for 10 tracks at most, \d+ have plays", dict(report.left_out)["method EASE"])
    only = replace(one, tasks=("users",), methods=("random",))
    with pytest.raises(ConfigError, match="none of the methods random can be put to the tasks users"):
        run_cold_start_experiment(planted.catalog, planted.interactions, None, only, tmp_path)

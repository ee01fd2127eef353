import csv
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recommender.data.embeddings import Embeddings
from recommender.errors import ArtifactError, ConfigError, LeakageError
from recommender.evaluation import cold_start
from recommender.evaluation.cold_start import ColdStartConfig, check_cold, run_cold_start_experiment
from recommender.evaluation.protocol import Task
from recommender.evaluation.suite import SUITE, Entry

FEW = {name: SUITE[name] for name in ("random", "ALS alone", "content kNN")}
QUICK = ("random", "popularity", "ALS alone", "content kNN", "audio alone", "gate n/(n+3)", "First Listen")


@pytest.fixture(scope="module")
def config(small_ranker) -> ColdStartConfig:
    return ColdStartConfig(
        seeds=(0, 1),
        ks=(5, 10),
        draws=50,
        ranker=small_ranker,
        tasks=("cold",),
        track_points=(0, 1, 3),
        user_points=(0, 1, 3),
        min_new=5,
    )


def run(planted, config, out, **options):
    options = {"suite": FEW} | options
    return run_cold_start_experiment(planted.catalog, planted.interactions, planted.embeddings, config, out, **options)


def test_it_writes_a_report_a_table_and_a_plot(planted, config, tmp_path):
    report = run(planted, config, tmp_path / "out", suite=SUITE)
    written = json.loads((tmp_path / "out/report.json").read_text())
    assert written["config"]["seeds"] == [0, 1]
    assert written["config"]["ranker"]["als"]["factors"] == 8
    assert written["data"]["users"] == 70
    assert written["data"]["tasks"]["1"]["cold"]["candidates"] == 18
    assert {"python", "numpy", "implicit", "firstlisten"} <= set(written["versions"])
    assert written["durations_s"]["total"] > 0
    assert {row["method"] for row in written["table"]} == {n for n, e in SUITE.items() if "cold" in e.tasks}
    with (tmp_path / "out/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["task", "method", "metric", "mean", "low", "high", "n_users"]
    best = {row["method"]: float(row["mean"]) for row in rows if row["metric"] == "ndcg@10"}
    assert best["First Listen"] == pytest.approx(report.figure("cold", "First Listen", "ndcg@10"), abs=1e-6)
    assert best["First Listen"] > best["random"] + 0.1
    assert all(float(r["low"]) <= float(r["mean"]) <= float(r["high"]) for r in rows)
    page = (tmp_path / "out/report.md").read_text()
    assert "| First Listen |" in page
    assert (tmp_path / "out/cold_start.png").read_bytes().startswith(b"\x89PNG")
    compared = {row["baseline"] for row in written["differences"]}
    assert compared == {row["method"] for row in written["table"]} - {"First Listen"}


def test_an_interrupted_run_goes_on_with_the_next_method(planted, config, tmp_path):
    both = replace(config, tasks=("cold", "tracks"), seeds=(0, 1))
    suite = {name: SUITE[name] for name in QUICK}
    whole = run(planted, both, tmp_path / "whole", suite=suite)
    total = 2 * (7 + 6)  # random is put to no curve

    def interrupt(done: int, of: int) -> None:
        assert of == total
        if done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(planted, both, tmp_path / "resumed", suite=suite, progress=interrupt)
    assert len(list((tmp_path / "resumed/parts").iterdir())) == 17
    assert not (tmp_path / "resumed/report.json").exists()

    asked, steps = [], []
    counted = {name: _counting(entry, asked) for name, entry in suite.items()}
    resumed = run(
        planted, both, tmp_path / "resumed", suite=counted, progress=lambda done, total: steps.append((done, total))
    )
    assert asked == [1] * (3 + 6 * 3)  # the rest of cold, and every point of the curve
    assert steps == [(done, total) for done in range(total + 1)]
    for name in ("table", "by_seed", "catalog", "differences"):
        pd.testing.assert_frame_equal(getattr(resumed, name), getattr(whole, name))
    assert (tmp_path / "resumed/steps.csv").read_text() == (tmp_path / "whole/steps.csv").read_text()


def test_methods_that_are_added_later_are_all_that_is_measured(planted, config, tmp_path):
    run(planted, config, tmp_path)
    asked = []
    more = {name: _counting(SUITE[name], asked) for name in ("random", "ALS alone", "content kNN", "popularity")}
    report = run(planted, config, tmp_path, suite=more)
    assert asked == [0, 1]
    assert {"popularity", "random"} <= set(report.table["method"])


def test_parts_of_another_configuration_are_not_used(planted, config, tmp_path):
    asked = []
    counted = {name: _counting(entry, asked) for name, entry in FEW.items()}
    one = replace(config, seeds=(0,), ks=(5,), draws=20)
    run(planted, one, tmp_path, suite=counted)
    run(planted, one, tmp_path, suite=counted)
    assert asked == [0] * 3
    run(planted, replace(config, seeds=(0,), ks=(6,), draws=20), tmp_path, suite=counted)
    assert asked == [0] * 6


def test_a_damaged_part_is_named(planted, config, tmp_path):
    one = replace(config, seeds=(0,), ks=(5,), draws=20)
    run(planted, one, tmp_path)
    part = next((tmp_path / "parts").iterdir())
    part.write_bytes(b"half")
    with pytest.raises(ArtifactError, match=part.name):
        run(planted, one, tmp_path)


def test_embeddings_may_be_made_from_the_training_plays_alone(planted, config, tmp_path):
    given = []

    def embed(train) -> Embeddings:
        given.append(train)
        return planted.embeddings

    one = replace(config, seeds=(4,), ks=(5,), draws=20)
    embeddable = np.arange(90) < 60
    report = run_cold_start_experiment(
        planted.catalog, planted.interactions, embed, one, tmp_path, suite=FEW, embeddable=embeddable
    )
    (train,) = given
    enough = np.flatnonzero(planted.interactions.track_evidence() >= one.min_plays)
    cold = np.setdiff1d(enough, train.track_rows)
    assert len(cold) == report.data["tasks"]["4"]["cold"]["candidates"]
    assert cold.max() < 60


def test_parts_made_with_another_embedder_are_not_used(planted, config, tmp_path):
    one = replace(config, seeds=(4,), ks=(5,), draws=20)
    given = []

    def embed(train) -> Embeddings:
        given.append(train)
        return planted.embeddings

    for version in ("a", "a", "b"):
        run_cold_start_experiment(
            planted.catalog, planted.interactions, embed, one, tmp_path, suite=FEW, embed_version=version
        )
    assert len(given) == 2


def test_the_curve_of_tracks_learns_what_the_cold_task_learned(planted, config, tmp_path):
    given = []

    def embed(train) -> Embeddings:
        given.append(train)
        return planted.embeddings

    one = replace(config, seeds=(0,), tasks=("tracks", "cold", "users"))
    run_cold_start_experiment(planted.catalog, planted.interactions, embed, one, tmp_path, suite=FEW)
    assert len(given) == 2


def test_a_new_method_is_one_function(planted, config, tmp_path):
    def backwards(task: Task, fits):
        from recommender.evaluation.methods import rank_by

        return rank_by(lambda users: np.tile(-task.candidate_rows.astype(float), (len(users), 1)), task, fits)

    one = replace(config, seeds=(0,), ks=(5,), draws=20)
    report = run(planted, one, tmp_path, suite=FEW | {"backwards": Entry(backwards)})
    assert "backwards" in set(report.table["method"])


def test_a_cold_track_with_plays_in_training_is_a_leak(planted):
    relevant = planted.interactions.select(planted.interactions.user_rows == 3).to_csr()
    rest = planted.interactions.select(planted.interactions.user_rows != 3)
    candidates = np.unique(relevant.indices).astype(np.int32)
    task = Task("cold", rest, (relevant > 0).astype(np.float32), candidates, np.array([3], dtype=np.int32))
    with pytest.raises(LeakageError, match="is to be cold, but training has plays of it"):
        check_cold(task)


def test_the_leak_is_found_before_anything_is_fitted(planted, config, tmp_path, monkeypatch):
    honest = cold_start.cold_task

    def leaky(interactions, *args, **options):
        task = honest(interactions, *args, **options)
        spied = interactions.select(interactions.track_rows == task.candidate_rows[0])
        outsider = np.setdiff1d(np.arange(70), spied.user_rows)[0].astype(np.int32)
        train = type(interactions)(
            interactions.users,
            interactions.tracks,
            np.append(task.train.user_rows, outsider),
            np.append(task.train.track_rows, task.candidate_rows[0]),
            np.append(task.train.weights, np.float32(1)),
            np.append(task.train.times, np.datetime64("2024-01-01", "s")),
        )
        return Task(task.name, train, task.relevant, task.candidate_rows, task.user_rows)

    monkeypatch.setattr(cold_start, "cold_task", leaky)
    with pytest.raises(LeakageError, match="is to be cold"):
        run(planted, config, tmp_path, suite={"never": Entry(lambda task, fits: pytest.fail("was fitted"))})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": ()}, "seeds"),
        ({"seeds": (1, 1)}, "distinct"),
        ({"fraction": 1.0}, "fraction 1.0"),
        ({"ks": (0,)}, "ks"),
        ({"split": "luck"}, "split 'luck' is none of random, time, artist"),
        ({"tasks": ("cold", "hot")}, "task 'hot' is none of cold"),
        ({"tasks": ()}, "task '' is none of"),
        ({"track_points": (0, 5, 5)}, "ascending"),
        ({"user_points": (3,)}, "two or more"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ColdStartConfig(**settings)


def _counting(entry: Entry, asked: list[int]) -> Entry:
    def counted(task, fits):
        asked.append(fits.seed)
        return entry.method(task, fits)

    return replace(entry, method=counted)

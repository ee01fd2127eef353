import csv
import json

import numpy as np
import pandas as pd
import pytest

from recommender.data.embeddings import Embeddings
from recommender.errors import ArtifactError, ConfigError, LeakageError
from recommender.evaluation import cold_start
from recommender.evaluation.cold_start import ColdStartConfig, check_cold, run_cold_start_experiment
from recommender.evaluation.methods import METHODS
from recommender.evaluation.protocol import Task

FEW = {name: METHODS[name] for name in ("random", "ALS alone", "content kNN")}


@pytest.fixture(scope="module")
def config(small_ranker) -> ColdStartConfig:
    return ColdStartConfig(seeds=(0, 1), ks=(5, 10), draws=50, ranker=small_ranker)


def run(planted, config, out, **options):
    options = {"methods": FEW} | options
    return run_cold_start_experiment(planted.catalog, planted.interactions, planted.embeddings, config, out, **options)


def test_it_writes_a_report_a_table_and_a_plot(planted, config, tmp_path):
    report = run(planted, config, tmp_path / "out", methods=METHODS)
    written = json.loads((tmp_path / "out/report.json").read_text())
    assert written["config"]["seeds"] == [0, 1]
    assert written["config"]["ranker"]["als"]["factors"] == 8
    assert written["data"]["users"] == 70
    assert written["data"]["tasks"]["1"]["cold"]["candidates"] == 18
    assert {"python", "numpy", "implicit", "firstlisten"} <= set(written["versions"])
    assert written["durations_s"]["total"] > 0
    assert {row["method"] for row in written["table"]} == set(METHODS)
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
    assert compared == set(METHODS) - {"First Listen"}


def test_an_interrupted_run_resumes_to_the_same_report(planted, config, tmp_path):
    whole = run(planted, config, tmp_path / "whole")

    def interrupt(done: int, total: int) -> None:
        assert total == 6
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(planted, config, tmp_path / "resumed", progress=interrupt)
    assert len(list((tmp_path / "resumed/parts").iterdir())) == 1
    assert not (tmp_path / "resumed/report.json").exists()

    asked = []
    counted = {name: _counting(method, asked) for name, method in FEW.items()}
    steps = []
    resumed = run(planted, config, tmp_path / "resumed", methods=counted, progress=lambda *step: steps.append(step))
    assert asked == [1, 1, 1]
    assert steps == [(3, 6), (3, 6), (4, 6), (5, 6), (6, 6), (6, 6)]
    pd.testing.assert_frame_equal(resumed.table, whole.table)
    pd.testing.assert_frame_equal(resumed.by_seed, whole.by_seed)
    pd.testing.assert_frame_equal(resumed.catalog, whole.catalog)


def test_parts_of_another_configuration_are_not_used(planted, config, tmp_path):
    asked = []
    counted = {name: _counting(method, asked) for name, method in FEW.items()}
    one = ColdStartConfig(seeds=(0,), ks=(5,), draws=20, ranker=config.ranker)
    run(planted, one, tmp_path, methods=counted)
    run(planted, one, tmp_path, methods=counted)
    assert asked == [0] * 3
    run(planted, ColdStartConfig(seeds=(0,), ks=(6,), draws=20, ranker=config.ranker), tmp_path, methods=counted)
    assert asked == [0] * 6


def test_a_damaged_part_is_named(planted, config, tmp_path):
    one = ColdStartConfig(seeds=(0,), ks=(5,), draws=20, ranker=config.ranker)
    run(planted, one, tmp_path)
    (part,) = (tmp_path / "parts").iterdir()
    part.write_bytes(b"half")
    with pytest.raises(ArtifactError, match=part.name):
        run(planted, one, tmp_path)


def test_embeddings_may_be_made_from_the_training_plays_alone(planted, config, tmp_path):
    given = []

    def embed(train) -> Embeddings:
        given.append(train)
        return planted.embeddings

    one = ColdStartConfig(seeds=(4,), ks=(5,), draws=20, ranker=config.ranker)
    embeddable = np.arange(90) < 60
    report = run_cold_start_experiment(
        planted.catalog, planted.interactions, embed, one, tmp_path, methods=FEW, embeddable=embeddable
    )
    (train,) = given
    enough = np.flatnonzero(planted.interactions.track_evidence() >= one.min_plays)
    cold = np.setdiff1d(enough, train.track_rows)
    assert len(cold) == report.data["tasks"]["4"]["cold"]["candidates"]
    assert cold.max() < 60


def test_parts_made_with_another_embedder_are_not_used(planted, config, tmp_path):
    one = ColdStartConfig(seeds=(4,), ks=(5,), draws=20, ranker=config.ranker)
    given = []

    def embed(train) -> Embeddings:
        given.append(train)
        return planted.embeddings

    for version in ("a", "a", "b"):
        run_cold_start_experiment(
            planted.catalog, planted.interactions, embed, one, tmp_path, methods=FEW, embed_version=version
        )
    assert len(given) == 2


def test_a_new_method_is_one_function(planted, config, tmp_path):
    def backwards(task: Task, fits):
        from recommender.evaluation.methods import rank_by

        return rank_by(lambda users: np.tile(-task.candidate_rows.astype(float), (len(users), 1)), task, fits)

    one = ColdStartConfig(seeds=(0,), ks=(5,), draws=20, ranker=config.ranker)
    report = run(planted, one, tmp_path, methods=FEW | {"backwards": backwards})
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
        run(planted, config, tmp_path, methods={"never": lambda task, fits: pytest.fail("was fitted")})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": ()}, "seeds"),
        ({"seeds": (1, 1)}, "distinct"),
        ({"fraction": 1.0}, "fraction 1.0"),
        ({"ks": (0,)}, "ks"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ColdStartConfig(**settings)


def _counting(method, asked: list[int]):
    def counted(task, fits):
        asked.append(fits.seed)
        return method(task, fits)

    return counted

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recommender.errors import ArtifactError, DataError
from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment
from recommender.evaluation.comparison import COLUMNS, compare_runs
from recommender.models.als import AlsConfig


@pytest.fixture(scope="module")
def runs(planted, small_ranker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = ColdStartConfig(
        seeds=(0, 1),
        ks=(5, 10),
        draws=50,
        ranker=small_ranker,
        tasks=("cold", "mixed"),
        methods=("random", "ALS alone", "content kNN"),
    )
    smaller = replace(small_ranker, als=AlsConfig(factors=2, iterations=2))
    wanted = {
        "a": (planted.interactions, config),
        "b": (planted.interactions, replace(config, ranker=smaller, seeds=(1, 2), methods=("ALS alone", "EASE"))),
        "other": (planted.interactions.select(np.arange(len(planted.interactions)) % 50 > 0), config),
        "half": (planted.interactions, replace(config, fraction=0.5)),
    }
    for name, (plays, one) in wanted.items():
        run_cold_start_experiment(planted.catalog, plays, planted.embeddings, one, folder / name)
    return folder


def test_a_run_beside_itself_differs_in_nothing(runs):
    found = compare_runs(runs / "a", runs / "a")
    assert list(found.table.columns) == COLUMNS
    assert set(found.table["task"]) == {"cold", "mixed", "mixed, cold", "mixed, warm"}
    assert (found.table[["difference", "low", "high"]] == 0).all(axis=None)
    assert found.table["paired"].all()
    assert found.changed == found.only == ()


def test_what_both_measured_is_paired_by_user_and_split(runs):
    found = compare_runs(runs / "a", runs / "b")
    assert set(found.table["method"]) == {"ALS alone"}
    assert found.table["paired"].all()
    assert (found.table["seeds"] == 1).all()  # seed 1 alone is in both
    by_seed = pd.read_csv(runs / "a/by_seed.csv").query("seed == 1 and task == 'mixed' and method == 'ALS alone'")
    expected = by_seed.set_index("metric")["mean"]
    row = found.table.query("task == 'mixed' and metric == 'ndcg@10'").iloc[0]
    assert row["a"] == pytest.approx(expected["ndcg@10"], abs=1e-6)
    assert row["difference"] == pytest.approx(row["b"] - row["a"])
    assert row["low"] <= row["difference"] <= row["high"]
    cold = found.table.query("task == 'cold'")
    assert (cold[["difference", "low", "high"]] == 0).all(axis=None)  # ALS alone knows nothing of new tracks either way
    assert "ranker.als.factors: 8 -> 2" in found.changed
    assert any(line.startswith("mixed: EASE, in ") for line in found.only)


def test_other_data_are_refused_unless_told_otherwise(runs):
    with pytest.raises(DataError, match=r"their users cannot be paired; .* --unpaired") as caught:
        compare_runs(runs / "a", runs / "other")
    assert "\n" not in str(caught.value)
    found = compare_runs(runs / "a", runs / "other", unpaired=True)
    assert not found.table["paired"].any()
    random = found.table.query("method == 'random' and metric == 'ndcg@10' and task == 'mixed, warm'").iloc[0]
    assert random["low"] < random["difference"] < random["high"]


def test_other_splits_of_the_same_data_are_not_paired(runs):
    found = compare_runs(runs / "a", runs / "half")
    assert not found.table["paired"].any()
    assert "fraction: 0.2 -> 0.5" in found.changed


def test_a_folder_without_an_experiment_is_named(runs, tmp_path):
    with pytest.raises(ArtifactError, match=r"report\.json is missing"):
        compare_runs(runs / "a", tmp_path)
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(ArtifactError, match="is of no cold-start experiment"):
        compare_runs(tmp_path, runs / "a")

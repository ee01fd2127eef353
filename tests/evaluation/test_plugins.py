from dataclasses import replace

import pytest

from recommender.errors import ConfigError, ModelError
from recommender.evaluation.cold_start import ColdStartConfig, run_cold_start_experiment
from recommender.evaluation.plugins import load_methods
from recommender.evaluation.suite import SUITE

OWN = '''
import numpy as np
from recommender.evaluation.methods import rank_by, content_knn

def louder_first(task, fits):
    """By the first number of the sound."""
    fitted = fits.once("louder", lambda: fits.trained.plays.sum())
    assert fitted > 0
    return rank_by(lambda users: _column(task, fits)[None].repeat(len(users), 0), task, fits)

def nothing(task, fits):
    return lambda users, k: [[] for _ in users]

def _column(task, fits):
    return fits.sound[task.candidate_rows, 0]
'''


@pytest.fixture
def config(small_ranker) -> ColdStartConfig:
    return ColdStartConfig(
        seeds=(0,),
        ks=(5,),
        draws=20,
        ranker=small_ranker,
        methods=("random", "louder_first", "nothing"),
        track_points=(0, 1, 3),
        user_points=(0, 1, 3),
        min_new=5,
    )


def write(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def run(planted, config, out, suite):
    return run_cold_start_experiment(
        planted.catalog, planted.interactions, planted.embeddings, config, out, suite=SUITE | suite
    )


def test_every_public_function_of_a_file_is_in_every_table(planted, config, tmp_path):
    found = load_methods(write(tmp_path, OWN))
    assert list(found) == ["louder_first", "nothing"]
    report = run(planted, config, tmp_path / "out", found)
    for _, rows in report.table.groupby("task"):
        assert {"louder_first", "nothing"} <= set(rows["method"])
    assert len(set(report.table["task"])) == 4 + 3 + 3
    assert report.figure("cold", "nothing", "ndcg@5") == 0


def test_a_changed_file_is_measured_again(planted, config, tmp_path):
    few = replace(config, tasks=("cold",), methods=("louder_first",))
    first = run(planted, few, tmp_path / "out", load_methods(write(tmp_path, OWN)))
    second = run(
        planted, few, tmp_path / "out", load_methods(write(tmp_path, OWN.replace("return fits.s", "return -fits.s")))
    )
    value = [report.figure("cold", "louder_first", "ndcg@5") for report in (first, second)]
    assert value[0] != value[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:\n", r"mine\.py cannot be run: SyntaxError"),
        ("import nowhere_at_all\n", r"mine\.py cannot be run: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("from recommender.evaluation.methods import popularity\n", r"mine\.py defines no public function"),
        ("def one(task):\n    pass\n", r"mine\.py: one\(task\) is no method, expected one\(task, fits\)"),
        ("def random(task, fits):\n    pass\n", r"mine\.py: the name 'random' is taken"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_a_sentence(text, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        load_methods(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.py does not exist"):
        load_methods(tmp_path / "absent.py")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    return {}[3]\n", r"mine\.py: mine, task 'cold': KeyError: 3"),
        ("    return 4\n", r"mine\.py: mine, task 'cold': gave int, expected rank\(users, k\)"),
        ("    return lambda users, k: 1 / 0\n", r"mine\.py: mine, task 'cold': ZeroDivisionError"),
        (
            "    return lambda users, k: [[0, 1, 2, 3, 4]] * len(users)\n",
            r"mine (ranked track row|recommended tracks)",
        ),
    ],
)
def test_an_error_in_a_method_names_the_file_and_the_method(planted, config, tmp_path, body, message):
    found = load_methods(write(tmp_path, "def mine(task, fits):\n" + body))
    with pytest.raises(ModelError, match=message):
        run(planted, replace(config, tasks=("cold",), methods=("mine",)), tmp_path / "out", found)

import pytest

from recommender.errors import ConfigError, DataError
from recommender.evaluation.everyday import EvaluationConfig, warm_evaluation


def test_everything_that_embeddings_allow_is_read(planted, small_ranker):
    steps = []
    config = EvaluationConfig(seeds=(0, 1), ks=(5, 10), draws=50, ranker=small_ranker)
    report = warm_evaluation(
        planted.catalog, planted.interactions, planted.embeddings, config, lambda *step: steps.append(step)
    )
    assert list(dict.fromkeys(report.table["task"])) == ["warm", "cold", "mixed", "mixed, cold", "mixed, warm"]
    assert steps == [(done, 30) for done in range(31)]
    for task in ("warm", "mixed"):
        assert report.figure(task, "ALS alone", "ndcg@10") > report.figure(task, "random", "ndcg@10") + 0.05
        assert report.figure(task, "First Listen", "ndcg@10") > report.figure(task, "popularity", "ndcg@10")
    assert report.figure("cold", "First Listen", "ndcg@10") > report.figure("cold", "ALS alone", "ndcg@10") + 0.1
    # Without plays ALS leaves new tracks to chance, far down in a mixed list.
    assert report.figure("mixed, cold", "ALS alone", "recall@10") < report.figure("cold", "ALS alone", "recall@10")


def test_without_embeddings_the_warm_protocol_remains(planted, small_ranker):
    config = EvaluationConfig(seeds=(0,), ks=(5,), draws=20, ranker=small_ranker)
    report = warm_evaluation(planted.catalog, planted.interactions, None, config)
    assert set(report.table["task"]) == {"warm"}
    assert set(report.table["method"]) == {"random", "popularity", "ALS alone", "First Listen"}
    assert report.data["embeddings"] == "none"


def test_the_last_plays_can_be_asked_for(planted, small_ranker):
    config = EvaluationConfig(seeds=(0,), ks=(5,), draws=20, protocols=("time",), ranker=small_ranker)
    report = warm_evaluation(planted.catalog, planted.interactions, planted.embeddings, config)
    # Every track has a play before: nothing is read of new ones.
    assert list(dict.fromkeys(report.table["task"])) == ["time", "time, warm"]
    assert report.figure("time", "First Listen", "ndcg@5") > report.figure("time", "random", "ndcg@5")


def test_a_log_without_enough_listeners_says_what_to_do(planted, small_ranker):
    config = EvaluationConfig(seeds=(0,), min_users=1000, ranker=small_ranker)
    with pytest.raises(DataError, match="lower min_users"):
        warm_evaluation(planted.catalog, planted.interactions, planted.embeddings, config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"protocols": ("hot",)}, "protocol 'hot' is none of warm"),
        ({"methods": ("magic",)}, "method 'magic' is none of random"),
    ],
)
def test_names_that_nobody_knows_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationConfig(**settings)

import pytest

from recommender.errors import ConfigError
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

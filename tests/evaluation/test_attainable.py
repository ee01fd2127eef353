import numpy as np
import pandas as pd
import pytest

from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError
from recommender.evaluation.attainable import demo_table, share_of_attainable

SPLIT = np.datetime64("2024-02-20")


@pytest.fixture(scope="module")
def halves(planted):
    """Past and future; every third track comes out after the past."""
    late = planted.interactions.times >= SPLIT
    new = planted.interactions.track_rows % 3 == 0
    heard = set(zip(*(a.tolist() for a in planted.interactions.select(~late & ~new).heard().nonzero()), strict=True))
    assert heard
    return planted.interactions.select(~late & ~new), planted.interactions.select(late)


@pytest.fixture(scope="module")
def table(planted, small_ranker, halves) -> pd.DataFrame:
    past, future = halves
    return demo_table(
        planted.catalog, past, future, planted.affinity, planted.embeddings, config=small_ranker, k=10, draws=100
    )


def mean_of(table: pd.DataFrame, candidates: str, method: str, column: str = "mean") -> float:
    chosen = table.query("candidates == @candidates and method == @method and metric == 'ndcg@10'")
    return float(chosen[column].iloc[0])


def test_all_groups_methods_and_metrics_are_there(table):
    assert len(table) == 3 * 6 * 2
    assert list(dict.fromkeys(table["candidates"])) == ["new", "known", "both"]
    assert list(dict.fromkeys(table["method"])) == [
        "random",
        "popularity",
        "ALS alone",
        "audio alone",
        "First Listen",
        "oracle",
    ]


def test_the_oracle_is_at_least_as_good_as_everybody(table):
    for group in ("new", "known", "both"):
        best = max(mean_of(table, group, method) for method in set(table["method"]) - {"oracle"})
        assert mean_of(table, group, "oracle") >= best - 0.02


def test_first_listen_reaches_most_of_what_is_attainable_for_new_tracks(table):
    assert mean_of(table, "new", "First Listen", "share_of_attainable") > 0.5
    assert mean_of(table, "new", "random", "share_of_attainable") == 0
    assert mean_of(table, "new", "oracle", "share_of_attainable") == 1


def test_a_model_that_is_fitted_already_is_used(planted, small_ranker, halves, table):
    from recommender.ranking.ranker import fit_hybrid

    past, future = halves
    model = fit_hybrid(planted.catalog, past, planted.embeddings, small_ranker)
    again = demo_table(
        planted.catalog, past, future, planted.affinity, planted.embeddings, model=model, k=10, draws=100
    )
    pd.testing.assert_frame_equal(again, table)


def test_share_by_hand():
    table = pd.DataFrame(
        {
            "method": ["random", "mine", "oracle"] * 2,
            "metric": ["a"] * 3 + ["b"] * 3,
            "mean": [0.1, 0.2, 0.5, 0.3, 0.3, 0.3],
        }
    )
    assert share_of_attainable(table)["share_of_attainable"][:3].tolist() == pytest.approx([0, 0.25, 1])
    assert share_of_attainable(table)["share_of_attainable"][3:].isna().all()


def test_shapes_and_vocabularies_must_fit(planted, halves, small_ranker):
    past, future = halves
    with pytest.raises(DataError, match=r"affinity has shape \(69, 90\), expected \(70, 90\)"):
        demo_table(planted.catalog, past, future, planted.affinity[1:], planted.embeddings, config=small_ranker)
    strangers = type(future)(
        Vocabulary("user", tuple(f"x{n}" for n in range(70))),
        future.tracks,
        future.user_rows,
        future.track_rows,
        future.weights,
        future.times,
    )
    with pytest.raises(DataError, match="different users or tracks"):
        demo_table(planted.catalog, past, strangers, planted.affinity, planted.embeddings, config=small_ranker)

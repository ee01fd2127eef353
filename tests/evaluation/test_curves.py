import numpy as np
import pytest

from recommender.errors import DataError, LeakageError
from recommender.evaluation.cold_splits import hide_tracks, hide_users
from recommender.evaluation.curves import MIN_HIDDEN, track_curve, user_curve
from recommender.evaluation.methods import Fits, als_scores, first_listen
from recommender.evaluation.protocol import Task, evaluate_method, rank_users
from recommender.evaluation.suite import SUITE

POINTS = (0, 1, 3)
ON_CURVES = [name for name, entry in SUITE.items() if "tracks" in entry.tasks]


@pytest.fixture(scope="module")
def warming(planted):
    split = hide_tracks(planted.interactions, np.ones(90, dtype=bool), fraction=0.3, min_users=5, seed=0)
    return split, track_curve(split, POINTS, 0, min_new=5)


@pytest.fixture(scope="module")
def arriving(planted):
    split = hide_users(planted.interactions, fraction=0.4, min_pairs=6, seed=1)
    return split, user_curve(split, POINTS, 1, min_new=5)


def pairs(task: Task) -> set[tuple[int, int]]:
    return set(zip(*task.revealed.heard().nonzero(), strict=True)) if task.revealed is not None else set()


def test_each_new_track_has_exactly_as_many_plays_as_the_point_says(warming):
    split, curve = warming
    assert [task.name for task in curve.tasks] == ["tracks, 0 plays", "tracks, 1 play", "tracks, 3 plays"]
    for plays, task in zip(curve.points, curve.tasks, strict=True):
        counts = np.zeros(90) if task.revealed is None else task.revealed.track_evidence()
        assert (counts[task.candidate_rows] == plays).all()
        assert counts.sum() == plays * len(task.candidate_rows)
        assert not np.isin(task.train.track_rows, split.held_rows).any()


def test_each_new_user_has_exactly_as_many_plays_as_the_point_says(arriving):
    split, curve = arriving
    for plays, task in zip(curve.points, curve.tasks, strict=True):
        counts = np.zeros(70) if task.revealed is None else np.diff(task.revealed.to_csr().indptr)
        assert (counts[task.user_rows] == plays).all()
        assert counts.sum() == plays * len(task.user_rows)
        assert np.isin(task.user_rows, split.held_rows).all()
        assert not np.isin(task.train.user_rows, split.held_rows).any()


@pytest.mark.parametrize("which", ["warming", "arriving"])
def test_points_are_nested_and_ask_for_the_same(which, request):
    _, curve = request.getfixturevalue(which)
    first = curve.tasks[0]
    assert first.relevant.nnz > 0
    for before, after in zip(curve.tasks, curve.tasks[1:], strict=False):
        assert pairs(before) < pairs(after)
        assert (before.relevant != after.relevant).nnz == 0
        assert (before.left_out != after.left_out).nnz == 0
        np.testing.assert_array_equal(before.user_rows, after.user_rows)
        np.testing.assert_array_equal(before.candidate_rows, after.candidate_rows)
    hidden = set(zip(*first.relevant.nonzero(), strict=True))
    reserved = set(zip(*first.reserved.nonzero(), strict=True))
    assert pairs(curve.tasks[-1]) == reserved
    assert not hidden & reserved


def test_what_is_neither_reserved_nor_trained_on_stays_hidden(warming):
    split, curve = warming
    task = curve.tasks[0]
    counts = split.test.track_evidence()[task.candidate_rows]
    assert (counts >= POINTS[-1] + MIN_HIDDEN).all()
    assert task.relevant.nnz == counts.sum() - POINTS[-1] * len(task.candidate_rows)


def test_a_play_to_be_revealed_keeps_the_track_off_its_users_list_from_the_start(warming, planted, small_ranker):
    _, curve = warming
    task = curve.tasks[0]
    fits = Fits(planted.catalog, task.train, planted.embeddings, small_ranker, 0)
    whole = rank_users(SUITE["random"].method(task, fits), task, 90)
    for user, shown in zip(task.user_rows, whole, strict=True):
        assert not np.isin(task.reserved[user].indices, shown).any()

    def careless(users, k):
        return [task.candidate_rows[:k] for _ in users]

    with pytest.raises(Exception, match="leaves them out"):
        rank_users(careless, task, 90)


def test_a_task_that_reveals_what_it_asks_for_is_a_leak(warming):
    _, curve = warming
    first, last = curve.tasks[0], curve.tasks[-1]
    args = (first.train, first.relevant, first.candidate_rows, first.user_rows)
    with pytest.raises(LeakageError, match="reserved to be revealed"):
        Task("leaky", *args, reserved=first.relevant)
    with pytest.raises(LeakageError, match="not reserved"):
        Task("loose", *args, revealed=last.revealed)


def test_points_that_few_reach_are_left_out(planted):
    split = hide_tracks(planted.interactions, np.ones(90, dtype=bool), fraction=0.3, min_users=5, seed=0)
    curve = track_curve(split, (0, 1, 40), 0, min_new=5)
    assert curve.points == (0, 1)
    assert curve.left_out == (40,)
    with pytest.raises(DataError, match="new tracks have the 45 plays that two points of a curve take"):
        track_curve(split, (0, 40), 0, min_new=5)


def test_nothing_is_fitted_again_at_a_point(warming, planted, small_ranker, monkeypatch):
    _, curve = warming
    base = Fits(planted.catalog, curve.tasks[0].train, planted.embeddings, small_ranker, 0)
    fitted, _ = base.hybrid, base.factors
    monkeypatch.setattr("recommender.evaluation.methods.fit_hybrid", lambda *_: pytest.fail("fitted again"))
    later = base.after(curve.tasks[-1].revealed)
    assert later.factors is base.factors
    assert later.hybrid is not fitted
    new = curve.tasks[0].candidate_rows
    assert (later.hybrid.evidence[new] == 3).all()
    assert later.live_factors.track_factors[new].any(axis=1).all()
    assert not base.factors.track_factors[new].any()
    known = np.setdiff1d(np.arange(90), new)
    np.testing.assert_array_equal(later.live_factors.track_factors[known], base.factors.track_factors[known])
    assert later.after(None) is base


@pytest.mark.parametrize("name", ON_CURVES)
def test_every_method_of_the_curves_takes_revealed_plays_in(name, warming, arriving, planted, small_ranker):
    for _, curve in (warming, arriving):
        base = Fits(planted.catalog, curve.tasks[0].train, planted.embeddings, small_ranker, 0)
        for task in curve.tasks:
            frame = evaluate_method(SUITE[name].method(task, base.after(task.revealed)), task, (5,), name=name)
            assert len(frame) == len(task.user_rows)


def test_plays_teach_als_about_new_tracks_and_new_users(warming, arriving, planted, small_ranker):
    for _, curve in (warming, arriving):
        base = Fits(planted.catalog, curve.tasks[0].train, planted.embeddings, small_ranker, 0)
        first, last = curve.tasks[0], curve.tasks[-1]
        assert not als_scores(first, base)(first.user_rows).any()
        figures = [
            evaluate_method(SUITE["ALS alone"].method(task, base.after(task.revealed)), task, (10,))["ndcg@10"].mean()
            for task in (first, last)
        ]
        assert figures[1] > figures[0] + 0.05


def test_first_listen_starts_from_sound_and_gains(warming, planted, small_ranker):
    _, curve = warming
    base = Fits(planted.catalog, curve.tasks[0].train, planted.embeddings, small_ranker, 0)
    random = evaluate_method(SUITE["random"].method(curve.tasks[0], base), curve.tasks[0], (10,))["ndcg@10"].mean()
    for task in curve.tasks:
        found = evaluate_method(first_listen(task, base.after(task.revealed)), task, (10,))["ndcg@10"].mean()
        assert found > random + 0.15

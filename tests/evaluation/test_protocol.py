import numpy as np
import pytest
from scipy import sparse

from recommender.data.splits import Split
from recommender.errors import DataError, LeakageError, ModelError
from recommender.evaluation import protocol
from recommender.evaluation.protocol import Task, evaluate_method, make_task, rank_users


def pairs(interactions) -> set[tuple[int, int]]:
    return set(zip(interactions.user_rows.tolist(), interactions.track_rows.tolist(), strict=True))


def relevant_pairs(matrix: sparse.csr_matrix) -> set[tuple[int, int]]:
    return set(zip(*(part.tolist() for part in matrix.nonzero()), strict=True))


def fixed(lists: dict[int, list[int]]):
    return lambda user_rows, k: [np.array(lists[user][:k], dtype=np.int32) for user in user_rows.tolist()]


@pytest.fixture
def tiny_task(tiny_world) -> Task:
    # u0 has t1 left to find, u4 has t3 (four plays), u2's skip of t2 is not relevant, u5 has heard t3 before.
    hidden = np.array([False, True, False, False, False, True, False, False, False, True, False, True])
    return make_task(
        "tiny", Split(tiny_world.select(~hidden), tiny_world.select(hidden), "pairs"), np.arange(5, dtype=np.int32)
    )


def test_relevant_is_what_was_played_for_the_first_time(tiny_task):
    assert relevant_pairs(tiny_task.relevant) == {(0, 1), (4, 3)}
    assert tiny_task.user_rows.tolist() == [0, 4]
    assert tiny_task.relevant.shape == (7, 5)


def test_figures_of_users_worked_by_hand(tiny_task):
    figures = evaluate_method(fixed({0: [3, 1, 4], 4: [3]}), tiny_task, (1, 2))
    assert figures.index.tolist() == [0, 4]
    assert figures["recall@1"].tolist() == [0, 1]
    assert figures["recall@2"].tolist() == [1, 1]
    assert figures["ndcg@2"].tolist() == pytest.approx([1 / np.log2(3), 1])
    assert figures["mrr@2"].tolist() == [0.5, 1]
    # Training listeners of 7 users: t1 one (u1), t3 two (u3, u5).
    assert figures["novelty@2"].tolist() == pytest.approx([(-np.log2(3 / 8) - np.log2(2 / 8)) / 2, -np.log2(3 / 8)])


def test_a_users_figures_do_not_depend_on_the_other_users(planted):
    task = protocol.warm_task(planted.interactions, seed=1)
    rng = np.random.default_rng(0)
    heard = task.train.heard().toarray()
    lists = {int(u): rng.permutation(np.flatnonzero(heard[u] == 0)).tolist() for u in task.user_rows}
    lists = {u: [t for t in row if t in set(task.candidate_rows.tolist())] for u, row in lists.items()}
    whole = evaluate_method(fixed(lists), task, (5,))
    half = Task(task.name, task.train, task.relevant, task.candidate_rows, task.user_rows[::2][::-1].copy())
    np.testing.assert_array_equal(evaluate_method(fixed(lists), half, (5,)), whole.loc[half.user_rows])


def test_blocks_of_users_give_the_same_lists(tiny_task, monkeypatch):
    rank = fixed({0: [3, 1, 4], 4: [3]})
    whole = rank_users(rank, tiny_task, 3)
    monkeypatch.setattr(protocol, "BLOCK_USERS", 1)
    np.testing.assert_array_equal(rank_users(rank, tiny_task, 3), whole)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({0: [3, 0], 4: [3]}, "mine recommended tracks that their users had heard"),
        ({0: [3, 3], 4: [3]}, "names track row 3 more than once"),
    ],
)
def test_a_method_that_breaks_the_rules_is_refused(tiny_task, lists, message):
    with pytest.raises((ModelError, DataError), match=message):
        rank_users(fixed(lists), tiny_task, 2, name="mine")


def test_a_method_may_name_only_candidates(tiny_world):
    hidden = tiny_world.track_rows == 3
    task = make_task(
        "new", Split(tiny_world.select(~hidden), tiny_world.select(hidden), "pairs"), np.array([3], dtype=np.int32)
    )
    with pytest.raises(ModelError, match="ranked track row 4, which is no candidate of the task 'new'"):
        rank_users(lambda users, k: [np.array([4])] * len(users), task, 2)


def test_a_method_answers_for_every_user(tiny_task):
    with pytest.raises(ModelError, match="gave 0 lists for 2 users"):
        rank_users(lambda users, k: [], tiny_task, 2)


def test_hidden_plays_that_training_holds_are_a_leak(tiny_world):
    relevant = sparse.csr_matrix(([1.0], ([0], [0])), shape=(7, 5), dtype=np.float32)
    with pytest.raises(LeakageError, match=r"hides 1 .* pairs that its training data holds"):
        Task("leaky", tiny_world, relevant, np.arange(5, dtype=np.int32), np.array([0], dtype=np.int32))


def test_a_task_without_hidden_plays_is_refused(tiny_world):
    with pytest.raises(DataError, match="no hidden plays"):
        make_task(
            "empty", Split(tiny_world, tiny_world.select(np.zeros(12, bool)), "pairs"), np.arange(5, dtype=np.int32)
        )


def test_filter_min_users_counts_users_who_played(tiny_world):
    # t2 has three listeners, of which one skipped it; t0 three.
    kept = protocol.filter_min_users(tiny_world, 3)
    assert set(kept.track_rows.tolist()) == {0, 3}
    assert kept.tracks == tiny_world.tracks


def test_warm_hides_a_share_of_every_users_pairs(planted):
    task = protocol.warm_task(planted.interactions, fraction=0.25, min_users=8, seed=5)
    everything = pairs(protocol.filter_min_users(planted.interactions, 8))
    hidden = relevant_pairs(task.relevant)
    assert pairs(task.train) | hidden == everything
    assert not pairs(task.train) & hidden
    assert 0.2 < len(hidden) / len(everything) < 0.3
    evidence = planted.interactions.track_evidence()
    assert set(task.candidate_rows.tolist()) == set(np.flatnonzero(evidence >= 8).tolist())
    assert (evidence < 8).any()


def test_cold_hides_whole_tracks_that_have_an_embedding(planted):
    embedded = np.arange(90) % 2 == 0
    task = protocol.cold_task(planted.interactions, embedded, fraction=0.2, min_users=5, seed=5)
    cold = set(task.candidate_rows.tolist())
    eligible = embedded & (planted.interactions.track_evidence() >= 5)
    assert len(cold) == pytest.approx(0.2 * eligible.sum(), abs=1)
    assert all(eligible[row] for row in cold)
    assert not cold & set(task.train.track_rows.tolist())
    assert relevant_pairs(task.relevant) == {pair for pair in pairs(planted.interactions) if pair[1] in cold}


def test_seeds_are_folds_that_cover_every_track_once(planted):
    eligible = np.flatnonzero(planted.interactions.track_evidence() >= 5)
    everything = np.ones(90, dtype=bool)
    folds = [protocol.cold_task(planted.interactions, everything, fraction=0.2, seed=seed) for seed in range(10)]
    for first in (folds[:5], folds[5:]):
        assert sorted(np.concatenate([task.candidate_rows for task in first]).tolist()) == eligible.tolist()
    assert folds[0].candidate_rows.tolist() != folds[5].candidate_rows.tolist()
    again = protocol.cold_task(planted.interactions, everything, fraction=0.2, seed=7)
    assert again.candidate_rows.tolist() == folds[7].candidate_rows.tolist()
    third = protocol.cold_task(planted.interactions, everything, fraction=0.3, seed=2)
    assert len(third.candidate_rows) == pytest.approx(0.3 * len(eligible), abs=1)


def test_cold_needs_tracks_that_could_go_cold(planted):
    with pytest.raises(DataError, match="1 tracks have an embedding and at least 5 users"):
        protocol.cold_task(planted.interactions, np.arange(90) == 4, seed=0)


def test_mixed_is_read_apart_and_together(planted):
    task = protocol.mixed_task(planted.interactions, np.ones(90, dtype=bool), seed=2)
    parts = dict(task.parts)
    cold, warm = relevant_pairs(parts["cold"]), relevant_pairs(parts["warm"])
    assert cold
    assert warm
    assert cold | warm == relevant_pairs(task.relevant)
    cold_tracks = {track for _, track in cold}
    assert not cold_tracks & set(task.train.track_rows.tolist())
    assert not cold_tracks & {track for _, track in warm}
    assert cold_tracks < set(task.candidate_rows.tolist())


def test_time_hides_what_comes_later(planted):
    at = np.datetime64("2024-03-20")
    task = protocol.time_task(planted.interactions, at)
    assert task.train.times.max() < at
    heard = pairs(task.train)
    later = planted.interactions.select(planted.interactions.times >= at)
    assert relevant_pairs(task.relevant) == pairs(later) - heard

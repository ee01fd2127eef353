import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError
from recommender.models.cnn_config import OBJECTIVES
from recommender.models.factors import AlsConfig, Factors
from recommender.models.objectives import (
    MAX_LISTENERS,
    Targets,
    alignment_loss,
    mean_reciprocal_rank,
    nt_xent,
    retrieval_mrr,
    sibling_mrr,
)


def unit(*angles_degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(angles_degrees))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def slow_nt_xent(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    crops = np.concatenate([first, second])
    n, losses = len(first), []
    for i in range(2 * n):
        sibling = (i + n) % (2 * n)
        others = [math.exp(crops[i] @ crops[j] / temperature) for j in range(2 * n) if j != i]
        losses.append(-math.log(math.exp(crops[i] @ crops[sibling] / temperature) / sum(others)))
    return float(np.mean(losses))


def test_nt_xent_agrees_with_its_slow_twin():
    first, second = unit(0, 100, 200, 260), unit(10, 80, 240, 310)
    expected = slow_nt_xent(first.numpy(), second.numpy(), 0.3)
    assert nt_xent(first, second, 0.3).item() == pytest.approx(expected, abs=1e-5)


def test_nt_xent_of_vectors_that_are_all_alike_is_the_loss_of_a_guess():
    assert nt_xent(unit(5, 5, 5), unit(5, 5, 5), 0.1).item() == pytest.approx(math.log(5), abs=1e-5)


def test_sibling_mrr_worked_by_hand():
    # Siblings 0-10 and 90-130: each is the other's nearest.
    assert sibling_mrr(unit(0, 90), unit(10, 130)) == 1.0
    # Siblings 0-90 and 10-100: from 0: 10, 90 (rank 2); from 10: 0, 90, 100 (2 above at 10 and 80 degrees: rank 3);
    # from 90: 100, 10, 0 (rank 3); from 100: 90, 10 (rank 2).
    assert sibling_mrr(unit(0, 10), unit(90, 100)) == pytest.approx((1 / 2 + 1 / 3 + 1 / 3 + 1 / 2) / 4)


def test_a_tie_counts_against_the_right_answer():
    assert mean_reciprocal_rank(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([0])) == 0.5


def test_retrieval_mrr_worked_by_hand():
    factors = unit(0, 45, 180)
    predicted = 7 * unit(40, 60, 170)  # the first is nearer to 45 than to 0: rank 2
    assert retrieval_mrr(predicted, factors) == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert retrieval_mrr(predicted[:0], factors[:0]) == 0.0


def targets_of(factors: torch.Tensor, known: list[bool], listeners: torch.Tensor, played: list[list[int]]) -> Targets:
    return Targets(factors, torch.tensor(known), listeners, sparse.csc_matrix(np.array(played, dtype=np.float32)))


@pytest.fixture
def taste() -> Targets:
    """Tracks a, b and c, of which c is not known; users at 0, 30 and 90 degrees, who play a, ab and abc."""
    factors = torch.cat([unit(0, 90), torch.zeros(1, 2)])
    return targets_of(factors, [True, True, False], unit(0, 30, 90), [[1, 0, 0], [1, 1, 0], [1, 1, 1]])


def test_regression_worked_by_hand(taste):
    predicted = 3 * unit(60, 90, 17)
    assert alignment_loss(predicted, torch.tensor([0, 1, 2]), taste).item() == pytest.approx((0.5 + 0) / 2, abs=1e-6)


def test_contrast_with_factors_worked_by_hand(taste):
    loss = alignment_loss(3 * unit(60, 17), torch.tensor([0, 2]), taste, "factors", 0.5)
    own, other = math.cos(math.radians(60)) / 0.5, math.cos(math.radians(30)) / 0.5
    assert loss.item() == pytest.approx(math.log(1 + math.exp(other - own)), abs=1e-5)


def test_contrast_with_listeners_worked_by_hand(taste):
    loss = alignment_loss(3 * unit(60, 17), torch.tensor([1, 2]), taste, "listeners", 0.5)
    pulls = [plays * math.exp(math.cos(math.radians(angle)) / 0.5) for plays, angle in ((1, 60), (2, 30), (3, 30))]
    shares = [pull / sum(pulls) for pull in pulls]
    assert loss.item() == pytest.approx(-(math.log(shares[1]) + math.log(shares[2])) / 2, abs=1e-5)


def test_towers_worked_by_hand(taste):
    loss = alignment_loss(3 * unit(60, 90, 17), torch.tensor([0, 1, 2]), taste, "towers", 0.5)
    logs = []
    for user, played in ((0, "a"), (30, "ab"), (90, "ab")):
        pull = {
            track: listeners * math.exp(math.cos(math.radians(user - angle)) / 0.5)
            for track, angle, listeners in (("a", 60, 3), ("b", 90, 2))
        }
        logs += [math.log(pull[track] / sum(pull.values())) for track in played]
    assert loss.item() == pytest.approx(-sum(logs) / 5, abs=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_tracks_without_known_factors_teach_nothing(taste, objective):
    predicted = unit(60).requires_grad_()
    loss = alignment_loss(predicted, torch.tensor([2]), taste, objective)
    loss.backward()
    assert loss.item() == 0
    assert not predicted.grad.any()


@pytest.mark.parametrize("objective", ["regression", "factors", "listeners", "towers"])
def test_every_objective_is_better_with_the_tracks_where_their_listeners_are(taste, objective):
    tracks = torch.tensor([0, 1])
    right = alignment_loss(unit(10, 65), tracks, taste, objective)
    assert right < alignment_loss(unit(65, 10), tracks, taste, objective)


def factors_of(ids: tuple[str, ...], vectors: list[list[float]]) -> Factors:
    users = Vocabulary("user", ("u",))
    track_factors = np.array(vectors, np.float32)
    none = np.zeros((1, track_factors.shape[1]), np.float32)
    return Factors(users, Vocabulary("track", ids), none, track_factors, AlsConfig(factors=track_factors.shape[1]))


def test_targets_are_laid_out_by_id_and_only_where_there_is_evidence():
    factors = factors_of(("a", "b", "c", "z"), [[3, 4], [0, 2], [5, 0], [0, 0]])
    heard = Vocabulary("track", ("c", "new", "b", "a", "z"))
    targets = Targets.of(heard, factors, np.array([3, 2, 9, 9]), min_evidence=3)
    assert targets.known.tolist() == [True, False, False, True, False]
    expected = [[1, 0], [0, 0], [0, 0], [0.6, 0.8], [0, 0]]
    np.testing.assert_allclose(targets.factors.numpy(), expected, atol=1e-6)


def test_without_plays_there_is_nothing_to_predict():
    targets = Targets.of(Vocabulary("track", ("a", "b")), None, None, min_evidence=1)
    assert not targets.known.any()


def test_evidence_of_other_tracks_is_refused():
    with pytest.raises(DataError, match="evidence has 3 rows for 2 tracks"):
        Targets.of(Vocabulary("track", ("a",)), factors_of(("a", "b"), [[1], [1]]), np.ones(3), min_evidence=1)


def test_plays_are_laid_out_by_id_and_users_without_factors_are_left_out():
    base = factors_of(("a", "b", "c"), [[3, 4], [0, 2], [5, 0]])
    users = Vocabulary("user", ("u", "v", "w"))
    factors = replace(base, users=users, user_factors=np.array([[0, 3], [0, 0], [2, 0]], np.float32))
    plays = sparse.csr_matrix(np.array([[2.0, 0, 1], [0, 0, 0], [0, 1, 0]]))
    targets = Targets.of(Vocabulary("track", ("c", "new", "b")), factors, None, 1, plays)
    np.testing.assert_array_equal(targets.played.toarray(), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(targets.listeners.numpy(), [[0, 1], [1, 0]])
    assert targets.plays_of(torch.tensor([2, 0, 2])).tolist() == [[0, 1, 0], [1, 0, 1]]


def test_of_very_many_users_some_stand_for_all():
    n = MAX_LISTENERS + 5
    base = factors_of(("a",), [[1, 0]])
    factors = replace(
        base, users=Vocabulary("user", tuple(map(str, range(n)))), user_factors=np.ones((n, 2), np.float32)
    )
    targets = Targets.of(Vocabulary("track", ("a",)), factors, None, 1, sparse.csr_matrix(np.ones((n, 1))))
    assert targets.played.shape == (MAX_LISTENERS, 1)


def test_plays_of_other_tracks_are_refused():
    with pytest.raises(DataError, match=r"plays have shape \(1, 3\) for 1 users and 2 tracks"):
        Targets.of(Vocabulary("track", ("a",)), factors_of(("a", "b"), [[1], [1]]), None, 1, sparse.csr_matrix((1, 3)))

import math

import numpy as np
import pytest
import torch

from recommender.models.objectives import nt_xent
from recommender.models.weak_labels import Kin, weighted_contrast


def unit(*angles_degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(angles_degrees))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def codes(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_weights_add_up_what_two_crops_share():
    kin = Kin(codes(0, 0, 0, 1), codes(7, 7, 8, 9), artist_weight=0.3, album_weight=0.1)
    weights = kin.weights(torch.tensor([0, 1, 2, 3, 0]))
    expected = [
        [0, 0.4, 0.3, 0, 1.4],
        [0.4, 0, 0.3, 0, 0.4],
        [0.3, 0.3, 0, 0, 0.3],
        [0, 0, 0, 0, 0],
        [1.4, 0.4, 0.3, 0, 0],
    ]
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-6)


def test_with_siblings_alone_it_is_nt_xent():
    first, second = unit(0, 100, 200, 260), unit(10, 80, 240, 310)
    weights = Kin(codes(0, 0, 1, 1), codes(0, 1, 2, 3), 0.0, 0.0).weights(torch.arange(4).repeat(2))
    loss = weighted_contrast(torch.cat([first, second]), weights, 0.3)
    torch.testing.assert_close(loss, nt_xent(first, second, 0.3))


def slow_contrast(crops: np.ndarray, weights: np.ndarray, temperature: float) -> float:
    losses = []
    for i in range(len(crops)):
        others = [j for j in range(len(crops)) if j != i]
        total = sum(math.exp(crops[i] @ crops[j] / temperature) for j in others)
        if weights[i].sum() == 0:
            continue
        logs = {j: math.log(math.exp(crops[i] @ crops[j] / temperature) / total) for j in others}
        losses.append(-sum(weights[i, j] * logs[j] for j in others) / weights[i].sum())
    return float(np.mean(losses))


def test_it_agrees_with_its_slow_twin():
    crops = unit(0, 100, 200, 260, 33)
    weights = torch.rand(5, 5, generator=torch.Generator().manual_seed(0)).fill_diagonal_(0)
    weights[3] = 0
    expected = slow_contrast(crops.numpy(), weights.numpy(), 0.3)
    assert weighted_contrast(crops, weights, 0.3).item() == pytest.approx(expected, abs=1e-5)


def test_an_artist_pulls_its_tracks_together_the_more_the_heavier_it_weighs():
    tracks = torch.arange(3).repeat(2)
    losses = []
    for weight in (0.0, 0.5):
        weights = Kin(codes(0, 0, 1), codes(0, 1, 2), weight, 0.0).weights(tracks)
        apart = weighted_contrast(unit(0, 90, 180, 5, 95, 185), weights, 0.3)
        together = weighted_contrast(unit(0, 20, 180, 5, 25, 185), weights, 0.3)
        losses.append((apart - together).item())
    assert losses[0] < 0 < losses[1]

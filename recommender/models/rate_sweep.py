"""The learning rate before a long training: the loss while the rate rises, from far too low to far too high.

After Smith, "Cyclical learning rates for training neural networks", WACV 2017.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recommender.audio.augment import augment
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.crops import ClipTable
from recommender.models.objectives import Targets, alignment_loss, nt_xent

Floats = npt.NDArray[np.float64]

BATCH_TRACKS = 16
SWEEP_STEPS = 50
SMOOTH, LAG_STEPS = 0.85, 6
SWEEP = (1e-6, 1.0)


@dataclass(frozen=True, eq=False)
class RateSweep:
    """The loss while the learning rate rises.

    Parameters
    ----------
    rates, losses, smoothed : ndarray, shape (n_steps,), float64
        Losses on batches that change, less what the untouched network makes of each. Ends early at a NaN.
    recommended : float
        Where the loss begins to fall fastest (smoothing shows it late), and at most a tenth of the rate at which it is
        lowest; NaN where it never falls.
    too_high : float
        From where on the loss comes back to half of what was gained; infinite where it does not.
    """

    rates: Floats
    losses: Floats
    smoothed: Floats
    recommended: float
    too_high: float


def losses_of(network: nn.ModuleDict, crops: Tensor, tracks: Tensor, goals: Targets, config: TrainCnnConfig) -> Tensor:
    """Return the training's loss, its contrastive and its aligning part, shape (3,)."""
    vectors = network["hearing"](crops)
    contrast = nt_xent(vectors[: len(tracks)], vectors[len(tracks) :], config.temperature)
    both, objective = tracks.repeat(2), config.objective
    aligned = alignment_loss(network["head"](vectors), both, goals, objective, config.alignment_temperature)
    return torch.stack(
        [config.contrastive_weight * contrast + config.alignment_weight * aligned, contrast.detach(), aligned.detach()]
    )


def sweep_rates(
    network: nn.ModuleDict,
    table: ClipTable,
    goals: Targets,
    config: TrainCnnConfig,
    generator: torch.Generator,
    report: Callable[[int], None],
) -> RateSweep:
    """Train a network, which is changed, while the rate rises; `report` is called with steps done."""
    network.train()
    device = next(network.parameters()).device
    trainable = [each for each in network.parameters() if each.requires_grad] or [nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.AdamW(trainable, SWEEP[0], weight_decay=config.weight_decay)
    rows = torch.nonzero(table.n_clips)[:, 0]
    before = copy.deepcopy(network)
    rates, losses, untouched = np.geomspace(*SWEEP, SWEEP_STEPS), [], []
    for step, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        tracks = rows[torch.randperm(len(rows), generator=generator)[: min(BATCH_TRACKS, config.batch_tracks)]]
        crops = torch.cat([table.random_crops(tracks, config.crop_frames, generator) for _ in range(2)])
        crops = augment(crops, config.augment, config.cnn.mel, generator).to(device)
        loss = losses_of(network, crops, tracks.to(device), goals, config)[0]
        if not math.isfinite(float(loss.detach())):
            break
        losses.append(float(loss.detach()))
        with torch.no_grad():
            untouched.append(float(losses_of(before, crops, tracks.to(device), goals, config)[0]))
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        report(step + 1)
    # One batch is harder than another: what counts is how much better than the untouched network this one does.
    easier = np.array(losses) - np.array(untouched) + float(np.mean(untouched or [0.0]))
    return read_sweep(rates[: len(losses)], easier)


def read_sweep(rates: Floats, losses: Floats) -> RateSweep:
    """Find the recommended rate, and the one that is too high, in the losses of a sweep."""
    kept, weight, smoothed = 0.0, 0.0, np.empty(len(losses))
    for step, loss in enumerate(losses):
        kept, weight = SMOOTH * kept + (1 - SMOOTH) * loss, SMOOTH * weight + 1 - SMOOTH
        smoothed[step] = kept / weight
    if len(losses) < SWEEP_STEPS // 4:
        return RateSweep(rates, losses, smoothed, math.nan, float(rates[-1]) if len(rates) else SWEEP[0])
    quiet = losses[: SWEEP_STEPS // 4]
    start, lowest = float(np.mean(quiet)), int(np.argmin(smoothed))
    gained = start - float(smoothed[lowest])
    if gained < max(0.03 * abs(start), 2 * float(np.std(quiet))):
        return RateSweep(rates, losses, smoothed, math.nan, math.inf)
    back = np.flatnonzero(smoothed[lowest:] > smoothed[lowest] + 0.5 * gained)
    too_high = float(rates[lowest + back[0]]) if len(back) else math.inf
    fall = smoothed[LAG_STEPS:] - smoothed[:-LAG_STEPS]
    steepest = int(np.argmin(fall[LAG_STEPS:]))
    return RateSweep(rates, losses, smoothed, float(min(rates[steepest], rates[lowest] / 10)), too_high)

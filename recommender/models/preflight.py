"""Before a long training: whether this network, with this loss and this rate, can learn anything from these clips.

One batch is learnt by heart on purpose. A network that cannot even do that is broken, and what was measured on the way
tells where: Karpathy's "A recipe for training neural networks" (2019) as a program.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn

from recommender.data.progress import Progress, silent
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.crops import ClipTable, decibels
from recommender.models.objectives import Targets, alignment_loss, sibling_mrr
from recommender.models.rate_sweep import BATCH_TRACKS, SWEEP_STEPS, RateSweep, losses_of, sweep_rates
from recommender.models.reproducible import choose_device, reproducible

if TYPE_CHECKING:
    from recommender.audio.clips import Clips
    from recommender.models.factors import Factors

Floats = npt.NDArray[np.float64]

STEPS = 120
FIRST_STEPS = 10
LEARNT = 0.1
"""Share of the loss of chance below which a batch counts as learnt by heart."""

SURE = 100
"""Draws of each permutation test."""


@dataclass(frozen=True, eq=False)
class Overfit:
    """What happened while one batch was learnt by heart.

    Parameters
    ----------
    contrast, align : ndarray, shape (n_steps,), float64
        The two losses; `align` is NaN where no track of the batch has factors.
    align_floor : float
        What `align` would be if the network told the factors themselves.
    chance : float
        The contrastive loss of guessing: ``ln(2 n - 1)`` for n tracks.
    without_input : float
        The contrastive loss afterwards, with every input replaced by silence.
    layers : tuple of str
        Weights with two dimensions or more that can be trained.
    gradients, updates : ndarray, shape (n_steps, n_layers), float64
        Length of the gradient, and of what the step changed, each as a share of the weight's length.
    dead : dict of str to float
        Share of the units of each activation that give the same answer to every input, after the last step.
    active : dict of str to float
        Share of the outputs of each activation that are above 0, after the last step.
    spread : float
        Mean distance of the batch's embeddings from their mean, after the last step; 0 if all are equal.
    input_spread : float
        Mean standard deviation over the batch of a point of the spectrograms, dB.
    n_weights, n_frozen : int
        Trainable or not: all parameters, and those of them that cannot be trained.
    silent_layers : tuple of str
        Parameters that can be trained and that no gradient ever reached.
    """

    contrast: Floats
    align: Floats
    align_floor: float
    chance: float
    without_input: float
    layers: tuple[str, ...]
    gradients: Floats
    updates: Floats
    dead: dict[str, float]
    active: dict[str, float]
    spread: float
    input_spread: float
    n_weights: int
    n_frozen: int
    silent_layers: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Alikeness:
    """How much alike what belongs together is, against the same with the labels shuffled.

    Parameters
    ----------
    value, chance, spread : float
        Measured; mean and standard deviation over shuffles.
    """

    value: float
    chance: float
    spread: float

    @property
    def sigmas(self) -> float:
        """Standard deviations above chance."""
        return (self.value - self.chance) / max(self.spread, 1e-9)


@dataclass(frozen=True, eq=False)
class NetworkReport:
    """Everything that was measured of a network and its labels.

    Parameters
    ----------
    overfit : Overfit
    sweep : RateSweep
    siblings : Alikeness
        Mean reciprocal rank of a track's other crop, by the network before training.
    plays : Alikeness or None
        Mean cosine of the factors of tracks that sound alike; None with fewer than 20 tracks with factors.
    """

    overfit: Overfit
    sweep: RateSweep
    siblings: Alikeness
    plays: Alikeness | None


def try_network(
    clips: Clips,
    targets: Factors | None,
    evidence: npt.NDArray[np.integer] | None,
    config: TrainCnnConfig,
    network: SpectrogramCNN | None = None,
    progress: Progress = silent,
    *,
    plays: sparse.csr_matrix | None = None,
) -> NetworkReport:
    """Learn one batch by heart, sweep the learning rate, and see whether the labels belong to the sounds.

    Parameters
    ----------
    clips, targets, evidence, config, plays
        As `train_cnn.train_cnn` takes them.
    network : SpectrogramCNN, optional
        A fresh one of `config.cnn` by default; it is trained.
    progress : Progress
        In steps.

    Returns
    -------
    NetworkReport
    """
    table = ClipTable.of(clips)
    device = choose_device(config.device)
    goals = Targets.of(clips.tracks, targets, evidence, config.min_evidence, plays, config.seed).to(device)
    total = STEPS + SWEEP_STEPS
    with reproducible(config.seed, config.threads) as generator:
        hearing = network if network is not None else SpectrogramCNN(config.cnn)
        head = nn.Linear(config.cnn.dim, goals.factors.shape[1])
        both = nn.ModuleDict({"hearing": hearing, "head": head}).to(device)
        siblings = _sibling_alikeness(both, table, device, generator)
        plays = _play_alikeness(clips, goals, config.seed)
        swept = copy.deepcopy(both)
        tracks = _choose_batch(table, goals, config, generator)
        first, second = (table.random_crops(tracks, config.crop_frames, generator) for _ in range(2))
        crops = torch.cat([first, second]).to(device)
        overfit = _learn_by_heart(both, crops, tracks.to(device), goals, config, lambda n: progress(n, total))
        progress(STEPS, total)
        sweep = sweep_rates(swept, table, goals, config, generator, lambda n: progress(STEPS + n, total))
        progress(total, total)
    return NetworkReport(overfit, sweep, siblings, plays)


def _choose_batch(table: ClipTable, goals: Targets, config: TrainCnnConfig, generator: torch.Generator) -> Tensor:
    """Draw tracks with audio, those first that have factors."""
    rows = torch.nonzero(table.n_clips)[:, 0]
    rows = rows[torch.randperm(len(rows), generator=generator)]
    taught = goals.known.cpu()[rows]
    return torch.cat([rows[taught], rows[~taught]])[: min(BATCH_TRACKS, config.batch_tracks)]


def _learn_by_heart(
    network: nn.ModuleDict,
    crops: Tensor,
    tracks: Tensor,
    goals: Targets,
    config: TrainCnnConfig,
    report: Callable[[int], None],
) -> Overfit:
    network.train()
    named = dict(network.named_parameters())
    aligns = bool(goals.known[tracks].any()) and config.alignment_weight > 0 and config.objective != "none"
    perfect = alignment_loss(goals.factors[tracks], tracks, goals, config.objective, config.alignment_temperature)
    floor = float(perfect)
    if not aligns:
        named = {name: each for name, each in named.items() if not name.startswith("head.")}
    trainable = {name: each for name, each in named.items() if each.requires_grad}
    layers = [name for name, each in trainable.items() if each.ndim > 1]
    reached: set[str] = set()
    chance = math.log(2 * len(tracks) - 1)
    history, gradients, updates = [], [], []
    optimizer = torch.optim.AdamW(
        list(trainable.values()) or [nn.Parameter(torch.zeros(1))],
        config.learning_rate,
        weight_decay=config.weight_decay,
    )
    for step in range(STEPS):
        losses = losses_of(network, crops, tracks, goals, config)
        history.append(losses.detach().cpu().double().numpy())
        if not np.isfinite(history[-1]).all():
            break
        if (
            step >= 2 * FIRST_STEPS
            and history[-1][1] < LEARNT * chance / 2
            and (not aligns or _left(history, floor) < LEARNT)
        ):
            break
        optimizer.zero_grad()
        if losses.requires_grad:
            losses[0].backward()  # type: ignore[no-untyped-call]
        reached |= {name for name, each in trainable.items() if each.grad is not None and bool(each.grad.any())}
        before = {name: trainable[name].detach().clone() for name in layers}
        gradients.append([_share(trainable[name].grad, before[name]) for name in layers])
        optimizer.step()
        updates.append([_share(trainable[name].detach() - before[name], before[name]) for name in layers])
        report(step + 1)
    with torch.no_grad(), _activations(network["hearing"]) as outputs:
        vectors = network["hearing"](crops)
    with torch.no_grad():
        silence = torch.full_like(crops, float(crops.mean()))
        without = float(losses_of(network, silence, tracks, goals, config)[1])
    curve = np.array(history)
    shape = (len(gradients), len(layers))
    n_weights = sum(each.numel() for each in named.values())
    return Overfit(
        curve[:, 1],
        curve[:, 2] if aligns else np.full(len(curve), np.nan),
        floor,
        chance,
        without,
        tuple(layers),
        np.array(gradients, dtype=np.float64).reshape(shape),
        np.array(updates, dtype=np.float64).reshape(shape),
        {name: _dead_share(output) for name, output in outputs.items()},
        {name: float((output > 0).double().mean()) for name, output in outputs.items()},
        float((vectors - vectors.mean(0)).norm(dim=1).mean()),
        float(crops.std(0).mean()),
        n_weights,
        n_weights - sum(each.numel() for each in trainable.values()),
        tuple(sorted(set(trainable) - reached)),
    )


def _left(history: list[Floats], floor: float) -> float:
    """Return the share of the first aligning loss, above its floor, that is left."""
    return float((history[-1][2] - floor) / max(history[0][2] - floor, 1e-9))


@torch.no_grad()
def _sibling_alikeness(
    network: nn.ModuleDict, table: ClipTable, device: torch.device, generator: torch.Generator
) -> Alikeness:
    """Measure the untrained network: what a track's two ends share, no label could make it find."""
    network.train()
    rows = torch.nonzero(table.n_clips)[:, 0]
    rows = rows[torch.randperm(len(rows), generator=generator)[:64]]
    hearing = copy.deepcopy(network["hearing"])
    first, second = table.fixed_pair(rows)
    vectors = hearing(torch.cat([first, second]).to(device))
    first, second = vectors[: len(rows)], vectors[len(rows) :]
    shuffled = [sibling_mrr(first, second[torch.randperm(len(rows), generator=generator)]) for _ in range(SURE)]
    return Alikeness(sibling_mrr(first, second), float(np.mean(shuffled)), float(np.std(shuffled)))


def _play_alikeness(clips: Clips, goals: Targets, seed: int, neighbours: int = 5) -> Alikeness | None:
    """Compare the factors of tracks that sound alike, by the mean and the deviation of each band."""
    known = goals.known.cpu().numpy()
    counts = np.bincount(clips.clip_tracks, minlength=len(clips.tracks))
    rows = np.flatnonzero(known & (counts > 0))[:2000]
    if len(rows) < 20:
        return None
    firsts = np.searchsorted(clips.clip_tracks, rows) if np.all(np.diff(clips.clip_tracks) >= 0) else None
    picked = firsts if firsts is not None else np.array([np.argmax(clips.clip_tracks == row) for row in rows])
    db = decibels(torch.from_numpy(clips.mels[picked]))
    heard = torch.cat([db.mean(2) - db.mean((1, 2))[:, None], db.std(2)], 1)
    heard = (heard - heard.mean(0)) / heard.std(0).clamp_min(1e-3)
    distance = torch.cdist(heard, heard).fill_diagonal_(torch.inf)
    nearest = distance.topk(neighbours, largest=False).indices.numpy()
    factors = goals.factors.cpu().numpy()[rows].astype(np.float64)
    cosine = factors @ factors.T
    rng = np.random.default_rng(seed)

    def mean(order: npt.NDArray[np.intp]) -> float:
        return float(cosine[order[:, None], order[nearest]].mean())

    shuffled = [mean(rng.permutation(len(rows))) for _ in range(SURE)]
    return Alikeness(mean(np.arange(len(rows))), float(np.mean(shuffled)), float(np.std(shuffled)))


@contextmanager
def _activations(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect what the activations of a network give while the block runs."""
    outputs: dict[str, Tensor] = {}
    hooks = []
    kinds = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Hardswish)

    def keep(name: str, output: Tensor) -> None:
        outputs[name] = output.detach()

    for name, each in module.named_modules():
        if isinstance(each, kinds):
            hooks.append(each.register_forward_hook(lambda _m, _i, output, name=name: keep(name, output)))
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _dead_share(output: Tensor) -> float:
    """Return the share of the units (dimension 1) that give one answer only."""
    units = output.transpose(0, 1).flatten(1)
    return float((units.amax(1) - units.amin(1) < 1e-6).double().mean())


def _share(part: Tensor | None, whole: Tensor) -> float:
    return float(part.norm() / whole.norm().clamp_min(1e-12)) if part is not None else 0.0

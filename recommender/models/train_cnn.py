"""Teach the CNN: crops of one track are close and, where there are plays, its embedding predicts its ALS factors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recommender.audio.augment import augment
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import ModelError
from recommender.models.checkpoint import TrainingState, load_checkpoint, save_checkpoint, weights_of
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.crops import ClipTable
from recommender.models.objectives import Targets, alignment_loss, nt_xent, retrieval_mrr, sibling_mrr
from recommender.models.reproducible import choose_device, reproducible
from recommender.models.trained_cnn import TrainedCnn, version_of

if TYPE_CHECKING:
    from recommender.audio.clips import Clips
    from recommender.models.factors import Factors

__all__ = ["MIN_TRACKS", "TrainCnnConfig", "TrainedCnn", "train_cnn"]

MIN_TRACKS = 8
"""Fewest tracks with audio to train on: contrast needs others to push away, and some are held out."""


def train_cnn(
    clips: Clips,
    targets: Factors | None,
    evidence: npt.NDArray[np.integer] | None,
    config: TrainCnnConfig,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> TrainedCnn:
    """Train a `SpectrogramCNN`.

    Parameters
    ----------
    clips : Clips
        The spectrograms of the library.
    targets : Factors or None
        Whose track factors the embeddings learn to predict; None (a library without plays) leaves that loss out.
    evidence : ndarray, shape (len(targets.tracks),), int, or None
        Users who played each track; None trusts the factors of every track.
    config : TrainCnnConfig
    checkpoint : Path, optional
        Written after every epoch; if it is there, training goes on from it, with exactly the uninterrupted result.
    progress : Progress, optional
        In batches.

    Returns
    -------
    TrainedCnn
        With the weights of the best epoch by validation, and per epoch the losses and, on held-out tracks, ``val_mrr``
        (how well a crop finds its sibling) and ``val_align_mrr`` (how well a track finds its own factors).

    Raises
    ------
    ModelError
        If there are too few tracks, both losses are left out, or training diverges.
    DataError
        If `evidence` does not fit `targets`.
    VersionError
        If the checkpoint is of other data or another config.
    """
    report = progress or silent
    table = ClipTable.of(clips)
    training, validation = _hold_out(table, config)
    device = choose_device(config.device)
    goals = Targets.of(clips.tracks, targets, evidence, config.min_evidence).to(device)
    if config.contrastive_weight == 0 and not (goals.known[training].any() and config.alignment_weight > 0):
        raise ModelError(
            f"no track was played by {config.min_evidence} users or more and contrastive_weight is 0: nothing to learn "
            "from; set contrastive_weight above 0 or add plays"
        )
    steps = max(1, round(len(training) / config.batch_tracks))

    with reproducible(config.seed, config.threads) as generator:
        hearing = SpectrogramCNN(config.cnn)
        head = nn.Linear(config.cnn.dim, goals.factors.shape[1])
        network = nn.ModuleDict({"hearing": hearing, "head": head}).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        state = TrainingState(network, optimizer, generator, weights_of(network), 0, [])
        run = _digest(clips, goals, config)
        if checkpoint is not None and checkpoint.exists():
            load_checkpoint(checkpoint, run, state)

        for epoch in range(state.epoch + 1, config.epochs + 1):
            if epoch - state.best_epoch > config.patience:
                break
            network.train()
            losses = []
            batches = training[torch.randperm(len(training), generator=generator)].tensor_split(steps)
            for step, tracks in enumerate(batches):
                _set_learning_rate(optimizer, config, (epoch - 1) + step / steps)
                first = table.random_crops(tracks, config.crop_frames, generator)
                second = table.random_crops(tracks, config.crop_frames, generator)
                crops = augment(torch.cat([first, second]), config.augment, config.cnn.mel, generator).to(device)

                vectors = hearing(crops)
                contrast = nt_xent(vectors[: len(tracks)], vectors[len(tracks) :], config.temperature)
                aligned = alignment_loss(head(vectors), tracks.repeat(2).to(device), goals)
                loss = config.contrastive_weight * contrast + config.alignment_weight * aligned

                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append([loss.item(), contrast.item(), aligned.item()])
                if not math.isfinite(losses[-1][0]):
                    raise ModelError(
                        f"training diverged in epoch {epoch}; lower learning_rate {config.learning_rate:g}"
                    )
                report((epoch - 1) * steps + step + 1, config.epochs * steps)

            means = np.mean(losses, axis=0).tolist()
            entry = {"epoch": epoch, **dict(zip(("train_loss", "train_contrast", "train_align"), means, strict=True))}
            if len(validation):
                entry |= _validate(network, table, validation, goals, config, device)
            state.history.append(entry)
            if not len(validation) or entry["val_loss"] <= min(past["val_loss"] for past in state.history):
                state.best_epoch, state.best_weights = epoch, weights_of(network)
            if checkpoint is not None:
                save_checkpoint(checkpoint, run, state)

    report(config.epochs * steps, config.epochs * steps)
    weights = {n.removeprefix("hearing."): a for n, a in state.best_weights.items() if n.startswith("hearing.")}
    held_out = tuple(clips.tracks.ids_of(validation.numpy()))
    return TrainedCnn(weights, config, state.history, state.best_epoch, held_out, version_of(weights, config.cnn))


def _hold_out(table: ClipTable, config: TrainCnnConfig) -> tuple[Tensor, Tensor]:
    """Return the rows of the tracks that train and of those that validate, each sorted."""
    with_audio = torch.nonzero(table.n_clips)[:, 0]
    if len(with_audio) < MIN_TRACKS and config.held_out > 0:
        raise ModelError(
            f"{len(with_audio)} tracks have audio that could be analysed, the CNN needs at least {MIN_TRACKS}; "
            "add music, or import embeddings"
        )
    if table.mels.shape[2] < config.crop_frames:
        raise ModelError(
            f"clips have {table.mels.shape[2]} frames, crops of {config.crop_frames} cannot be cut from them; "
            "set crop_frames lower or clip_s higher"
        )
    n_held = max(2, round(config.held_out * len(with_audio))) if config.held_out > 0 else 0
    shuffled = with_audio[torch.from_numpy(np.random.default_rng(config.seed).permutation(len(with_audio)))]
    return shuffled[n_held:].sort().values, shuffled[:n_held].sort().values


def _set_learning_rate(optimizer: torch.optim.Optimizer, config: TrainCnnConfig, epoch: float) -> None:
    warm = min(1.0, 0.1 + epoch)
    cosine = 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * warm * cosine


@torch.no_grad()
def _validate(
    network: nn.ModuleDict,
    table: ClipTable,
    tracks: Tensor,
    goals: Targets,
    config: TrainCnnConfig,
    device: torch.device,
) -> dict[str, float]:
    """Measure the losses and the retrieval on tracks that did not train."""
    network.eval()
    first, second = (network["hearing"](crops.to(device)) for crops in table.fixed_pair(tracks))
    predicted = network["head"](nn.functional.normalize(first + second, dim=1))
    contrast = nt_xent(first, second, config.temperature)
    aligned = alignment_loss(predicted, tracks.to(device), goals)
    known = goals.known[tracks]
    factors = goals.factors[tracks]
    return {
        "val_loss": (config.contrastive_weight * contrast + config.alignment_weight * aligned).item(),
        "val_contrast": contrast.item(),
        "val_align": aligned.item(),
        "val_mrr": sibling_mrr(first, second),
        "val_align_mrr": retrieval_mrr(predicted[known], factors[known]),
    }


def _digest(clips: Clips, goals: Targets, config: TrainCnnConfig) -> str:
    """Return what a checkpoint's run must agree on to be continued."""
    ids = np.array([*clips.tracks.ids, repr(config)], dtype=object)
    return digest_of(clips.mels, clips.clip_tracks, goals.factors.cpu().numpy(), goals.known.cpu().numpy(), ids)

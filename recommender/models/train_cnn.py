"""Teach the CNN: crops of one track are close and, where there are plays, its embedding predicts its listeners' taste.

From random weights, or from a network that was trained before: then this adapts it to the library.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn

from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import DataError, ModelError
from recommender.models.adapt import Ear, open_ear, parameter_groups, set_training, start_network
from recommender.models.checkpoint import TrainingState, load_checkpoint, save_checkpoint, weights_of
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.crops import ClipTable
from recommender.models.objectives import Targets, alignment_loss, retrieval_mrr, sibling_mrr
from recommender.models.reproducible import choose_device, reproducible
from recommender.models.trained_cnn import TrainedCnn, version_of
from recommender.models.weak_labels import Kin, weighted_contrast

if TYPE_CHECKING:
    from recommender.audio.clips import Clips
    from recommender.models.factors import Factors

__all__ = ["MIN_TRACKS", "TrainCnnConfig", "TrainedCnn", "train_cnn"]

MIN_TRACKS = 8
"""Fewest tracks with audio to train on: contrast needs others to push away, and some are held out."""

MAX_HELD_OUT = 1000
"""More tracks than this would validate no better, and are better trained on."""

Codes = npt.NDArray[np.integer]


def train_cnn(
    clips: Clips,
    targets: Factors | None,
    evidence: npt.NDArray[np.integer] | None,
    config: TrainCnnConfig,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    *,
    initial: TrainedCnn | None = None,
    plays: sparse.csr_matrix | None = None,
    artists: Codes | None = None,
    albums: Codes | None = None,
) -> TrainedCnn:
    """Train a `SpectrogramCNN`, or adapt one.

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
    initial : TrainedCnn, optional
        The network to start from; random weights if None.
    plays : csr_matrix, shape (len(targets.users), len(targets.tracks)), optional
        Who played what; the objectives ``"listeners"`` and ``"towers"`` need it.
    artists, albums : ndarray, shape (len(clips.tracks),), int, optional
        One code an artist and one an album, a code of its own where it is not known. Held-out tracks are all tracks of
        some artists.

    Returns
    -------
    TrainedCnn
        With the weights of the best epoch by validation, and per epoch the losses and, on held-out tracks, ``val_mrr``
        (how well a crop finds its sibling), ``val_align_mrr`` (how well a track finds its own factors) and ``gap`` (how
        much larger their loss is than that of as many tracks that trained, measured alike).

    Raises
    ------
    ModelError
        If there are too few tracks, both losses are left out, an objective lacks the plays, `initial` has another
        shape, or training diverges.
    DataError
        If `evidence`, `plays`, `artists` or `albums` do not fit.
    VersionError
        If the checkpoint is of other data, another config or another initial network.
    """
    report = progress or silent
    table = ClipTable.of(clips)
    device = choose_device(config.device)
    kin = _kin(clips, artists, albums, config, device)
    training, validation = _hold_out(table, artists, config)
    goals = Targets.of(clips.tracks, targets, evidence, config.min_evidence, plays, config.seed).to(device)
    lessons = goals.among(training.to(device))
    _check_lessons(lessons, config)
    steps = max(1, round(len(training) / config.batch_tracks))
    epochs = config.epochs if initial is None else config.adapt_epochs

    with reproducible(config.seed, config.threads) as generator:
        hearing = start_network(config, initial)
        head = nn.Linear(config.cnn.dim, goals.factors.shape[1])
        network = nn.ModuleDict({"hearing": hearing, "head": head}).to(device)
        groups = parameter_groups(hearing, head, config, initial)
        optimizer = torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay)
        state = TrainingState(network, optimizer, generator, weights_of(network), 0, [])
        run = _digest(clips, goals, kin, config, initial)
        if checkpoint is not None and checkpoint.exists():
            load_checkpoint(checkpoint, run, state)
        ear = open_ear(hearing, table, config, device, still=initial is not None and config.trains == "head")

        for epoch in range(state.epoch + 1, epochs + 1):
            if epoch - state.best_epoch > config.patience:
                break
            set_training(network, hearing, config, adapts=initial is not None)
            losses = []
            batches = training[torch.randperm(len(training), generator=generator)].tensor_split(steps)
            for step, tracks in enumerate(batches):
                _set_learning_rate(optimizer, config.learning_rate, (epoch - 1) + step / steps, epochs)
                vectors = ear.random_pair(tracks, generator)
                heard = tracks.repeat(2).to(device)
                contrast = weighted_contrast(vectors, kin.weights(heard), config.temperature)
                aligned = alignment_loss(head(vectors), heard, lessons, config.objective, config.alignment_temperature)
                loss = config.contrastive_weight * contrast + config.alignment_weight * aligned

                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append([loss.item(), contrast.item(), aligned.item()])
                if not math.isfinite(losses[-1][0]):
                    raise ModelError(
                        f"training diverged in epoch {epoch}; lower learning_rate {config.learning_rate:g}"
                    )
                report((epoch - 1) * steps + step + 1, epochs * steps)

            means = np.mean(losses, axis=0).tolist()
            entry = {"epoch": epoch, **dict(zip(("train_loss", "train_contrast", "train_align"), means, strict=True))}
            if len(validation):
                entry |= _validate(network, ear, training, validation, goals, kin, config)
            state.history.append(entry)
            if not len(validation) or entry["val_loss"] <= min(past["val_loss"] for past in state.history):
                state.best_epoch, state.best_weights = epoch, weights_of(network)
            if checkpoint is not None:
                save_checkpoint(checkpoint, run, state)

    report(epochs * steps, epochs * steps)
    weights = {n.removeprefix("hearing."): a for n, a in state.best_weights.items() if n.startswith("hearing.")}
    return TrainedCnn(
        weights,
        config,
        state.history,
        state.best_epoch,
        tuple(clips.tracks.ids_of(validation.numpy())),
        version_of(weights, config.cnn),
        initial.version if initial is not None else "",
        _why_stopped(state, epochs, config.patience),
    )


def _kin(
    clips: Clips, artists: Codes | None, albums: Codes | None, config: TrainCnnConfig, device: torch.device
) -> Kin:
    alone = np.arange(len(clips.tracks))
    codes = []
    for name, given in (("artists", artists), ("albums", albums)):
        if given is not None and given.shape != alone.shape:
            raise DataError(f"{name} has shape {given.shape}, expected one code for each of {len(alone)} tracks")
        codes.append(torch.from_numpy((alone if given is None else given).astype(np.int64)).to(device))
    return Kin(codes[0], codes[1], config.artist_weight, config.album_weight)


def _hold_out(table: ClipTable, artists: Codes | None, config: TrainCnnConfig) -> tuple[Tensor, Tensor]:
    """Return the rows of the tracks that train and of those that validate, each sorted.

    No artist is on both sides, unless one has more than half of the tracks.
    """
    with_audio = torch.nonzero(table.n_clips)[:, 0].numpy()
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
    if config.held_out == 0:
        return torch.from_numpy(with_audio), torch.from_numpy(with_audio[:0])
    n_held = min(MAX_HELD_OUT, max(2, round(config.held_out * len(with_audio))))
    shuffled = with_audio[np.random.default_rng(config.seed).permutation(len(with_audio))]
    if artists is not None:
        _, first, of = np.unique(artists[shuffled], return_index=True, return_inverse=True)
        by_artist = np.argsort(first[of], kind="stable")
        ends = np.flatnonzero(np.diff(first[of][by_artist])) + 1
        ends = ends[(ends >= 2) & (ends <= len(with_audio) / 2)]
        if len(ends):
            shuffled, n_held = shuffled[by_artist], int(ends[np.argmin(np.abs(ends - n_held))])
    return torch.from_numpy(np.sort(shuffled[n_held:])), torch.from_numpy(np.sort(shuffled[:n_held]))


def _set_learning_rate(optimizer: torch.optim.Optimizer, peak: float, epoch: float, epochs: int) -> None:
    warm = min(1.0, 0.1 + epoch)
    cosine = 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    for group in optimizer.param_groups:
        group["lr"] = peak * group["share"] * warm * cosine


@torch.no_grad()
def _validate(
    network: nn.ModuleDict,
    ear: Ear,
    training: Tensor,
    validation: Tensor,
    goals: Targets,
    kin: Kin,
    config: TrainCnnConfig,
) -> dict[str, float]:
    """Measure the losses and the retrieval on tracks that did not train, and the loss on as many that did."""
    network.eval()
    unseen = _measure(network, ear, validation, goals, kin, config)
    sample = torch.linspace(0, len(training) - 1, min(len(training), len(validation))).long()
    seen = _measure(network, ear, training[sample], goals, kin, config)
    return {f"val_{name}": value for name, value in unseen.items()} | {"gap": unseen["loss"] - seen["loss"]}


def _measure(
    network: nn.ModuleDict, ear: Ear, tracks: Tensor, goals: Targets, kin: Kin, config: TrainCnnConfig
) -> dict[str, float]:
    first, last = ear.fixed_pair(tracks)
    rows = tracks.to(first.device)
    predicted = network["head"](nn.functional.normalize(first + last, dim=1))
    contrast = weighted_contrast(torch.cat([first, last]), kin.weights(rows.repeat(2)), config.temperature)
    aligned = alignment_loss(predicted, rows, goals, config.objective, config.alignment_temperature)
    known = goals.known[rows]
    return {
        "loss": (config.contrastive_weight * contrast + config.alignment_weight * aligned).item(),
        "contrast": contrast.item(),
        "align": aligned.item(),
        "mrr": sibling_mrr(first, last),
        "align_mrr": retrieval_mrr(predicted[known], goals.factors[rows][known]),
    }


def _check_lessons(lessons: Targets, config: TrainCnnConfig) -> None:
    aligns = config.alignment_weight > 0 and config.objective != "none"
    if config.contrastive_weight == 0 and not (aligns and lessons.known.any()):
        raise ModelError(
            f"no track was played by {config.min_evidence} users or more and contrastive_weight is 0: nothing to learn "
            "from; set contrastive_weight above 0 or add plays"
        )
    if aligns and config.objective in ("listeners", "towers") and lessons.known.any() and not lessons.played.nnz:
        raise ModelError(
            f"objective {config.objective!r} learns from plays and got none; give plays, or another objective"
        )


def _why_stopped(state: TrainingState, epochs: int, patience: int) -> str:
    if state.epoch >= epochs:
        return f"all {epochs} epochs were done"
    why = f"the validation loss had not fallen for {patience} epochs, since epoch {state.best_epoch}"
    memorises = state.history[-1]["train_loss"] < state.history[state.best_epoch - 1]["train_loss"]
    return why + (", while the training loss fell: it was learning tracks by heart" if memorises else "")


def _digest(clips: Clips, goals: Targets, kin: Kin, config: TrainCnnConfig, initial: TrainedCnn | None) -> str:
    """Return what a checkpoint's run must agree on to be continued."""
    ids = np.array([*clips.tracks.ids, repr(config), initial.version if initial else ""], dtype=object)
    tensors = (goals.factors, goals.known, goals.listeners, kin.artists, kin.albums)
    played = (goals.played.indptr, goals.played.indices)
    return digest_of(clips.mels, clips.clip_tracks, *(tensor.cpu().numpy() for tensor in tensors), *played, ids)

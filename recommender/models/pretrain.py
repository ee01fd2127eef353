"""Teach a network to hear before it has met any library: from rendered music whose truth is known, and from recordings.

First the convolutions learn, by contrast: clips of one track belong together, clips of one artist too, and what a clip
is of (instruments, tempo, density, energy) can be told from it. Then the last layer is solved for: the linear
discriminants of everything that is pooled, which keep what differs between tracks and artists, and shrink what differs
within a track or comes from a codec. Artists that the convolutions did not learn from say which.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recommender.audio.augment import augment
from recommender.data.progress import Progress, silent
from recommender.data.storage import digest_of
from recommender.errors import DataError, ModelError
from recommender.models.checkpoint import TrainingState, load_checkpoint, save_checkpoint, set_weights, weights_of
from recommender.models.cnn import CUT, SpectrogramCNN
from recommender.models.cnn_config import PretrainConfig, TrainCnnConfig
from recommender.models.crops import decibels
from recommender.models.discriminants import place_by_discriminants
from recommender.models.lessons import Codes, Lessons
from recommender.models.objectives import mean_reciprocal_rank
from recommender.models.reproducible import choose_device, reproducible
from recommender.models.trained_cnn import TrainedCnn, version_of


def pretrain(
    lessons: Lessons, config: PretrainConfig, checkpoint: Path | None = None, progress: Progress = silent
) -> TrainedCnn:
    """Train a `SpectrogramCNN` on lessons.

    Parameters
    ----------
    lessons : Lessons
    config : PretrainConfig
    checkpoint : Path, optional
        Written after every epoch; if it is there, training goes on from it.
    progress : Progress
        In steps.

    Returns
    -------
    TrainedCnn
        With the weights of the last epoch: the learning rate has fallen to zero by then. Per epoch the losses, and on
        artists that were held out ``val_loss``, ``val_mrr`` (a clip finds another of its track) and ``gap``.

    Raises
    ------
    ModelError
        If there are too few artists or training diverges.
    VersionError
        If the checkpoint is of other data or another config.
    """
    device = choose_device(config.device)
    with reproducible(config.seed, config.threads) as generator:
        rng = np.random.default_rng(config.seed)
        school = _School(lessons, config, rng)
        hearing = SpectrogramCNN(config.cnn)
        network = nn.ModuleDict({"hearing": hearing, "exam": _Exam(config, lessons)}).to(device)
        for part in (hearing.pitch, hearing.patterns):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        state = TrainingState(network, optimizer, generator, weights_of(network), 0, [])
        parts = (lessons.mels, lessons.changed, lessons.tracks, lessons.artists, lessons.truth)
        run = digest_of(*parts, np.array([repr(config)], dtype=object))
        if checkpoint is not None and checkpoint.exists():
            load_checkpoint(checkpoint, run, state)
        for epoch in range(state.epoch + 1, config.epochs + 1):
            network.train()
            torch.manual_seed(config.seed + epoch)  # dropout draws from torch's global generator
            losses = []
            for step in range(config.steps):
                done = (epoch - 1) * config.steps + step
                _set_learning_rate(optimizer, config, done)
                rows = school.draw(school.training, np.random.default_rng([config.seed, done]))
                loss = _loss(network, lessons, rows, config, generator, device)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()
                losses.append(loss.item())
                if not math.isfinite(losses[-1]):
                    raise ModelError(
                        f"training diverged in epoch {epoch}; lower learning_rate {config.learning_rate:g}"
                    )
                progress(done + 1, config.epochs * config.steps)
            entry = {"epoch": epoch, "train_loss": float(np.mean(losses))}
            state.history.append(entry | _validate(network, lessons, school, config, device))
            state.best_epoch, state.best_weights = epoch, weights_of(network)
            if checkpoint is not None:
                save_checkpoint(checkpoint, run, state)
        set_weights(network, state.best_weights)
        place_by_discriminants(hearing, lessons, school.unheard, config, device)
        weights = weights_of(hearing)
    return TrainedCnn(
        weights,
        TrainCnnConfig(cnn=config.cnn),
        state.history,
        state.best_epoch,
        (),
        version_of(weights, config.cnn),
        "",
        f"all {config.epochs} epochs were done",
    )


class _Exam(nn.Module):
    """What the convolutions must be good for while they learn; it is thrown away after."""

    def __init__(self, config: PretrainConfig, lessons: Lessons) -> None:
        super().__init__()
        n_events = 3 * config.cnn.events
        self.standardise = nn.BatchNorm1d(n_events, affine=False)
        self.forget = nn.Dropout(config.dropout)
        self.likeness = nn.Linear(n_events, config.cnn.dim)
        self.truth = nn.Linear(n_events, lessons.truth.shape[1])

    def forward(self, events: Tensor) -> tuple[Tensor, Tensor]:
        learned = self.forget(self.standardise(events).clamp(-CUT, CUT))
        return functional.normalize(self.likeness(learned), dim=1), self.truth(learned)


class _School:
    """Who is in a batch."""

    def __init__(self, lessons: Lessons, config: PretrainConfig, rng: np.random.Generator) -> None:
        self.config = config
        n_tracks = int(lessons.tracks.max()) + 1
        self.clips_of = np.split(np.arange(len(lessons.tracks)), np.flatnonzero(np.diff(lessons.tracks)) + 1)
        first = np.array([clips[0] for clips in self.clips_of])
        if len(self.clips_of) != n_tracks:
            raise DataError(f"{n_tracks} tracks have {len(self.clips_of)} runs of clips; expected their clips together")
        of_artist = lessons.artists[first]
        self.recorded = np.flatnonzero(of_artist < 0)
        artists = np.unique(of_artist[of_artist >= 0])
        if len(artists) < config.batch_artists + 2:
            raise ModelError(
                f"{len(artists)} artists are too few to learn from, expected {config.batch_artists + 2}; render more"
            )
        n_held = max(2, round(config.held_out * len(artists)))
        held = rng.permutation(artists)[:n_held]
        self.training = [np.flatnonzero(of_artist == artist) for artist in np.setdiff1d(artists, held)]
        self.validation = [np.flatnonzero(of_artist == artist) for artist in held]
        self.unheard = np.isin(lessons.artists, held)

    def draw(self, artists: list[Codes], rng: np.random.Generator) -> Codes:
        """Return the rows of a batch's clips: two of each recording, then two of each track of some artists."""
        tracks = [*rng.choice(self.recorded, min(self.config.batch_recordings, len(self.recorded)), replace=False)]
        for artist in rng.choice(len(artists), min(self.config.batch_artists, len(artists)), replace=False):
            own = artists[artist]
            tracks += [*rng.choice(own, min(self.config.tracks_an_artist, len(own)), replace=False)]
        return np.concatenate(
            [rng.choice(self.clips_of[track], 2, replace=len(self.clips_of[track]) < 2) for track in tracks]
        )


def _loss(
    network: nn.ModuleDict,
    lessons: Lessons,
    rows: Codes,
    config: PretrainConfig,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Cut a crop out of each clip, change it, and return the loss."""
    chance = torch.rand(2, len(rows), generator=generator).numpy()
    through_codec = chance[0] < config.codec_share
    starts = (chance[1] * (lessons.mels.shape[2] - config.crop_frames + 1)).astype(np.int64)
    cut = np.stack(
        [
            (lessons.changed if changed else lessons.mels)[row, :, start : start + config.crop_frames]
            for row, changed, start in zip(rows, through_codec, starts, strict=True)
        ]
    )
    crops = augment(decibels(torch.from_numpy(cut)), config.augment, config.cnn.mel, generator).to(device)
    return _grade(network, crops, lessons, rows, config)


def _grade(network: nn.ModuleDict, crops: Tensor, lessons: Lessons, rows: Codes, config: PretrainConfig) -> Tensor:
    vectors, told = network["exam"](_events(network, crops))
    tracks = torch.from_numpy(lessons.tracks[rows]).to(crops.device)
    artists = torch.from_numpy(lessons.artists[rows]).to(crops.device)
    of_track, of_artist = contrasts(vectors, tracks, artists, config.temperature)
    truth = torch.from_numpy(lessons.truth[rows]).to(crops.device)
    told_wrong = _truth_loss(told, truth, lessons.n_labels)
    return of_track + config.artist_weight * of_artist + config.truth_weight * told_wrong


def _events(network: nn.ModuleDict, crops: Tensor) -> Tensor:
    """Return what the convolutions make of crops; in bfloat16, which takes a third of the time."""
    with torch.autocast(crops.device.type, dtype=torch.bfloat16):
        events: Tensor = network["hearing"].pool_events(crops)  # type: ignore[operator]
    return events.float()


def contrasts(vectors: Tensor, tracks: Tensor, artists: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return how badly clips find the others of their track, and of their artist.

    A clip is told from the others of its kind only, recorded or rendered: those are too easy to tell apart. Another
    clip of its artist is no wrong answer where its track is looked for, nor one of its track where its artist is.

    Parameters
    ----------
    vectors : Tensor, shape (batch, dim)
        Unit vectors.
    tracks, artists : Tensor, shape (batch,), int64
        An artist of -1 is that of a recording: it is not looked for.
    temperature : float

    Returns
    -------
    of_track, of_artist : Tensor, shape ()
        Nats, after L_out of Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    recorded = artists < 0
    rivals = ~itself & (recorded[:, None] == recorded)
    track = (tracks[:, None] == tracks) & ~itself
    artist = (artists[:, None] == artists) & ~recorded & ~track & ~itself
    similarity = vectors @ vectors.T / temperature

    def contrast(right: Tensor, rivals: Tensor) -> Tensor:
        scores = similarity.masked_fill(~rivals, -1e4)
        surprise = torch.logsumexp(scores, dim=1, keepdim=True) - scores
        count = right.sum(1)
        each = (surprise * right).sum(1) / count.clamp_min(1)
        return each.sum() / (count > 0).sum().clamp_min(1)

    return contrast(track, rivals & ~artist), contrast(artist, rivals & ~track)


def _truth_loss(told: Tensor, truth: Tensor, n_labels: int) -> Tensor:
    known = ~torch.isnan(truth)
    labels, measures = known.clone(), known.clone()
    labels[:, n_labels:], measures[:, :n_labels] = False, False
    wrong = functional.binary_cross_entropy_with_logits(told[labels], truth[labels]) if labels.any() else told.sum() * 0
    off = functional.mse_loss(told[measures], truth[measures]) if measures.any() else told.sum() * 0
    return wrong + 0.3 * off


@torch.no_grad()
def _validate(
    network: nn.ModuleDict, lessons: Lessons, school: _School, config: PretrainConfig, device: torch.device
) -> dict[str, float]:
    """Grade unchanged clips of artists that were held out, and of as many that were not."""
    network.eval()
    losses, ranks = {}, 0.0
    for name, artists in (("train", school.training), ("val", school.validation)):
        rng = np.random.default_rng([config.seed, 1])
        batches = [school.draw(artists, rng) for _ in range(4)]
        crops = [decibels(torch.from_numpy(lessons.mels[rows])).to(device) for rows in batches]
        graded = [
            _grade(network, some, lessons, rows, config).item() for some, rows in zip(crops, batches, strict=True)
        ]
        losses[name] = float(np.mean(graded))
        if name == "val":
            ranks = float(
                np.mean([_sibling_mrr(network, some, rows, lessons) for some, rows in zip(crops, batches, strict=True)])
            )
    return {"val_loss": losses["val"], "val_mrr": ranks, "gap": losses["val"] - losses["train"]}


def _sibling_mrr(network: nn.ModuleDict, crops: Tensor, rows: Codes, lessons: Lessons) -> float:
    rendered = torch.from_numpy(lessons.artists[rows] >= 0)
    vectors = network["exam"](_events(network, crops))[0].cpu()[rendered]
    similarity = (vectors @ vectors.T).fill_diagonal_(-torch.inf)
    pairs = torch.arange(len(vectors)).view(-1, 2).flip(1).flatten()
    return mean_reciprocal_rank(similarity, pairs)


def _set_learning_rate(optimizer: torch.optim.Optimizer, config: PretrainConfig, done: int) -> None:
    total = config.epochs * config.steps
    cosine = 0.5 * (1 + math.cos(math.pi * done / total))
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * min(1.0, (done + 1) / min(100, total / 10)) * cosine

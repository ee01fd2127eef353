"""Teach a network to hear before it has met any library: from rendered music whose truth is known, and from recordings.

First the convolutions learn, by contrast: clips of one track belong together, clips of one artist too, and what a clip
is of (instruments, tempo, density, energy) can be told from it. Then the last layer is solved for: the linear
discriminants of everything that is pooled, which keep what differs between tracks and artists, and shrink what differs
within a track or comes from a codec. Artists that the convolutions did not learn from say which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh
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
from recommender.models.objectives import mean_reciprocal_rank
from recommender.models.reproducible import choose_device, reproducible
from recommender.models.trained_cnn import TrainedCnn, version_of

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lessons:
    """Clips to learn from, those of a track next to each other.

    Parameters
    ----------
    mels, changed : ndarray, shape (n_clips, n_mels, n_frames), uint8
        Stored levels of each clip, and of the same clip through a codec.
    tracks : ndarray, shape (n_clips,), int64
    artists : ndarray, shape (n_clips,), int64
        -1 where nothing is to be learned from the artist.
    truth : ndarray, shape (n_clips, n_labels + n_measures), float32
        First what a clip has (1) or has not (0), then measures of about unit size; NaN where unknown.
    n_labels : int

    Raises
    ------
    DataError
        If the lengths differ.
    """

    mels: npt.NDArray[np.uint8]
    changed: npt.NDArray[np.uint8]
    tracks: Codes
    artists: Codes
    truth: npt.NDArray[np.float32]
    n_labels: int

    def __post_init__(self) -> None:
        lengths = {len(self.mels), len(self.changed), len(self.tracks), len(self.artists), len(self.truth)}
        if len(lengths) != 1 or self.mels.shape != self.changed.shape:
            raise DataError(f"lessons of {len(self.mels)} clips have parts of {sorted(lengths)}, expected one length")


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
            part.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        state = TrainingState(network, optimizer, generator, weights_of(network), 0, [])
        run = digest_of(lessons.mels, lessons.tracks, lessons.artists, np.array([repr(config)], dtype=object))
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
        self.config, self.tracks = config, lessons.tracks
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
        events: Tensor = network["hearing"].pool_events(crops)
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


def place_by_discriminants(
    hearing: SpectrogramCNN,
    lessons: Lessons,
    unheard: npt.NDArray[np.bool_],
    config: PretrainConfig,
    device: torch.device,
) -> None:
    """Solve for the last layer of a network, which is changed in place: what a codec changes is shrunk most.

    Parameters
    ----------
    hearing : SpectrogramCNN
    lessons : Lessons
    unheard : ndarray, shape (n_clips,), bool
        Rendered clips of artists that the convolutions did not learn from: of those that they did, they know too much.
        All recordings count too.
    config : PretrainConfig
    device : torch.device
    """
    hearing.eval().to(device)
    recorded = lessons.artists < 0
    used = recorded | unheard
    pooled = _pooled(hearing, lessons.mels[used], device)
    changed = _pooled(hearing, lessons.changed[used], device)
    is_coded = (lessons.mels[used] != lessons.changed[used]).any(axis=(1, 2))
    tracks, artists, recorded = lessons.tracks[used], lessons.artists[used], recorded[used]
    mean, spread = pooled[recorded].mean(axis=0), pooled[recorded].std(axis=0) + 1e-6
    weight = np.ones(pooled.shape[1])
    weight[3 * config.cnn.events :] = config.statistics_weight
    clean, coded = (np.clip((values - mean) / spread, -CUT, CUT) * weight for values in (pooled, changed))
    groups, nuisances = [], []
    for kind in (recorded, ~recorded):
        values = np.concatenate([clean[kind], coded[kind]])
        groups.append((values, np.tile(tracks[kind], 2)))
        if kind is not recorded:
            groups.append((values, np.tile(artists[kind], 2)))
        nuisances.append((coded - clean)[kind & is_coded])
    directions = discriminants(groups, nuisances, config.cnn.dim, config.codec_weight, config.shrinkage)
    standardised, linear = hearing.embed
    with torch.no_grad():
        standardised.running_mean.copy_(torch.from_numpy(mean))
        standardised.running_var.copy_(torch.from_numpy(np.maximum(spread**2 - standardised.eps, 1e-12)))
        linear.weight.copy_(torch.from_numpy((directions * weight[:, None]).T.copy()))
        linear.bias.zero_()


def discriminants(
    groups: list[tuple[Floats, Codes]], nuisances: list[Floats], dim: int, nuisance_weight: float, shrinkage: float
) -> Floats:
    """Return the directions in which classes differ most for how much their members do.

    Parameters
    ----------
    groups : list of (values (n, n_values), classes (n,))
        Their scatter is added up; classes of different groups have nothing to do with each other.
    nuisances : list of ndarray, shape (n, n_values)
        Changes that say nothing; they count as scatter within classes, `nuisance_weight` times.
    dim : int
    nuisance_weight : float
    shrinkage : float in [0, 1]
        How far the scatter within classes is drawn towards a multiple of the identity.

    Returns
    -------
    ndarray, shape (n_values, dim), float64
        Best first, each as long as `sqrt(v / (1 + v))` for its ratio v of the scatter between classes to that within.

    Notes
    -----
    Fisher's linear discriminants with shrinkage; `nuisances` are nuisance attributes as in Solomonoff, Campbell &
    Boardman, "Advances in channel compensation for SVM speaker recognition", ICASSP 2005, weighed instead of projected.
    """
    size = groups[0][0].shape[1]
    within, between = np.zeros((size, size)), np.zeros((size, size))
    for values, classes in groups:
        _, members, counts = np.unique(classes, return_inverse=True, return_counts=True)
        means = np.zeros((len(counts), size))
        np.add.at(means, members, values)
        means /= counts[:, None]
        rest = values - means[members]
        within += rest.T @ rest / len(values)
        between += np.cov(means.T)
    for changes in nuisances:
        if len(changes):
            within += nuisance_weight * (changes.T @ changes) / len(changes)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / size * np.eye(size)
    ratios, directions = eigh(between, within, subset_by_index=(max(0, size - dim), size - 1))
    share: Floats = np.sqrt(np.maximum(ratios, 0) / (1 + np.maximum(ratios, 0)))
    return (directions * share)[:, ::-1]


@torch.no_grad()
def _pooled(hearing: SpectrogramCNN, mels: npt.NDArray[np.uint8], device: torch.device) -> Floats:
    batches = (mels[start : start + 64] for start in range(0, len(mels), 64))
    return np.concatenate([hearing.pool(decibels(torch.from_numpy(some)).to(device)).cpu().numpy() for some in batches])

"""Where training begins: which weights, which of them move and how fast, and what the network hears of a track."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from recommender.audio.augment import augment
from recommender.errors import ModelError
from recommender.models.checkpoint import set_weights
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import TrainCnnConfig
from recommender.models.crops import ClipTable
from recommender.models.trained_cnn import TrainedCnn

BATCH_TRACKS = 64
POOLED_CROPS = 8
POOLED_VALUES = 1 << 27
"""Where only the last layer learns, what comes before it is computed once: of so many crops of each track, fewer (at
least two) where that would be more values than this."""


class Ear(Protocol):
    """What a training hears of tracks."""

    def random_pair(self, tracks: Tensor, generator: torch.Generator) -> Tensor:
        """Return embeddings of two random crops of each track, shape (2 len(tracks), dim): all first, all second."""

    def fixed_pair(self, tracks: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings of a track's first and last seconds, two of shape (len(tracks), dim)."""


def start_network(config: TrainCnnConfig, initial: TrainedCnn | None) -> SpectrogramCNN:
    """Build the network to train, on weights drawn from torch's global generator or on those of `initial`.

    Raises
    ------
    ModelError
        If `initial` has another shape than `config` asks for.
    """
    hearing = SpectrogramCNN(config.cnn)
    if initial is None:
        return hearing
    if initial.config.cnn != config.cnn:
        raise ModelError(
            f"the network {initial.version} has another shape than [train_cnn.cnn] asks for; give the same settings, "
            'or start_from = "scratch"'
        )
    set_weights(hearing, initial.weights)
    for stage in _still_stages(hearing, config):
        stage.requires_grad_(False)
    return hearing


def parameter_groups(
    hearing: SpectrogramCNN, head: nn.Module, config: TrainCnnConfig, initial: TrainedCnn | None
) -> list[dict[str, Any]]:
    """Return what AdamW trains: the new layers and the last one, and the others at their share of the rate."""
    *lower, last = hearing.children()
    fast = [*last.parameters(), *head.parameters()]
    slow = [weights for stage in lower for weights in stage.parameters() if weights.requires_grad]
    share = config.body_rate if initial is not None else 1.0
    return [{"params": fast, "share": 1.0}, *([{"params": slow, "share": share}] if slow else [])]


def set_training(network: nn.Module, hearing: SpectrogramCNN, config: TrainCnnConfig, adapts: bool) -> None:
    """Put the network into training mode; stages that do not move keep the statistics that they were trained with."""
    network.train()
    for stage in _still_stages(hearing, config) if adapts else ():
        stage.eval()


def open_ear(
    hearing: SpectrogramCNN, table: ClipTable, config: TrainCnnConfig, device: torch.device, still: bool
) -> Ear:
    """Return what a training hears; `still` tells that only the last layer will change."""
    live = LiveEar(hearing, table, config, device)
    return PooledEar(live) if still else live


class LiveEar:
    """Every crop goes through the whole network."""

    def __init__(self, hearing: SpectrogramCNN, table: ClipTable, config: TrainCnnConfig, device: torch.device) -> None:
        self.hearing, self.table, self.config, self.device = hearing, table, config, device

    def random_pair(self, tracks: Tensor, generator: torch.Generator) -> Tensor:
        """See `Ear`."""
        embedded: Tensor = self.hearing(torch.cat([self.crops(tracks, generator), self.crops(tracks, generator)]))
        return embedded

    def fixed_pair(self, tracks: Tensor) -> tuple[Tensor, Tensor]:
        """See `Ear`."""
        pairs = [self.pooled_pair(some) for some in torch.split(tracks, BATCH_TRACKS)]
        first, last = (torch.cat(side) for side in zip(*pairs, strict=True))
        return self.hearing.place(first), self.hearing.place(last)

    def crops(self, tracks: Tensor, generator: torch.Generator) -> Tensor:
        """Return a random, changed crop of each track."""
        cut = self.table.random_crops(tracks, self.config.crop_frames, generator)
        return augment(cut, self.config.augment, self.config.cnn.mel, generator).to(self.device)

    def pooled_pair(self, tracks: Tensor) -> tuple[Tensor, Tensor]:
        """Return what comes before the last layer, of a track's first and last seconds."""
        first, last = self.table.fixed_pair(tracks)
        return self.hearing.pool(first.to(self.device)), self.hearing.pool(last.to(self.device))


class PooledEar:
    """What comes before the last layer is computed once: for training the last layer alone."""

    @torch.no_grad()
    def __init__(self, live: LiveEar) -> None:
        self.hearing = live.hearing
        self.hearing.eval()
        n_tracks = len(live.table.n_clips)
        with_audio = torch.nonzero(live.table.n_clips)[:, 0]
        batches = torch.split(with_audio, BATCH_TRACKS)
        pairs = [live.pooled_pair(batch) for batch in batches]
        n_pooled = pairs[0][0].shape[1]
        self.pairs = [torch.zeros(n_tracks, n_pooled, device=live.device) for _ in range(2)]
        for batch, pair in zip(batches, pairs, strict=True):
            for side, pooled in zip(self.pairs, pair, strict=True):
                side[batch] = pooled
        self.n_crops = max(2, min(POOLED_CROPS, POOLED_VALUES // (n_tracks * n_pooled)))
        self.crops = torch.zeros(n_tracks, self.n_crops, n_pooled, device=live.device)
        generator = torch.Generator().manual_seed(live.config.seed)
        for number in range(self.n_crops):
            for batch in batches:
                self.crops[batch, number] = self.hearing.pool(live.crops(batch, generator))

    def random_pair(self, tracks: Tensor, generator: torch.Generator) -> Tensor:
        """See `Ear`; the two crops are never the same one."""
        first = torch.randint(self.n_crops, (len(tracks),), generator=generator)
        second = (first + torch.randint(1, self.n_crops, (len(tracks),), generator=generator)) % self.n_crops
        return self.hearing.place(self.crops[tracks.repeat(2), torch.cat([first, second])])

    def fixed_pair(self, tracks: Tensor) -> tuple[Tensor, Tensor]:
        """See `Ear`."""
        return self.hearing.place(self.pairs[0][tracks]), self.hearing.place(self.pairs[1][tracks])


def _still_stages(hearing: SpectrogramCNN, config: TrainCnnConfig) -> list[nn.Module]:
    """Return the parts, first to last, that adapting leaves as they are."""
    stages = list(hearing.children())
    return {"all": [], "upper": stages[:1], "head": stages[:-1]}[config.trains]

"""The last layer of a pretrained network, solved for: what differs between tracks and artists, not within them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh

from recommender.models.cnn import CUT, SpectrogramCNN
from recommender.models.cnn_config import PretrainConfig
from recommender.models.crops import decibels
from recommender.models.lessons import Codes, Lessons

Floats = npt.NDArray[np.float64]


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
    standardised = hearing.embed[0]
    solved = {
        "0.running_mean": mean,
        "0.running_var": np.maximum(spread**2 - float(standardised.eps), 1e-12),  # type: ignore[arg-type]
        "1.weight": (directions * weight[:, None]).T.copy(),
        "1.bias": np.zeros(config.cnn.dim),
    }
    weights = {name: torch.from_numpy(value.astype(np.float32)) for name, value in solved.items()}
    hearing.embed.load_state_dict(weights | {"0.num_batches_tracked": torch.tensor(0)})


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
    best_first: Floats = (directions * share)[:, ::-1]
    return best_first


@torch.no_grad()
def _pooled(hearing: SpectrogramCNN, mels: npt.NDArray[np.uint8], device: torch.device) -> Floats:
    batches = (mels[start : start + 64] for start in range(0, len(mels), 64))
    return np.concatenate([hearing.pool(decibels(torch.from_numpy(some)).to(device)).cpu().numpy() for some in batches])

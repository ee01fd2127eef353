"""Who belongs together, by what a library says of its tracks: labels that are weak, but free."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Kin:
    """Who belongs together: weak labels that a library brings along.

    Parameters
    ----------
    artists, albums : Tensor, shape (n_tracks,), int64
        One code an artist and one an album, in the rows of the clips' tracks; a track of which it is not known has a
        code of its own.
    artist_weight, album_weight : float
        Weight of a pair of one artist and of one album, added up, beside the 1 of a pair of one track.
    """

    artists: Tensor
    albums: Tensor
    artist_weight: float
    album_weight: float

    def weights(self, tracks: Tensor) -> Tensor:
        """Return how much each pair of crops belongs together.

        Parameters
        ----------
        tracks : Tensor, shape (batch,), int64
            The track of each crop.

        Returns
        -------
        Tensor, shape (batch, batch), float32
            0 on the diagonal, where a crop meets itself.
        """
        weights = _same(tracks) + self.artist_weight * _same(self.artists[tracks])
        weights += self.album_weight * _same(self.albums[tracks])
        return weights.fill_diagonal_(0)


def weighted_contrast(crops: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Pull crops that belong together to each other, each pair by its weight, and push all others of the batch away.

    Parameters
    ----------
    crops : Tensor, shape (batch, dim)
        Unit vectors.
    weights : Tensor, shape (batch, batch)
        >= 0, 0 on the diagonal; a row of zeros does not count.
    temperature : float
        Low: only the nearest others count.

    Returns
    -------
    Tensor, shape ()
        Nats.

    Notes
    -----
    L_out of Khosla et al., "Supervised contrastive learning", NeurIPS 2020, eq. 2, with a weighted mean over the
    positives. Where each crop has one positive it is `nt_xent`.
    """
    itself = torch.eye(len(crops), dtype=torch.bool, device=crops.device)
    similarity = (crops @ crops.T / temperature).masked_fill(itself, -torch.inf)
    found = functional.log_softmax(similarity, dim=1).masked_fill(itself, 0)
    totals = weights.sum(1)
    each = -(weights * found).sum(1) / totals.clamp_min(1e-9)
    return each[totals > 0].mean()


def _same(codes: Tensor) -> Tensor:
    return (codes[:, None] == codes).float()

"""A few seconds of a track, cut at random for training and at fixed places for validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recommender.audio.mel import DB_FLOOR, DB_STEP

if TYPE_CHECKING:
    from recommender.audio.clips import Clips


@dataclass(frozen=True, eq=False)
class ClipTable:
    """Clips laid out so that any crop of any track is found by arithmetic.

    Parameters
    ----------
    mels : Tensor, shape (n_clips, n_mels, n_frames), uint8
        Clips of one track follow each other.
    first_clip, n_clips : Tensor, shape (n_tracks,), int64
        Where each track's clips begin, and how many it has (0 for a track without audio).
    """

    mels: Tensor
    first_clip: Tensor
    n_clips: Tensor

    @classmethod
    def of(cls, clips: Clips) -> ClipTable:
        """Sort clips by track; clips of one track keep their order."""
        order = np.argsort(clips.clip_tracks, kind="stable")
        counts = np.bincount(clips.clip_tracks, minlength=len(clips.tracks))
        sorted_already = bool(np.all(order == np.arange(len(order))))
        mels = clips.mels if sorted_already else clips.mels[order]
        return cls(
            torch.from_numpy(mels),
            torch.from_numpy(np.cumsum(counts) - counts),
            torch.from_numpy(counts.astype(np.int64)),
        )

    def cut(self, clips: Tensor, starts: Tensor, n_frames: int) -> Tensor:
        """Cut one crop out of each of `clips`.

        Parameters
        ----------
        clips, starts : Tensor, shape (batch,), int64
            Rows of `mels`, and the first frame of each crop.
        n_frames : int

        Returns
        -------
        Tensor, shape (batch, n_mels, n_frames), float32, dB
        """
        frames = starts[:, None] + torch.arange(n_frames)
        return decibels(self.mels[clips[:, None], :, frames].transpose(1, 2))

    def random_crops(self, tracks: Tensor, n_frames: int, generator: torch.Generator) -> Tensor:
        """Cut one crop out of each of `tracks`, any clip and any place being equally likely.

        Returns
        -------
        Tensor, shape (len(tracks), n_mels, n_frames), float32, dB
        """
        n_starts = self.mels.shape[2] - n_frames + 1
        chance = torch.rand(2, len(tracks), generator=generator)
        clips = self.first_clip[tracks] + (chance[0] * self.n_clips[tracks]).long()
        return self.cut(clips, (chance[1] * n_starts).long(), n_frames)

    def fixed_pair(self, tracks: Tensor) -> tuple[Tensor, Tensor]:
        """Cut two crops of half a clip's length that are as far apart as can be: the track's first and last.

        Returns
        -------
        first, last : Tensor, shape (len(tracks), n_mels, n_frames // 2), float32, dB
        """
        half = self.mels.shape[2] // 2
        first = self.first_clip[tracks]
        last = first + self.n_clips[tracks] - 1
        end = torch.full_like(first, self.mels.shape[2] - half)
        return self.cut(first, torch.zeros_like(first), half), self.cut(last, end, half)


def decibels(mels: Tensor) -> Tensor:
    """Return stored levels (`recommender.audio.mel.quantise`, uint8) in dB, float32: `dequantise` for tensors."""
    return mels.float() * DB_STEP + DB_FLOOR

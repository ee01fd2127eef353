"""What goes on inside a network: the signals of every layer, what excites a unit, where two clips sound alike."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recommender.errors import DataError
from recommender.models.cnn import SpectrogramCNN, set_level
from recommender.models.crops import decibels

Float32s = npt.NDArray[np.float32]
BATCH = 64


@dataclass(frozen=True, eq=False)
class Excitement:
    """The moments that excite one unit most, strongest first, at most one of a clip.

    Parameters
    ----------
    clip_rows : ndarray, shape (n,), int64
    frames : ndarray, shape (n,), int64
        Frame of the clip's spectrogram in the middle of what the unit answers to.
    values : ndarray, shape (n,), float32
        The unit's answer, >= 0, unitless.
    """

    clip_rows: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]
    values: Float32s


@torch.no_grad()
def layer_signals(hearing: SpectrogramCNN, mel: npt.NDArray[np.uint8]) -> OrderedDict[str, Float32s]:
    """Return what every layer makes of one clip.

    Parameters
    ----------
    hearing : SpectrogramCNN
        In evaluation mode.
    mel : ndarray, shape (n_mels, n_frames), uint8
        A stored spectrogram, see `recommender.audio.mel.quantise`.

    Returns
    -------
    OrderedDict of str to ndarray, shape (channels, bands, frames), float32
        In the order in which the clip goes through: ``level`` (dB, one channel), ``pitch``, ``patterns 1`` to
        ``patterns 3``, and ``events``, whose bands are one.
    """
    heard = set_level(decibels(torch.from_numpy(mel[None])), hearing.config.dynamic_range_db)
    signals: OrderedDict[str, Float32s] = OrderedDict(level=_array(heard))
    now = hearing.pitch((heard * (2 / hearing.config.dynamic_range_db) + 1)[:, None])
    signals["pitch"] = _array(now[0])
    for number, block in enumerate(hearing.patterns, 1):
        now = block(now)
        signals[f"patterns {number}"] = _array(now[0])
    signals["events"] = _array(hearing.events(now.flatten(1, 2))[0][:, None])
    return signals


@torch.no_grad()
def what_excites(hearing: SpectrogramCNN, mels: npt.NDArray[np.uint8], unit: int, top: int = 8) -> Excitement:
    """Find the moments in many clips to which one event unit answers most strongly.

    Parameters
    ----------
    hearing : SpectrogramCNN
        In evaluation mode.
    mels : ndarray, shape (n_clips, n_mels, n_frames), uint8
    unit : int
        Below ``hearing.config.events``.
    top : int
        At most so many moments.

    Returns
    -------
    Excitement

    Raises
    ------
    DataError
        If there is no such unit.
    """
    if not 0 <= unit < hearing.config.events:
        raise DataError(f"there is no event unit {unit}; this network has 0 to {hearing.config.events - 1}")
    answers = []
    for start in range(0, len(mels), BATCH):
        heard = set_level(decibels(torch.from_numpy(mels[start : start + BATCH])), hearing.config.dynamic_range_db)
        scaled = (heard * (2 / hearing.config.dynamic_range_db) + 1)[:, None]
        answers.append(hearing.events(hearing.patterns(hearing.pitch(scaled)).flatten(1, 2))[:, unit].numpy())
    strength = np.concatenate(answers)
    peaks = strength.max(axis=1)
    rows = np.argsort(-peaks, kind="stable")[:top]
    step = mels.shape[2] / strength.shape[1]
    frames = ((strength[rows].argmax(axis=1) + 0.5) * step).astype(np.int64)
    return Excitement(rows, frames, peaks[rows].astype(np.float32))


@torch.no_grad()
def match_map(
    hearing: SpectrogramCNN,
    first: npt.NDArray[np.uint8],
    second: npt.NDArray[np.uint8],
    patch: tuple[int, int] = (12, 24),
) -> tuple[float, Float32s]:
    """Show which parts of one clip make it sound like another: the likeness that is lost where a part is hidden.

    Parameters
    ----------
    hearing : SpectrogramCNN
        In evaluation mode.
    first, second : ndarray, shape (n_mels, n_frames), uint8
        Parts of `first` are hidden, one after the other.
    patch : (int, int)
        Bands and frames of a part.

    Returns
    -------
    likeness : float
        Cosine of the two clips as they are.
    lost : ndarray, shape (n band parts, n frame parts), float32
        What of it hiding each part costs; below 0 where the clips are more alike without.

    Notes
    -----
    Occlusion after Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. A part is
    replaced by each band's mean over the clip instead of by grey, so that no edge is heard but its own.
    """
    bands, frames = patch
    whole = decibels(torch.from_numpy(first[None]))[0]
    plain = whole.mean(1, keepdim=True).expand_as(whole)
    hidden = [whole]
    shape = (-(-whole.shape[0] // bands), -(-whole.shape[1] // frames))
    for band in range(shape[0]):
        for frame in range(shape[1]):
            part = (slice(band * bands, (band + 1) * bands), slice(frame * frames, (frame + 1) * frames))
            changed = whole.clone()
            changed[part] = plain[part]
            hidden.append(changed)
    other = hearing(decibels(torch.from_numpy(second[None])))[0]
    likeness = torch.cat([hearing(torch.stack(hidden[at : at + BATCH])) @ other for at in range(0, len(hidden), BATCH)])
    return float(likeness[0]), _array((likeness[0] - likeness[1:]).reshape(shape))


def _array(signals: Tensor) -> Float32s:
    array: Float32s = signals.numpy().astype(np.float32)
    return array

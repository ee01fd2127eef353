"""From spectrograms to vectors: one a clip, and one a track."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from recommender.data.embeddings import Embeddings, to_unit_length
from recommender.data.progress import Progress, silent
from recommender.models.checkpoint import set_weights
from recommender.models.cnn import SpectrogramCNN
from recommender.models.crops import decibels
from recommender.models.reproducible import choose_device
from recommender.models.trained_cnn import TrainedCnn

if TYPE_CHECKING:
    from recommender.audio.clips import Clips, TrackClips

Float32s = npt.NDArray[np.float32]


def load_cnn(trained: TrainedCnn, device: str = "cpu") -> SpectrogramCNN:
    """Build the network that `trained` describes, ready to embed.

    Parameters
    ----------
    trained : TrainedCnn
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    model = SpectrogramCNN(trained.config.cnn, trained.version)
    set_weights(model, trained.weights)
    return model.eval().requires_grad_(False).to(choose_device(device))


def embed_clips(
    model: SpectrogramCNN, clips: Clips, batch_clips: int = 32, progress: Progress | None = None
) -> Embeddings:
    """Embed a library.

    Parameters
    ----------
    model : SpectrogramCNN
    clips : Clips
    batch_clips : int
        Clips at a time: more need more memory, and change no answer.
    progress : Progress, optional
        In clips.

    Returns
    -------
    Embeddings
        Unit vectors. A track without clips has none and is left out.
    """
    vectors = _embed_mels(model, clips.mels, batch_clips, progress or silent)
    return Embeddings.of_clips(clips.tracks, vectors, clips.clip_tracks, clips.starts_s, model.version)


def embed_track(model: SpectrogramCNN, clips: TrackClips) -> tuple[Float32s, Float32s]:
    """Embed one track.

    Returns
    -------
    vector : ndarray, shape (dim,), float32
        The normalised mean of its clips' vectors.
    clip_vectors : ndarray, shape (n_clips, dim), float32
        Unit vectors.
    """
    vectors = _embed_mels(model, clips.mels, len(clips.mels), silent)
    return to_unit_length(vectors.sum(axis=0, keepdims=True))[0], vectors


@torch.no_grad()
def _embed_mels(model: SpectrogramCNN, mels: npt.NDArray[np.uint8], batch: int, report: Progress) -> Float32s:
    device = next(model.parameters()).device
    vectors = np.empty((len(mels), model.config.dim), dtype=np.float32)
    for start in range(0, len(mels), batch):
        heard = decibels(torch.from_numpy(mels[start : start + batch]).to(device))
        vectors[start : start + batch] = model(heard).cpu().numpy()
        report(min(start + batch, len(mels)), len(mels))
    return vectors

"""The ears of the server: the bundle's audio model, loaded when it is first needed or in the background before that."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from recommender.errors import ArtifactError, AudioError, ModelError

if TYPE_CHECKING:
    from recommender.audio.signatures import Signature
    from recommender.models.ears import Ears
    from recommender.serving.bundle import Bundle

log = logging.getLogger(__name__)
AT_ONCE = 2
"""Files that are analysed at a time; others wait."""


@dataclass(frozen=True, eq=False)
class Heard:
    """What was heard in one file.

    Parameters
    ----------
    vector : ndarray, shape (dim,), float32
    clip_vectors : ndarray, shape (n_clips, dim), float32
    clip_starts_s : ndarray, shape (n_clips,), float32
    duration_s : float
    version : str
        Of the audio model.
    warnings : tuple of str
    signature : Signature or None
    """

    vector: npt.NDArray[np.float32]
    clip_vectors: npt.NDArray[np.float32]
    clip_starts_s: npt.NDArray[np.float32]
    duration_s: float
    version: str
    warnings: tuple[str, ...]
    signature: Signature | None = None


class Hearing:
    """Analyses files with the audio model of a bundle; safe to use from many threads.

    Parameters
    ----------
    bundle : Bundle
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._ears: Ears | None = None

    @property
    def possible(self) -> bool:
        """Whether the bundle has an audio model."""
        return self._bundle.cnn_version is not None

    @property
    def ready(self) -> bool:
        """Whether the audio model is in memory."""
        return self._ears is not None

    def warm(self) -> threading.Thread:
        """Load the audio model in the background; what fails is logged here and raised again by `hear`."""
        thread = threading.Thread(target=self._warm, name="warm-hearing", daemon=True)
        thread.start()
        return thread

    def hear(self, path: Path) -> Heard:
        """Analyse one file.

        Raises
        ------
        ModelError
            If the bundle has no audio model.
        AudioError
            If the file holds no usable audio.
        """
        with self._turns:
            return hear(self._load(), path)

    def check(self) -> None:
        """Raise ModelError if the bundle has no audio model."""
        if not self.possible:
            raise ModelError(
                "this bundle has no audio model, so uploads cannot be heard; ingest music with --music, then train"
            )

    def _load(self) -> Ears:
        self.check()
        with self._lock:
            if self._ears is None:
                ears = self._bundle.ears()
                assert ears is not None
                self._ears = ears
            return self._ears

    def _warm(self) -> None:
        try:
            _rehearse(self._load())
        except (AudioError, ModelError, ArtifactError, OSError, ImportError, ValueError):
            log.exception("the audio model cannot be loaded")


def hear(ears: Ears, path: Path) -> Heard:
    """Analyse one file.

    Raises
    ------
    AudioError
        If the file holds no usable audio.
    """
    from recommender.audio.clips import read_clips

    clips = read_clips(path, ears.clip_config)
    vector, clip_vectors = ears.embed_track(clips)
    return Heard(vector, clip_vectors, clips.starts_s, clips.duration_s, ears.version, clips.warnings, clips.signature)


def _rehearse(ears: Ears) -> None:
    """Hear noise once: the first forward pass takes longer than the next."""
    config = ears.clip_config
    ears.embed(np.random.default_rng(0).integers(0, 255, (1, config.mel.n_mels, config.n_frames), dtype=np.uint8))

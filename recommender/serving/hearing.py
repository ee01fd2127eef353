"""The ears of the server: the bundle's audio model, loaded when it is first needed or in the background before that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recommender.errors import AudioError, ConfigError, ModelError

if TYPE_CHECKING:
    from recommender.audio.clips import ClipConfig
    from recommender.audio.signatures import Signature
    from recommender.models.cnn import SpectrogramCNN

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
    cnn_path : Path or None
    version : str or None
        That the file must have.
    config : mapping
        The bundle's config; its ``clips`` section says which seconds are heard.
    """

    def __init__(self, cnn_path: Path | None, version: str | None, config: Mapping[str, Any]) -> None:
        self._cnn_path, self._version, self._config = cnn_path, version, config
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._loaded: tuple[SpectrogramCNN, ClipConfig] | None = None

    @property
    def possible(self) -> bool:
        """Whether the bundle has an audio model."""
        return self._cnn_path is not None

    @property
    def ready(self) -> bool:
        """Whether the audio model is in memory."""
        return self._loaded is not None

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
        from recommender.audio.clips import read_clips
        from recommender.models.embed import embed_track

        with self._turns:
            model, config = self._load()
            clips = read_clips(path, config)
            vector, clip_vectors = embed_track(model, clips)
        return Heard(
            vector, clip_vectors, clips.starts_s, clips.duration_s, model.version, clips.warnings, clips.signature
        )

    def check(self) -> None:
        """Raise ModelError if the bundle has no audio model."""
        if self._cnn_path is None:
            raise ModelError(
                "this bundle has no audio model, so uploads cannot be heard; ingest music with --music, then train"
            )

    def _load(self) -> tuple[SpectrogramCNN, ClipConfig]:
        self.check()
        assert self._cnn_path is not None
        with self._lock:
            if self._loaded is None:
                from recommender.models.embed import load_cnn
                from recommender.models.trained_cnn import load_trained

                trained = load_trained(self._cnn_path, self._version)
                self._loaded = load_cnn(trained), clip_config(self._config)
            return self._loaded

    def _warm(self) -> None:
        try:
            model, config = self._load()
            self._rehearse(model, config)
        except (AudioError, ModelError, OSError, ImportError, ValueError):
            log.exception("the audio model cannot be loaded")

    def _rehearse(self, model: SpectrogramCNN, config: ClipConfig) -> None:
        """Embed noise once: the first forward pass and the first spectrogram take much longer than the next."""
        import torch

        from recommender.audio.clips import TrackClips
        from recommender.audio.mel import log_mel_spectrogram, quantise
        from recommender.models.embed import embed_track

        noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, config.n_samples).astype(np.float32))
        mels = quantise(log_mel_spectrogram(noise[None], config.mel).numpy())
        embed_track(model, TrackClips(mels, np.zeros(1, np.float32), config.clip_s, ()))


def clip_config(config: Mapping[str, Any]) -> ClipConfig:
    """Read the ``clips`` section of a bundle's config; the defaults where it has none.

    Raises
    ------
    ConfigError
        If it holds something that this program does not know.
    """
    from recommender.audio.clips import ClipConfig
    from recommender.audio.mel import MelConfig

    section = dict(config.get("clips") or {})
    try:
        mel = MelConfig(**section.pop("mel", {}))
        return ClipConfig(**section, mel=mel)
    except TypeError as error:
        raise ConfigError(f"the bundle's clip settings are not known to this program: {error}; train again") from error

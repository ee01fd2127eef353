"""Ears: a trained network as one ONNX file that hears by onnxruntime; nothing here needs torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recommender.audio.clips import ClipConfig
from recommender.audio.mel import MelConfig
from recommender.data.embeddings import Embeddings, to_unit_length
from recommender.data.progress import Progress, silent
from recommender.errors import ArtifactError, ConfigError, ModelError, VersionError
from recommender.models.cnn_config import MIN_FRAMES

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from recommender.audio.clips import Clips, TrackClips

INPUT, OUTPUT = "mels", "vectors"
VERSION_KEY, DIM_KEY, CLIPS_KEY = "firstlisten.version", "firstlisten.dim", "firstlisten.clips"
BATCH_CLIPS = 8
"""Clips of a forward pass: more take more memory and are no faster on a processor."""

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ears:
    """A network that is ready to hear; safe to use from many threads. Made by `load_ears`.

    It goes to another process with its content, so the file need not be there any more.

    Parameters
    ----------
    version : str
        Of the weights; it goes with every vector that they make.
    dim : int
        Length of a vector.
    clip_config : ClipConfig
        Which seconds are heard, and how they become spectrograms.
    n_frames : int or None
        Frames of every spectrogram; None where any number from `MIN_FRAMES` will do.
    content : bytes
        Of the ONNX file.
    threads : int
    session : InferenceSession
    """

    version: str
    dim: int
    clip_config: ClipConfig
    n_frames: int | None
    content: bytes
    threads: int
    session: InferenceSession

    def __reduce__(self) -> tuple[Callable[[bytes, int], Ears], tuple[bytes, int]]:
        return read_ears, (self.content, self.threads)

    def embed(self, mels: npt.NDArray[np.uint8], progress: Progress = silent) -> Float32s:
        """Hear clips.

        Parameters
        ----------
        mels : ndarray, shape (n, n_mels, n_frames), uint8
            Levels as `recommender.audio.mel.quantise` stores them.
        progress : Progress
            In clips.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Unit vectors.

        Raises
        ------
        ModelError
            If these are not the spectrograms that the network was trained on.
        """
        n_mels, frames = self.clip_config.mel.n_mels, self.n_frames
        fits = mels.ndim == 3 and mels.shape[1] == n_mels and mels.dtype == np.uint8
        if not fits or not (mels.shape[2] == frames if frames else mels.shape[2] >= MIN_FRAMES):
            raise ModelError(
                f"network {self.version} hears uint8 spectrograms (n, {n_mels}, {frames or f'at least {MIN_FRAMES}'}), "
                f"got {mels.dtype} {mels.shape}; analyse the audio with the settings that it was trained with"
            )
        vectors = np.empty((len(mels), self.dim), dtype=np.float32)
        for start in range(0, len(mels), BATCH_CLIPS):
            block = slice(start, start + BATCH_CLIPS)
            vectors[block] = self.session.run([OUTPUT], {INPUT: mels[block]})[0]
            progress(min(block.stop, len(mels)), len(mels))
        return vectors

    def embed_track(self, clips: TrackClips) -> tuple[Float32s, Float32s]:
        """Hear one track.

        Returns
        -------
        vector : ndarray, shape (dim,), float32
            The normalised mean of its clips' vectors.
        clip_vectors : ndarray, shape (n_clips, dim), float32
            Unit vectors.
        """
        vectors = self.embed(clips.mels)
        return to_unit_length(vectors.sum(axis=0, keepdims=True))[0], vectors

    def embed_clips(self, clips: Clips, progress: Progress = silent) -> Embeddings:
        """Hear a library; a track without clips is left out. `progress` is in clips."""
        vectors = self.embed(clips.mels, progress)
        return Embeddings.of_clips(clips.tracks, vectors, clips.clip_tracks, clips.starts_s, self.version)


def load_ears(path: Path, threads: int = 1, version: str | None = None) -> Ears:
    """Load what `recommender.models.onnx_export.export_onnx` wrote.

    Parameters
    ----------
    path : Path
    threads : int
        Of one forward pass; processes that share the cores take 1.
    version : str, optional
        That the file must have.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, or holds no network of ours.
    VersionError
        If it is of another version; both are named.
    """
    try:
        ears = read_ears(path.read_bytes(), threads)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; restore the file or train again") from None
    except (ArtifactError, OSError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; restore the file or train again") from error
    if version is not None and ears.version != version:
        raise VersionError(
            f"{path} is of version {ears.version!r}, expected {version!r}: artifacts of two versions cannot be mixed; "
            "restore the file or train again"
        )
    return ears


def read_ears(content: bytes, threads: int = 1) -> Ears:
    """Make ears of the content of an ONNX file; see `load_ears`.

    Raises
    ------
    ArtifactError
        If it holds no network of ours.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    troubles = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NotImplemented)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what fails is raised
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        told = session.get_modelmeta().custom_metadata_map
        config = clip_config_of(json.loads(told[CLIPS_KEY]))
        frames = session.get_inputs()[0].shape[2]
        n_frames = frames if isinstance(frames, int) else None
        return Ears(told[VERSION_KEY], int(told[DIM_KEY]), config, n_frames, content, threads, session)
    except (*troubles, KeyError, ValueError, IndexError, ConfigError) as error:
        raise ArtifactError(f"it holds no network that this program knows ({type(error).__name__}: {error})") from error


def clip_config_of(section: Mapping[str, Any]) -> ClipConfig:
    """Read clip settings as JSON keeps them; the defaults where they say nothing.

    Raises
    ------
    ConfigError
        If they hold something that this program does not know.
    """
    values = dict(section)
    try:
        mel = MelConfig(**values.pop("mel", {}))
        return ClipConfig(**values, mel=mel)
    except TypeError as error:
        raise ConfigError(f"these clip settings are not known to this program: {error}; train again") from error

"""The ears of the server: what a file sounds like, heard by a process beside it.

Foreign files are never opened by the server itself: a decoder that crashes, hangs or eats memory costs that process.
"""

from __future__ import annotations

import logging
import math
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recommender.audio.signatures import from_json
from recommender.errors import AudioError, ModelError
from recommender.serving.ear_process import EarDiedError, EarProcess

if TYPE_CHECKING:
    from recommender.audio.signatures import Signature
    from recommender.models.ears import Ears
    from recommender.serving.bundle import Bundle

log = logging.getLogger(__name__)


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
    title, artist, album : str
        By its tags; empty where they do not tell.
    """

    vector: npt.NDArray[np.float32]
    clip_vectors: npt.NDArray[np.float32]
    clip_starts_s: npt.NDArray[np.float32]
    duration_s: float
    version: str
    warnings: tuple[str, ...]
    signature: Signature | None = None
    title: str = ""
    artist: str = ""
    album: str = ""


class LongAudioError(Exception):
    """A file lasts longer than a request waits; it is heard later."""


class Hearing:
    """Has files analysed with the audio model of a bundle, in one process beside this one; safe in many threads.

    The process is started when it is first needed, or by `warm`, and replaced where it dies. It lives until `close`, or
    until nobody holds this object any more.

    Parameters
    ----------
    bundle : Bundle
    max_s : float
        Files that last longer are not heard, in seconds.
    """

    def __init__(self, bundle: Bundle, max_s: float = math.inf) -> None:
        self._bundle, self._max_s = bundle, max_s
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._running: list[EarProcess] = []
        self._closed = False
        weakref.finalize(self, _end, self._running)

    @property
    def possible(self) -> bool:
        """Whether the bundle has an audio model."""
        return self._bundle.cnn_version is not None

    @property
    def ready(self) -> bool:
        """Whether the audio model is in memory."""
        return bool(self._running)

    @property
    def waiting(self) -> int:
        """How many files are being heard or wait for it, those of requests and those of the queue."""
        return self._waiting

    def warm(self) -> threading.Thread:
        """Load the audio model in the background; what fails is logged here and raised again by `hear`."""
        thread = threading.Thread(target=self._warm, name="warm-hearing", daemon=True)
        thread.start()
        return thread

    def hear(self, path: Path, *, shown: str = "", long_s: float = math.inf) -> Heard:
        """Analyse one file.

        Parameters
        ----------
        path : Path
        shown : str, optional
            What the file is called where it has no tags; without it, its own name.
        long_s : float, optional
            A file that lasts longer is not heard, but reported.

        Raises
        ------
        ModelError
            If the bundle has no audio model, or it cannot be loaded.
        AudioError
            If the file holds no usable audio, or takes more time or memory than any audio does.
        LongAudioError
            If it lasts longer than `long_s`.
        """
        self.check()
        asked = {"path": str(path.absolute()), "shown": shown, "max_s": self._max_s, "long_s": long_s}
        with self._counted(), self._turn:
            for is_last in (False, True):
                process = self._process()
                try:
                    answer = process.ask(asked)
                except AudioError as error:
                    self._running.clear()
                    self.warm()  # so that the next file does not wait
                    raise AudioError(f"{path.name}: {error}") from error
                except EarDiedError as error:
                    self._running.clear()
                    if is_last:
                        raise AudioError(f"{path.name}: cannot be decoded: {error}") from error
                else:
                    break
        if "long" in answer:
            raise LongAudioError(f"{path.name} lasts {answer['long']:.0f} s")
        if "heard" not in answer:
            raise AudioError(str(answer.get("unusable", "cannot be decoded")))
        return _to_heard(answer["heard"])

    def check(self) -> None:
        """Raise ModelError if the bundle has no audio model."""
        if not self.possible:
            raise ModelError(
                "this bundle has no audio model, so uploads cannot be heard; ingest music with --music, then train"
            )

    def close(self) -> None:
        """End the process now; what it was hearing is not heard. To let it finish that, let go of this object."""
        self._closed = True
        _end(self._running)

    def _process(self) -> EarProcess:
        if self._closed:
            raise ModelError("this server is stopping; send the file again in a moment")
        if not self._running:
            assert self._bundle.cnn_path is not None
            process = EarProcess(self._bundle.cnn_path.parent)
            version = process.await_ready()
            if version != self._bundle.cnn_version:
                process.end()
                raise ModelError(f"the audio model is of version {version!r}, expected {self._bundle.cnn_version!r}")
            self._running.append(process)
        return self._running[0]

    def _warm(self) -> None:
        try:
            with self._turn:
                if not self._closed:
                    self._process()
        except (ModelError, OSError):
            log.exception("the audio model cannot be loaded")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._count:
            self._waiting += 1
        try:
            yield
        finally:
            with self._count:
                self._waiting -= 1


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


def _to_heard(values: dict[str, Any]) -> Heard:
    title, artist, album = map(str, values["tags"])
    signature = values["signature"]
    return Heard(
        np.array(values["vector"], dtype=np.float32),
        np.array(values["clip_vectors"], dtype=np.float32),
        np.array(values["clip_starts_s"], dtype=np.float32),
        float(values["duration_s"]),
        str(values["version"]),
        tuple(map(str, values["warnings"])),
        None if signature is None else from_json(signature),
        title,
        artist,
        album,
    )


def _end(running: list[EarProcess]) -> None:
    while running:
        running.pop().end()

"""The program that hears uploads: a process of its own, so that a file that breaks a decoder breaks nothing else.

It is started with a bundle's folder and the number of an open socket, and is told paths and answers what it heard, both
as JSON: nothing that comes out of a foreign file is ever unpickled. Once the audio model is loaded it may grow by a set
amount of memory, use a set time of a processor for each file, and write no file. It ends when its parent does.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import wave
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from recommender.audio.limits import limit_cpu, limit_memory, write_nothing
from recommender.audio.signatures import to_json
from recommender.errors import ArtifactError, AudioError, ModelError
from recommender.models.ears import Ears, load_ears
from recommender.serving.hearing import hear

MEMORY_BYTES = 512 * 1024**2
"""A file that needs more is given up; three hours of any format take a tenth of it."""

CPU_S = 60
"""A file that takes longer is given up; three hours of any format take a hundredth of it."""

EARS_FILE = "hearing.onnx"
REHEARSED_S, REHEARSED_HZ = 4, 22050


def main(folder: Path, handle: int) -> None:
    """Hear what comes in until the other side hangs up."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(handle) as pipe, threadpool_limits(1):
        try:
            ears = _load(folder)
            _rehearse(ears)
        except (ArtifactError, ModelError, OSError, ImportError, ValueError) as error:
            _send(pipe, {"cannot_start": str(error)})
            return
        limit_memory(MEMORY_BYTES)
        write_nothing()
        _send(pipe, {"ready": ears.version})
        try:
            while True:
                _send(pipe, _answer(ears, json.loads(pipe.recv_bytes())))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # The parent is gone.


def _load(folder: Path) -> Ears:
    if (folder / EARS_FILE).exists():
        return load_ears(folder / EARS_FILE)
    from recommender.serving.bundle import bundle_ears

    ears = bundle_ears(folder)
    if ears is None:
        raise ModelError(f"{folder} has no audio model")
    return ears


def _rehearse(ears: Ears) -> None:
    """Hear noise once, as a file: what is loaded for the first one, nobody has to wait for then."""
    noise = np.random.default_rng(0).integers(-9000, 9000, REHEARSED_S * REHEARSED_HZ).astype("<i2").tobytes()
    with suppress(OSError), TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(REHEARSED_HZ)
            file.writeframes(noise)
        _answer(ears, {"path": str(path), "shown": "", "max_s": math.inf, "long_s": math.inf})


def _answer(ears: Ears, asked: dict[str, Any]) -> dict[str, Any]:
    path = Path(asked["path"])
    limit_cpu(CPU_S)
    try:
        from recommender.audio.decode import probe

        promised_s = probe(path).duration_s
        if promised_s > asked["max_s"]:
            return {"unusable": f"{path.name}: lasts {promised_s / 60:.0f} minutes, {_most(asked['max_s'])}"}
        if promised_s > asked["long_s"]:
            return {"long": promised_s}
        heard = hear(ears, path)
    except AudioError as error:
        return {"unusable": str(error)}
    except MemoryError:
        most = f"{MEMORY_BYTES // 1024**2} MB"
        return {"unusable": f"{path.name}: needs more than {most} of memory to decode; expected intact audio"}
    return {
        "heard": {
            "vector": heard.vector.tolist(),
            "clip_vectors": heard.clip_vectors.tolist(),
            "clip_starts_s": heard.clip_starts_s.tolist(),
            "duration_s": heard.duration_s,
            "version": heard.version,
            "warnings": heard.warnings,
            "signature": None if heard.signature is None else to_json(heard.signature),
            "tags": _tags(path, asked["shown"]),
        }
    }


def _tags(path: Path, shown: str) -> list[str]:
    from recommender.data.tags import read_tags

    try:
        found = read_tags(path, PurePosixPath(shown or path.name))
    except AudioError:
        return ["", "", ""]  # what decodes although its container is unknown
    return [found.title, found.artist, found.album]


def _most(max_s: float) -> str:
    return f"this server takes at most {max_s / 60:.0f}"


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""The server's side of the process that hears: start it, ask it, end it, and say what a file did to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from recommender.audio.limits import DECODER_CRASHES
from recommender.errors import AudioError, ModelError

PROGRAM = "recommender.serving.ear"
START_S = 60.0
"""A process that is not ready by then has failed."""

FILE_S = 90.0
"""A file that takes longer is given up; of a processor's time it gets less (`recommender.serving.ear.CPU_S`)."""

MOST_BYTES = 16 * 1024**2
"""No answer is longer: a hundred thousand numbers are a tenth of it."""

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
"""What the process sees of the environment: no address of a database, no secret."""


class EarDiedError(Exception):
    """The process ended for a reason that may have nothing to do with the file; it is worth another try."""


class EarProcess:
    """One running process; used by one thread at a time. It loads the bundle in `folder` when it is made.

    Raises
    ------
    ModelError
        If it cannot be started.
    """

    def __init__(self, folder: Path) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-m", PROGRAM, str(folder.resolve()), str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the server's to deal with
            )
        self._is_ready = False

    @property
    def pid(self) -> int:
        """Its number at the system."""
        return self._process.pid

    def await_ready(self) -> str:
        """Wait until the audio model is loaded, and return its version.

        Raises
        ------
        ModelError
            If it cannot be loaded.
        """
        try:
            message = self._receive(START_S)
        except (EarDiedError, AudioError) as error:
            self.end()
            raise ModelError(f"uploads cannot be heard: {error}, while it started; the log says why") from error
        if "ready" not in message:
            self.end()
            raise ModelError(f"the audio model cannot be loaded: {message.get('cannot_start', message)}")
        self._is_ready = True
        return str(message["ready"])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a file's path and what goes with it, and return the answer.

        Raises
        ------
        AudioError
            If the file crashed the process, or took too long; the process is gone then.
        EarDiedError
            If it ended otherwise.
        """
        with suppress(BrokenPipeError, ConnectionResetError):  # `_receive` finds out how it died
            self._pipe.send_bytes(json.dumps(request).encode())
        return self._receive(FILE_S)

    def end(self) -> None:
        """End the process at once; it writes nothing that could be half done."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._pipe.close()

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        try:
            if not self._pipe.poll(timeout_s):
                self.end()
                raise AudioError(f"not decoded within {timeout_s:g} s, given up; expected audio that takes a second")
            answer = json.loads(self._pipe.recv_bytes(MOST_BYTES))
        except (EOFError, ConnectionResetError) as error:
            raise self._died() from error
        except (OSError, ValueError):
            answer = None
        if not isinstance(answer, dict):
            self.end()
            raise EarDiedError("the process that decodes gave an answer that cannot be read")
        return answer

    def _died(self) -> AudioError | EarDiedError:
        deadline = time.monotonic() + 5.0
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        code = self._process.poll()
        self.end()
        if code is None or code >= 0:
            return EarDiedError(f"the process that decodes ended with exit code {code}")
        name = signal.Signals(-code).name
        if -code in DECODER_CRASHES:
            return AudioError(f"the decoder crashed on it ({name}); expected intact audio")
        if -code == signal.SIGXCPU:
            return AudioError("takes too long to decode, given up; expected audio that takes a second")
        return EarDiedError(f"the process that decodes was killed ({name}), perhaps out of memory")


def _environment() -> dict[str, str]:
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

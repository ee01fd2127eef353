"""Servers in processes of their own, as an operator starts them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil

from pipelines.workspace import Workspace, open_workspace
from recommender.serving.settings import SETTINGS_VARIABLE, Settings
from tests.serving.conftest import World

ROOT = Path(__file__).parents[2]
ONE = """
import sys, uvicorn
uvicorn.run("recommender.serving.app:app_from_environment", factory=True, host="127.0.0.1", port=int(sys.argv[1]),
            log_level="error", ws="none", proxy_headers=False)
"""


@dataclass(frozen=True)
class Served:
    """A process that serves, and where."""

    process: subprocess.Popen[bytes]
    address: str
    log: IO[bytes]

    def said(self) -> str:
        """Return what it wrote to standard error."""
        self.log.seek(0)
        return self.log.read().decode()

    def children(self) -> list[psutil.Process]:
        """Return the processes that it started, and those that they started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer, or begin to."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it died
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def workspace_of(world: World, folder: Path) -> Workspace:
    """Return a workspace that holds the world's bundles."""
    workspace = open_workspace(folder, create=True)
    shutil.copytree(world.bundles, workspace.bundles)
    return workspace


@contextmanager
def command(workspace: Workspace, *options: str, **variables: str) -> Iterator[Served]:
    """Run ``firstlisten serve``; capital `variables` are set in its environment."""
    port = free_port()
    program = [sys.executable, "-c", "from pipelines.cli import main; main()", "serve", str(workspace.folder)]
    with _running([*program, "--port", str(port), *options], port, variables) as served:
        yield served


@contextmanager
def worker(settings: Settings) -> Iterator[Served]:
    """Run one server process with these settings."""
    port = free_port()
    with _running([sys.executable, "-c", ONE, str(port)], port, {SETTINGS_VARIABLE: settings.to_json()}) as served:
        yield served


@contextmanager
def _running(program: list[str], port: int, variables: dict[str, str]) -> Iterator[Served]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        served = Served(process, f"http://127.0.0.1:{port}", log)
        try:
            yield served
        finally:
            for child in served.children() if process.poll() is None else []:
                child.kill()
            process.kill()
            process.wait()


def await_ready(served: Served, timeout_s: float = 60) -> None:
    """Wait until a server says that it is ready."""
    until = time.monotonic() + timeout_s
    while not is_ready(served.address):
        assert served.process.poll() is None, "the server ended while it started"
        assert time.monotonic() < until, "the server does not get ready"
        time.sleep(0.05)


def is_ready(address: str) -> bool:
    """Ask a server, on a connection of its own."""
    try:
        return httpx.get(f"{address}/readyz", timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False

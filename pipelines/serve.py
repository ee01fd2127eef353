"""Serve a workspace: the recommendation API and its page."""

from __future__ import annotations

import ipaddress
import math
import os
import signal
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines import console
from pipelines.workspace import Workspace
from recommender.errors import ConfigError, DataError
from recommender.serving.settings import SETTINGS_VARIABLE, Settings, environment_choices

if TYPE_CHECKING:
    import uvicorn

HUNG_S = 10
"""A worker that gives no sign of life for so long, in seconds, is replaced."""


def server_settings(workspace: Workspace, **choices: Any) -> Settings:
    """Tell a server where everything of the workspace lies; `choices` win over what the environment says."""
    return Settings(
        **{
            "bundles_dir": workspace.bundles.resolve(),
            "store_url": workspace.store_url,
            "uploads_dir": workspace.uploads.resolve(),
            "music_roots": workspace.music_roots(),
            "player_secret": _player_secret(workspace),
            **environment_choices(os.environ),
            **choices,
        }
    )


def _player_secret(workspace: Workspace) -> str:
    """Return none where the workspace cannot be written to: players log in by API keys then."""
    try:
        return workspace.player_secret()
    except OSError:
        return ""


def run(workspace: Workspace, *, host: str, port: int, workers: int, **choices: Any) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    workspace : Workspace
    host : str
    port, workers : int
    choices
        Fields of `recommender.serving.settings.Settings`.

    Raises
    ------
    DataError
        If the workspace has no bundle.
    ConfigError
        If the port is taken, or keys are required and there is none.
    """
    import socket

    import uvicorn

    from recommender.serving.patience import PatientProtocol

    if not (workspace.bundles / "current").exists():
        raise DataError(
            f"{workspace.folder} has no bundle to serve; make one with: firstlisten train {workspace.folder}"
        )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; give another --port") from error
    choices["require_keys"] = choices.get("require_keys", False) or not _is_loopback(host)
    settings = server_settings(workspace, **choices)
    if settings.require_keys:
        _check_keys(workspace, settings, host)
    os.environ[SETTINGS_VARIABLE] = settings.to_json()
    allow_open_files()
    console.out.print(f"Serving {workspace.folder}: open http://{host}:{port}/ (API: /docs); Ctrl-C ends it")
    with tempfile.TemporaryDirectory(prefix="firstlisten-figures-") as figures:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures
        serve_until_ended(
            uvicorn.Config(
                "recommender.serving.app:app_from_environment",
                factory=True,
                host=host,
                port=port,
                workers=workers,
                access_log=False,
                http=PatientProtocol,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies or None,
                timeout_graceful_shutdown=math.ceil(settings.stop_s),
                timeout_worker_healthcheck=HUNG_S,
            )
        )


def allow_open_files() -> None:
    """Let the process open as many files as it may ask for: each connection is one, and shells allow few."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems allow less than they tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve_until_ended(config: uvicorn.Config) -> None:
    """Serve until SIGTERM or Ctrl-C, in this process or in several, of which one that dies or hangs is replaced.

    Raises
    ------
    ConfigError
        If it, or one of several, cannot start: what starts services may try again.
    """
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    signal.signal(signal.SIGTERM, lambda *_: None)  # the server raises its signal again when all is done
    with suppress(KeyboardInterrupt):
        if config.workers == 1:
            server = uvicorn.Server(config)
            server.run()
            started = server.started
        else:
            fleet = Multiprocess(config, [config.bind_socket()])
            fleet.run()
            started = all(worker.exitcode != STARTUP_FAILURE for worker in fleet.processes)
        if not started:
            raise ConfigError("the server could not start; the lines above say why")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_keys(workspace: Workspace, settings: Settings, host: str) -> None:
    from contextlib import closing

    from recommender.serving.keys import Keyring
    from recommender.serving.store import Store

    with closing(Store.open(settings.store_url)) as store:
        if not Keyring(store).any_valid():
            raise ConfigError(
                f"a server on {host} asks for API keys and there is none; make one with: "
                f"firstlisten keys {workspace.folder} create --name ME --scope read --scope listen"
            )

"""Serve a workspace: the recommendation API and its page."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from typing import Any

from pipelines import console
from pipelines.workspace import Workspace
from recommender.errors import ConfigError, DataError
from recommender.serving.settings import SETTINGS_VARIABLE, Settings, environment_choices


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
    console.out.print(f"Serving {workspace.folder}: open http://{host}:{port}/ (API: /docs); Ctrl-C ends it")
    with tempfile.TemporaryDirectory(prefix="firstlisten-figures-") as figures:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures
        uvicorn.run(
            "recommender.serving.app:app_from_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None,
        )


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

"""What a server is told when it starts: where things lie and how much it takes at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recommender.errors import ConfigError

VARIABLE_PREFIX = "FIRSTLISTEN_"
SETTINGS_VARIABLE = "FIRSTLISTEN_SERVE_SETTINGS"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")


@dataclass(frozen=True)
class Settings:
    """Everything that a server needs to know.

    Parameters
    ----------
    bundles_dir : Path
        Holds one folder a bundle and a text file ``current`` that names the folder to serve.
    store_url : str
        SQLAlchemy URL of the listens' database, for example ``sqlite:////path/store.db``.
    uploads_dir : Path
        Where uploaded audio is kept.
    music_roots : tuple of Path
        Folders that a catalog path may lie in; nothing outside them is ever sent. `uploads_dir` counts as one.
    max_upload_bytes : int
        The largest audio file that is accepted.
    max_upload_s : float > 0
        The longest file that is accepted, in seconds.
    long_upload_s : float
        A file that lasts longer is answered at once and heard in the background.
    max_queued_uploads : int
        Files that wait for that; a further one is refused until there is room.
    max_body_bytes : int
        The largest body of any other request.
    require_keys : bool
        Ask for an API key on loopback too; on every other address one is asked for in any case.
    requests_per_minute : int
        Of each key, and of each address that brings none, in each worker; 0 sets no limit. Holds where keys are
        required.
    uploads_per_minute, refused_keys_per_minute : int
        The same for uploads, and of each address for keys that are none.
    trusted_proxies : str
        Addresses, separated by commas, whose ``X-Forwarded-For`` is believed; nobody's by default.
    cors_origins : str
        Web sites, separated by commas, whose pages may use the API with a key, as ``https://shop.example``; none by
        default.
    player_secret : str
        What the passwords follow from by which players log in that know Subsonic's tokens and no API keys
        (`recommender.serving.keys.player_password`); where it is empty nobody can log in so.
    warm_hearing : bool
        Load the audio model in the background at start, so that the first upload does not wait for it.
    refresh_s : float
        How old the view of what other processes stored may get, in seconds.
    drain_s : float
        How long a server that is told to end (SIGTERM) goes on answering while ``/readyz`` says 503, in seconds: what a
        load balancer takes to notice.
    stop_s : float
        How long what is being answered after that may take, in seconds.
    answers_s : float
        How long a user's recommendations may be answered again from memory while others listen, in seconds; what the
        user does counts at once. 0 computes every answer.
    answers_bytes : int
        Memory for that, in bytes, in each worker.
    json_logs : bool
        Whether the line of each request is JSON, for programs.
    explore : float in [0, 1]
        Share of a list's places that try what may be better than is known (`recommender.ranking.exploration`), unless
        a request says otherwise. One in ten, two of twenty places, costs no plays in ``benchmarks/off_policy.py`` and
        keeps the weights of off-policy estimates below 500.
    explore_every_s : float > 0
        How long a user's tries stay the same, in seconds: a page that is loaded again shows the same list.
    explore_seed : int
    log_served : bool
        Write what every user was shown to the store.
    served_days : float > 0
        Days after which that is deleted.

    Raises
    ------
    ConfigError
        If a value is out of its range.
    """

    bundles_dir: Path
    store_url: str
    uploads_dir: Path
    music_roots: tuple[Path, ...] = ()
    max_upload_bytes: int = 200 * 1024 * 1024
    max_upload_s: float = 10_800.0
    long_upload_s: float = 900.0
    max_queued_uploads: int = 100
    max_body_bytes: int = 2 * 1024 * 1024
    require_keys: bool = False
    requests_per_minute: int = 6000
    uploads_per_minute: int = 30
    refused_keys_per_minute: int = 20
    trusted_proxies: str = ""
    cors_origins: str = ""
    player_secret: str = field(default="", repr=False)
    warm_hearing: bool = True
    refresh_s: float = 1.0
    drain_s: float = 0.0
    stop_s: float = 30.0
    answers_s: float = 30.0
    answers_bytes: int = 32 * 1024 * 1024
    json_logs: bool = False
    explore: float = 0.1
    explore_every_s: float = 86_400.0
    explore_seed: int = 0
    log_served: bool = True
    served_days: float = 90.0

    def __post_init__(self) -> None:
        if not 0 <= self.explore <= 1:
            raise ConfigError(f"explore is {self.explore}, expected the share of a list's places, between 0 and 1")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"cors_origins has {origin!r}, expected sites like https://shop.example, without a path"
                )
        for name in ("requests_per_minute", "uploads_per_minute", "refused_keys_per_minute"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 0 (no limit) or more")
        for name in ("drain_s", "stop_s"):
            if not 0 <= getattr(self, name) < 1e6:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected seconds, 0 or more")
        for name in ("explore_every_s", "served_days"):
            if not 0.001 <= getattr(self, name) < 1e9:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a number above 0")

    @property
    def origins(self) -> tuple[str, ...]:
        """The sites of `cors_origins`."""
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    def to_json(self) -> str:
        """Return the settings as text, for a worker process; `from_json` reads it back."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        values["bundles_dir"], values["uploads_dir"] = str(self.bundles_dir), str(self.uploads_dir)
        values["music_roots"] = [str(root) for root in self.music_roots]
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote.

        Examples
        --------
        >>> settings = Settings(Path("bundles"), "sqlite://", Path("uploads"), (Path("music"),))
        >>> Settings.from_json(settings.to_json()) == settings
        True
        """
        try:
            values = json.loads(text)
            values["bundles_dir"], values["uploads_dir"] = Path(values["bundles_dir"]), Path(values["uploads_dir"])
            values["music_roots"] = tuple(Path(root) for root in values["music_roots"])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{SETTINGS_VARIABLE} holds no server settings: {error}") from error


def environment_choices(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that environment variables name: ``FIRSTLISTEN_`` and the field in capitals.

    Fields that hold places are left to the workspace, empty variables count as absent. Switches are 1 or 0, true or
    false, yes or no.

    Raises
    ------
    ConfigError
        If a value is not of the field's kind; the variable is named.

    Examples
    --------
    >>> environment_choices({"FIRSTLISTEN_ANSWERS_S": "5", "FIRSTLISTEN_JSON_LOGS": "yes", "HOME": "/root"})
    {'answers_s': 5.0, 'json_logs': True}
    """
    chosen: dict[str, Any] = {}
    for each in fields(Settings):
        variable = f"{VARIABLE_PREFIX}{each.name.upper()}"
        read = _READERS.get(str(each.type))
        if environment.get(variable) and read is not None:
            try:
                chosen[each.name] = read(environment[variable].strip())
            except (ValueError, KeyError):
                kind = {"int": "a whole number", "float": "a number", "bool": "1 or 0"}.get(str(each.type), "text")
                raise ConfigError(f"{variable} is {environment[variable]!r}, expected {kind}") from None
    return chosen


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]


_READERS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": _switch, "str": str}

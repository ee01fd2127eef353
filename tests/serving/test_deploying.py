"""What is written for those who run a server is true of the server."""

import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import yaml

from recommender.serving.settings import Settings, environment_choices

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"FIRSTLISTEN_HOST": "127.0.0.1", "FIRSTLISTEN_PORT": "8000", "FIRSTLISTEN_WORKERS": "1"}
"""Options of the command, not of the server."""


def documented() -> dict[str, str]:
    text = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(FIRSTLISTEN_\w+)` \| (?:`([^`]*)`)? ?\|", text, re.MULTILINE))


def test_the_table_has_every_setting_and_its_default() -> None:
    found = documented()
    places = {"bundles_dir", "uploads_dir", "music_roots", "store_url"}
    settable = {f"FIRSTLISTEN_{each.name.upper()}": each for each in fields(Settings) if each.name not in places}
    assert found.keys() == settable.keys() | ELSEWHERE.keys() | {"FIRSTLISTEN_STORE_URL"}
    assert ELSEWHERE.items() <= found.items()
    for variable, each in settable.items():
        assert each.default is not MISSING
        given = environment_choices({variable: found[variable]}) if found[variable] else {each.name: ""}
        assert given == {each.name: each.default}, variable


def test_the_files_name_settings_and_commands_that_there_are() -> None:
    found = documented()
    for name in ("Dockerfile", "compose.yaml", "deploy/firstlisten.service"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"FIRSTLISTEN_[A-Z_]+", text)) <= found.keys(), name
        assert not re.search(r"password\s*[:=]\s*\w", text, re.IGNORECASE), "a secret stands in a file"
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert all((ROOT / file).exists() for line in copied for file in line.split())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "postgres" in extras


def test_whoever_stops_a_server_waits_until_it_has_drained() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    unit = (ROOT / "deploy/firstlisten.service").read_text(encoding="utf-8")
    drain_s = [float(found) for found in re.findall(r"FIRSTLISTEN_DRAIN_S=(\d+)", image + unit)]
    assert len(drain_s) == 2
    waits_s = [services["api"]["stop_grace_period"].removesuffix("s"), *re.findall(r"TimeoutStopSec=(\d+)", unit)]
    stop_s = float(documented()["FIRSTLISTEN_STOP_S"])
    assert [float(wait) > drain + stop_s for wait, drain in zip(waits_s, drain_s, strict=True)] == [True, True]
    assert "KillMode=mixed" in unit, "workers and ears are told by the server, not by its manager"
    assert services["api"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "healthcheck" in services["database"]
    assert "HEALTHCHECK" in image

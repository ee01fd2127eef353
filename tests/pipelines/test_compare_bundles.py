import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.compare_bundles import compare
from pipelines.workspace import Workspace
from recommender.errors import ArtifactError
from recommender.serving.bundle import current_bundle, load_bundle


@pytest.fixture
def twice(demo_workspace: Workspace, tmp_path: Path) -> tuple[Path, str, str]:
    """A workspace with a bundle, and the same again under another name and with another validation."""
    folder = tmp_path / "w"
    shutil.copytree(demo_workspace.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("world", "clips"))
    first = current_bundle(folder / "bundles")
    return folder, first.name, first.name


def test_a_bundle_is_like_itself(demo_workspace: Workspace) -> None:
    bundle = load_bundle(current_bundle(demo_workspace.bundles))
    found = compare(bundle, bundle)
    assert found.overlap == 1
    assert found.settings == {}
    assert (found.tracks_added, found.tracks_removed, found.users_added, found.users_removed) == (0, 0, 0, 0)
    assert found.facts["tracks"][0] == len(bundle.model.catalog)
    assert "alike (100%)" in found.verdict


def test_what_became_worse_is_told(demo_workspace: Workspace) -> None:
    bundle = load_bundle(current_bundle(demo_workspace.bundles))
    metrics = json.loads(json.dumps(bundle.manifest.metrics))
    metrics["validation"]["mixed"]["blend"]["total"] *= 0.5
    config = {**bundle.manifest.config, "seed": 99}
    worse = replace(bundle, manifest=replace(bundle.manifest, version="later", metrics=metrics, config=config))
    found = compare(bundle, worse)
    assert found.verdict.startswith(f"later should not replace {bundle.manifest.version}: on plays hidden from it")
    assert found.settings["seed"][1] == 99
    assert found.facts["validation NDCG"][1] == pytest.approx(0.5 * found.facts["validation NDCG"][0])


def test_the_command_prints_tables_or_json(twice: tuple[Path, str, str]) -> None:
    folder, first, second = twice
    shown = CliRunner().invoke(app, ["bundles", str(folder), "compare", first, second])
    assert shown.exit_code == 0, shown.output
    assert "validation NDCG" in shown.output
    told = CliRunner().invoke(app, ["bundles", str(folder), "compare", first, second, "--json"])
    assert json.loads(told.output)["overlap"] == 1
    missing = CliRunner().invoke(app, ["bundles", str(folder), "compare", first, "none"])
    assert isinstance(missing.exception, ArtifactError)
    assert first in str(missing.exception)
    assert CliRunner().invoke(app, ["bundles", str(folder), "compare", first]).exit_code == 2

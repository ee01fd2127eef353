from pathlib import Path

import pytest

from pipelines import demo
from pipelines.workspace import Workspace, open_workspace
from recommender.synthetic.world import TINY

QUICK = """
[train_cnn]
epochs = 3

[train_cnn.cnn]
dim = 32
pitch_channels = 4
channels = 32
events = 32

[ranker.als]
factors = 16
"""
"""Settings with which a training takes seconds; what it reaches is not looked at."""


@pytest.fixture(scope="session")
def quick() -> str:
    return QUICK


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace on which the whole demo has run: read it, do not write to it."""
    folder = tmp_path_factory.mktemp("demo") / "w"
    open_workspace(folder, create=True)
    (folder / "firstlisten.toml").write_text(QUICK)
    demo.run(folder, serving=False, config=TINY)
    return folder


@pytest.fixture
def demo_workspace(demo_folder: Path) -> Workspace:
    return open_workspace(demo_folder)

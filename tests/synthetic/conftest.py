from pathlib import Path

import pytest

from recommender.synthetic.world import TINY, World, build_world


@pytest.fixture(scope="session")
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="session")
def world(world_folder: Path) -> World:
    return build_world(TINY, world_folder, workers=1)

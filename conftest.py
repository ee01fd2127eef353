"""What the doctests of the packages are given."""

from pathlib import Path

import pytest

collect_ignore = ["recommender/serving/migrations/env.py"]


@pytest.fixture(autouse=True)
def _doctest_folder(doctest_namespace: dict[str, object], tmp_path: Path) -> None:
    doctest_namespace["tmp"] = tmp_path

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """In continuous integration everything that tests need is installed: only a missing GPU may skip one."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail") and "gpu" not in item.keywords:
        report.outcome = "failed"
        report.longrepr = f"skipped in continuous integration: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    folder = Path(os.environ.get("FIRSTLISTEN_SHARED", Path(__file__).parents[2] / "shared")).resolve()
    if not (folder / "music").is_dir() or not (folder / "listens").is_dir():
        pytest.skip(f"needs real music and listens: {folder} has no music/ and listens/ (set FIRSTLISTEN_SHARED)")
    return folder


@pytest.fixture(scope="session")
def soundfont():
    """FIRSTLISTEN_SOUNDFONT, else that of the system; without either, or without the player, tests are skipped."""
    from recommender.errors import ConfigError
    from recommender.synthetic.corpus.soundfont import find_soundfont, load_soundfont

    named = os.environ.get("FIRSTLISTEN_SOUNDFONT")
    try:
        path = find_soundfont(Path(named) if named else None)
        load_soundfont(path)
    except ConfigError as error:
        pytest.skip(str(error))
    return path


@pytest.fixture
def tiny_catalog() -> Catalog:
    """Five tracks by three artists; the last has no plays in tiny_world."""
    return Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": ["t0", "t1", "t2", "t3", "t4"],
                "title": ["Zero", "One", "Two", "Three", "Four"],
                "artist": ["Ada", "Ada", "Ben", "Ben", "Cyd"],
                "album": ["A", "A", "B", "C", "D"],
                "duration_s": [100.0, 200.0, 300.0, np.nan, 50.0],
                "released": ["2020-01-01", "2020-01-01", "2021-01-01", "", "2022-01-01"],
            }
        )
    )


@pytest.fixture
def tiny_world(tiny_catalog: Catalog) -> Interactions:
    """Seven users x five tracks: u0-u2 play Ada (t0, t1), u3-u5 play Ben (t2, t3), u6 plays nothing, t4 is cold."""
    rows = [
        ("u0", "t0", 3.0, "2024-01-01"),
        ("u0", "t1", 1.0, "2024-01-02"),
        ("u1", "t0", 1.0, "2024-01-01"),
        ("u1", "t1", 2.0, "2024-01-03"),
        ("u2", "t0", 5.0, "2024-01-04"),
        ("u2", "t2", 0.0, "2024-01-05"),
        ("u3", "t2", 1.0, "2024-01-01"),
        ("u3", "t3", 1.0, "2024-01-06"),
        ("u4", "t2", 2.0, "2024-01-02"),
        ("u4", "t3", 4.0, "2024-01-07"),
        ("u5", "t3", 1.0, "2024-01-08"),
        ("u5", "t3", 1.0, "2024-01-09"),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "weight", "timestamp"])
    frame["timestamp"] = pd.to_datetime(frame["timestamp"])
    users = Vocabulary("user", tuple(f"u{n}" for n in range(7)))
    return Interactions.from_frame(frame, users, tiny_catalog.tracks)

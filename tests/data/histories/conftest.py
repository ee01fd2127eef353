from pathlib import Path

import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.matching import TrackMatcher

FERRY_MBID = "3f0f6ff0-0a41-4f0e-8f5c-6a0e5f3a1d01"


@pytest.fixture(scope="session")
def matcher() -> TrackMatcher:
    rows = [
        ("ferry", "Winter Ferry", "Ola Sundby", "Harbour Lights", 214.0, FERRY_MBID),
        ("comet", "Slow Comet", "The Paper Lanterns", "Night Bus", 187.0, ""),
        ("rose", "Šípková růže", "Žofie Malá", "Zahrada", 243.0, ""),
        ("ferry-live", "Winter Ferry (Live)", "Ola Sundby", "Live in Moss", 260.0, ""),
    ]
    columns = ["item_id", "title", "artist", "album", "duration_s", "recording_mbid"]
    return TrackMatcher(Catalog.from_frame(pd.DataFrame(rows, columns=columns)))


@pytest.fixture
def golden() -> Path:
    return Path(__file__).parent / "golden"

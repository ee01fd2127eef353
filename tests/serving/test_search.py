import numpy as np
import pandas as pd

from recommender.data.catalog import Catalog
from recommender.serving.search import TrackIndex, fold

CATALOG = Catalog.from_frame(
    pd.DataFrame(
        {
            "item_id": list("abcdef"),
            "title": ["Rain", "Purple Rain", "Sæglópur", "Straße", "أغنية المطر", "Rainbow"],
            "artist": ["Ada", "Prince", "Sigur Rós", "Ada", "فيروز", "Rain Machine"],
            "album": ["", "Purple Rain", "Takk...", "STRASSE", "", ""],
        }
    )
)
LISTENERS = np.array([1, 9, 0, 0, 3, 5], dtype=np.float32)


def found(query: str) -> list[str]:
    return CATALOG.tracks.ids_of(TrackIndex.of(CATALOG).find(query, LISTENERS))


def test_titles_that_begin_with_it_come_first_then_by_listeners() -> None:
    assert found("rain") == ["f", "a", "b"]


def test_every_word_must_occur_somewhere() -> None:
    assert found("rain prince") == ["b"]
    assert found("rain nobody") == []


def test_case_accents_and_ligatures_of_case_do_not_matter() -> None:
    assert found("SIGUR ROS") == ["c"]
    assert found("strasse") == ["d"]
    assert found("ADA") == ["a", "d"]
    assert found("المطر") == ["e"]


def test_nothing_asked_is_nothing_found() -> None:
    assert found("   ") == []


def test_an_extended_index_equals_a_fresh_one() -> None:
    grown = TrackIndex.of(CATALOG.select(np.arange(4))).extended(CATALOG)
    fresh = TrackIndex.of(CATALOG)
    assert (grown.titles, grown.texts) == (fresh.titles, fresh.texts)


def test_folding_twice_changes_nothing() -> None:
    for text in ("ÀÉ  ß", "ﬁne", "İstanbul", "한국어"):
        assert fold(fold(text)) == fold(text)

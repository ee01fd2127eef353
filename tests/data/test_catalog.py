import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import TRACK_COLUMNS, Catalog
from recommender.errors import DataError


def test_missing_columns_and_cells_become_unknown() -> None:
    catalog = Catalog.from_frame(
        pd.DataFrame(
            {"item_id": ["b", "a"], "title": ["B", None], "duration_s": ["12.5", "x"], "more": [1, 2]}, index=[7, 3]
        )
    )
    assert catalog.tracks.ids == ("b", "a")
    assert tuple(catalog.table.columns) == TRACK_COLUMNS
    assert catalog.table["title"].tolist() == ["B", ""]
    assert catalog.table["artist"].tolist() == ["", ""]
    assert catalog.table["duration_s"].dtype == float
    assert catalog.table["duration_s"].iloc[0] == 12.5
    assert np.isnan(catalog.table["duration_s"].iloc[1])


def test_a_frame_without_durations_has_unknown_ones() -> None:
    assert np.isnan(Catalog.from_frame(pd.DataFrame({"item_id": ["a", "b"]})).table["duration_s"]).all()


def test_to_frame_and_back(tiny_catalog: Catalog) -> None:
    again = Catalog.from_frame(tiny_catalog.to_frame())
    pd.testing.assert_frame_equal(again.to_frame(), tiny_catalog.to_frame())


def test_select_keeps_the_order_of_the_rows(tiny_catalog: Catalog) -> None:
    part = tiny_catalog.select(np.array([4, 1]))
    assert part.tracks.ids == ("t4", "t1")
    assert part.table["title"].tolist() == ["Four", "One"]
    assert part.table.index.tolist() == [0, 1]


def test_unknown_artists_are_not_one_artist() -> None:
    frame = pd.DataFrame({"item_id": list("abcde"), "artist": ["Ada", "", " ADA", "", "Ben"]})
    codes = Catalog.from_frame(frame).artist_codes()
    assert codes.dtype == np.int32
    assert codes[0] == codes[2]
    assert len(set(codes.tolist())) == 4


def test_albums_of_one_title_by_two_artists_are_two_albums() -> None:
    artists, albums = ["Ada", "ada", "Ben", "Ben", "", ""], ["Hits", "hits ", "Hits", "", "Hits", "Hits"]
    codes = Catalog.from_frame(
        pd.DataFrame({"item_id": list("abcdef"), "artist": artists, "album": albums})
    ).album_codes()
    assert codes[0] == codes[1]
    assert len(set(codes[1:])) == 5


def test_labels() -> None:
    frame = pd.DataFrame(
        {"item_id": ["a", "b", "c", "d"], "title": ["Song", "Solo", "", "Same"], "artist": ["Ada", "", "Cyd", "Same"]}
    )
    catalog = Catalog.from_frame(frame)
    assert [catalog.label(row) for row in range(4)] == ["Ada - Song", "Solo", "Cyd - c", "Same"]


def test_bad_tables_are_refused(tiny_catalog: Catalog) -> None:
    with pytest.raises(DataError, match=r"needs an item_id column, found \['id'\]"):
        Catalog.from_frame(pd.DataFrame({"id": ["a"]}))
    with pytest.raises(DataError, match="has 4 rows for 5 track ids"):
        Catalog(tiny_catalog.tracks, tiny_catalog.table.iloc[:4])
    with pytest.raises(DataError, match="expected"):
        Catalog(tiny_catalog.tracks, tiny_catalog.table.drop(columns="path"))
    with pytest.raises(DataError, match="'a' appears more than once"):
        Catalog.from_frame(pd.DataFrame({"item_id": ["a", "a"]}))

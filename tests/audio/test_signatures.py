from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommender.audio.signatures import (
    NUMBERS,
    Signature,
    Signatures,
    from_json,
    load_signatures,
    save_signatures,
    to_json,
)
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, DataError, VersionError

ONE = Signature(120.0, 0.75, 60.0, 9, "minor", 0.5, -14.0, 0.875, 2000.0, 0.875, 4.0, 0.75, 0.5, 0.9375)
OTHER = replace(ONE, tonic=0, mode="major", tempo_bpm=90.0)


@pytest.fixture
def table() -> Signatures:
    return Signatures.in_rows(Vocabulary("track", ("a", "b", "c")), {"c": OTHER, "a": ONE, "elsewhere": ONE})


def test_rows_follow_the_catalog_and_unknown_is_nan_or_minus_one(table: Signatures) -> None:
    assert [table.row(row) for row in range(3)] == [ONE, None, OTHER]
    assert table.known.tolist() == [True, False, True]
    np.testing.assert_array_equal(table.column("tempo_bpm"), np.array([120, np.nan, 90], np.float32))
    assert table.tonics.tolist() == [9, -1, 0]
    assert table.minor.tolist() == [1, -1, 0]
    assert np.isnan(table.numbers[1]).all()


def test_a_table_can_be_extended_and_can_be_empty(table: Signatures) -> None:
    longer = table.extended([None, ONE])
    assert [longer.row(row) for row in range(5)] == [ONE, None, OTHER, None, ONE]
    assert Signatures.of([]).numbers.shape == (0, len(NUMBERS))


def test_what_was_written_is_read(table: Signatures, tmp_path: Path) -> None:
    save_signatures(tmp_path / "s.safetensors", table, "v1")
    found = load_signatures(tmp_path / "s.safetensors", "v1", 3)
    assert [found.row(row) for row in range(3)] == [ONE, None, OTHER]
    with pytest.raises(VersionError, match="v2"):
        load_signatures(tmp_path / "s.safetensors", "v2", 3)
    with pytest.raises(ArtifactError, match="holds 3 signatures"):
        load_signatures(tmp_path / "s.safetensors", "v1", 4)


def test_json_goes_there_and_back() -> None:
    assert from_json(to_json(ONE)) == ONE
    with pytest.raises(DataError, match="not a signature"):
        from_json({"tempo_bpm": 1.0})


def test_names_of_the_key() -> None:
    assert (ONE.key, ONE.camelot) == ("A minor", "8A")
    assert (OTHER.key, OTHER.camelot) == ("C major", "8B")

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError
from recommender.playlists.weeks import GivenLists, Week

USERS, TRACKS = Vocabulary("user", ("ann", "bo")), Vocabulary("track", ("a", "b", "c"))


def given(*rows: tuple[str, str, str]) -> pa.Table:
    return pa.table(dict(zip(("user_id", "kind", "item_id"), map(list, zip(*rows, strict=True)), strict=True)))


@pytest.mark.parametrize("name", ["2026-W54", "2026-W00", "2025-W53", "2026-47", "2026-W7", "", "0000-W01", "٢٠٢٦-W01"])
def test_what_is_no_week_is_said(name):
    with pytest.raises(ConfigError, match="expected one like 2026-W47"):
        Week.of(name)


def test_weeks_go_back_over_a_year_of_53():
    assert str(Week.of("2021-W01").before(1)) == "2020-W53"
    assert Week.at(datetime(2027, 1, 3, tzinfo=UTC)) == Week.of("2026-W53")
    assert Week.of("2026-W47").monday == date(2026, 11, 16)


def test_what_was_given_counts_for_the_weeks_after_and_not_for_its_own(tmp_path):
    lists, week = GivenLists(tmp_path), Week.of("2026-W01")
    lists.replace(
        week, ["new"], given(("ann", "new", "b"), ("bo", "new", "a"), ("gone", "new", "a"), ("ann", "new", "?"))
    )
    assert lists.before(week, 4, USERS, TRACKS).nnz == 0
    assert lists.before(Week.of("2026-W02"), 1, USERS, TRACKS).toarray().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert lists.before(Week.of("2026-W05"), 4, USERS, TRACKS).nnz == 2
    assert lists.before(Week.of("2026-W06"), 4, USERS, TRACKS).nnz == 0
    assert lists.before(Week.of("2026-W02"), 0, USERS, TRACKS).nnz == 0


def test_a_rerun_replaces_its_kinds_of_the_week_and_leaves_the_others(tmp_path):
    lists, week = GivenLists(tmp_path), Week.of("2026-W01")
    lists.replace(week, ["new", "familiar"], given(("ann", "new", "a"), ("ann", "familiar", "b")))
    lists.replace(week, ["new"], given(("ann", "new", "c")))
    assert lists.before(Week.of("2026-W02"), 1, USERS, TRACKS).toarray()[0].tolist() == [0, 1, 1]


def test_a_user_can_be_told_and_forgotten(tmp_path):
    lists = GivenLists(tmp_path)
    for week in ("2026-W01", "2026-W02"):
        lists.replace(Week.of(week), ["new"], given(("ann", "new", "a"), ("bo", "new", "b")))
    assert lists.of_user("ann") == [{"week": f"2026-W0{n}", "kind": "new", "item_id": "a"} for n in (1, 2)]
    assert lists.erase("ann") == 2
    assert lists.of_user("ann") == []
    assert len(lists.of_user("bo")) == 2


def test_a_damaged_table_is_named(tmp_path):
    lists = GivenLists(tmp_path)
    lists.path(Week.of("2026-W01")).write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ArtifactError, match=r"2026-W01\.parquet is damaged.*delete it"):
        lists.before(Week.of("2026-W02"), 4, USERS, TRACKS)

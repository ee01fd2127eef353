import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, UnknownIdError

IDS = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=20)


def test_rows_follow_the_order_that_was_given() -> None:
    tracks = Vocabulary("track", ("b", "a", "c"))
    assert tracks.rows(["c", "b", "c"], unknown="raise").tolist() == [2, 0, 2]
    assert tracks.ids_of([1, 0]) == ["a", "b"]
    assert tracks.row("a") == 1


@given(IDS, st.lists(st.text(max_size=4), max_size=20))
def test_ids_and_rows_are_inverse_and_known_tells_which_were_dropped(ids: list[str], asked: list[str]) -> None:
    vocabulary = Vocabulary("track", tuple(ids))
    kept = [identifier for identifier in asked if identifier in set(ids)]
    rows = vocabulary.rows(asked, unknown="drop")
    assert vocabulary.ids_of(rows) == kept
    assert rows.dtype == "int32"
    known = vocabulary.known(asked)
    assert [i for i, has in zip(asked, known, strict=True) if has] == kept


def test_an_unknown_id_is_named_with_its_kind() -> None:
    users = Vocabulary("user", ("u1",))
    with pytest.raises(UnknownIdError, match="unknown user 'u2': it is none of the 1 known"):
        users.rows(["u1", "u2"], unknown="raise")
    with pytest.raises(UnknownIdError, match="unknown user 'u9'"):
        users.row("u9")


def test_a_repeated_id_and_an_empty_id_are_refused() -> None:
    with pytest.raises(DataError, match="track id 'b' appears more than once"):
        Vocabulary("track", ("a", "b", "c", "b"))
    with pytest.raises(DataError, match="a user id is empty"):
        Vocabulary("user", ("a", ""))


def test_of_sorts_and_makes_unique() -> None:
    assert Vocabulary.of("user", ["b", "a", "b"]).ids == ("a", "b")
    assert Vocabulary.of("user", ["b", "a"]) == Vocabulary("user", ("a", "b"))
    assert Vocabulary("user", ("a",)) != Vocabulary("track", ("a",))
    assert Vocabulary("user", ("a", "b")) != Vocabulary("user", ("b", "a"))

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.data.names import artist_keys, as_mbid, latin, normalise, title_of

NAMES = st.text(max_size=40)
WORDS = st.lists(st.text("abcdefghijklmnoprstuvwyz", min_size=2, max_size=8), min_size=1, max_size=4).map(" ".join)


@given(NAMES)
def test_normalising_is_idempotent_and_keeps_a_name(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once or once.split()[:1] == ["the"] or not text.strip().isascii()
    assert bool(once) == bool(text.strip())


@given(NAMES)
def test_what_is_the_same_to_a_reader_is_the_same(text: str) -> None:
    for other in (unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text), f"  {text}\t"):
        assert normalise(other) == normalise(text)


@given(WORDS)
def test_case_accents_guests_and_the_do_not_matter(words: str) -> None:
    assert normalise(words.upper()) == normalise(words)
    assert normalise(words.replace("a", "á").replace("o", "ö")) == normalise(words)
    assert normalise(f"{words} (feat. Somebody)") == normalise(words)
    if words.split()[0] != "the":
        assert normalise(f"The {words}") == normalise(words)


@given(
    WORDS, st.sampled_from(["- 2011 Remaster", "(Remastered 2009)", "[Deluxe Edition]", "(Official Video)", "- Mono"])
)
def test_an_edition_is_no_part_of_a_title(words: str, edition: str) -> None:
    assert title_of(f"{words} {edition}") == title_of(words)


@given(WORDS, st.sampled_from(["(Live)", "- Somebody Remix", "(Acoustic)", "Pt. 2", "III", "- Live at Home", "[Demo]"]))
def test_another_recording_or_part_has_other_marks(words: str, other: str) -> None:
    assert title_of(f"{words} {other}").marks != title_of(words).marks


@given(NAMES)
def test_every_reduction_takes_any_text(text: str) -> None:
    assert isinstance(latin(text), str)
    assert title_of(text) == title_of(text)
    assert 1 <= len(artist_keys(text)) <= 2
    assert as_mbid(text) in ("", text.strip().lower())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Мумий Тролль", "Mumiy Troll'"),
        ("Ørsted", "Orsted"),
        ("Straße", "Strasse"),
        ("Łódź", "Lodz"),
        ("Ελλάδα", "Ellada"),
    ],
)
def test_scripts_that_are_one_name(one: str, other: str) -> None:
    assert latin(one) == latin(other)


@pytest.mark.parametrize(
    ("text", "core", "marks"),
    [
        ("Song (feat. X) - Live", "song live", ("live",)),
        ("Song (60s) - 2012 Remaster", "song 60s", ()),
        ("Song (Official Remix)", "song official remix", ("remix",)),
        ("Song (Remastered Live)", "song remastered live", ("live",)),
        ("Remaster", "remaster", ()),
        ("(Remastered)", "remastered", ()),
        ("Suite No. 2: I", "suite no 2 i", ("1", "2")),
        ("I Am I", "i am i", ("1",)),
        ("Part 02", "part 02", ("2",)),
    ],
)
def test_titles(text: str, core: str, marks: tuple[str, ...]) -> None:
    assert (title_of(text).core, title_of(text).marks) == (core, marks)

import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.matching import Name, TrackMatcher
from tests.data.histories.conftest import FERRY_MBID


def matcher_of(*rows: tuple[str, str, str, float, str]) -> TrackMatcher:
    frame = pd.DataFrame(rows, columns=["artist", "title", "album", "duration_s", "recording_mbid"])
    frame.insert(0, "item_id", [f"t{row}" for row in range(len(rows))])
    return TrackMatcher(Catalog.from_frame(frame))


@pytest.fixture
def matcher() -> TrackMatcher:
    return matcher_of(
        ("Ola Sundby", "Winter Ferry", "Harbour Lights", 214, FERRY_MBID),
        ("Ola Sundby", "Winter Ferry", "Best of Ola", 219, ""),
        ("Ola Sundby", "Winter Ferry (Live)", "Live in Moss", 260, ""),
        ("Ola Sundby", "Suite, Pt. 1", "Suites", 100, ""),
        ("Ola Sundby", "Suite, Pt. 2", "Suites", 100, ""),
        ("The Paper Lanterns", "Slow Comet", "Night Bus", 187, ""),
        ("The Paper Lanterns feat. Ola Sundby", "Duet", "Night Bus", 187, ""),
        ("Kestrel & Finch", "Hollow Tree", "", 100, ""),
        ("Kestrel & Finch", "Harbour Wind", "", 100, ""),
        ("Kestrel & Finch", "Harbour Wine", "", 100, ""),
        ("", "Nameless", "", 100, ""),
    )


@pytest.mark.parametrize(
    ("name", "row", "rule"),
    [
        (Name("x", "y", "", FERRY_MBID), 0, "MusicBrainz id"),
        (Name("", "", "", FERRY_MBID), 0, "MusicBrainz id"),
        (Name("ola sundby", "WINTER FERRY"), 0, "name"),
        (Name("Ola Sundby", "Winter Ferry", "best of ola (deluxe edition)"), 1, "name"),
        (Name("Ola Sundby", "Winter Ferry", "", "", 220), 1, "name"),
        (Name("Ola Sundby", "Winter Ferry", "Harbour Lights", "", 219), 0, "name"),
        (Name("Ola Sundby", "Winter Ferry - Live"), 2, "name"),
        (Name("Paper Lanterns", "Slow Comet - 2011 Remaster"), 5, "name without edition"),
        (Name("The Paper Lanterns", "Duet"), 6, "name"),
        (Name("Kestrel", "Hollow Tree"), 7, "name without edition"),
        (Name("Kestrel and Finch, Somebody", "Hollow Tree"), None, ""),
        (Name("Finch & Kestrel", "Hollow Tree"), 7, "similar name"),
        (Name("Sundby, Ola", "Suite, Pt. 2"), 4, "similar name"),
        (Name("The Paper Lantens", "Slow Commet"), 5, "similar name"),
        (Name("Slow Comet", "The Paper Lanterns"), 5, "similar name"),
        (Name("Nameless", ""), None, ""),
    ],
)
def test_which_track_by_which_rule(matcher: TrackMatcher, name: Name, row: int | None, rule: str) -> None:
    (found,) = matcher.match([name])
    assert (found.row, found.rule) == (row, rule), found


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (Name("Nobody", "Winter Ferry"), "no such artist"),
        (Name("Olaf Sundbyberg", "Winter Ferry"), "no such artist; the nearest is Ola Sundby (80)"),
        (Name("Ola Sundby", "Winter Train"), "no such title by this artist; the nearest is Ola Sundby - Winter Ferry"),
        (Name("Ola Sundby", "Suite, Pt. 3"), "another recording or part than Ola Sundby - Suite, Pt. "),
        (Name("Ola Sundby", "Wintr Ferry (Acoustic)"), "no such title by this artist"),
        (Name("Ola Sundby", "Winter Fery (Live)", "", "", 100), "another length than Ola Sundby - Winter Ferry (Live)"),
        (Name("Kestrel & Finch", "Harbour Winn"), "ambiguous: Kestrel & Finch - Harbour Wind or Kestrel & Finch - Har"),
        (Name("", "Slow Comet"), "no name"),
        (Name("", "", "", FERRY_MBID.replace("3", "4")), "its MusicBrainz id is not in the library"),
    ],
)
def test_why_not(matcher: TrackMatcher, name: Name, reason: str) -> None:
    (found,) = matcher.match([name])
    assert found.row is None
    assert found.reason.startswith(reason)


def test_several_tracks_of_one_name_are_told(matcher: TrackMatcher) -> None:
    assert matcher.match([Name("Ola Sundby", "Winter Ferry")])[0].reason.startswith("2 tracks carry this name")


def test_an_empty_library_matches_nothing() -> None:
    found = matcher_of().match([Name("a", "b"), Name("a", "b"), Name("c", "d", "", FERRY_MBID)])
    assert [match.row for match in found] == [None] * 3


def test_each_name_gets_its_own_answer_whoever_else_is_asked(matcher: TrackMatcher) -> None:
    names = [Name("The Paper Lantens", f"Slow Comet {number}") for number in range(3)]
    names += [Name("Ola Sundby", "Winter Ferry"), Name("The Paper Lantens", "Slow Commet"), names[0]]
    together = matcher.match(names)
    assert together == [matcher.match([name])[0] for name in names]

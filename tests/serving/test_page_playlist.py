"""The playlist on the page."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def listed(page: "Page") -> list[str]:
    return page.locator("#playlist-rows .title").all_inner_texts()


def build(page: "Page", length: str = "4") -> list[str]:
    page.click(".tabs [data-view=playlist]")
    page.fill("#amount", length)
    page.click("#build >> text=Build")
    page.wait_for_function(f"() => document.querySelectorAll('#playlist-rows .row').length === {length}")
    return listed(page)


def test_it_starts_from_a_track_and_a_listener_and_tells_what_it_gave_up(page: "Page") -> None:
    page.click(".tabs [data-view=playlist]")
    for text, wanted in (("low tide 7", "Low Tide 7"), ("u05", "u05")):
        page.fill("#seed", text)
        page.wait_for_selector(f"#seed-options [role=option] >> text={wanted}")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    assert page.locator("#seeds li").count() == 2
    page.fill("#cap", "1")
    assert build(page, "12")[0] == "Low Tide 7"
    assert "max_per_artist" in page.inner_text("#relaxed")
    assert page.inner_text("#playlist-status") == "12 tracks, 1 min"
    page.click("#seeds button >> nth=0")
    assert page.locator("#seeds li").count() == 1


def test_tracks_are_moved_and_taken_out_by_keys(page: "Page") -> None:
    a, b, c, d = build(page)
    page.locator("#playlist-rows .handle").first.focus()
    page.keyboard.press("ArrowDown")
    assert listed(page) == [b, a, c, d]
    page.keyboard.press("End")
    assert listed(page) == [b, c, d, a]
    assert f"{a} is number 4 of 4" in page.inner_text("#playlist-said")
    page.keyboard.press("Delete")
    assert listed(page) == [b, c, d]
    page.get_by_role("button", name=f"Move {d} up").click()
    page.keyboard.press("Enter")
    assert listed(page) == [d, b, c]
    assert page.inner_text("#tab-count") == "3"


def test_tracks_are_dragged(page: "Page") -> None:
    a, b, c, d = build(page)
    rows = page.locator("#playlist-rows .row")
    rows.nth(0).drag_to(rows.nth(2), target_position={"x": 100, "y": 50})
    page.wait_for_function("(first) => document.querySelector('#playlist-rows .title').textContent === first", arg=b)
    assert listed(page) == [b, c, a, d]


def test_a_track_is_added_from_anywhere_once(page: "Page") -> None:
    page.locator("#results .add").first.click()
    page.locator("#results .add").first.click()
    assert "already" in page.inner_text("#toast")
    page.click(".tabs [data-view=playlist]")
    assert len(listed(page)) == 1


def test_all_is_played_one_after_the_other(page: "Page") -> None:
    a, b, *_ = build(page)
    page.click("#play-all")
    page.wait_for_function("(title) => document.getElementById('now-title').textContent === title", arg=a)
    page.wait_for_function("() => document.getElementById('audio').duration > 3")
    page.evaluate("document.getElementById('audio').currentTime = 3.9")
    page.wait_for_function("(title) => document.getElementById('now-title').textContent === title", arg=b)
    page.click("#previous")
    page.wait_for_function("(title) => document.getElementById('now-title').textContent === title", arg=a)


def test_the_list_as_it_stands_is_taken_along(page: "Page") -> None:
    build(page)
    page.locator("#playlist-rows .handle").first.focus()
    page.keyboard.press("ArrowDown")
    page.fill("#playlist-name", "Für / dich")
    shown = listed(page)
    with page.expect_download() as started:
        page.click("[data-format=jspf]")
    found = json.loads(started.value.path().read_text(encoding="utf-8"))["playlist"]
    assert [track["title"] for track in found["track"]] == shown
    assert found["title"] == "Für / dich"
    with page.expect_download() as started:
        page.click("[data-format=m3u8]")
    assert started.value.path().read_text(encoding="utf-8").startswith("#EXTM3U")


def test_more_rules_are_told_of_where_they_give_way_or_make_it_short(page: "Page") -> None:
    page.click(".tabs [data-view=playlist]")
    page.click("#more-rules summary")
    page.fill("[name=year_from]", "2012")
    page.fill("[name=year_to]", "2012")
    page.fill("#cap", "")
    assert len(build(page, "6")) == 6
    assert "year: released 2011 to 2013 instead of released 2012" in page.inner_text("#relaxed")
    page.uncheck("[name=give_way]")
    page.click("#build >> text=Build")
    page.wait_for_function("() => document.querySelectorAll('#playlist-rows .row').length === 2")
    assert "only 2 of the library's 17 tracks are" in page.inner_text("#relaxed")


def test_a_party_sees_everybodys_share(page: "Page") -> None:
    page.click(".tabs [data-view=playlist]")
    for user in ("u05", "u06"):
        page.fill("#seed", user)
        page.wait_for_selector(f"#seed-options [role=option] >> text={user}")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    build(page, "8")
    assert "u05: " in page.inner_text("#shares")
    assert page.inner_text("#shares").count("% of the library") == 2

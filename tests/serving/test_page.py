"""The page in a real browser: find, compare, choose a listener, ask why, press played, drop a file."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def titles(page: "Page", within: str) -> list[str]:
    return [text.strip() for text in page.locator(f"{within} .row .title").all_inner_texts()]


def test_search_as_you_type_and_what_sounds_alike(page: "Page") -> None:
    page.fill("#search", "high tide")
    page.wait_for_function("() => document.querySelectorAll('#results .row').length === 8")
    assert all(title.startswith("High") for title in titles(page, "#results"))
    page.click("#results .title >> text=High Tide 7")
    page.wait_for_selector("#subject h3 >> text=High Tide 7")
    page.wait_for_selector("#similar .row")
    assert all(title.startswith("High") for title in titles(page, "#similar")[:5])
    page.locator("#similar .moment").first.click()
    page.wait_for_function("() => document.getElementById('audio').duration > 3.9")
    assert "High Tide 7" in page.inner_text("#now-title")
    page.fill("#search", "zzzz")
    page.wait_for_function("() => document.getElementById('search-status').textContent.includes('Nothing is called')")


def test_clicking_a_moment_jumps_the_player_there(page: "Page") -> None:
    page.evaluate(
        """async () => {
            const { play } = await import("/static/player.js");
            const { api } = await import("/static/api.js");
            play((await api("/v1/tracks/low0")).track, 2.5);
        }"""
    )
    page.wait_for_function("() => document.getElementById('audio').currentTime >= 2.5")
    assert page.evaluate("document.getElementById('audio').currentTime") < 4
    page.locator("#toggle").click()
    page.wait_for_function("() => document.getElementById('audio').paused")


def test_a_listener_is_chosen_by_keyboard_and_reasons_are_given(page: "Page") -> None:
    page.focus("#user")
    page.wait_for_selector("[role=option]")
    page.fill("#user", "u03")
    page.wait_for_function("() => document.querySelector('[role=option]')?.option.value === 'u03'")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#user", "aria-activedescendant") == "users-0"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('For u03')")
    first = page.locator("#recommendations .row").first
    assert "Low" in first.locator(".title").inner_text()
    assert first.locator(".badge").first.inner_text() in ("plays", "sound", "plays + sound")
    assert first.locator(".reason").inner_text()
    first.get_by_role("button", name="Why").click()
    page.wait_for_selector("#recommendations .why .bar")
    assert first.locator(".bar").count() == 4
    assert page.inner_text("#listener-status .badge") == "few plays"
    assert first.locator(".known").inner_text().endswith("% known")
    assert "user=u03" in page.url


def test_a_love_visibly_changes_what_comes_next_and_can_be_taken_back(own_page: "Page") -> None:
    own_page.fill("#user", "somebody new")
    own_page.wait_for_selector("[role=option] >> text=a new listener")
    own_page.keyboard.press("Enter")
    own_page.wait_for_function(
        "() => document.getElementById('listener-status').textContent.includes('has not listened yet')"
    )
    assert own_page.inner_text("#listener-status .badge") == "default"
    assert own_page.locator("#recommendations .badge.release").count() >= 1
    before = titles(own_page, "#recommendations")
    loved = own_page.get_by_role("button", name="Love High Tide").first
    title = loved.get_attribute("aria-label").removeprefix("Love ")
    loved.click()
    own_page.wait_for_selector("#recommendations .move")
    after = titles(own_page, "#recommendations")
    assert title not in after
    assert after[0].startswith("High")
    change = own_page.inner_text("#listener-change")
    assert change.startswith(f"Because somebody new loved {title}: ")
    assert "moved" in change
    own_page.click("text=Take it back")
    own_page.wait_for_function("() => document.getElementById('listener-change').textContent.startsWith('Taken back')")
    assert titles(own_page, "#recommendations") == before


def test_a_skip_and_a_listen_are_recorded(own_page: "Page") -> None:
    own_page.fill("#user", "u02")
    own_page.wait_for_selector("[role=option] >> text=u02")
    own_page.keyboard.press("Enter")
    own_page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('For u02')")
    first = own_page.locator("#recommendations .row").first.get_attribute("data-track")
    own_page.locator("#recommendations .verdict-skip").first.click()
    own_page.wait_for_selector("#facts:has-text('1 listen since')")
    assert own_page.locator(f"#recommendations [data-track={first}]").count() == 0
    assert "skipped" in own_page.inner_text("#listener-change")
    own_page.locator("#recommendations [data-play]:enabled").first.click()
    own_page.click("#played")
    own_page.wait_for_selector("#facts:has-text('2 listens since')")


def test_a_reason_has_three_parts_that_make_a_whole(page: "Page") -> None:
    page.wait_for_function("() => document.querySelector('.share-words').textContent.includes('%')")
    words = page.locator(".share-words").first.inner_text()
    found = [int(part.split()[1]) for part in words.split(" · ")]
    assert [part.split()[0] for part in words.split(" · ")] == ["listeners", "sound", "popularity"]
    assert 99 <= sum(found) <= 101


def test_the_model_shows_its_evidence(page: "Page") -> None:
    page.click("#facts-button")
    shown = page.inner_text("#model")
    assert "with-ears" in shown
    assert "ago" in shown
    assert "of the tracks have no plays yet" in shown
    assert "0 listens, 0 uploads" in shown
    page.click("#facts-button")
    assert not page.locator("#model").is_visible()


def test_names_are_text_whatever_they_hold(page: "Page") -> None:
    page.fill("#user", "<b>")
    page.wait_for_selector("[role=option] >> text=مستمع <b>جديد</b>")
    page.locator("[role=option]").first.click()
    page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('Default list')")
    assert page.locator("#listener-status b, [role=option] b").count() == 0


def test_the_description_of_the_api_is_drawn(page: "Page") -> None:
    page.click("text=API")
    page.wait_for_selector("details.panel")
    described = page.evaluate("fetch('/openapi.json').then(answer => answer.json())")
    assert page.locator("details.panel").count() == sum(len(methods) for methods in described["paths"].values())
    page.locator("details.panel summary").first.click()
    assert page.locator("details[open] pre").count() >= 1


def test_only_new_tracks_can_be_shown(page: "Page") -> None:
    page.fill("#user", "u03")
    page.wait_for_selector("#users-0 >> text=u03")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('For u03')")
    page.click("text=Only new ones")
    page.wait_for_function("() => document.querySelectorAll('#recommendations .row').length === 3")
    assert titles(page, "#recommendations")[0] == "Low Tide 7"

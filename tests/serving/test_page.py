"""The page in a real browser: find, compare, choose a listener, ask why, press played, drop a file."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

pytestmark = pytest.mark.browser
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium: no program called chromium is on the path (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@contextmanager
def opened(browser: "Browser", address: str) -> Iterator["Page"]:
    """The page, loaded; fails if it logs an error or asks another machine for anything."""
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    refused = "Failed to load resource: the server responded with a status of 4"  # asked for on purpose by some tests

    def listen(message: "ConsoleMessage") -> None:
        if message.type == "error" and not message.text.startswith(refused):
            problems.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(address) else problems.append(request.url))
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]")
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def page(browser: "Browser", client: httpx.Client) -> Iterator["Page"]:
    """For tests that change nothing."""
    with opened(browser, str(client.base_url)) as page:
        yield page


@pytest.fixture
def own_page(browser: "Browser", serve: Any) -> Iterator["Page"]:
    """With a server of the test's own."""
    with opened(browser, str(serve(warm_hearing=True).base_url)) as page:
        yield page


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
    page.wait_for_function("() => document.querySelector('[role=option]')?.user === 'u03'")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#user", "aria-activedescendant") == "user-u03"
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


def test_played_visibly_changes_what_comes_next(own_page: "Page") -> None:
    own_page.fill("#user", "somebody new")
    own_page.wait_for_selector("[role=option] >> text=a new listener")
    own_page.keyboard.press("Enter")
    own_page.wait_for_function(
        "() => document.getElementById('listener-status').textContent.includes('has not listened yet')"
    )
    assert own_page.inner_text("#listener-status .badge") == "default"
    assert own_page.locator("#recommendations .badge.release").count() >= 1
    before = titles(own_page, "#recommendations")
    own_page.get_by_role("button", name="Played High Tide").first.click()
    own_page.wait_for_selector("#recommendations .move")
    after = titles(own_page, "#recommendations")
    assert before != after
    assert after[0].startswith("High")
    assert "changed" in own_page.inner_text("#toast")
    own_page.wait_for_selector("#facts:has-text('1 listen since')")


def test_a_dropped_file_is_placed_at_once(own_page: "Page", world: Any, tmp_path: Path) -> None:
    samples = bytearray((world.music / "low2.wav").read_bytes())
    samples[1000:3000] = np.zeros(2000, dtype=np.uint8).tobytes()
    (tmp_path / "My own song.wav").write_bytes(samples)
    own_page.set_input_files("#file", tmp_path / "My own song.wav")
    own_page.wait_for_selector("#subject h3 >> text=My own song")
    own_page.wait_for_selector("#similar .row")
    assert titles(own_page, "#similar")[0].startswith("Low Tide")
    assert "it can be recommended now" in own_page.inner_text("#drop-status")
    (tmp_path / "noise.mp3").write_bytes(b"not audio")
    own_page.set_input_files("#file", tmp_path / "noise.mp3")
    own_page.wait_for_function("() => document.getElementById('drop-status').textContent.includes('noise.mp3')")


def test_names_are_text_whatever_they_hold(page: "Page") -> None:
    page.fill("#user", "<b>")
    page.wait_for_selector("[role=option] >> text=مستمع <b>جديد</b>")
    page.locator("[role=option]").first.click()
    page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('Default list')")
    assert page.locator("#listener-status b, [role=option] b").count() == 0


def test_a_phone_shows_one_section_at_a_time_without_scrolling_sideways(page: "Page") -> None:
    page.set_viewport_size({"width": 375, "height": 740})
    assert page.locator("#find").is_visible()
    assert not page.locator("#listener").is_visible()
    page.click("nav >> text=Listener")
    assert page.locator("#listener").is_visible()
    for view in ("find", "alike", "listener"):
        page.click(f"[data-view={view}]")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, view


def test_the_description_of_the_api_is_drawn(page: "Page") -> None:
    page.click("text=API")
    page.wait_for_selector("details.panel")
    described = page.evaluate("fetch('/openapi.json').then(answer => answer.json())")
    assert page.locator("details.panel").count() == sum(len(methods) for methods in described["paths"].values())
    page.locator("details.panel summary").first.click()
    assert page.locator("details[open] pre").count() >= 1


def test_only_new_tracks_can_be_shown(page: "Page") -> None:
    page.fill("#user", "u03")
    page.wait_for_selector("#user-u03")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('For u03')")
    page.click("text=Only new ones")
    page.wait_for_function("() => document.querySelectorAll('#recommendations .row').length === 3")
    assert titles(page, "#recommendations")[0] == "Low Tide 7"

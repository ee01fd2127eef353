"""The map on the page."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.serving.conftest import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def show_map(page: "Page") -> None:
    page.click(".tabs [data-view=map]")
    page.wait_for_selector("#legend .entry")


def place_of(page: "Page", track: str) -> dict[str, float]:
    x, y = page.evaluate(f"async () => (await import('/static/map.js')).placeOf('{track}')")
    return {"x": x, "y": y}


def colours_near(page: "Page", track: str) -> int:
    """How many pixels around a track are not of the background."""
    return page.evaluate(
        """async (track) => {
            const [x, y] = (await import("/static/map.js")).placeOf(track);
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            const data = document.getElementById("plane").getContext("2d").getImageData(x - 4, y - 4, 8, 8).data;
            return data.filter((value, at) => at % 4 === 3 && value > 120).length;
        }""",
        track,
    )


def test_a_track_under_the_mouse_is_shown_and_a_click_plays_it(page: "Page") -> None:
    show_map(page)
    assert colours_near(page, "low3") > 20
    page.hover("#plane", position=place_of(page, "low3"))
    page.wait_for_selector("#map-card .title >> text=Low Tide 3")
    assert "BPM" in page.inner_text("#map-card")
    page.click("#plane", position=place_of(page, "low3"))
    page.wait_for_function("() => document.getElementById('now-title').textContent === 'Low Tide 3'")


def test_arrow_keys_go_from_track_to_track_and_enter_plays(page: "Page") -> None:
    show_map(page)
    page.focus("#plane")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#map-card .title")
    first = page.inner_text("#map-card .title")
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_timeout(150)
    assert page.inner_text("#map-card .title") != first or page.inner_text("#map-said")
    page.keyboard.press("Enter")
    shown = page.inner_text("#map-card .title")
    page.wait_for_function("(title) => document.getElementById('now-title').textContent === title", arg=shown)


def test_wheel_keys_and_buttons_zoom_and_0_shows_all(page: "Page") -> None:
    show_map(page)
    before = place_of(page, "low0")
    page.hover("#plane", position={"x": 200, "y": 200})
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(50)
    assert place_of(page, "low0") != before
    page.focus("#plane")
    page.keyboard.press("0")
    assert place_of(page, "low0") == before
    page.keyboard.press("+")
    page.keyboard.press("-")
    assert place_of(page, "low0") == pytest.approx(before)
    page.click("#zoom-in")
    assert place_of(page, "low0") != before
    page.click("#zoom-whole")
    box = page.locator("#plane").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 230, box["y"] + 110, steps=3)
    page.mouse.up()
    moved = place_of(page, "low0")
    assert (round(moved["x"] - before["x"]), round(moved["y"] - before["y"])) == (30, 10)


def test_search_marks_tracks_and_colours_have_their_legend(page: "Page") -> None:
    show_map(page)
    page.fill("#map-search", "low tide")
    page.wait_for_function("() => document.getElementById('map-status').textContent.startsWith('8 tracks found')")
    assert colours_near(page, "low3") > 20
    assert colours_near(page, "high3") == 0
    page.fill("#map-search", "")
    page.click("[data-by=artist]")
    assert page.locator("#legend .entry").count() == 8
    page.click("#legend .entry >> nth=0 >> button")
    assert page.get_attribute("#legend .entry >> nth=0 >> button", "aria-pressed") == "true"
    page.click("[data-by=tempo]")
    assert page.locator("#legend .step").count() >= 1


def test_a_named_cluster_becomes_a_playlist(own_page: "Page") -> None:
    show_map(own_page)
    own_page.click("#legend .entry >> nth=0 >> text=Name")
    own_page.keyboard.type("Tief <b>")
    own_page.keyboard.press("Enter")
    own_page.wait_for_selector("#legend .key-name >> text=Tief <b>")
    own_page.get_by_role("button", name="Make a playlist of Tief").click()
    own_page.wait_for_selector("#playlist-rows .row")
    kinds = {title[:3] for title in own_page.locator("#playlist-rows .title").all_inner_texts()}
    assert len(kinds) == 1
    assert own_page.input_value("#playlist-name") == "Tief <b>"
    assert own_page.locator("#build-cluster option:checked").inner_text() == "Tief <b>"


def test_a_map_that_is_being_drawn_is_waited_for(browser: "Browser", client: httpx.Client) -> None:
    with opened(browser, str(client.base_url)) as page:
        refused: list[Any] = []

        def answer(route: Any) -> None:
            if refused:
                route.continue_()
                return
            refused.append(route)
            problem = {"detail": "the map is being drawn; ask again"}
            route.fulfill(status=503, headers={"Retry-After": "1"}, json=problem)

        page.route("**/v1/map", answer)
        page.evaluate("window.addEventListener('error', (event) => event.preventDefault())")
        page.click(".tabs [data-view=map]")
        page.wait_for_selector("#map-status >> text=being drawn")
        page.wait_for_selector("#legend .entry")


def test_fingers_move_and_tap_the_map(browser: "Browser", client: httpx.Client) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, str(client.base_url), **phone) as page:
        page.tap(".tabs [data-view=map]")
        page.wait_for_selector("#legend .entry")
        box, place = page.locator("#plane").bounding_box(), place_of(page, "high2")
        page.touchscreen.tap(box["x"] + place["x"], box["y"] + place["y"])
        page.wait_for_function("() => document.getElementById('now-title').textContent.startsWith('High Tide')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

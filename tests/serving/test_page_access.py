"""The page for everybody: by keyboard, on a phone, in light and dark, calm, and with a key."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from recommender.serving.app import create_app
from recommender.serving.keys import Keyring
from recommender.serving.store import Store
from tests.serving.conftest import make_settings, opened, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
VIEWS = ("find", "alike", "listener", "map", "playlist")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

CONTRASTS = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const paperOf = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            layers.push(colour);
            if (colour[3] === 255) break;
        }
        const onto = (under, over) => under.map((v, i) => (i < 3 ? v + ((over[i] - v) * over[3]) / 255 : 255));
        return layers.reverse().reduce(onto, [255, 255, 255, 255]);
    };
    const poor = [];
    const left = ":disabled, .toast, canvas, .visually-hidden";
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility({ opacityProperty: true }) || element.closest(left)) continue;
        const style = getComputedStyle(element);
        const [a, b] = [light(rgba(style.color)), light(paperOf(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const name = `${element.tagName}.${element.className} “${element.textContent.slice(0, 30)}”`;
        if (ratio < (large ? 3 : 4.5)) poor.push(`${name} ${ratio.toFixed(2)}`);
    }
    return poor;
}"""


def walk(page: "Page", most: int) -> list[str]:
    """Press Tab from the start of the page on; the names of what gets the focus, each of which shows it."""
    names = []
    for _ in range(most):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => {
                const at = document.activeElement;
                if (at === document.body) return null;
                const style = getComputedStyle(at);
                const shown = style.outlineStyle !== "none" || style.boxShadow !== "none";
                const name = at.id || at.dataset.view || at.getAttribute("aria-label") || at.textContent.trim();
                return `${shown ? "" : "INVISIBLE "}${name}`;
            }"""
        )
        if name is None:
            break
        names.append(name)
    return names


@pytest.mark.parametrize("view", ["find", "map", "playlist"])
def test_everything_is_reached_by_tab_in_order_and_shows_it(page: "Page", view: str) -> None:
    page.click(f".tabs [data-view={view}]")
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    assert page.evaluate("document.body.dataset.view") == view
    if view == "map":
        page.wait_for_selector("#legend .entry")
    names = walk(page, 400)
    assert not [name for name in names if name.startswith("INVISIBLE")]
    assert names[0] == "Skip to the content"
    wanted = {
        "find": ["find", "map", "playlist", "facts-button", "theme", "search", "file", "user"],
        "map": ["map", "theme", "map-search", "plane", "zoom-in", "Name cluster 1"],
        "playlist": ["playlist", "seed", "build-cluster", "amount", "Build", "playlist-name"],
    }[view]
    assert [name for name in names if name in wanted] == wanted
    assert len(names) < 400


def test_tab_leaves_a_field_whose_suggestions_are_open(page: "Page") -> None:
    page.focus("#user")
    page.wait_for_selector("#users [role=option]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "All tracks"
    assert not page.locator("#users").is_visible()


def test_the_skip_link_goes_past_the_head(page: "Page") -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "search"


def test_slash_searches_and_space_and_arrows_drive_the_player(page: "Page") -> None:
    page.keyboard.press("/")
    page.keyboard.type("low tide 4")
    page.wait_for_function("() => document.querySelectorAll('#results .row').length === 1")
    page.keyboard.press("Tab")
    for _ in range(10):
        if page.evaluate("document.activeElement.dataset.play") == "low4":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.getElementById('audio').duration > 3 && !document.getElementById('audio').paused"
    )
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.getElementById('audio').paused")
    page.evaluate("document.getElementById('audio').currentTime = 2")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.getElementById('audio').currentTime") < 1
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.getElementById('audio').currentTime") > 3
    assert page.locator("#results .row.sounding, #results .play").count() >= 1


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_one_section_at_a_time_and_never_scrolls_sideways(
    browser: "Browser", client: httpx.Client, width: int
) -> None:
    with opened(browser, str(client.base_url), **PHONE | {"viewport": {"width": width, "height": 844}}) as page:
        for view in VIEWS:
            page.tap(f".tabs [data-view={view}]")
            if view == "map":
                page.wait_for_selector("#legend .entry")
            if view == "playlist":
                page.tap("#build >> text=Build")
                page.wait_for_selector("#playlist-rows .row")
            assert [each for each in VIEWS if page.locator(f"#{each}").is_visible()] == [view]
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
            small = page.evaluate(
                """() => [...document.querySelectorAll("main button, nav button")].filter((button) => {
                    const box = button.getBoundingClientRect();
                    return box.width && (box.width < 24 || box.height < 24) && !button.matches(".inline, .title");
                }).map((button) => button.outerHTML.slice(0, 90))"""
            )
            assert small == [], view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: "Browser", client: httpx.Client, scheme: str) -> None:
    with opened(browser, str(client.base_url), color_scheme=scheme, reduced_motion="reduce") as page:
        page.locator("#results .play").first.click()
        page.locator("#recommendations [aria-label^=Why]").first.click()
        page.wait_for_selector("#recommendations .why .bar")
        page.click("#facts-button")
        assert page.evaluate(CONTRASTS) == []
        for view in ("map", "playlist"):
            page.click(f".tabs [data-view={view}]")
            page.wait_for_timeout(100)
            assert page.evaluate(CONTRASTS) == [], view
        page.evaluate("document.getElementById('playlist-title').style.color = 'var(--line)'")
        assert len(page.evaluate(CONTRASTS)) == 1


def test_the_choice_of_light_or_dark_is_kept(browser: "Browser", client: httpx.Client) -> None:
    with opened(browser, str(client.base_url), color_scheme="light") as page:
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("#theme")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != light
        page.reload()
        page.wait_for_selector("body[data-ready=yes]")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        page.click("#theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_nothing_jumps_while_the_page_loads(browser: "Browser", client: httpx.Client) -> None:
    with opened(browser, str(client.base_url)) as page:
        shift = page.evaluate(
            """() => new Promise((done) => {
                let sum = 0;
                new PerformanceObserver((list) => {
                    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
                }).observe({ type: "layout-shift", buffered: true });
                setTimeout(() => done(sum), 400);
            })"""
        )
    assert shift < 0.1


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_rows_move_unless_calm_is_asked_for(browser: "Browser", serve: object, motion: str) -> None:
    with opened(browser, str(serve().base_url), reduced_motion=motion) as page:  # type: ignore[operator]
        page.evaluate(
            """() => {
                window.moved = 0;
                const animate = Element.prototype.animate;
                Element.prototype.animate = function (...given) {
                    window.moved += 1;
                    return animate.apply(this, given);
                };
            }"""
        )
        page.locator("#recommendations .verdict-hate").first.click()
        page.wait_for_function("() => document.getElementById('listener-change').textContent.includes('hated')")
        assert (page.evaluate("window.moved") > 0) == (motion == "no-preference")


def test_a_key_is_asked_for_once_and_not_kept_by_the_page(browser: "Browser", world: Any, tmp_path: Path) -> None:
    """The key is bound to one user: the page is theirs, and says what it may not show."""
    settings = make_settings(world, tmp_path, require_keys=True)
    with closing(Store.open(settings.store_url)) as store:
        key = Keyring(store).create("phone", scopes=["read", "listen"], user_id="u03")[1]
    with running(create_app(settings)) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#key-dialog[open]")
        assert page.evaluate("document.activeElement.id") == "key"
        page.fill("#key", "fl_wrong")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.getElementById('key').value === ''")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("body[data-ready=yes]")
        page.wait_for_selector("#results .row")
        assert not page.locator("#key-dialog").is_visible()
        page.wait_for_function("() => document.getElementById('listener-status').textContent.startsWith('For u03')")
        page.wait_for_function("() => document.getElementById('fans-status').textContent !== ''")
        page.locator("#recommendations .verdict-love").first.click()
        page.wait_for_function("() => document.getElementById('listener-change').textContent.includes('loved')")
        kept = page.evaluate(
            "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.cookie])"
        )
        assert "fl_" not in kept
        assert page.input_value("#key") == ""
        page.reload()
        page.wait_for_selector("body[data-ready=yes]")
        assert not page.locator("#key-dialog").is_visible()
        context.close()

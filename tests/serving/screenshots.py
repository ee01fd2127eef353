"""Screenshots for the documentation: ``python -m tests.serving.screenshots ADDRESS [FOLDER]`` of a server that runs.

Made of a demo: ``firstlisten demo --no-serve --workspace W``, then ``firstlisten serve W``. One verdict is given and
taken back, nothing else is left behind.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
COLOURS = 256


def listen(page: Page) -> None:
    """Three columns, a verdict and what it changed."""
    page.locator("#recommendations .verdict-hate").first.click()
    page.wait_for_selector("#listener-change button")
    page.locator("#recommendations [aria-label^=Why]").first.click()
    page.wait_for_selector("#recommendations .why .bar")
    page.wait_for_timeout(2600)


def show_map(page: Page) -> None:
    """The map, a track in hand."""
    page.click(".tabs [data-view=map]")
    page.wait_for_selector("#legend .entry")
    page.focus("#plane")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#map-card .title")


def show_tempo(page: Page) -> None:
    """The map by tempo."""
    show_map(page)
    page.click("[data-by=tempo]")
    page.wait_for_timeout(200)


def show_playlist(page: Page) -> None:
    """A playlist of a cluster, playing."""
    page.click(".tabs [data-view=map]")
    page.wait_for_selector("#legend .entry")
    page.locator("#legend >> text=Playlist").nth(2).click()
    page.wait_for_selector("#playlist-rows .row")
    page.click("#play-all")
    page.wait_for_timeout(800)


def show_listener(page: Page) -> None:
    """What a listener would get."""
    page.tap(".tabs [data-view=listener]")
    page.wait_for_function("() => document.querySelector('.share-words').textContent.includes('%')")
    page.wait_for_timeout(800)


SHOTS: dict[str, tuple[dict[str, Any], str, Callable[[Page], None]]] = {
    "listen": (DESK, "light", listen),
    "map": (DESK, "dark", show_map),
    "playlist": (DESK, "light", show_playlist),
    "phone-for-you": (PHONE, "light", show_listener),
    "phone-map": (PHONE, "dark", show_tempo),
}


def main(address: str, folder: Path) -> None:
    """Take all of `SHOTS`."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--mute-audio", "--disable-gpu"]
        )
        for name, (device, scheme, act) in SHOTS.items():
            page = browser.new_context(color_scheme=scheme, **device).new_page()
            page.goto(address)
            page.wait_for_selector("body[data-ready=yes]")
            act(page)
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            if page.locator("#listener-change button").is_visible():
                page.click("#listener-change button")
                page.wait_for_selector("#listener-change >> text=Taken back")
            path = folder / f"{name}.png"
            image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
            sys.stdout.write(f"{path}: {path.stat().st_size // 1024} KiB\n")
            page.context.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER)

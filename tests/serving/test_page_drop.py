"""A file is dropped on the page."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.serving.conftest import opened
from tests.serving.test_page import titles

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def another(world: Any, folder: Path, name: str, source: str = "low2") -> Path:
    """A file of its own content that sounds like one of the world's."""
    samples = bytearray((world.music / f"{source}.wav").read_bytes())
    samples[1000 : 1000 + 2 * len(name)] = bytes(2 * len(name))
    path = folder / name
    path.write_bytes(samples)
    return path


def test_a_file_is_placed_at_once_with_its_like_and_its_listeners(own_page: "Page", world: Any, tmp_path: Path) -> None:
    own_page.set_input_files("#file", another(world, tmp_path, "My own song.wav", "high3"))
    own_page.wait_for_selector("#subject h3 >> text=My own song")
    own_page.wait_for_selector("#similar .row")
    assert titles(own_page, "#similar")[0].startswith("High Tide")
    own_page.wait_for_selector("#fans .fan")
    fans = own_page.locator("#fans .fan-name").all_inner_texts()
    assert len(fans) == 5
    assert all(int(fan[1:]) % 2 == 0 for fan in fans)
    assert "it can be recommended now" in own_page.inner_text("#drop-status")
    own_page.locator("#fans .fan").first.click()
    own_page.wait_for_function(
        f"() => document.getElementById('listener-status').textContent.startsWith('For {fans[0]}')"
    )
    (tmp_path / "noise.mp3").write_bytes(b"not audio")
    own_page.set_input_files("#file", tmp_path / "noise.mp3")
    own_page.wait_for_function("() => document.getElementById('drop-status').textContent.includes('noise.mp3')")
    own_page.wait_for_selector("#drop-progress", state="hidden")
    assert "noise" in own_page.inner_text("#drop-status")


def test_it_may_be_dropped_anywhere(own_page: "Page") -> None:
    own_page.click(".tabs [data-view=map]")
    data = own_page.evaluate_handle(
        """async () => {
            const sound = await (await fetch("/v1/tracks/low1/audio")).blob();
            const data = new DataTransfer();
            data.items.add(new File([sound], "dropped.wav"));
            return data;
        }"""
    )
    own_page.dispatch_event("#plane", "dragenter", {"dataTransfer": data})
    assert own_page.locator(".dropping").is_visible()
    own_page.dispatch_event("#plane", "drop", {"dataTransfer": data})
    own_page.wait_for_selector("#subject h3 >> text=dropped")
    assert not own_page.locator(".dropping").is_visible()


def test_names_of_files_stay_text(own_page: "Page", world: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title='broken'> שלום"
    own_page.set_input_files("#file", another(world, tmp_path, f"{name}.wav"))
    own_page.wait_for_selector("#subject h3")
    own_page.wait_for_function("() => document.querySelector('#subject h3').textContent.includes('onerror')")
    own_page.locator("#subject .add").click()
    own_page.locator("#subject .play").click()
    own_page.click(".tabs [data-view=playlist]")
    assert name in own_page.inner_text("#playlist-rows")
    own_page.click(".tabs [data-view=map]")
    own_page.fill("#map-search", "onerror")
    own_page.wait_for_function("() => document.getElementById('map-card').textContent.includes('onerror')")
    assert own_page.locator("main img, .player img").count() == 0
    assert own_page.title() == "First Listen"


def test_a_long_file_is_waited_for(browser: "Browser", client: httpx.Client) -> None:
    """The server may answer 202 and say where to ask; here a stand-in for it does, around the real track."""
    track = client.get("/v1/tracks/low3").json()["track"]
    answers = [{"id": "u1", "status": "analysing"}, {"id": "u1", "status": "done", "track": track}]
    with opened(browser, str(client.base_url)) as page:
        page.route(
            "**/v1/tracks",
            lambda route: route.fulfill(status=202, headers={"Location": "/v1/uploads/u1"}, body='{"id": "u1"}'),
        )
        page.route("**/v1/uploads/u1", lambda route: route.fulfill(json=answers.pop(0)))
        page.set_input_files("#file", {"name": "long.wav", "mimeType": "audio/wav", "buffer": b"x"})
        page.wait_for_selector("#subject h3 >> text=Low Tide 3")
        assert answers == []
        failed = {"id": "u1", "status": "failed", "track": None, "reason": "long.wav holds no audio"}
        page.unroute("**/v1/uploads/u1")
        page.route("**/v1/uploads/u1", lambda route: route.fulfill(body=json.dumps(failed)))
        page.set_input_files("#file", {"name": "long.wav", "mimeType": "audio/wav", "buffer": b"x"})
        page.wait_for_function("() => document.getElementById('drop-status').textContent.includes('holds no audio')")

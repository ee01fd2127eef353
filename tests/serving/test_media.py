import os
from pathlib import Path

import httpx
import pytest

from recommender.serving.media import find_audio, media_type


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    music, uploads, outside = tmp_path / "music", tmp_path / "uploads", tmp_path / "outside"
    for folder in (music / "a", uploads, outside):
        folder.mkdir(parents=True)
    (music / "a" / "one.mp3").write_bytes(b"1")
    (uploads / "two.flac").write_bytes(b"2")
    (outside / "secret.mp3").write_bytes(b"s")
    (music / "notes.txt").write_text("not audio")
    (music / "leads-out.mp3").symlink_to(outside / "secret.mp3")
    (music / "stays-in.mp3").symlink_to(music / "a" / "one.mp3")
    (music / "folder-out").symlink_to(outside)
    (music / "loop.mp3").symlink_to(music / "loop.mp3")
    (music / "folder.mp3").mkdir()
    (music / "to-passwd.mp3").symlink_to("/etc/passwd")
    (music / "to-zeros.mp3").symlink_to("/dev/zero")
    (music / "to-folder.mp3").symlink_to(music / "a")
    (music / "page.html").write_text("<script>")
    (music / "to-page.mp3").symlink_to(music / "page.html")
    os.mkfifo(music / "pipe.mp3")
    return music, uploads


def test_a_file_is_found_relative_and_absolute(roots: tuple[Path, Path]) -> None:
    music, uploads = roots
    assert find_audio("a/one.mp3", roots) == (music / "a" / "one.mp3").resolve()
    assert find_audio(str(music / "a" / "one.mp3"), roots) == (music / "a" / "one.mp3").resolve()
    assert find_audio("two.flac", roots) == (uploads / "two.flac").resolve()
    assert find_audio("stays-in.mp3", roots) == (music / "a" / "one.mp3").resolve()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "no.mp3",
        "notes.txt",
        "../outside/secret.mp3",
        "a/../../outside/secret.mp3",
        "leads-out.mp3",
        "loop.mp3",
        "folder.mp3",
        "to-passwd.mp3",
        "to-zeros.mp3",
        "to-folder.mp3",
        "to-page.mp3",
        "page.html",
        "pipe.mp3",
        "/dev/zero",
        "/proc/self/environ",
        "~/one.mp3",
        "..",
        "folder-out/secret.mp3",
        "/etc/passwd",
        "a/one.mp3\0.mp3",
        "x" * 5000 + ".mp3",
    ],
)
def test_what_is_not_audio_inside_the_roots_is_not_found(roots: tuple[Path, Path], path: str) -> None:
    assert find_audio(path, roots) is None


def test_an_absolute_path_outside_is_not_found(roots: tuple[Path, Path]) -> None:
    assert find_audio(str(roots[0].parent / "outside" / "secret.mp3"), roots) is None


def test_media_types() -> None:
    assert media_type(Path("x.OPUS")) == "audio/ogg"
    assert media_type(Path("x.what")) == "application/octet-stream"


def test_a_folder_beside_a_root_with_its_name_in_front_is_outside(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music-private").mkdir()
    (tmp_path / "music-private" / "x.mp3").write_bytes(b"s")
    assert find_audio("../music-private/x.mp3", [tmp_path / "music"]) is None
    assert find_audio(str(tmp_path / "music-private" / "x.mp3"), [tmp_path / "music"]) is None


AUDIO = "/v1/tracks/low1/audio"


def test_one_part_is_sent_as_asked(client: httpx.Client) -> None:
    whole = client.get(AUDIO)
    size = len(whole.content)
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=-5", size - 5, size),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=0-99999999999999", 0, size),
    ):
        part = client.get(AUDIO, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, whole.content[start:end]), asked
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["x-content-type-options"] == "nosniff"
    assert client.get(AUDIO, headers={"Range": "bytes=0-0", "If-Range": '"other"'}).status_code == 200
    beyond = client.get(AUDIO, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-0,2-2",
        "bytes=" + ",".join(f"{n}-" for n in range(99)),
        "bytes=" + ",".join(["0-"] * 5000),
        "bytes=0-,0-,0-",
        "bytes=" + "9" * 5000 + "-",
        "bytes=0-" + "9" * 5000,
        "bytes=-" + "9" * 5000,
        "bytes=" + "-" * 1000,
        "bytes=",
        "items=0-1",
        "bytes=a-b",
        "bytes=\u0661-\u0662",
        "=" * 1000,
    ],
)
def test_more_parts_and_nonsense_get_the_whole_file_once(client: httpx.Client, asked: str) -> None:
    whole = client.get(AUDIO)
    answer = client.get(AUDIO, headers={"Range": asked.encode()})  # type: ignore[dict-item]
    assert answer.status_code == 200
    assert answer.content == whole.content
    assert answer.headers["content-type"] == "audio/wav"


def test_two_range_lines_are_as_good_as_none(client: httpx.Client) -> None:
    answer = client.get(AUDIO, headers=[("Range", "bytes=0-1"), ("Range", "bytes=2-3")])
    assert answer.status_code == 200


def test_who_has_the_file_gets_it_not_again(client: httpx.Client) -> None:
    tag = client.get(AUDIO).headers["etag"]
    for held in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        for method, more in (("GET", {}), ("GET", {"Range": "bytes=0-9"}), ("HEAD", {})):
            answer = client.request(method, AUDIO, headers={"If-None-Match": held, **more})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), (held, method)
            assert answer.headers["cache-control"] == "private, max-age=3600"
    for other in ('"other"', "", tag.strip('"')):
        assert client.get(AUDIO, headers={"If-None-Match": other}).status_code == 200
    responses = client.get("/openapi.json").json()["paths"]["/v1/tracks/{track_id}/audio"]["get"]["responses"]
    assert {"200", "206", "304", "404", "416"} <= set(responses)


def test_head_tells_the_size_and_sends_nothing(client: httpx.Client) -> None:
    whole, head = client.get(AUDIO), client.head(AUDIO)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges"):
        assert head.headers[name] == whole.headers[name]
    part = client.head(AUDIO, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content, part.headers["content-length"]) in ((206, b"", "10"), (200, b"", "10"))


def test_a_link_that_appears_later_does_not_lead_out(serve: object, world: object, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    (music / "low1.wav").symlink_to("/etc/passwd")
    client: httpx.Client = serve(music_roots=(music,))  # type: ignore[operator]
    answer = client.get(AUDIO)
    assert answer.status_code == 404
    assert "root:" not in answer.text

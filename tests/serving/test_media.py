from pathlib import Path

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

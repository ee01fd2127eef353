"""Files that break what decodes them: they cost one process, which is replaced, and the server goes on."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recommender.errors import AudioError, ModelError
from recommender.serving import ear_process
from recommender.serving.bundle import load_bundle
from recommender.serving.hearing import Hearing, LongAudioError
from tests.serving.conftest import World, tone, write_wav

SABOTAGED = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from recommender.serving import ear

MARK = Path({mark!r})
real = ear.hear
if "{start}":
    sys.exit(3)

def hear(ears, path):
    what = path.stem
    if what.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, what))
    if what == "once" and not MARK.exists():
        os.kill(os.getppid(), 0)
        os.mkdir(MARK)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "raise":
        raise RuntimeError("a bug")
    if what == "hang":
        time.sleep(60)
    if what == "busy":
        while True:
            pass
    if what == "greedy":
        np.ones(1 << 30)
    if what == "writes":
        Path(path.parent / "written").write_bytes(b"x")
    if what == "garbage":
        os.write(int(sys.argv[2]), b"\\x00\\x00\\x00\\x05[1,2]")
    if what == "floods":
        os.write(int(sys.argv[2]), b"\\x7f\\xff\\xff\\xff")
    return real(ears, path)

ear.hear, ear.CPU_S = hear, 1
ear.main(Path(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.fixture
def hearing(world: World) -> Iterator[Hearing]:
    opened = Hearing(load_bundle(world.bundles / "with-ears"))
    yield opened
    opened.close()


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def prepare(start: str = "") -> None:
        (tmp_path / "sabotaged_ear.py").write_text(SABOTAGED.format(mark=str(tmp_path / "mark"), start=start))
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        monkeypatch.setattr(ear_process, "PROGRAM", "sabotaged_ear")

    return prepare


def song(folder: Path, name: str) -> Path:
    return write_wav(folder / f"{name}.wav", tone(220.0, 5))


def test_it_hears_what_the_bundle_hears(hearing: Hearing, world: World, tmp_path: Path) -> None:
    from recommender.audio.clips import read_clips

    path = song(tmp_path, "song")
    heard = hearing.hear(path, shown="Me/Songs/01 - My Song.wav")
    ears = load_bundle(world.bundles / "with-ears").ears()
    assert ears is not None
    clips = read_clips(path, ears.clip_config)
    vector, clip_vectors = ears.embed_track(clips)
    np.testing.assert_array_equal(heard.vector, vector)
    np.testing.assert_array_equal(heard.clip_vectors, clip_vectors)
    np.testing.assert_array_equal(heard.clip_starts_s, clips.starts_s)
    assert heard.vector.dtype == heard.clip_vectors.dtype == heard.clip_starts_s.dtype == np.float32
    assert (heard.signature, heard.version, heard.duration_s) == (clips.signature, ears.version, clips.duration_s)
    assert heard.title == "My Song"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SIGSEGV", "the decoder crashed on it (SIGSEGV)"),
        ("SIGABRT", "the decoder crashed on it (SIGABRT)"),
        ("SIGKILL", "was killed (SIGKILL), perhaps out of memory"),
        ("raise", "ended with exit code 1"),
        ("hang", "not decoded within 2 s"),
        ("busy", "takes too long to decode"),
        ("greedy", "needs more than 512 MB of memory"),
        ("writes", "ended with exit code 1"),
        ("garbage", "an answer that cannot be read"),
        ("floods", "an answer that cannot be read"),
    ],
)
def test_a_file_that_breaks_it_is_named_and_the_next_is_heard(
    hearing: Hearing,
    sabotage: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    says: str,
) -> None:
    sabotage()
    if name == "hang":
        monkeypatch.setattr(ear_process, "FILE_S", 2.0)
    bad, good = song(tmp_path, name), song(tmp_path, "good")
    with pytest.raises(AudioError) as caught:
        hearing.hear(bad)
    assert str(caught.value).startswith(f"{name}.wav: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hearing.hear(good).duration_s == pytest.approx(4, abs=0.05)
    written = tmp_path / "written"
    assert not written.exists() or written.stat().st_size == 0


def test_a_process_that_is_killed_by_chance_costs_nothing(
    hearing: Hearing, sabotage: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage()
    assert hearing.hear(song(tmp_path, "once")).duration_s == pytest.approx(4, abs=0.05)
    assert (tmp_path / "mark").exists()


def test_a_process_that_does_not_start_is_the_servers_fault(
    hearing: Hearing, sabotage: Callable[..., None], tmp_path: Path
) -> None:
    sabotage(start="never")
    with pytest.raises(ModelError, match="ended with exit code 3, while it started"):
        hearing.hear(song(tmp_path, "song"))


def test_it_stays_warm_and_knows_no_secret(hearing: Hearing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    assert not hearing.ready
    hearing.warm().join()
    assert hearing.ready
    pid = hearing._running[0].pid
    hearing.hear(song(tmp_path, "song"))
    assert hearing._running[0].pid == pid
    environment = Path(f"/proc/{pid}/environ")
    if environment.exists():
        assert b"hunter2" not in environment.read_bytes()


def test_a_long_file_is_put_off_and_a_longer_one_refused(world: World, tmp_path: Path) -> None:
    bundle, path = load_bundle(world.bundles / "with-ears"), song(tmp_path, "song")
    hearing = Hearing(bundle, max_s=3.0)
    with pytest.raises(AudioError, match=r"song\.wav: lasts 0 minutes, this server takes at most 0"):
        hearing.hear(path)
    hearing.close()
    with pytest.raises(ModelError, match="stopping"):
        hearing.hear(path)
    hearing = Hearing(bundle)
    with pytest.raises(LongAudioError):
        hearing.hear(path, long_s=3.9)
    assert hearing.hear(path, long_s=4.1).duration_s == pytest.approx(4, abs=0.05)
    hearing.close()


def test_letting_go_of_it_ends_its_process(world: World, tmp_path: Path) -> None:
    hearing = Hearing(load_bundle(world.bundles / "with-ears"))
    hearing.warm().join()
    process = hearing._running[0]._process
    assert process.poll() is None
    del hearing
    assert process.poll() is not None


PARENT = """
import sys, time
from pathlib import Path
from recommender.serving.bundle import load_bundle
from recommender.serving.hearing import Hearing

hearing = Hearing(load_bundle(Path(sys.argv[1])))
hearing.warm().join()
print(hearing._running[0].pid, flush=True)
time.sleep(60)
"""


def test_it_does_not_outlive_the_server(world: World) -> None:
    command = [sys.executable, "-c", PARENT, str(world.bundles / "with-ears")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists() or sys.platform != "linux"
        parent.kill()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_bomb_costs_one_answer_and_the_server_goes_on(
    serve: Any, sabotage: Callable[..., None], tmp_path: Path
) -> None:
    sabotage()
    client: httpx.Client = serve()
    content = song(tmp_path, "good").read_bytes()
    reading: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            reading.append(client.get("/v1/users/u01/recommendations").status_code)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        # names are the server's own by then, so the file is broken by what it holds: a header that promises the moon
        header = bytearray(content[:44])
        header[4:8] = header[40:44] = b"\xff\xff\xff\xff"
        bad = client.post("/v1/tracks", files={"file": ("moon.wav", bytes(header))})
        good = client.post("/v1/tracks", files={"file": ("good.wav", content)})
    finally:
        done.set()
        thread.join()
    assert bad.status_code == 422, bad.text
    assert good.status_code == 201, good.text
    assert set(reading) == {200}

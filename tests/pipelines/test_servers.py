"""Against Supysonic, a Subsonic server of others, where it is installed; against a Jellyfin that keeps to its API."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from pipelines import ingest
from pipelines.servers import pull, push
from pipelines.workspace import Workspace, open_workspace
from recommender.data.servers import MusicServer, connect
from recommender.errors import ConfigError, DataError, ServerError
from recommender.synthetic.world import TINY, build_world

SYSTEM_PYTHON = "/usr/bin/python3"
SERVE = "import sys; from supysonic.web import create_application; create_application().run(port=int(sys.argv[1]))"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    build_world(TINY, folder)
    return folder / "music"


@pytest.fixture
def workspace(music: Path, tmp_path: Path) -> Workspace:
    opened = open_workspace(tmp_path / "w", create=True)
    ingest.run(opened, music=music)
    return opened


@pytest.fixture(scope="module")
def supysonic(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Supysonic with the user ``me`` (password ``s3cret``) and the world's music."""
    if shutil.which("supysonic-cli") is None:
        pytest.skip("needs Supysonic (Debian's package supysonic), a music server")
    folder = tmp_path_factory.mktemp("supysonic")
    (folder / "supysonic.conf").write_text(
        f"[base]\ndatabase_uri = sqlite:///{folder}/s.db\n[webapp]\ncache_dir = {folder}/cache\nlog_level = ERROR\n"
        f"[daemon]\nsocket = {folder}/daemon.sock\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    for command in (
        ["user", "add", "me", "-p", "s3cret"],
        ["user", "setroles", "-A", "me"],
        ["folder", "add", "Music", str(music)],
        ["folder", "scan", "--foreground", "Music"],
    ):
        subprocess.run(["supysonic-cli", *command], cwd=folder, env=environment, check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [SYSTEM_PYTHON, "-c", SERVE, str(port)], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/rest/ping.view")
                break
            except httpx.TransportError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "Supysonic did not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def ask(url: str, call: str, **values: str | list[str]) -> dict:
    """Ask a Subsonic server as any other client would."""
    common = {"u": "me", "p": "s3cret", "v": "1.16.1", "c": "test", "f": "json"}
    return httpx.get(f"{url}/rest/{call}.view", params=common | values).json()["subsonic-response"]


def m3u_of(path: Path, workspace: Workspace, rows: list[int]) -> Path:
    """Write a playlist as other programs do: without ids, with files that are elsewhere."""
    catalog = workspace.catalog()
    lines = [f"#EXTINF:{catalog.columns['duration_s'][row]:.0f},{catalog.label(row)}\n/gone/{row}.mp3" for row in rows]
    path.write_text("\n".join(["#EXTM3U", f"#PLAYLIST:{path.stem}", *lines]) + "\n", encoding="utf-8")
    return path


def test_stars_of_a_real_server_become_interactions(supysonic: str, workspace: Workspace) -> None:
    server = connect(supysonic, "me", password="s3cret")
    songs = list(server.songs())
    catalog = workspace.catalog()
    assert len(songs) == len(catalog)
    assert ask(supysonic, "star", id=songs[1].song_id)["status"] == "ok"
    lines, problems = pull(workspace, server)
    assert problems == []
    assert f"{len(songs)} songs, {len(songs)} of them in the catalog" in lines[0]
    plays = workspace.interaction_table()
    assert [catalog.label(catalog.tracks.row(item)) for item in plays["item_id"]] == [
        f"{songs[1].name.artist} - {songs[1].name.title}"
    ]
    assert plays["user_id"].tolist() == ["me"]
    again, _ = pull(workspace, server)
    assert len(workspace.interaction_table()) == len(plays)
    assert again == lines
    server.close()


def test_a_playlist_is_made_and_then_replaced_in_place(supysonic: str, workspace: Workspace, tmp_path: Path) -> None:
    server = connect(supysonic, "me", kind="subsonic", password="s3cret")
    rows = list(range(9))
    first = list(push(workspace, server, [m3u_of(tmp_path / "Für dich.m3u8", workspace, rows)]))
    assert [(one.name, one.n_tracks, one.missing, one.replaced) for one in first] == [("Für dich", 9, (), False)]
    second = list(push(workspace, server, [m3u_of(tmp_path / "Für dich.m3u8", workspace, rows[::-2])]))
    assert second[0].replaced
    lists = [one for one in ask(supysonic, "getPlaylists")["playlists"]["playlist"] if one["name"] == "Für dich"]
    assert len(lists) == 1
    catalog = workspace.catalog()
    held = ask(supysonic, "getPlaylist", id=lists[0]["id"])["playlist"]["entry"]
    assert [song["title"] for song in held] == [catalog.columns["title"][row] for row in rows[::-2]]
    server.close()


def test_songs_that_the_workspace_lacks_are_fetched_once(supysonic: str, tmp_path: Path) -> None:
    empty = open_workspace(tmp_path / "empty", create=True)
    with_server = connect(supysonic, "me", password="s3cret")
    folder = tmp_path / "fetched"
    _, problems = pull(empty, with_server, as_user="myself", download=folder)
    assert problems == []
    n_songs = len(list(with_server.songs()))
    assert len(empty.catalog()) == len(list(folder.iterdir())) == n_songs
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    pull(empty, with_server, download=folder)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    with_server.close()


def test_a_wrong_password_is_refused_in_a_sentence_without_it(supysonic: str) -> None:
    with pytest.raises(ServerError, match=r"refused ping|refuses the user") as error:
        connect(supysonic, "me", kind="subsonic", password="hunter2")
    assert "hunter2" not in str(error.value)


def test_play_counts_are_pulled_and_kept_up_to_date_from_servers_that_list_by_album_only(workspace: Workspace) -> None:
    """Shapes of Navidrome's answers; an empty search of the first Subsonic servers finds nothing."""
    columns, counts = workspace.catalog().columns, {0: 3, 1: 1}

    def answer(request: httpx.Request) -> httpx.Response:
        asked = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        assert asked["u"] == "me"
        assert "s3cret" not in request.content.decode()
        songs = [
            {
                "id": f"s{row}", "isDir": False, "title": columns["title"][row], "artist": columns["artist"][row],
                "album": columns["album"][row], "duration": 4, "playCount": count, "suffix": "flac",
            }
            for row, count in counts.items()
        ]  # fmt: skip
        body = {
            "/rest/ping.view": {"type": "navidrome"},
            "/rest/search3.view": {"searchResult3": {}},
            "/rest/getAlbumList2.view": {"albumList2": {"album": [{"id": "a1"}] if asked.get("offset") == "0" else []}},
            "/rest/getAlbum.view": {"album": {"id": "a1", "song": [*songs, {"id": "nameless", "title": ""}]}},
        }[request.url.path]
        return httpx.Response(200, json={"subsonic-response": {"status": "ok", "version": "1.16.1", **body}})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    server = connect("https://music.test", "me", kind="subsonic", password="s3cret", client=client)
    assert server.service == "Navidrome"
    for more in (0, 4):
        counts[1] += more
        pull(workspace, server)
        plays = workspace.interaction_table().set_index("item_id")["weight"]
        ids = workspace.catalog().tracks.ids
        assert {row: plays[ids[row]] for row in (0, 1)} == counts
        assert len(plays) == 2


class FakeJellyfin:
    """Keeps to api.jellyfin.org for what is asked of it; refuses what is not."""

    def __init__(self, songs: list[dict], page: int = 100_000) -> None:
        self.songs, self.page = songs, page
        self.playlists: dict[str, tuple[str, list[str]]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        route = (request.method, path)
        if route == ("GET", "/System/Info/Public"):
            return httpx.Response(200, json={"ServerName": "home", "Version": "10.10.3"})
        if route == ("POST", "/Users/AuthenticateByName"):
            given = json.loads(request.content)
            if given != {"Username": "ana", "Pw": "s3cret"} or "Client=" not in request.headers["authorization"]:
                return httpx.Response(401)
            return httpx.Response(200, json={"AccessToken": "tok", "User": {"Id": "u1"}})
        if 'Token="tok"' not in request.headers.get("authorization", ""):
            return httpx.Response(401)
        if route == ("GET", "/Users/u1/Items"):
            assert query["Recursive"] == "true"
            kinds = {"Audio": self.songs, "Playlist": [{"Id": i, "Name": n} for i, (n, _) in self.playlists.items()]}
            start = int(query["StartIndex"])
            found = kinds[query["IncludeItemTypes"]]
            return httpx.Response(
                200, json={"Items": found[start : start + int(query["Limit"])], "TotalRecordCount": len(found)}
            )
        if route == ("POST", "/Playlists"):
            made = json.loads(request.content)
            self.playlists[f"p{len(self.playlists)}"] = (made["Name"], list(made["Ids"]))
            return httpx.Response(200, json={"Id": f"p{len(self.playlists) - 1}"})
        which, held = path.split("/")[2], self.playlists[path.split("/")[2]]
        if request.method == "GET":
            return httpx.Response(
                200, json={"Items": [{"Id": song, "PlaylistItemId": f"e{at}"} for at, song in enumerate(held[1])]}
            )
        if request.method == "DELETE":
            gone = {int(entry[1:]) for entry in query["EntryIds"].split(",")}
            self.playlists[which] = (held[0], [song for at, song in enumerate(held[1]) if at not in gone])
            return httpx.Response(204)
        assert route == ("POST", f"/Playlists/{which}/Items")
        held[1].extend(query["Ids"].split(","))
        return httpx.Response(204)


def jellyfin_of(workspace: Workspace) -> tuple[FakeJellyfin, MusicServer]:
    columns = workspace.catalog().columns
    fake = FakeJellyfin(
        [
            {
                "Id": f"j{row}",
                "Name": columns["title"][row],
                "Artists": [columns["artist"][row]],
                "Album": columns["album"][row],
                "RunTimeTicks": int(columns["duration_s"][row] * 1e7),
                "UserData": {"PlayCount": row % 3, "IsFavorite": row == 4},
                "MediaSources": [{"Container": "ogg"}],
            }
            for row in range(len(columns["title"]))
        ]
    )
    client = httpx.Client(transport=httpx.MockTransport(fake))
    return fake, connect("http://jelly.test/", "ana", password="s3cret", client=client)


def test_a_jellyfin_is_recognised_and_its_counts_and_favourites_are_pulled(workspace: Workspace) -> None:
    _, server = jellyfin_of(workspace)
    assert server.service == "Jellyfin"
    pull(workspace, server)
    catalog, plays = workspace.catalog(), workspace.interaction_table()
    weights = {catalog.tracks.row(item): weight for item, weight in zip(plays["item_id"], plays["weight"], strict=True)}
    expected = {row: float(row % 3) for row in range(len(catalog)) if row % 3} | {4: 2.0}
    assert weights == expected
    assert set(plays["user_id"]) == {"ana"}


def test_a_jellyfin_playlist_is_replaced_in_place(workspace: Workspace, tmp_path: Path) -> None:
    fake, server = jellyfin_of(workspace)
    list(push(workspace, server, [m3u_of(tmp_path / "Mix.m3u8", workspace, [3, 1, 2])]))
    done = list(push(workspace, server, [m3u_of(tmp_path / "Mix.m3u8", workspace, [2, 0])]))
    assert fake.playlists == {"p0": ("Mix", ["j2", "j0"])}
    assert done[0].replaced


def test_an_empty_match_replaces_nothing(workspace: Workspace, tmp_path: Path) -> None:
    fake, server = jellyfin_of(workspace)
    list(push(workspace, server, [m3u_of(tmp_path / "Mix.m3u8", workspace, [3])]))
    file = tmp_path / "Mix.m3u8"
    file.write_text("#EXTM3U\n#PLAYLIST:Mix\n#EXTINF:100,Nobody Known - No Such Song At All\n/x.mp3\n")
    with pytest.raises(DataError, match="none of its 1 tracks"):
        list(push(workspace, server, [file]))
    assert fake.playlists == {"p0": ("Mix", ["j3"])}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>router</html>"), "expected JSON"),
        (httpx.Response(502), "502 Bad Gateway"),
        (httpx.Response(200, json={"hello": 1}), "does not answer as a Subsonic server"),
        (httpx.Response(200, json=[]), "does not answer as a Subsonic server"),
    ],
)
def test_what_is_no_music_server_is_told(answer: httpx.Response, said: str) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(ServerError, match=said):
        connect("http://x.test", "me", password="p", kind="subsonic", client=client)


def test_an_address_that_nobody_answers_and_settings_that_cannot_be_are_told() -> None:
    with pytest.raises(ServerError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        connect("http://127.0.0.1:1", "me", password="p")
    with pytest.raises(ConfigError, match="no address of a server"):
        connect("ftp://x", "me", password="p")
    with pytest.raises(ConfigError, match="kind is 'plex'"):
        connect("http://x", "me", password="p", kind="plex")
    with pytest.raises(ConfigError, match="either the user's password or an API key"):
        connect("http://x", "me")

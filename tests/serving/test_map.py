"""The map, its clusters and their names, and who would like a track."""

import gzip
import json

import numpy as np
import pytest

from recommender.ranking.atlas import NOWHERE, Atlas
from recommender.serving import mapping
from recommender.serving.bundle import load_bundle
from recommender.serving.cluster_names import name_cluster, names_of
from recommender.serving.store import Store
from tests.serving.conftest import make_settings


def test_all_tracks_of_known_sound_are_on_the_map(client):
    answer = client.get("/v1/map")
    found = answer.json()
    assert answer.headers["content-encoding"] == "gzip"
    assert found["total"] == 17
    assert len(found["ids"]) == 16
    assert "silent/one ü" not in found["ids"]
    for name in ("x", "y", "cluster", "tempo", "artist"):
        assert len(found[name]) == 16
    assert {found["artists"][code] for code in found["artist"]} == {
        f"{k} Artist {n}" for k in ("Low", "High") for n in range(4)
    }
    assert min(found["x"] + found["y"]) >= 0
    assert max(found["x"] + found["y"]) == found["side"]


def test_the_map_is_sent_once_and_plainly_to_those_who_cannot_unpack_it(client):
    tag = client.get("/v1/map").headers["etag"]
    assert client.get("/v1/map", headers={"If-None-Match": tag}).status_code == 304
    plain = client.get("/v1/map", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == client.get("/v1/map").json()


def test_clusters_hold_all_tracks_and_a_name_stays_until_it_is_taken_away(serve):
    client = serve()
    clusters = client.get("/v1/clusters").json()["items"]
    assert sum(each["size"] for each in clusters) == 16
    assert all(each["name"] is None for each in clusters)
    assert {track["id"][:3] for track in clusters[0]["typical"]} in ({"low"}, {"hig"})
    first, second = (f"/v1/clusters/{each['id']}" for each in clusters[:2])
    assert client.put(first, json={"name": "  Tief  "}).json()["cluster"]["name"] == "Tief"
    assert client.put(first, json={"name": "Ruhig <i>"}).status_code == 200
    taken = client.put(second, json={"name": "ruhig <I>"})
    assert taken.status_code == 409
    assert "another name" in taken.json()["detail"]
    assert [each["name"] for each in client.get("/v1/clusters").json()["items"][:2]] == ["Ruhig <i>", None]
    client.put(first, json={"name": ""})
    assert client.get("/v1/clusters").json()["items"][0]["name"] is None
    missing = client.put("/v1/clusters/0-another", json={"name": "x"})
    assert missing.status_code == 404
    assert "GET /v1/clusters" in missing.json()["detail"]
    assert client.put(first, json={"name": "x" * 81}).status_code == 422


def test_a_name_follows_its_tracks_into_another_bundle(world, tmp_path):
    store = Store.open(make_settings(world, tmp_path).store_url)
    tracks = load_bundle(world.bundles / "with-ears").model.catalog.tracks
    low = np.array([track.startswith("low") for track in tracks.ids])

    def atlas(cluster_of):
        return Atlas(np.zeros((len(low), 2), np.int16), cluster_of.astype(np.int16), np.eye(2), np.ones(2))

    before = atlas(np.where(low, 1, 0))
    name_cluster(store, "old", 1, "Tief", [track for track in tracks.ids if track.startswith("low")], {})
    assert names_of(store, "old", before, tracks) == {1: "Tief"}
    assert names_of(store, "new", atlas(np.where(low, 0, 1)), tracks) == {0: "Tief"}
    assert names_of(store, "new", atlas(np.full(len(low), NOWHERE)), tracks) == {}
    name_cluster(store, "new", 0, "Tiefer", ["low0"], {0: "Tief"})
    assert names_of(store, "new", atlas(np.where(low, 0, 1)), tracks) == {0: "Tiefer"}
    store.close()


def test_an_upload_is_on_the_map_amid_its_like(serve, world, tmp_path):
    client = serve()
    samples = bytearray((world.music / "low2.wav").read_bytes())
    samples[1000:1200] = bytes(200)
    new = client.post("/v1/tracks", files={"file": ("mine.wav", bytes(samples))}).json()["track"]["id"]
    found = client.get("/v1/map").json()
    cluster = dict(zip(found["ids"], found["cluster"], strict=True))
    assert cluster[new] == cluster["low2"]


def test_a_map_that_is_long_to_draw_is_drawn_by_another_process(serve, world, monkeypatch, tmp_path):
    monkeypatch.setattr(mapping, "AT_ONCE", 0)
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    (bundles / "with-ears").symlink_to(world.bundles / "with-ears")
    (bundles / "current").write_text("with-ears\n")
    client = serve(bundles_dir=bundles)
    answer = client.get("/v1/map")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "3"
    assert "being drawn" in answer.json()["detail"]
    assert mapping.main([str(bundles / "with-ears")]) == 0
    assert len(client.get("/v1/map").json()["ids"]) == 16


def test_who_would_like_a_track(client):
    found = client.get("/v1/tracks/high7/listeners", params={"top": 5}).json()
    assert [int(item["user"][1:]) % 2 for item in found["items"]] == [0] * 5
    assert found["tracks"] == 17
    assert [item["standing"] for item in found["items"]] == sorted(
        (i["standing"] for i in found["items"]), reverse=True
    )
    assert client.get("/v1/tracks/none/listeners").status_code == 404
    assert client.get("/v1/tracks/high7/listeners", params={"top": 0}).status_code == 422


def test_a_map_of_a_hundred_thousand_tracks_is_small():
    from types import SimpleNamespace

    from recommender.serving.routes.atlas import _packed

    n, rng = 100_000, np.random.default_rng(0)
    names = [f"Artist number {code}" for code in rng.integers(0, 20_000, n)]
    ids = [f"t{value:016x}" for value in rng.integers(0, 2**63, n)]
    table = {"artist": names}
    now = SimpleNamespace(
        manifest=SimpleNamespace(version="b"),
        model=SimpleNamespace(catalog=SimpleNamespace(tracks=SimpleNamespace(ids=ids), table=table)),
        signatures=SimpleNamespace(column=lambda _name: rng.uniform(60, 180, n)),
    )
    places = rng.integers(0, 16384, (n, 2)).astype(np.int16)
    atlas = Atlas(places, rng.integers(0, 24, n).astype(np.int16), np.eye(2), np.ones(24))
    packed = _packed(now, atlas)
    assert len(packed) < 3_000_000
    assert len(json.loads(gzip.decompress(packed))["ids"]) == n


@pytest.mark.parametrize("path", ["/v1/map", "/v1/clusters"])
def test_a_model_without_ears_has_a_map_of_plays(serve, world, tmp_path, path):
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    (bundles / "no-ears").symlink_to(world.bundles / "no-ears")
    (bundles / "current").write_text("no-ears\n")
    assert serve(bundles_dir=bundles).get(path).status_code == 200


def test_what_tracks_rest_on(client):
    found = client.get("/v1/users/u02/shares", params={"track": ["high7", "high0"]}).json()["items"]
    assert [item["track"] for item in found] == ["high7", "high0"]
    for item in found:
        assert item["listeners"] + item["sound"] + item["popularity"] == pytest.approx(1, abs=0.01)
    assert found[0]["sound"] > found[1]["sound"]
    assert client.get("/v1/users/nobody/shares", params={"track": "high7"}).status_code == 404
    assert client.get("/v1/users/u02/shares", params={"track": "none"}).status_code == 404
    assert client.get("/v1/users/u02/shares").status_code == 422

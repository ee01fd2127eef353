"""Playlists that users keep, on both databases."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from recommender.errors import UnknownIdError
from recommender.serving.store import SavedPlaylist, Store

MINE = SavedPlaylist("p1", "ann", "Mix – ü", "", ("t1", "t2", "t1"), 5, 5)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store.open(store_url)) as opened:
        yield opened


def test_a_playlist_is_its_users(store: Store) -> None:
    store.add_playlist(MINE)
    store.add_playlist(replace(MINE, playlist_id="p2", created_at_ms=4))
    assert [each.playlist_id for each in store.playlists_of("ann")] == ["p2", "p1"]
    assert store.playlist("ann", "p1") == MINE
    assert store.playlists_of("bob") == []
    changed = store.change_playlist("ann", "p1", lambda old: replace(old, name="x", track_ids=(), changed_at_ms=9))
    assert store.playlist("ann", "p1") == changed == replace(MINE, name="x", track_ids=(), changed_at_ms=9)
    for action in (
        lambda: store.playlist("bob", "p1"),
        lambda: store.delete_playlist("bob", "p1"),
        lambda: store.change_playlist("bob", "p1", lambda old: old),
        lambda: store.playlist("ann", "p3"),
    ):
        with pytest.raises(UnknownIdError, match="has no playlist"):
            action()
    store.delete_playlist("ann", "p1")
    assert store.erase("ann")["saved_playlists"] == 1
    assert store.playlists_of("ann") == []

from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from sqlalchemy import text

from recommender.audio.signatures import Signature
from recommender.errors import StoreError
from recommender.serving.store import Feedback, Listen, Store, Upload
from recommender.serving.tables import ListenRow


@pytest.fixture
def url(store_url: str) -> str:
    return store_url


def upload(track_id: str = "t1", content: str = "c1") -> Upload:
    return Upload(
        track_id, content, f"{track_id}.mp3", "Título", "أغنية", "", 12.5, "cnn-1",
        np.array([0.6, 0.8], dtype=np.float32),
        np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32),
        np.array([0, 10, 20], dtype=np.float32),
    )  # fmt: skip


def test_a_listen_is_stored_once_by_time_and_by_client_id(url: str) -> None:
    store = Store.open(url)
    at = Listen("u", "t", 1000)
    assert store.add_listens([at, at, Listen("u", "t", 2000), Listen("v", "t", 1000)]) == [
        "stored",
        "duplicate",
        "stored",
        "stored",
    ]
    assert store.add_listens([Listen("u", "t", 3000, client_id="a")]) == ["stored"]
    assert store.add_listens([Listen("u", "t", 9999, client_id="a")]) == ["duplicate"]
    assert store.add_listens([Listen("u", "other", 9999, client_id="a")]) == ["conflict"]
    assert store.add_listens([Listen("v", "other", 9999, client_id="a")]) == ["stored"], "client ids are the user's own"
    assert store.count_listens() == 5
    store.close()


def test_reading_goes_on_where_it_stopped(url: str) -> None:
    store = Store.open(url)
    store.add_listens([Listen("u", "t", n, weight=n % 2) for n in range(5)])
    first, seq = store.listens_after(0, limit=3)
    assert [listen.listened_at_ms for listen in first] == [0, 1, 2]
    rest, seq = store.listens_after(seq)
    assert rest == [Listen("u", "t", 3, 1.0), Listen("u", "t", 4, 0.0)]
    assert store.listens_after(seq) == ([], seq)
    store.close()


def test_everything_is_there_after_reopening(url: str) -> None:
    store = Store.open(url)
    store.add_listens([Listen("u", "t", 1000, 0.0, "x")])
    assert store.add_upload(upload())
    assert not store.add_upload(upload("t2")), "the same content is the same track"
    store.close()
    again = Store.open(url)
    assert again.listens_after(0)[0] == [Listen("u", "t", 1000, 0.0, "x")]
    (kept,), _ = again.uploads_after(0)
    assert (kept.track_id, kept.title, kept.artist, kept.duration_s) == ("t1", "Título", "أغنية", 12.5)
    np.testing.assert_array_equal(kept.vector, upload().vector)
    np.testing.assert_array_equal(kept.clip_vectors, upload().clip_vectors)
    np.testing.assert_array_equal(kept.clip_starts_s, upload().clip_starts_s)
    again.close()


def test_verdicts_are_kept_in_their_order(url: str) -> None:
    store = Store.open(url)
    store.add_feedback(Feedback("u", "t", -1, 1000))
    first, seq = store.feedback_after(0)
    assert first == [Feedback("u", "t", -1, 1000)]
    store.add_feedback(Feedback("u", "t", 0, 2000))
    store.close()
    again = Store.open(url)
    assert again.feedback_after(seq)[0] == [Feedback("u", "t", 0, 2000)]
    assert len(again.feedback_after(0)[0]) == 2
    again.close()


def test_vectors_of_an_upload_can_be_replaced(url: str) -> None:
    store = Store.open(url)
    store.add_upload(upload())
    fresh = upload()
    object.__setattr__(fresh, "embedding_version", "cnn-2")
    store.set_upload_vectors(fresh)
    assert store.uploads_after(0)[0][0].embedding_version == "cnn-2"
    store.close()


def test_writers_wait_for_each_other(url: str) -> None:
    store = Store.open(url)
    threads = [
        Thread(target=store.add_listens, args=([Listen(f"u{n}", "t", at) for at in range(20)],)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count_listens() == 160
    store.close()


def test_sqlite_is_set_to_lose_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    store = Store.open(url)
    with store._session("read") as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2
    store.close()


def test_a_database_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"database sqlite:///.*x\.sqlite cannot be opened: unable to open database file"
    ):
        Store.open(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'x.sqlite'}")


SIGNATURE = Signature(120.0, 0.8, 60.0, 9, "minor", 0.5, -14.0, 0.9, 2000.0, 0.9, 4.0, 0.8, 0.7, 0.95)


def test_an_upload_keeps_its_signature(url: str) -> None:
    store = Store.open(url)
    store.add_upload(replace(upload(), signature=SIGNATURE))
    store.add_upload(upload("t2", "c2"))
    assert [one.signature for one in store.uploads_after(0)[0]] == [SIGNATURE, None]
    store.set_upload_vectors(replace(upload("t2", "c2"), signature=replace(SIGNATURE, tonic=0)))
    found = store.upload_by_content("c2")
    assert found is not None
    assert found.signature == replace(SIGNATURE, tonic=0)
    store.close()


def test_a_reader_misses_nothing_of_writers_that_end_out_of_order(url: str) -> None:
    store = Store.open(url)
    begun, go_on = Event(), Event()

    def slow() -> None:
        with store._writing(ListenRow) as session:
            session.execute(store._insert(ListenRow, [{**vars(Listen("slow", "t", 1)), "received_at_ms": 0}]))
            begun.set()
            go_on.wait(10)

    slow_writer = Thread(target=slow)
    quick_writer = Thread(target=store.add_listens, args=([Listen("quick", "t", 1)],))
    slow_writer.start()
    begun.wait(10)
    quick_writer.start()
    quick_writer.join(0.5)
    seen, seq = store.listens_after(0)
    go_on.set()
    slow_writer.join()
    quick_writer.join()
    seen += store.listens_after(seq)[0]
    assert [one.user_id for one in seen] == ["slow", "quick"]
    store.close()

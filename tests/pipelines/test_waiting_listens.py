"""A listen that a scrobbler sent before its track was in the library counts from the next training on."""

from contextlib import closing
from pathlib import Path

from pipelines import ingest, train
from pipelines.workspace import open_workspace
from recommender.data.matching import Name
from recommender.serving.store import Store, UnmatchedListen


def test_a_listen_counts_when_its_track_is_ingested(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "w", create=True)
    tracks = tmp_path / "tracks.csv"
    tracks.write_text("item_id,title,artist\na,First Song,Somebody\n")
    ingest.run(workspace, tracks=tracks)
    with closing(Store.open(workspace.store_url)) as store:
        for title in ("Second Song", "Third Song"):
            store.add_unmatched([UnmatchedListen("ann", 1_700_000_000_000, 1.0, Name("Somebody", title))])
        train.take_in(workspace)
        assert len(workspace.interaction_table()) == 0
        tracks.write_text("item_id,title,artist\nb,second song,The Somebody\n")
        ingest.run(workspace, tracks=tracks)
        for _ in range(2):
            train.take_in(workspace)
            plays = workspace.interaction_table()[["user_id", "item_id"]]
            assert plays.to_numpy().tolist() == [["ann", "b"]]
        assert [one.name.title for _, one in store.unmatched_after(0)[0]] == ["Third Song"]

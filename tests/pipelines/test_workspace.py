import numpy as np
import pandas as pd
import pytest

from pipelines import ingest
from pipelines.workspace import open_workspace
from recommender.data.storage import write_json
from recommender.errors import ArtifactError, DataError, VersionError
from recommender.serving.store import Feedback, Store


@pytest.fixture
def workspace(tmp_path):
    return open_workspace(tmp_path / "w", create=True)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,weight,timestamp\nu1,a,1,2024-01-01\nu1,b,2,2024-01-02\nu2,a,1,2024-01-03\n")
    return path


def test_a_folder_with_other_things_is_not_taken(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(DataError, match="is not a workspace; give a new or empty folder"):
        open_workspace(tmp_path, create=True)
    with pytest.raises(DataError, match="make one with: firstlisten ingest"):
        open_workspace(tmp_path)


def test_a_workspace_of_another_version_names_both(tmp_path):
    write_json(tmp_path / "workspace.json", {"format": 7})
    with pytest.raises(VersionError, match="format 7, this firstlisten reads format 1"):
        open_workspace(tmp_path)


def test_without_a_track_table_the_log_names_the_tracks(workspace, log):
    report = ingest.run(workspace, interactions=log)
    assert (report.n_tracks, report.n_users, report.n_interactions, report.n_waiting) == (2, 2, 3, 0)
    assert workspace.catalog().tracks.ids == ("a", "b")


def test_repeating_an_ingest_adds_nothing(workspace, log):
    first = ingest.run(workspace, interactions=log)
    before = workspace.interaction_table()
    again = ingest.run(workspace, interactions=log)
    pd.testing.assert_frame_equal(workspace.interaction_table(), before)
    assert again.n_interactions == first.n_interactions


def test_plays_without_a_time_are_replaced_not_added(workspace, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("user_id,item_id,weight\nu1,a,3\n")
    ingest.run(workspace, interactions=path)
    path.write_text("user_id,item_id,weight\nu1,a,5\nu1,b,1\n")
    ingest.run(workspace, interactions=path)
    assert dict(zip(*workspace.interaction_table()[["item_id", "weight"]].to_numpy().T, strict=True)) == {
        "a": 5,
        "b": 1,
    }


def test_plays_of_tracks_outside_the_catalog_wait_until_they_arrive(workspace, log, tmp_path):
    tracks = tmp_path / "tracks.csv"
    tracks.write_text("item_id,title\na,Alpha\n")
    report = ingest.run(workspace, interactions=log, tracks=tracks)
    assert (report.n_tracks, report.n_interactions, report.n_waiting) == (1, 2, 1)
    tracks.write_text("item_id,title\nb,Beta\n")
    report = ingest.run(workspace, tracks=tracks)
    assert (report.n_tracks, report.n_interactions, report.n_waiting) == (2, 3, 0)
    assert set(workspace.catalog().table["title"]) == {"Alpha", "Beta"}


def test_a_broken_table_changes_nothing(workspace, log, tmp_path):
    ingest.run(workspace, interactions=log)
    before = workspace.interaction_table()
    bad = tmp_path / "bad.csv"
    bad.write_text("user_id,item_id,weight\n" + "u,a,-3\n" * 5 + "u,a,1\n" * 5)
    with pytest.raises(DataError, match=r"bad\.csv"):
        ingest.run(workspace, interactions=bad)
    pd.testing.assert_frame_equal(workspace.interaction_table(), before)


def test_supplied_embeddings_are_extended_and_replaced_by_id(workspace, tmp_path):
    path = tmp_path / "e.parquet"
    for vectors in ({"a": [1.0, 0.0], "b": [0.0, 1.0]}, {"b": [2.0, 2.0], "c": [3.0, 3.0]}):
        pd.DataFrame({"item_id": list(vectors), "embedding": list(vectors.values())}).to_parquet(path)
        ingest.run(workspace, embeddings=path)
    stored = workspace.supplied_embeddings()
    assert stored.vectors.dtype == np.float32
    assert {i: v.tolist() for i, v in zip(stored.tracks, stored.vectors, strict=True)} == {
        "a": [1, 0], "b": [2, 2], "c": [3, 3],
    }  # fmt: skip
    pd.DataFrame({"item_id": ["d"], "embedding": [[1.0, 2.0, 3.0]]}).to_parquet(path)
    with pytest.raises(DataError, match="have 3 numbers, those ingested before have 2"):
        ingest.run(workspace, embeddings=path)


def test_a_second_writer_is_told_to_wait(workspace, log):
    with workspace.writing(), pytest.raises(ArtifactError, match="being written by another command"):
        ingest.run(workspace, interactions=log)


def test_a_damaged_table_is_named(workspace, log):
    ingest.run(workspace, interactions=log)
    (workspace.folder / "tables" / "interactions.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ArtifactError, match=r"interactions.parquet is damaged.*ingest again"):
        workspace.interaction_table()


def test_verdicts_given_through_the_api_reach_the_training(workspace, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "user_id,item_id,weight,timestamp\nu1,a,1,2024-01-01\nu1,b,0,2024-01-02\nu1,c,0,2024-01-02\nu2,a,1,2024-01-03\n"
    )
    ingest.run(workspace, interactions=path)
    store = Store.open(workspace.store_url)
    day_ms = int(np.datetime64("2024-06-01", "ms").astype(np.int64))
    for user, track, value in (("u1", "a", -1), ("u2", "a", -1), ("u2", "a", 0), ("u2", "b", 1), ("u1", "b", 0)):
        store.add_feedback(Feedback(user, track, value, day_ms))
    store.add_feedback(Feedback("u1", "c", 0, day_ms - 400 * 86_400_000))
    store.close()
    known = workspace.interactions(workspace.catalog())
    assert known.to_csr().toarray().tolist() == [[0, 0, 0], [1, 2, 0]]
    assert known.heard().toarray().tolist() == [[-1, 0, 1], [1, 1, 0]], "the skip of c came after it was cleared"
    assert len(workspace.interaction_table()) == 4, "the table keeps what happened"

from pathlib import Path

import numpy as np
import pytest

import recommender
from pipelines.workspace import Workspace
from recommender.errors import ArtifactError, UnknownIdError
from recommender.library import Library
from recommender.ranking.ranker import recommend


@pytest.fixture(scope="module")
def library(demo_folder: Path) -> Library:
    return recommender.load(demo_folder)


def test_a_user_gets_what_the_ranker_gives(library: Library) -> None:
    model = library.bundle.model
    ranked = recommend(model, model.plays[3], model.heard[3])[0]
    found = library.recommend(library.users[3])
    assert [pick.track_id for pick in found] == model.catalog.tracks.ids_of(ranked.track_rows)[:10]
    np.testing.assert_allclose([pick.score for pick in found], ranked.scores[:10], rtol=1e-6)
    assert all(pick.reason for pick in found)


def test_a_stranger_with_a_user_s_plays_is_that_user(library: Library) -> None:
    model = library.bundle.model
    ids = model.catalog.tracks.ids
    verdicts = {ids[row]: min(value, 0) for row, value in zip(model.heard[3].indices, model.heard[3].data, strict=True)}
    plays = verdicts | {ids[row]: value for row, value in zip(model.plays[3].indices, model.plays[3].data, strict=True)}
    own, stranger = library.recommend(library.users[3]), library.recommend(plays)
    assert [pick.track_id for pick in stranger] == [pick.track_id for pick in own]
    assert len(library.recommend(list(plays)[:2], top=3)) == 3


def test_what_is_hated_is_left_out_and_holds_back(library: Library) -> None:
    first = library.recommend([library.tracks[0]], top=5)
    without = library.recommend({library.tracks[0]: 1, first[0].track_id: -1}, top=5)
    assert first[0].track_id not in [pick.track_id for pick in without]


def test_a_track_and_its_file_sound_like_the_same(library: Library, demo_workspace: Workspace) -> None:
    files = demo_workspace.files()
    row = files[files["error"] == ""].iloc[0]
    by_id = library.similar(row["item_id"], top=5)
    by_file = library.similar(Path(row["root"]) / row["path"], top=6)
    assert by_file[0].track_id == row["item_id"]
    assert [one.track_id for one in by_file[1:]] == [one.track_id for one in by_id]
    assert library.label(by_id[0].track_id)


def test_a_bundle_s_own_folder_will_do_and_what_is_unknown_is_told(library: Library, demo_workspace: Workspace) -> None:
    bundle = demo_workspace.bundles / library.bundle.manifest.version
    assert recommender.load(str(bundle)).tracks == library.tracks
    with pytest.raises(UnknownIdError, match="nobody"):
        library.recommend("nobody")
    with pytest.raises(UnknownIdError):
        library.similar("no such track")
    with pytest.raises(ArtifactError):
        recommender.load(demo_workspace.folder / "tables")

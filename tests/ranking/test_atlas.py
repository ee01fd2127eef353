import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, VersionError
from recommender.ranking.atlas import NOWHERE, SIDE, draw_atlas, load_atlas, save_atlas, with_new_places
from recommender.ranking.ranker import with_new_tracks


def test_kinds_of_music_lie_apart_and_every_place_is_inside(hybrid, cluster_of):
    atlas = draw_atlas(hybrid)
    assert atlas.places.min() >= 0
    assert atlas.places.max() == SIDE
    apart = np.linalg.norm(atlas.places[:, None].astype(float) - atlas.places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (cluster_of[apart.argmin(axis=1)] == cluster_of).mean() > 0.9
    assert len(atlas.stability) == len(atlas.centres)
    for cluster in np.unique(atlas.cluster_of):
        assert len(set(cluster_of[atlas.cluster_of == cluster])) == 1


def test_a_new_track_lies_amid_what_it_sounds_like(hybrid, clusters_embeddings):
    atlas = draw_atlas(hybrid)
    table = pd.DataFrame({"item_id": ["new", "deaf"], "title": ["New", "Deaf"], "artist": ["", ""]})
    vector = clusters_embeddings.vectors[clusters_embeddings.tracks.row("t03")]
    heard = Embeddings(
        Vocabulary("track", ("new",)),
        vector[None],
        vector[None],
        np.zeros(1, dtype=np.int32),
        np.zeros(1, dtype=np.float32),
        clusters_embeddings.version,
    )
    later = with_new_tracks(hybrid, Catalog.from_frame(table), heard)
    wider = with_new_places(atlas, later)
    np.testing.assert_array_equal(wider.places[:-2], atlas.places)
    assert wider.cluster_of[-2] == atlas.cluster_of[3]
    assert np.abs(wider.places[-2].astype(int) - atlas.places[3]).max() < SIDE / 3
    assert (wider.places[-1] == NOWHERE).all()
    assert wider.cluster_of[-1] == NOWHERE


def test_a_map_without_sound_is_drawn_from_plays(cf_only):
    atlas = draw_atlas(cf_only)
    known = cf_only.evidence > 0
    assert (atlas.cluster_of[known] >= 0).all()
    assert (atlas.cluster_of[~known] == NOWHERE).all()


def test_a_map_reads_back_and_belongs_to_one_bundle(hybrid, tmp_path):
    atlas = draw_atlas(hybrid)
    save_atlas(tmp_path / "a.safetensors", atlas, "b1")
    again = load_atlas(tmp_path / "a.safetensors", "b1", len(hybrid.catalog))
    np.testing.assert_array_equal(again.places, atlas.places)
    np.testing.assert_array_equal(again.cluster_of, atlas.cluster_of)
    with pytest.raises(VersionError, match="b2"):
        load_atlas(tmp_path / "a.safetensors", "b2", len(hybrid.catalog))
    with pytest.raises(ArtifactError, match="expected 3"):
        load_atlas(tmp_path / "a.safetensors", "b1", 3)

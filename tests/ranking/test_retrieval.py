"""The quick path of one listener against the whole scan."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import DISLIKED
from recommender.data.storage import save_arrays
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, DataError, VersionError
from recommender.ranking import retrieval
from recommender.ranking.exploration import ExploreConfig, explore, uncertainty_of
from recommender.ranking.exploration_of_one import base_uncertainty, explore_one
from recommender.ranking.prepared import load_prepared, recommend_and_explore, save_prepared
from recommender.ranking.ranker import (
    RecommendOptions,
    listener_of,
    load_hybrid,
    recommend,
    recommend_one,
    recommend_whole,
    save_hybrid,
    with_live_plays,
    with_new_tracks,
)
from recommender.ranking.retrieval import estimates, shortlist
from recommender.ranking.scan import LEFT_OUT, Coded, Products, Scan
from recommender.ranking.scoring import score_users
from recommender.ranking.sound import query_of_row, similar_by_scan, similar_tracks

OPTIONS = (
    RecommendOptions(top=4),
    RecommendOptions(top=3, diversity=0, calibration=0, max_per_artist=1),
    RecommendOptions(top=5, include_heard=True, artist_gap=2),
    RecommendOptions(top=4, popularity=-1.0),
    RecommendOptions(top=4, popularity=0.7, discovery=0.9),
    RecommendOptions(top=3, candidate_rows=np.arange(7, 60, 2, dtype=np.int32)),
    RecommendOptions(top=6, candidate_rows=np.array([63, 9, 10], dtype=np.int32)),
    RecommendOptions(top=60, max_per_artist=1),
    RecommendOptions(top=500, max_per_artist=None),
)


@pytest.fixture(params=["whole", "short"])
def quick(request, monkeypatch):
    """The catalog is scored whole, as small ones are, or by a short list, as large ones are."""
    if request.param == "short":
        monkeypatch.setattr(retrieval, "LEAST_TRACKS", 0)


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_one_listener_gets_what_a_block_of_users_gets(model, clusters, quick, options) -> None:
    model = replace(model)
    plays, heard = clusters.to_csr(), clusters.heard().tolil()
    heard[4, 61] = heard[5, 20] = heard[47, 3] = DISLIKED
    heard = heard.tocsr()
    for user, expected in enumerate(recommend_whole(model, plays, heard, options)):
        found = recommend_one(listener_of(model, plays[user], heard[user], options.discovery), options)
        np.testing.assert_array_equal(found.track_rows, expected.track_rows)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        assert found.sources == expected.sources
        assert (found.basis, found.plays_known) == (expected.basis, expected.plays_known)
        np.testing.assert_allclose(found.confidences, expected.confidences)


def test_a_short_list_is_shorter_than_the_catalog_and_honest_about_the_rest(hybrid, clusters, monkeypatch) -> None:
    monkeypatch.setattr(retrieval, "LEAST_TRACKS", 0)
    hybrid = replace(hybrid)
    plays, heard = clusters.to_csr(), clusters.heard()
    scores = score_users(hybrid, plays, heard)
    for user in range(40):
        short = shortlist(listener_of(hybrid, plays[user], heard[user]), 12, RecommendOptions())
        assert 12 <= len(short.rows) <= 16
        np.testing.assert_allclose(short.scores, scores[user, short.rows], atol=1e-5)
        outside = np.setdiff1d(np.arange(len(scores[user])), short.rows)
        assert scores[user, outside].max() <= short.floor
        assert not set(short.rows) & set(heard[user].indices)


def test_live_plays_and_uploads_are_found_by_an_index_that_was_made_before(hybrid, clusters, monkeypatch) -> None:
    monkeypatch.setattr(retrieval, "LEAST_TRACKS", 0)
    hybrid = replace(hybrid)
    index = hybrid.retrieval
    ids, vector = ("new-1", "new-2"), hybrid.sound.vectors[:2]
    catalog = Catalog.from_frame(pd.DataFrame({"item_id": ids, "title": ids}))
    starts = np.zeros(0, dtype=np.float32)
    embeddings = Embeddings(
        Vocabulary("track", ids), vector, vector[:0], np.zeros(0, dtype=np.int32), starts, hybrid.sound.version
    )
    later = with_new_tracks(hybrid, catalog, embeddings)
    some = clusters.select(np.arange(len(clusters)) < 30)
    row = 60
    moved = replace(some, track_rows=np.full(len(some), row, dtype=np.int32), tracks=later.catalog.tracks)
    later = with_live_plays(later, moved)
    assert row in later.changed_rows
    assert later.retrieval is index is not None
    exact = score_users(later, later.plays)
    for user in range(20):
        listener = listener_of(later, later.plays[user], later.heard[user])
        estimated = estimates(listener).values(np.arange(len(later.catalog)))
        np.testing.assert_allclose(estimated[[row, 64, 65]], exact[user, [row, 64, 65]], atol=0.15)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_one_listener_is_shown_what_the_whole_policy_draws(model, clusters, share) -> None:
    options, config = RecommendOptions(top=6), ExploreConfig(share=share, hand=3)
    plays, heard = clusters.to_csr(), clusters.heard().tolil()
    heard[4, 61] = DISLIKED
    heard = heard.tocsr()
    whole, base = uncertainty_of(model), base_uncertainty(model)
    tried = 0
    for user in range(0, 48, 3):
        listener = listener_of(model, plays[user], heard[user])
        ranked = recommend_one(listener, options)
        args = (ranked, options, config)
        expected = explore(model, whole, plays[user], heard[user], *args, np.random.default_rng(user))
        found = explore_one(listener, base, *args, np.random.default_rng(user))
        np.testing.assert_array_equal(found.ranked.track_rows, expected.ranked.track_rows)
        np.testing.assert_allclose(found.ranked.scores, expected.ranked.scores, atol=1e-5)
        np.testing.assert_allclose(found.propensities, expected.propensities, atol=1e-5)
        np.testing.assert_array_equal(found.explored, expected.explored)
        assert found.ranked.sources == expected.ranked.sources
        tried += int(found.explored.sum())
    assert tried > 0


def test_what_is_tried_from_estimates_keeps_the_rules(hybrid, clusters, monkeypatch) -> None:
    monkeypatch.setattr(retrieval, "LEAST_TRACKS", 0)
    hybrid = replace(hybrid)
    options, config = RecommendOptions(top=6, max_per_artist=1), ExploreConfig(share=0.7, hand=4)
    plays, heard = clusters.to_csr(), clusters.heard()
    for user in range(30):
        listener = listener_of(hybrid, plays[user], heard[user])
        ranked = recommend_one(listener, options)
        found = explore_one(listener, base_uncertainty(hybrid), ranked, options, config, np.random.default_rng(user))
        rows = found.ranked.track_rows
        assert len(set(rows)) == len(rows)
        assert not set(rows) & set(heard[user].indices)
        assert len(set(hybrid.artist_codes[rows])) == len(rows)
        np.testing.assert_allclose(found.propensities[~found.explored], 0.3, atol=1e-9)


def test_a_candidate_that_is_no_track_is_named(hybrid) -> None:
    nobody = sparse.csr_matrix((1, len(hybrid.catalog)), dtype=np.float32)
    options = RecommendOptions(candidate_rows=np.array([64], dtype=np.int32))
    with pytest.raises(DataError, match="candidate row 64 is not in a catalog of 64 tracks"):
        recommend_one(listener_of(hybrid, nobody, nobody), options)


def test_a_scan_is_off_by_little() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 24)) * np.linspace(3, 0.1, 24) + 2).astype(np.float32)
    for query in rng.normal(size=(10, 24)).astype(np.float32):
        exact = vectors @ query
        found = Scan.of(Coded.of(vectors)).products(query).values(np.arange(500))
        assert np.abs(found - exact).max() < 0.03 * exact.std() * np.sqrt(24)


def test_the_best_products_are_all_there_and_the_bound_holds() -> None:
    rng = np.random.default_rng(1)
    for size in (40, 5000, 70_000):
        steps = rng.integers(-500, 500, size).astype(np.int32)
        steps[rng.random(size) < 0.2] = LEFT_OUT
        products = Products(steps, 0.5, 2.0)
        for depth in (1, 30, 900, size):
            rows, bound = products.best(depth)
            outside = np.setdiff1d(np.flatnonzero(steps > LEFT_OUT), rows)
            assert len(rows) >= min(depth, np.count_nonzero(steps > LEFT_OUT))
            assert (steps[rows] > LEFT_OUT).all()
            assert steps[rows].min() >= steps[outside].max(initial=LEFT_OUT)
            assert products.values(outside).max(initial=-np.inf) <= bound


def test_similar_tracks_by_a_scan_are_those_of_all(hybrid) -> None:
    scan, sound = Scan.of(Coded.of(hybrid.sound.vectors[:50])), hybrid.sound
    for row in (0, 9, 55):
        query = query_of_row(sound, row)
        for top in (3, 100):
            found = similar_by_scan(sound, scan, query, top, [row, 60])
            expected = similar_tracks(sound, query, top, [row, 60])
            assert [one.track_row for one in found] == [one.track_row for one in expected]
            assert [replace(one, similarity=0) for one in found] == [replace(one, similarity=0) for one in expected]
            np.testing.assert_allclose(*[[one.similarity for one in some] for some in (found, expected)], rtol=1e-5)


def test_what_was_prepared_before_gives_the_same_lists(hybrid, clusters, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(retrieval, "LEAST_TRACKS", 0)
    hybrid = replace(hybrid)
    save_hybrid(tmp_path / "hybrid", hybrid, "v1")
    save_prepared(tmp_path / "prepared", hybrid, "v1")
    again = load_hybrid(tmp_path / "hybrid", "v1")
    load_prepared(tmp_path / "prepared", "v1", again)
    monkeypatch.setattr(retrieval, "code_tracks", None)  # it is there already
    plays, heard, config = clusters.to_csr(), clusters.heard(), ExploreConfig(share=0.5, hand=3)
    for user in range(20):
        found = [
            recommend_and_explore(
                listener_of(model, plays[user], heard[user]), OPTIONS[0], config, np.random.default_rng(user)
            )
            for model in (hybrid, again)
        ]
        np.testing.assert_array_equal(found[0].ranked.track_rows, found[1].ranked.track_rows)
        np.testing.assert_allclose(found[0].propensities, found[1].propensities, atol=1e-5)
    with pytest.raises(VersionError):
        load_prepared(tmp_path / "prepared", "v2", again)
    save_arrays(tmp_path / "part", "prepared", "v1", {"kinds": np.zeros(2, np.float32)}, {})
    with pytest.raises(ArtifactError, match="damaged"):
        load_prepared(tmp_path / "part", "v1", again)


def test_many_users_of_a_large_catalog_are_listeners_one_by_one(hybrid, clusters, monkeypatch) -> None:
    plays, heard = clusters.to_csr(), clusters.heard()
    expected = recommend_whole(hybrid, plays, heard)
    monkeypatch.setattr(retrieval, "LEAST_TRACKS", 0)
    seen = []
    found = recommend(replace(hybrid), plays, heard, progress=lambda done, total: seen.append((done, total)))
    assert [one.track_rows.tolist() for one in found] == [one.track_rows.tolist() for one in expected]
    assert seen[-1] == (48, 48)

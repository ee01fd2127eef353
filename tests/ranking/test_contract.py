"""What holds of every model: with plays and sound, plays alone, sound alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ConfigError, DataError
from recommender.ranking import ranker
from recommender.ranking.ranker import (
    RecommendOptions,
    explain_lists,
    fit_hybrid,
    load_hybrid,
    recommend,
    save_hybrid,
    score_users,
)

N_TRACKS, N_USERS = 64, 48
PLAIN = RecommendOptions(max_per_artist=None, artist_gap=0, diversity=0, calibration=0, distaste=0)
"""The best scores, whatever they make for a list."""


@pytest.fixture
def histories(clusters):
    return clusters.to_csr(), clusters.heard()


def test_batch_equals_single(model, histories):
    plays, heard = histories
    together = recommend(model, plays, heard)
    for user in range(0, N_USERS, 5):
        alone = recommend(model, plays[user], heard[user])[0]
        np.testing.assert_array_equal(alone.track_rows, together[user].track_rows)
        np.testing.assert_allclose(alone.scores, together[user].scores, atol=1e-5)
        assert alone.sources == together[user].sources


def test_small_blocks_change_nothing(model, histories, monkeypatch):
    whole = recommend(model, *histories)
    monkeypatch.setattr(ranker, "BLOCK_BYTES", 4 * N_TRACKS * 3)
    seen = []
    blocks = recommend(model, *histories, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (3, N_USERS)
    assert seen[-1] == (N_USERS, N_USERS)
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one.track_rows, other.track_rows)


def test_heard_tracks_are_left_out_unless_wanted(model, histories):
    plays, heard = histories
    options = replace(PLAIN, top=N_TRACKS)
    for user, ranked in enumerate(recommend(model, plays, heard, options)):
        assert set(ranked.track_rows) == set(range(N_TRACKS)) - set(heard[user].indices)
        assert ranked.basis == "default" or np.all(np.diff(ranked.scores) <= 0)
    everything = recommend(model, plays, heard, replace(options, include_heard=True))
    assert all(len(ranked) == N_TRACKS for ranked in everything)


def test_scores_of_heard_tracks_are_minus_infinity(model, histories):
    plays, heard = histories
    scores = score_users(model, plays, heard)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores == -np.inf, heard.toarray() > 0)
    np.testing.assert_allclose(scores[heard.toarray() == 0], score_users(model, plays)[heard.toarray() == 0], atol=1e-6)


def test_lists_follow_the_scores(model, histories):
    plays, heard = histories
    plays, heard = plays[: N_USERS - 1], heard[: N_USERS - 1]  # the last user plays nothing
    scores = score_users(model, plays, heard)
    for user, ranked in enumerate(recommend(model, plays, heard, replace(PLAIN, top=5))):
        np.testing.assert_allclose(ranked.scores, np.sort(scores[user])[::-1][:5], atol=1e-5)


def test_artist_cap(model, histories):
    ranked = recommend(model, *histories, replace(PLAIN, top=N_TRACKS, max_per_artist=1))
    for one in ranked:
        artists = model.artist_codes[one.track_rows]
        assert len(set(artists)) == len(artists)
    free = recommend(model, *histories, replace(PLAIN, top=N_TRACKS))
    for capped, one in zip(ranked, free, strict=True):
        firsts = [
            row
            for place, row in enumerate(one.track_rows)
            if model.artist_codes[row] not in model.artist_codes[one.track_rows[:place]]
        ]
        np.testing.assert_array_equal(capped.track_rows, firsts)


def test_only_candidates_come_back(model, histories):
    rows = np.array([60, 3, 5, 5, 11], dtype=np.int32)
    scores = score_users(model, *histories)
    for user, ranked in enumerate(recommend(model, *histories, replace(PLAIN, candidate_rows=rows))):
        allowed = [row for row in np.unique(rows) if scores[user, row] > -np.inf]
        assert sorted(ranked.track_rows) == allowed
        np.testing.assert_allclose(ranked.scores, scores[user, ranked.track_rows], atol=1e-5)
    with pytest.raises(DataError, match="candidate row 64"):
        recommend(model, *histories, RecommendOptions(candidate_rows=np.array([64], dtype=np.int32)))
    none = recommend(model, *histories, RecommendOptions(candidate_rows=np.empty(0, dtype=np.int32)))
    assert all(len(ranked) == 0 for ranked in none)


def test_same_seed_same_answer(model, clusters_catalog, clusters, clusters_embeddings, histories, small_config):
    interactions = clusters if model.knows_plays else clusters.select(np.zeros(len(clusters), dtype=bool))
    embeddings = clusters_embeddings if model.sound is not None else None
    again = fit_hybrid(clusters_catalog, interactions, embeddings, small_config)
    assert again.validation == model.validation
    np.testing.assert_array_equal(score_users(again, histories[0]), score_users(model, histories[0]))


def test_saved_and_loaded_answers_the_same(model, histories, tmp_path):
    save_hybrid(tmp_path / "model.safetensors", model, "v1")
    loaded = load_hybrid(tmp_path / "model.safetensors", "v1")
    np.testing.assert_array_equal(score_users(loaded, histories[0]), score_users(model, histories[0]))
    lists, again = recommend(model, *histories), recommend(loaded, *histories)
    assert explain_lists(loaded, histories[0], again) == explain_lists(model, histories[0], lists)
    assert loaded.validation == model.validation
    assert loaded.config == model.config


def test_relabelled_ids_change_nothing(model, clusters_catalog, clusters, clusters_embeddings, histories, small_config):
    relabel = tuple(f"z{N_TRACKS - row:03d}" for row in range(N_TRACKS))
    frame = clusters_catalog.to_frame()
    frame["item_id"] = list(relabel)
    catalog = Catalog.from_frame(frame)
    users = Vocabulary("user", tuple(f"someone {row}" for row in range(N_USERS)))
    kept = np.full(len(clusters), model.knows_plays)
    part = clusters.select(kept)
    interactions = Interactions(users, catalog.tracks, part.user_rows, part.track_rows, part.weights, part.times)
    embeddings = None
    if model.sound is not None:
        e = clusters_embeddings
        embeddings = Embeddings(catalog.tracks, e.vectors, e.clip_vectors, e.clip_tracks, e.clip_starts_s, e.version)
    other = fit_hybrid(catalog, interactions, embeddings, small_config)
    np.testing.assert_array_equal(score_users(other, histories[0]), score_users(model, histories[0]))


def test_a_user_without_plays_gets_popular_and_new_tracks_by_turns(hybrid, cf_only):
    nothing = sparse.csr_matrix((1, N_TRACKS), dtype=np.float32)
    for model in (hybrid, cf_only):
        ranked = recommend(model, nothing, nothing, replace(PLAIN, top=9))[0]
        popular = np.lexsort((np.arange(N_TRACKS), -model.evidence))[:6].reshape(3, 2)
        expected = np.column_stack([popular, [54, 55, 56]]).ravel()
        np.testing.assert_array_equal(ranked.track_rows, expected)
        assert ranked.sources == ("popularity", "popularity", "new") * 3
        assert (ranked.basis, ranked.plays_known, ranked.confidences.max()) == ("default", 0, 0)
        reasons = [one.reason for one in explain_lists(model, nothing, [ranked])[0]]
        assert reasons[0] == f"popular here: {int(model.evidence[popular[0, 0]])} listeners played it"
        assert reasons[2] == "new: nobody has played it yet"


def test_a_user_without_plays_of_a_model_without_plays_gets_a_list(content_only):
    nothing = sparse.csr_matrix((1, N_TRACKS), dtype=np.float32)
    ranked = recommend(content_only, nothing, nothing, replace(PLAIN, top=3))[0]
    np.testing.assert_array_equal(ranked.track_rows, [0, 1, 2])


def test_a_play_of_a_track_that_nobody_knows_says_nothing(cf_only, clusters):
    plays = clusters.to_csr()[0].tolil()
    plays[0, N_TRACKS - 1] = 1
    with_unknown = score_users(cf_only, plays.tocsr())
    without = score_users(cf_only, clusters.to_csr()[0])
    assert np.argmax(with_unknown[0, : N_TRACKS - 1]) == np.argmax(without[0, : N_TRACKS - 1])
    alone = sparse.csr_matrix(([1.0], [N_TRACKS - 1], [0, 1]), shape=(1, N_TRACKS))
    nothing = sparse.csr_matrix((1, N_TRACKS), dtype=np.float32)
    np.testing.assert_array_equal(score_users(cf_only, alone), score_users(cf_only, nothing))


def test_how_often_a_track_was_played_does_not_count(model, histories):
    plays, _ = histories
    np.testing.assert_array_equal(score_users(model, plays * 3), score_users(model, plays))


def test_plays_of_other_tracks_are_refused(model):
    wrong = sparse.csr_matrix((2, N_TRACKS + 1), dtype=np.float32)
    with pytest.raises(DataError, match=f"{N_TRACKS + 1} columns for a model of {N_TRACKS} tracks"):
        score_users(model, wrong)
    right = sparse.csr_matrix((2, N_TRACKS), dtype=np.float32)
    with pytest.raises(DataError, match="plays are of 2 users and heard of 1"):
        recommend(model, right, right[:1])


def test_options_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="top is 0"):
        RecommendOptions(top=0)
    with pytest.raises(ConfigError, match="max_per_artist is 0"):
        RecommendOptions(max_per_artist=0)
    for name, value in (("artist_gap", -1), ("diversity", 1.1), ("popularity", -2), ("calibration", np.nan)):
        with pytest.raises(ConfigError, match=f"{name} is {value}"):
            RecommendOptions(**{name: value})


def test_tiny_world_is_answered_right(tiny_world, tiny_catalog, small_config):
    """u2 played Ada's first and skipped Ben's first: Ada's second comes before Ben's second."""
    model = fit_hybrid(tiny_catalog, tiny_world, None, small_config)
    ranked = recommend(model, tiny_world.to_csr(), tiny_world.heard(), RecommendOptions(top=9))
    lists = [model.catalog.tracks.ids_of(one.track_rows) for one in ranked]
    assert lists[2][0] == "t1"
    assert set(lists[2]) == {"t1", "t3", "t4"}
    assert lists[5][0] == "t2"
    assert lists[6] == ["t0", "t3", "t4", "t1", "t2"]  # t4 is new

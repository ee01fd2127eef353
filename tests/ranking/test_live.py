from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import DataError, VersionError
from recommender.models.cold_start import posterior_track_factors
from recommender.ranking.ranker import (
    RecommendOptions,
    query_of_row,
    recommend,
    score_users,
    similar_tracks,
    with_feedback,
    with_live_plays,
    with_new_tracks,
)
from recommender.ranking.taste import tastes_of


def plays_of(rows, model, weight=1.0):
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    frame["weight"] = weight
    frame["timestamp"] = np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[s]")
    users = Vocabulary.of("user", frame["user_id"])
    return Interactions.from_frame(frame, users, model.catalog.tracks)


def upload(ids, vectors, version="ears-1"):
    catalog = Catalog.from_frame(pd.DataFrame({"item_id": ids, "title": ids, "artist": ["New"] * len(ids)}))
    clips = np.repeat(np.asarray(vectors, dtype=np.float32), 2, axis=0)
    embeddings = Embeddings(
        catalog.tracks,
        np.asarray(vectors, dtype=np.float32),
        clips,
        np.repeat(np.arange(len(ids)), 2).astype(np.int32),
        np.tile([5.0, 25.0], len(ids)).astype(np.float32),
        version,
    )
    return catalog, embeddings


def test_a_play_moves_only_its_own_track(hybrid):
    live = with_live_plays(hybrid, plays_of([("u02", "t60"), ("u04", "t60")], hybrid))
    others = np.arange(64) != 60
    np.testing.assert_array_equal(live.posterior_factors[others], hybrid.posterior_factors[others])
    np.testing.assert_array_equal(live.evidence[others], hybrid.evidence[others])
    np.testing.assert_array_equal(live.track_index[others], hybrid.track_index[others])
    assert live.evidence[60] == 2
    assert hybrid.evidence[60] == 0
    expected = posterior_track_factors(
        live.confidence[:, [60]],
        live.factors.user_factors,
        hybrid.prior_means[[60]],
        np.array([True]),
        hybrid.factors.config,
        hybrid.posterior,
    )
    np.testing.assert_array_equal(live.posterior_factors[[60]], expected)
    rows = [hybrid.users.row("u02"), hybrid.users.row("u04")]
    unmoved = replace(hybrid, posterior_factors=hybrid.prior_means * hybrid.posterior.scale)
    np.testing.assert_allclose(live.factors.user_factors[rows], tastes_of(unmoved, live.plays[rows]).factors, atol=1e-6)


def test_the_same_plays_again_are_more_of_the_same(hybrid):
    """They are no new evidence; what a user plays most may change places with what they play a little less."""
    extra = plays_of([("u02", "t60"), ("newcomer", "t01")], hybrid)
    once = with_live_plays(hybrid, extra)
    twice = with_live_plays(once, extra)
    np.testing.assert_array_equal(once.evidence, twice.evidence)
    np.testing.assert_array_equal(once.heard.toarray(), twice.heard.toarray())
    first, second = score_users(once, once.plays), score_users(twice, twice.plays)
    others = np.arange(first.shape[1]) != 60
    np.testing.assert_allclose(first[:, others], second[:, others], atol=0.1)
    assert np.corrcoef(first[:-1].ravel(), second[:-1].ravel())[0, 1] > 0.99


def test_a_newcomer_is_folded_in(model, cluster_of):
    live = with_live_plays(model, plays_of([("newcomer", f"t{row:02d}") for row in (1, 5, 9)], model))
    row = live.users.row("newcomer")
    assert live.plays.shape == (49, 64)
    ranked = recommend(live, live.plays[row], live.heard[row], RecommendOptions(top=8))[0]
    assert not {1, 5, 9} & set(ranked.track_rows)
    assert np.mean(cluster_of[ranked.track_rows] == 1) > 0.7
    if model.knows_plays:
        assert np.linalg.norm(live.factors.user_factors[row]) > 0


def test_a_skip_is_heard_but_no_evidence(hybrid):
    live = with_live_plays(hybrid, plays_of([("u02", "t60")], hybrid, weight=0.0))
    row = hybrid.users.row("u02")
    assert live.evidence[60] == 0
    assert live.heard[row, 60] == 1
    assert live.plays[row, 60] == 0
    np.testing.assert_allclose(live.posterior_factors[60], hybrid.posterior_factors[60], atol=1e-6)


def test_plays_move_a_new_track_towards_those_who_play_it(hybrid, cluster_of):
    """Track 60 sounds like kind 0; users of kind 1 play it, and with each play others of kind 1 are likelier to get it.

    The very first play may cost it something: with it goes a part of what a track gets for being new.
    """
    fans = [f"u{user:02d}" for user in range(1, 21, 2)]
    watched = hybrid.plays[[31, 33, 35]]
    before = score_users(hybrid, watched)[:, 60]
    previous = np.full(3, -np.inf)
    for count in (1, 3, 10):
        live = with_live_plays(hybrid, plays_of([(user, "t60") for user in fans[:count]], hybrid))
        now = score_users(live, watched)[:, 60]
        assert now.mean() > previous.mean()
        previous = now
    assert previous.mean() > before.mean() - 0.1


def test_no_plays_change_nothing(hybrid):
    assert with_live_plays(hybrid, plays_of([("u02", "t60")], hybrid).select(np.array([False]))) is hybrid


def test_live_plays_of_other_tracks_are_refused(hybrid, cf_only, tiny_world):
    with pytest.raises(DataError, match="other tracks"):
        with_live_plays(hybrid, tiny_world)


def test_feedback_changes_what_is_known_of_a_listener_and_nothing_else(hybrid):
    row, played = hybrid.users.row("u02"), hybrid.plays[hybrid.users.row("u02")].indices
    frame = [("u02", f"t{played[0]:02d}", -1.0), ("u02", "t60", 1.0), ("newcomer", "t61", -1.0)]
    given = plays_of([pair[:2] for pair in frame], hybrid, weight=[weight for *_, weight in frame])
    told = with_feedback(hybrid, given)
    assert told.plays[row, played[0]] == 0
    assert (told.heard[row, played[0]], told.heard[row, 60], told.plays[row, 60]) == (
        -1,
        1,
        hybrid.plays[row].max() + 1,
    )
    assert told.heard[told.users.row("newcomer")].toarray().sum() == -1
    assert told.evidence is hybrid.evidence
    assert told.posterior_factors is hybrid.posterior_factors
    back = with_feedback(hybrid, replace(given, weights=np.zeros(3, dtype=np.float32)))
    np.testing.assert_array_equal(back.plays.toarray()[:48], hybrid.plays.toarray())
    np.testing.assert_array_equal(back.heard.toarray()[:48], hybrid.heard.toarray())
    assert with_feedback(hybrid, given.select(np.zeros(3, dtype=bool))) is hybrid


def test_a_dislike_stands_against_live_plays(hybrid):
    told = with_live_plays(hybrid, plays_of([("u02", "t60")], hybrid, weight=-1.0))
    again = with_live_plays(told, plays_of([("u02", "t60")], hybrid))
    row = hybrid.users.row("u02")
    for model in (told, again):
        assert (model.heard[row, 60], model.plays[row, 60], model.evidence[60]) == (-1, 0, 0)


def test_an_uploaded_track_is_recommendable_and_moves_nobody(model, clusters, clusters_embeddings):
    if model.sound is None:
        grown = with_new_tracks(model, upload(["fresh"], clusters_embeddings.vectors[:1])[0])
    else:
        grown = with_new_tracks(model, *upload(["fresh"], clusters_embeddings.vectors[:1]))
    plays = clusters.to_csr()
    wider = sparse.csr_matrix((plays.data, plays.indices, plays.indptr), shape=(48, 65))
    scores = score_users(grown, wider)
    np.testing.assert_allclose(scores[:, :64], score_users(model, plays), atol=1e-6)
    assert grown.catalog.tracks.ids[64] == "fresh"
    assert grown.evidence[64] == 0
    assert len(recommend(grown, wider, wider, RecommendOptions(top=65, max_per_artist=None))[0]) == 65 - 10


def test_an_uploaded_copy_scores_like_a_new_track_of_that_sound(hybrid, clusters, clusters_embeddings):
    """The copy of a track that has no plays, by an unknown artist."""
    catalog, embeddings = upload(["copy"], clusters_embeddings.vectors[[60]])
    grown = with_new_tracks(hybrid, catalog, embeddings)
    np.testing.assert_allclose(grown.sound.vectors[64], grown.sound.vectors[60], atol=1e-6)
    best = similar_tracks(grown.sound, query_of_row(grown.sound, 64), 2, [64])
    assert best[0].track_row == 60
    assert best[0].similarity == pytest.approx(1, abs=1e-5)
    assert best[0].match_start_s == 10.0
    assert best[0].query_start_s in (5.0, 25.0)
    cosine = grown.prior_means[64] @ grown.prior_means[60]
    assert cosine / np.linalg.norm(grown.prior_means[64]) / np.linalg.norm(grown.prior_means[60]) > 0.8


def test_an_uploaded_track_warms_up(hybrid, clusters_embeddings):
    grown = with_new_tracks(hybrid, *upload(["fresh", "other"], clusters_embeddings.vectors[:2]))
    live = with_live_plays(grown, plays_of([("u03", "fresh"), ("someone", "fresh")], grown))
    assert live.evidence[64] == 2
    assert live.evidence[65] == 0
    row = live.users.row("someone")
    assert np.linalg.norm(live.factors.user_factors[row]) > 0  # a play of a track that ALS has not seen says something


def test_embeddings_of_another_network_are_refused(hybrid, clusters_embeddings):
    with pytest.raises(VersionError, match=r"'ears-2'.*'ears-1'"):
        with_new_tracks(hybrid, *upload(["fresh"], clusters_embeddings.vectors[:1], version="ears-2"))


def test_a_known_track_cannot_be_uploaded_again(hybrid, clusters_embeddings):
    with pytest.raises(DataError, match="'t03' is in the model already"):
        with_new_tracks(hybrid, *upload(["t03"], clusters_embeddings.vectors[:1]))

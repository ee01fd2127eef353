import numpy as np
import pytest
from scipy import sparse

from recommender.models.als import play_confidence
from recommender.ranking.explain import contributions_to, named
from recommender.ranking.ranker import RecommendOptions, explain, explain_lists, recommend, score_users
from recommender.ranking.taste import tastes_of


def test_contributions_add_up_to_the_cf_score(hybrid, clusters):
    plays = clusters.to_csr()
    tastes = tastes_of(hybrid, plays).factors.astype(np.float64)
    rows = np.arange(len(hybrid.catalog))
    for user in range(0, plays.shape[0], 7):
        played = plays[user].indices
        shares = contributions_to(hybrid, plays[user], rows)
        assert shares.shape == (len(rows), len(played))
        np.testing.assert_allclose(shares.sum(axis=1), hybrid.posterior_factors @ tastes[user], atol=1e-5)


def test_a_contribution_is_what_would_be_missing_from_the_sum(hybrid, clusters):
    """Against the equation written out: x = A^-1 sum w y, with A from all plays."""
    plays = clusters.to_csr()[4]
    weights = play_confidence(plays, hybrid.factors.config.play_emphasis).data.astype(np.float64)
    played = plays.indices
    Y = hybrid.factors.track_factors.astype(np.float64)
    config = hybrid.factors.config
    trained = Y.any(axis=1).sum()
    ridge = config.regularization * (len(played) + config.unobserved_weight * trained)
    a0 = config.unobserved_weight
    A = (
        (Y[played].T * ((1 + a0) * weights - a0)) @ Y[played]
        + config.unobserved_weight * Y.T @ Y
        + ridge * np.eye(Y.shape[1])
    )
    expected = hybrid.posterior_factors[20].astype(np.float64) @ np.linalg.solve(A, Y[played].T * weights)
    found = contributions_to(hybrid, plays, np.array([20]))[0]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=4e-3)  # the library rounds ridges to a grid


def test_an_explanation_says_what_the_score_is_made_of(model, clusters):
    plays, heard = clusters.to_csr(), clusters.heard()
    ranked = recommend(model, plays[2], heard[2], RecommendOptions(top=64))[0]
    scores = score_users(model, plays[2])[0]
    for place in (0, 5, len(ranked) - 1):
        row = int(ranked.track_rows[place])
        found = explain(model, plays[2], row)
        assert found.score == pytest.approx(scores[row], abs=1e-5)
        assert sum(found.parts.values()) == pytest.approx(found.score, abs=1e-5)
        assert found.contributions.sum() == pytest.approx(found.cf_score)
        assert list(found.contributions) == sorted(found.contributions, reverse=True)
        assert sorted(found.played_rows) == sorted(plays[2].indices)
        assert found.source == ranked.sources[place]
        assert found.listeners == model.evidence[row]
        assert 0 <= found.taste_weight <= 1
        assert 0 <= found.play_weight <= 1


def test_neighbours_in_sound_are_the_users_own_plays_with_the_matching_seconds(hybrid, clusters, cluster_of):
    plays = clusters.to_csr()[3]
    found = explain(hybrid, plays, 61)
    cosine = hybrid.sound.vectors[plays.indices] @ hybrid.sound.vectors[61]
    expected = plays.indices[np.argsort(-cosine)][:3]
    assert [alike.track_row for alike in found.sounds_like] == expected.tolist()
    assert cluster_of[expected[0]] == cluster_of[61]
    assert found.sounds_like[0].similarity == pytest.approx(cosine.max(), abs=1e-5)
    pairs = hybrid.sound.clip_vectors[2 * 61 : 2 * 61 + 2] @ hybrid.sound.clip_vectors[2 * expected[0] :][:2].T
    mine, theirs = np.unravel_index(pairs.argmax(), pairs.shape)
    starts_s = (0.0, 10.0)
    assert (found.sounds_like[0].query_start_s, found.sounds_like[0].match_start_s) == (
        starts_s[mine],
        starts_s[theirs],
    )


def test_reasons_name_the_play_that_did_it(hybrid, clusters):
    plays, heard = clusters.to_csr(), clusters.heard()
    lists = recommend(hybrid, plays, heard, RecommendOptions(top=64, max_per_artist=None))
    answers = explain_lists(hybrid, plays, lists)
    seen = set()
    for user, (ranked, answer) in enumerate(zip(lists, answers, strict=True)):
        played = plays[user].indices
        for row, one in zip(ranked.track_rows, answer, strict=True):
            assert one.track_id == hybrid.catalog.tracks.ids[row]
            seen.add(one.source)
            if one.source == "cf" and one.reason.startswith("because"):
                best = played[np.argmax(contributions_to(hybrid, plays[user], np.array([row]))[0])]
                assert one.reason == f"because you played {named(hybrid, int(best))}"
            if one.source == "content" and hybrid.evidence[row] == 0 and "sounds like" in one.reason:
                best = played[np.argmax(hybrid.sound.vectors[played] @ hybrid.sound.vectors[row])]
                clips = hybrid.sound.clip_vectors.reshape(len(hybrid.catalog), 2, -1)
                here, there = np.unravel_index((clips[row] @ clips[best].T).argmax(), (2, 2))
                seconds = f"(0:{10 * here:02d} here, 0:{10 * there:02d} there)"
                assert one.reason == f"new: it sounds like {named(hybrid, int(best))} {seconds}"
                seen.add(seconds)
    assert {"cf", "content", "(0:10 here, 0:10 there)"} <= seen


def test_a_played_track_is_not_its_own_reason(hybrid, clusters):
    plays = clusters.to_csr()[0]
    ranked = recommend(hybrid, plays, plays, RecommendOptions(top=64, include_heard=True, max_per_artist=None))[0]
    for row, one in zip(ranked.track_rows, explain_lists(hybrid, plays, [ranked])[0], strict=True):
        assert named(hybrid, int(row)) not in one.reason


def test_names_without_an_artist(hybrid):
    assert named(hybrid, 5) == "Title 5 by Artist 1-1"


def test_a_track_without_anything_is_explained_all_the_same(cf_only):
    nothing = sparse.csr_matrix((1, len(cf_only.catalog)), dtype=np.float32)
    found = explain(cf_only, nothing, 63)
    assert found.reason == "new: nobody has played it yet"
    assert found.taste_weight == 0
    assert len(found.contributions) == 0

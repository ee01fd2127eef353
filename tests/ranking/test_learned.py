import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender.ranking import ranker, ranker_choice
from recommender.ranking.fitting import assemble
from recommender.ranking.learned import FEATURES, Learned, features
from recommender.ranking.ranker import (
    Blend,
    RecommendOptions,
    explain,
    fit_hybrid,
    load_hybrid,
    recommend,
    save_hybrid,
    score_users,
    served_scores,
    validation_split,
)
from recommender.ranking.ranker_choice import BLEND, LEARNED, PLAIN, Pools, choose_ranker, train
from recommender.ranking.scoring import user_vectors
from recommender.ranking.taste import tastes_of

N_TRACKS = 64
PLAIN_LIST = RecommendOptions(max_per_artist=None, artist_gap=0, diversity=0, calibration=0, distaste=0)


@pytest.fixture(scope="module")
def learned() -> Learned:
    """Trained where the hit is what the blend ranks low: tracks of few listeners, with other plays by the artist."""
    rng = np.random.default_rng(3)
    n_users, size = 60, 40
    columns = np.round(rng.normal(size=(n_users * size, len(FEATURES))), 3).astype(np.float32)
    listeners, artist_plays = FEATURES.index("listeners"), FEATURES.index("artist_plays")
    columns[:, listeners] = rng.choice(np.log1p(np.arange(12)), len(columns))
    columns[:, artist_plays] = rng.choice(np.log1p(np.arange(3)), len(columns))
    hits = (columns[:, listeners] < 1.7) & (columns[:, artist_plays] > 0)
    pools = Pools(columns, np.zeros(len(columns), dtype=np.float32), hits, np.full(n_users, size))
    return train(pools, ranker.RankerConfig(), rng, trees=30)[0]


@pytest.fixture(scope="module")
def with_learned(hybrid, learned):
    return replace(hybrid, learned=learned)


@pytest.fixture
def histories(clusters):
    return clusters.to_csr(), clusters.heard()


def test_lists_are_in_the_order_of_the_learned_scores(with_learned, hybrid, histories):
    plays, heard = histories
    options = replace(PLAIN_LIST, top=10)
    lists, before = (recommend(model, plays, heard, options) for model in (with_learned, hybrid))
    scores = served_scores(with_learned, plays, heard.toarray() == 0)
    for user, ranked in enumerate(lists[:-1]):
        assert np.all(np.diff(ranked.scores) <= 0)
        np.testing.assert_allclose(ranked.scores, np.sort(scores[user])[::-1][:10], atol=1e-5)
        np.testing.assert_allclose(ranked.scores, scores[user, ranked.track_rows], atol=1e-5)
    moved = [list(one.track_rows) != list(other.track_rows) for one, other in zip(lists, before, strict=True)]
    assert np.mean(moved) > 0.3
    assert not moved[-1]  # nobody's plays: a default list
    rare = [np.mean([with_learned.evidence[one.track_rows].mean() for one in of[:-1]]) for of in (lists, before)]
    assert rare[0] < rare[1]


def test_only_the_pool_is_re_ordered(with_learned, hybrid, histories, monkeypatch):
    plays, heard = histories
    monkeypatch.setattr(ranker, "LEARNED_POOL", 10)
    allowed = heard.toarray() == 0
    before, after = score_users(hybrid, plays, heard), served_scores(with_learned, plays, allowed)
    for user in range(len(before) - 1):
        first, then = (np.argsort(-scores[user], kind="stable") for scores in (before, after))
        n = int(allowed[user].sum())
        assert set(first[:10]) == set(then[:10])
        np.testing.assert_array_equal(first[10:n], then[10:n])
    np.testing.assert_array_equal(after == -np.inf, ~allowed)


def test_batch_equals_single(with_learned, histories):
    plays, heard = histories
    for user, together in enumerate(recommend(with_learned, plays, heard)):
        alone = recommend(with_learned, plays[user], heard[user])[0]
        np.testing.assert_array_equal(alone.track_rows, together.track_rows)
        np.testing.assert_allclose(alone.scores, together.scores, atol=1e-5)


def test_saved_and_loaded_answers_the_same(with_learned, histories, tmp_path):
    save_hybrid(tmp_path / "model.safetensors", with_learned, "v1")
    loaded = load_hybrid(tmp_path / "model.safetensors", "v1")
    assert loaded.learned.text == with_learned.learned.text
    for one, other in zip(recommend(loaded, *histories), recommend(with_learned, *histories), strict=True):
        np.testing.assert_array_equal(one.track_rows, other.track_rows)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_parts_add_up_to_the_score_in_the_list(with_learned, histories):
    plays, heard = histories
    contexts = []
    for user in (2, 7):
        ranked = recommend(with_learned, plays[user], heard[user], RecommendOptions(top=20))[0]
        for place, row in enumerate(ranked.track_rows):
            found = explain(with_learned, plays[user], int(row), heard=heard[user])
            assert sum(found.parts.values()) == pytest.approx(found.score, abs=1e-5)
            assert found.score == pytest.approx(ranked.scores[place], abs=1e-5)
            assert list(found.parts) == ["factors", "neighbours", "content", "popularity", "context", "distaste"]
            contexts.append(found.parts["context"])
    assert np.ptp(contexts) > 0.01
    nothing = sparse.csr_matrix((1, N_TRACKS), dtype=np.float32)
    assert "context" not in explain(with_learned, nothing, 3).parts


def test_features_say_what_they_are_called(hybrid, clusters):
    plays = clusters.to_csr()
    model = replace(hybrid, blend=replace(Blend(), user_half=0.0, neighbour_share=0.0))
    users = user_vectors(tastes_of(model, plays), model.standards, model.blend)
    rows = np.array([int(plays[4].indices[0]), 60, 17])
    found = dict(zip(FEATURES, features(model, users, 4, plays[4], rows).T, strict=True))
    played = plays[4].indices
    np.testing.assert_allclose(found["listeners"], np.log1p(model.evidence[rows]), atol=1e-3)
    np.testing.assert_allclose(found["plays"], np.log1p(len(played)), atol=1e-3)
    others = [sum(model.artist_codes[one] == model.artist_codes[row] and one != row for one in played) for row in rows]
    np.testing.assert_allclose(found["artist_plays"], np.log1p(others), atol=1e-3)
    np.testing.assert_allclose(found["cf_over_content"], found["factors"] - found["content"], atol=2e-3)
    weight = found["play_weight"]
    np.testing.assert_allclose(
        weight * found["factors"] + (1 - weight) * found["content"], score_users(model, plays[4])[0, rows], atol=5e-3
    )


def test_the_plain_posterior_ranks_by_factors_alone(hybrid, clusters):
    plays = clusters.to_csr()[:-1]
    model = replace(hybrid, blend=Blend(user_half=0.0, neighbour_share=0.0, plain_posterior=True))
    expected = tastes_of(model, plays).factors @ model.posterior_factors.T
    for mine, theirs in zip(score_users(model, plays), expected, strict=True):
        assert np.corrcoef(mine, theirs)[0, 1] > 1 - 1e-5
    assert explain(model, plays[0], 60).play_weight == 1


@pytest.fixture(scope="module")
def inner(clusters_catalog, clusters, clusters_embeddings, small_config, hybrid):
    split = validation_split(clusters, np.ones(N_TRACKS, dtype=bool), 0)
    model = fit_hybrid(clusters_catalog, split.train, clusters_embeddings, small_config)
    return assemble(clusters_catalog, split.train, clusters_embeddings, model.factors, small_config), split


def test_too_few_users_keep_the_blend(inner, hybrid, small_config):
    blend, learned, found = choose_ranker(*inner, small_config)
    assert (blend, learned, found["chosen"]) == (inner[0].blend, None, BLEND)
    assert "100 are needed" in found["why"]
    assert hybrid.validation["ranker"]["chosen"] == BLEND


def test_switched_off_nothing_is_tried(inner, small_config):
    assert choose_ranker(*inner, replace(small_config, learned=False))[2]["why"].endswith("`learned` is off")


def test_the_choice_is_measured_recorded_and_repeats(inner, small_config, monkeypatch):
    monkeypatch.setattr(ranker_choice, "LEAST_USERS", 5)
    first, again = (choose_ranker(*inner, small_config) for _ in range(2))
    assert first[2] == again[2]
    ndcg = first[2]["ndcg"]
    assert set(ndcg) == {BLEND, PLAIN, LEARNED, "pure CF"}
    low, mean, high = ndcg[LEARNED]["difference"]
    assert low <= mean <= high
    assert mean == pytest.approx(ndcg[LEARNED]["mixed"] - ndcg[BLEND]["mixed"])
    monkeypatch.setattr(ranker_choice, "MAX_SCORES", N_TRACKS * 7)
    blocks = choose_ranker(*inner, small_config)[2]["ndcg"]
    assert blocks[PLAIN]["mixed"] == pytest.approx(ndcg[PLAIN]["mixed"])


@pytest.mark.parametrize("chosen", [BLEND, PLAIN, LEARNED])
def test_what_is_chosen_is_what_ranks(inner, small_config, monkeypatch, chosen):
    monkeypatch.setattr(ranker_choice, "LEAST_USERS", 5)
    monkeypatch.setattr(ranker_choice, "_judge", lambda *_: (chosen, "forced"))
    blend, learned, _ = choose_ranker(*inner, small_config)
    assert blend.plain_posterior == (chosen == PLAIN)
    assert (learned is not None) == (chosen == LEARNED)


def test_known_tracks_are_compared_with_known_ones_and_new_with_new_ones():
    columns = np.zeros((5, len(FEATURES)), dtype=np.float32)
    columns[:, FEATURES.index("listeners")] = [1, 0, 2, 0, 3]
    scores = np.arange(5, dtype=np.float32)
    found = Pools(columns, scores, scores == 1, np.array([3, 2])).by_kind()
    assert found.sizes.tolist() == [2, 1, 1, 1]
    assert found.scores.tolist() == [0, 2, 1, 4, 3]
    assert found.found.tolist() == [False, True, False, False]


def ndcgs(blend, other, *, new=0.3, warm=0.3, known=0.3):
    """NDCG of 200 users, whose mixed lists differ by ranker."""
    noise = np.random.default_rng(0).normal(0, 0.1, 200)

    def of(mixed, new=0.3, warm=0.3, known=0.3):
        parts = {"new part": new, "warm": warm, "known part": known}
        return {"mixed": mixed + noise} | {name: np.full(200, value) for name, value in parts.items()}

    return {BLEND: of(blend), PLAIN: of(0.1), LEARNED: of(other, new, warm, known), "pure CF": of(0, new=0)}


def test_another_ranker_must_win_by_more_than_chance_and_keep_the_rules():
    ahead = 0.3 + 0.02 * (1 + np.random.default_rng(1).normal(size=200))
    assert ranker_choice._judge(ndcgs(0.3, ahead), 0.01)[0] == LEARNED
    by_chance = 0.3 + 0.001 + np.random.default_rng(1).normal(0, 0.1, size=200)
    for found, why in (
        (ndcgs(0.3, by_chance), "more than chance"),
        (ndcgs(0.3, ahead, warm=0.29), "among known tracks"),
        (ndcgs(0.3, ahead, known=0.27), "beside new ones"),
        (ndcgs(0.3, ahead, new=0.29), "among new tracks"),
    ):
        chosen, reason = ranker_choice._judge(found, 0.01)
        assert chosen == BLEND
        assert why in reason.split(";")[0]


def test_lightgbm_is_loaded_only_when_it_is_used():
    modules = "pipelines.cli, recommender.ranking.ranker, recommender.serving.app"
    code = f"import sys, {modules}; assert 'lightgbm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

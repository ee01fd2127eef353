from dataclasses import replace

import numpy as np
import pytest

from recommender.ranking import ranker, retrieval
from recommender.ranking.ranker import RecommendOptions, recommend, with_live_plays
from recommender.ranking.retrieval import best_of, build_retrieval
from recommender.ranking.scoring import score_block, track_vectors, user_vectors
from recommender.ranking.taste import tastes_of
from tests.ranking.test_live import plays_of

OPTIONS = {
    "plain": {},
    "heard too": {"include_heard": True},
    "popular": {"popularity": 1.0},
    "new": {"discovery": 1.0},
    "short of artists": {"max_per_artist": 1, "top": 12},
    "more than there is": {"top": 200},
    "few rows": {"candidate_rows": np.arange(5, 40, dtype=np.int32)},
}


@pytest.fixture
def narrow(monkeypatch):
    """Small catalogs are narrowed too, down to a dozen tracks."""

    def start():
        for room in (ranker, retrieval):
            monkeypatch.setattr(room, "NARROW_FROM", 1)
        monkeypatch.setattr(ranker, "CANDIDATES", 12)
        monkeypatch.setattr(ranker, "POOL", 2)

    monkeypatch.setattr(ranker, "POOL", 2)
    return start


@pytest.mark.parametrize("name", OPTIONS)
def test_narrowed_lists_are_those_of_the_whole_catalog(hybrid, narrow, name):
    options = RecommendOptions(**({"top": 5} | OPTIONS[name]))
    whole = recommend(hybrid, hybrid.plays, hybrid.heard, options)
    narrow()
    model = replace(hybrid)
    assert model.retrieval is not None
    for expected, found in zip(whole, recommend(model, model.plays, model.heard, options), strict=True):
        assert found.track_rows.tolist() == expected.track_rows.tolist()
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        assert found.sources == expected.sources


def test_rough_scores_are_about_the_exact_ones(hybrid):
    users = user_vectors(tastes_of(hybrid, hybrid.plays), hybrid.standards, hybrid.blend)
    index = build_retrieval(hybrid)
    exact = users.vectors @ track_vectors(hybrid).T
    rough = np.stack([index.scores(vector) for vector in users.vectors])
    assert np.abs(rough - exact).max() < 0.1 * exact.std()


def test_a_track_that_changed_is_always_looked_at(hybrid, narrow):
    narrow()
    model = replace(hybrid)
    live = with_live_plays(model, plays_of([("u02", "t60"), ("u04", "t60")], model))
    assert live.retrieval is model.retrieval
    assert live.changed_rows.tolist() == [60]
    rough = retrieval.rough_scores(live, user_vectors(tastes_of(live, live.plays[:1]), live.standards, live.blend), 0)
    assert rough[60] == np.inf
    whole = score_block(live, user_vectors(tastes_of(live, live.plays[:3]), live.standards, live.blend))
    some = np.array([60, 3, 17])
    parts = score_block(live, user_vectors(tastes_of(live, live.plays[:3]), live.standards, live.blend), some)
    np.testing.assert_allclose(parts, whole[:, some], atol=1e-5)


@pytest.mark.parametrize("count", [1, 30, 400])
def test_the_best_of_many_are_among_those_that_are_taken(count):
    rng = np.random.default_rng(0)
    for scores in (rng.normal(size=5000), np.sort(rng.normal(size=5000)), np.repeat([0.0, 1.0], 2500)):
        scores = scores.astype(np.float32)
        scores[:7] = -np.inf
        found = best_of(scores, count)
        assert count <= len(found)
        assert set(np.argsort(-scores, kind="stable")[:count]) <= set(found) or len(np.unique(scores)) < 4
        assert scores[found].min() > -np.inf
    assert best_of(np.full(50, -np.inf, dtype=np.float32), 3).tolist() == []

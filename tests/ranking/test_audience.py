from dataclasses import replace

import numpy as np
import pytest

from recommender.ranking.audience import gather_crowd, score_fans, who_would_like
from recommender.ranking.ranker import score_users


def test_the_fast_way_finds_whom_scoring_everybody_finds(model, monkeypatch):
    if model.plays.nnz == 0:
        assert who_would_like(model, gather_crowd(model), 0, 5) == []
        return
    monkeypatch.setattr("recommender.ranking.audience.LEAST_SHORTLIST", 12)
    crowd = gather_crowd(model)
    for row in (0, 5, 60):
        exact = score_fans(model, np.arange(len(model.users)), row)
        fast = who_would_like(model, crowd, row, 5)
        assert {fan.user_row for fan in fast} == {fan.user_row for fan in exact[:5]}
        assert fast[0].standing == pytest.approx(exact[0].standing, abs=1e-5)


def test_a_new_track_goes_to_those_who_play_its_kind(hybrid, cluster_of):
    fans = who_would_like(hybrid, gather_crowd(hybrid), 61, 8)
    assert len(fans) == 8
    assert np.mean([fan.user_row % 2 == cluster_of[61] for fan in fans]) > 0.8


def test_standing_and_place_are_those_of_the_users_own_scores(hybrid):
    row = 60
    fan = who_would_like(hybrid, gather_crowd(hybrid), row, 1)[0]
    scores = score_users(hybrid, hybrid.plays[fan.user_row])[0].astype(np.float64)
    assert fan.standing == pytest.approx((scores[row] - scores.mean()) / scores.std(), abs=1e-3)
    scores[hybrid.heard[fan.user_row].indices] = -np.inf
    assert fan.place == 1 + (scores > scores[row]).sum()


def test_those_who_heard_it_and_those_without_taste_are_left_out(model):
    crowd = gather_crowd(model)
    row = int(model.heard.getnnz(axis=0).argmax())
    fans = {fan.user_row for fan in who_would_like(model, crowd, row, len(model.users))}
    assert not fans & set(np.flatnonzero(model.heard[:, [row]].toarray()[:, 0]).tolist())
    assert len(model.users) - 1 not in fans


def test_users_that_came_after_are_found(hybrid):
    crowd = gather_crowd(hybrid)
    before = replace(crowd, vectors=crowd.vectors[:10], means=crowd.means[:10])
    exact = score_fans(hybrid, np.arange(len(hybrid.users)), 60)[:5]
    assert who_would_like(hybrid, before, 60, 5) == exact

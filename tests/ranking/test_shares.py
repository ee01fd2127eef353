import numpy as np
import pytest
from scipy import sparse

from recommender.ranking.ranker import explain
from recommender.ranking.shares import shares_for


def test_shares_are_those_of_the_explanation(hybrid):
    plays, rows = hybrid.plays[3], np.array([1, 12, 61])
    shares = shares_for(hybrid, plays, rows)
    assert shares.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    for row, share in zip(rows, shares, strict=True):
        parts = explain(hybrid, plays, int(row)).parts
        speaks = np.maximum([parts["factors"] + parts["neighbours"], parts["content"], parts["popularity"]], 0)
        if speaks.sum() > 0:
            assert share == pytest.approx(speaks / speaks.sum(), abs=2e-2)


def test_a_new_track_rests_on_its_sound_and_a_stranger_on_popularity(hybrid):
    assert shares_for(hybrid, hybrid.plays[1], np.array([61]))[0].argmax() == 1
    nothing = sparse.csr_matrix((1, len(hybrid.catalog)), dtype=np.float32)
    assert shares_for(hybrid, nothing, np.array([0]))[0] == pytest.approx([0, 0, 1])

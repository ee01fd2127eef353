from dataclasses import replace

import numpy as np

from recommender.models.als import AlsConfig
from recommender.ranking.als_search import LIMITS, MAX_FITS, search_als
from recommender.ranking.model import RankerConfig
from recommender.ranking.validation import validation_split


def test_a_strength_far_from_the_right_one_is_left_behind(clusters):
    """With such a regularization everything is 0; whatever is found must rank better."""
    split = validation_split(clusters, np.zeros(64, dtype=bool), 0, held_out_share=0.3)
    config = replace(RankerConfig(), als=AlsConfig(factors=8, iterations=6, regularization=0.4), validation_top=5)
    steps = []
    chosen, found = search_als(split, config, lambda done, total: steps.append((done, total)))
    by_weights = {(one["unobserved_weight"], one["regularization"]): one["warm"] for one in found["tried"]}
    best = by_weights[(chosen.unobserved_weight, chosen.regularization)]
    assert best == max(by_weights.values()) or best > by_weights[(0.03, 0.4)]
    assert chosen.regularization < 0.4
    assert len(by_weights) <= MAX_FITS
    assert steps[-1][0] == len(by_weights)
    assert chosen.factors == 8
    assert all(LIMITS[0] <= value <= LIMITS[1] for pair in by_weights for value in pair)
    assert search_als(split, config)[0] == chosen

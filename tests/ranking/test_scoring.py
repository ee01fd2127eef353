from dataclasses import replace

import numpy as np
import pytest

from recommender.models.als import fold_in_users, play_confidence
from recommender.ranking.ranker import Blend, score_users
from recommender.ranking.scoring import score_parts, sources_of, user_vectors
from recommender.ranking.taste import tastes_of


def readable_scores(model, plays):
    """The blend by its definition: every part scored for every track, then standardised by what it is over tracks."""
    blend, known, embedded = model.blend, model.evidence > 0, model.has_vector
    liked = plays.toarray() > 0
    confidence = play_confidence(plays, model.factors.config.play_emphasis)
    users = fold_in_users(confidence, model.factors.track_factors, model.factors.config)
    sound = np.array([model.sound_vectors[row & embedded].mean(axis=0) for row in liked])

    def standardise(scores, over):
        return (scores - scores[:, over].mean(axis=1, keepdims=True)) / scores[:, over].std(axis=1, keepdims=True)

    factors = standardise(users @ model.posterior_factors.T, known)
    neighbours = standardise(confidence.toarray() @ model.neighbours.toarray(), known)
    cf = (1 - blend.neighbour_share) * factors + blend.neighbour_share * neighbours
    predicted = standardise(users @ model.prior_means.T, embedded)
    alike = standardise(sound @ model.sound_vectors.T, embedded)
    content = standardise(blend.prior_share * predicted + (1 - blend.prior_share) * alike, embedded)
    popularity = np.log1p(model.evidence)
    popularity = (popularity - popularity[known].mean()) / popularity[known].std()
    w = np.where(embedded, model.evidence / (model.evidence + blend.track_half), 1)
    m = (liked & (known | embedded)).sum(axis=1, keepdims=True)
    v = m**2 / (m**2 + blend.user_half**2)
    personal = w * cf + (1 - w) * (blend.content_gain * content + blend.content_offset)
    return v * personal + (1 - v) * popularity


@pytest.mark.parametrize(
    "blend",
    [
        Blend(),
        Blend(track_half=10, user_half=3, prior_share=0.25, content_gain=2, content_offset=-1),
        Blend(track_half=0.3, user_half=0.3, neighbour_share=0.6, prior_share=1, content_gain=0.5, content_offset=3),
    ],
)
def test_one_inner_product_equals_the_definition(hybrid, clusters, blend):
    model = replace(hybrid, blend=blend)
    plays = clusters.to_csr()[:-1]
    np.testing.assert_allclose(score_users(model, plays), readable_scores(model, plays), atol=2e-3)


def test_parts_add_up_to_the_score(model, clusters):
    plays = clusters.to_csr()
    users = user_vectors(tastes_of(model, plays), model.standards, model.blend)
    scores = score_users(model, plays)
    rows = np.array([3, 60, 17])
    for user in range(plays.shape[0]):
        parts = score_parts(model, users, user, rows)
        np.testing.assert_allclose(parts.sum(axis=1), scores[user, rows], atol=1e-5)


def test_known_tracks_of_a_model_without_sound_are_ranked_by_cf(cf_only, clusters):
    plays = clusters.to_csr()[:-1]
    model = replace(cf_only, blend=replace(cf_only.blend, user_half=0.0, neighbour_share=0.0))
    confidence = play_confidence(plays, model.factors.config.play_emphasis)
    users = fold_in_users(confidence, model.factors.track_factors, model.factors.config)
    by_cf = users @ model.factors.track_factors.T
    scores = score_users(model, plays)
    for mine, expected in zip(scores, by_cf, strict=True):
        assert np.corrcoef(mine, expected)[0, 1] > 1 - 1e-4
        np.testing.assert_array_equal(np.argsort(-mine)[:3], np.argsort(-expected)[:3])


def test_a_source_is_named_by_its_share_of_what_speaks_for_a_track():
    cf = [[3, 1, 0], [1, 3, 0], [0, 0, 1], [1, 1, 0], [2, -5, 0.5], [-1, -3, 0], [2, 1, 0]]
    parts = np.array([[first / 4, 3 * first / 4, *others] for first, *others in cf], dtype=np.float32)
    assert sources_of(parts) == ("cf", "content", "popularity", "mixed", "cf", "content", "cf")
    assert sources_of(np.empty((0, 4), dtype=np.float32)) == ()


def test_new_tracks_of_the_liked_kind_come_before_those_of_the_other(hybrid, clusters, cluster_of):
    scores = score_users(hybrid, clusters.to_csr())
    new = np.flatnonzero(hybrid.evidence == 0)
    right = []
    for user in range(scores.shape[0] - 1):
        mine, others = (scores[user, new[cluster_of[new] == kind]] for kind in (user % 2, 1 - user % 2))
        right.append(np.mean(mine[:, None] > others[None, :]))
    assert np.mean(right) > 0.85

"""Skips and dislikes hold back what is like them, exactly so far as they say, and no longer than they stand."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from recommender.data.interactions import DISLIKED
from recommender.ranking.confidence import basis_of, confidences
from recommender.ranking.distaste import STRENGTH, blame, distaste_of, penalties
from recommender.ranking.diversity import alike_vectors
from recommender.ranking.explain import named
from recommender.ranking.ranker import RecommendOptions, explain, recommend, score_users

N_TRACKS = 64
PLAIN = RecommendOptions(top=N_TRACKS, max_per_artist=None, artist_gap=0, diversity=0, calibration=0)
ROWS = np.arange(N_TRACKS)


def row_of(**values):
    """One row of `heard` or of plays: t3=2 is track 3 with the value 2."""
    matrix = sparse.lil_matrix((1, N_TRACKS), dtype=np.float32)
    for name, value in values.items():
        matrix[0, int(name[1:])] = value
    return matrix.tocsr()


def lost(model, plays, heard, strength=1.0):
    return penalties(model, distaste_of(model, plays, heard), ROWS, strength)


def test_nothing_is_held_against_anything_without_skips(hybrid):
    plays = row_of(t1=1, t3=2)
    assert distaste_of(hybrid, plays, plays) is None
    assert distaste_of(hybrid, plays, row_of(t1=1)) is None, "a play that nobody recorded as heard is no skip"


def test_a_skip_demotes_what_is_like_it(hybrid, cluster_of):
    found = lost(hybrid, row_of(), row_of(t1=1))
    others = ROWS != 1
    assert found[others & (cluster_of == 1)].mean() > 5 * found[others & (cluster_of == 0)].mean()
    assert found.min() >= 0
    assert found.max() <= STRENGTH


def test_one_skip_weighs_less_than_many_and_than_a_dislike(hybrid):
    one, three = lost(hybrid, row_of(), row_of(t1=1)), lost(hybrid, row_of(), row_of(t1=1, t5=1, t9=1))
    dislike = lost(hybrid, row_of(), row_of(t1=DISLIKED))
    assert np.all(three >= one - 1e-12)
    assert np.all(dislike >= one)
    assert dislike[1] == pytest.approx(STRENGTH * 5 / 6, abs=1e-4)
    assert one[1] == pytest.approx(STRENGTH / 2, abs=1e-4)
    many = lost(hybrid, row_of(), row_of(**{f"t{row}": DISLIKED for row in range(0, 40, 2)}))
    assert STRENGTH * 0.9 < many.max() <= STRENGTH, "they add up and saturate"


def test_what_is_near_to_likes_as_well_is_spared(hybrid, cluster_of):
    alone = lost(hybrid, row_of(), row_of(t1=1))
    liked = row_of(**{f"t{row}": 1 for row in range(3, 31, 2)})
    heard = liked + row_of(t1=1)
    spared = lost(hybrid, liked, heard)
    same = (cluster_of == 1) & (ROWS > 31)
    assert spared[same].mean() < 0.3 * alone[same].mean()


def test_shares_add_up_and_go_to_what_is_nearest(hybrid):
    held = distaste_of(hybrid, row_of(t2=1), row_of(t2=1, t1=1, t5=DISLIKED, t8=1))
    assert held.track_rows.tolist() == [1, 5, 8]
    assert held.disliked.tolist() == [False, True, False]
    shares = blame(hybrid, held, ROWS, 0.7)
    np.testing.assert_allclose(shares.sum(axis=1), penalties(hybrid, held, ROWS, 0.7))
    assert np.all(penalties(hybrid, held, ROWS, 0.0) == 0)
    vectors = alike_vectors(hybrid, ROWS)
    near = np.maximum(vectors @ vectors[held.track_rows].T, 0)
    only_skips = [0, 2]
    np.testing.assert_array_equal(
        shares[:, only_skips].argmax(axis=1)[shares[:, only_skips].sum(axis=1) > 0],
        near[:, only_skips].argmax(axis=1)[shares[:, only_skips].sum(axis=1) > 0],
    )


def test_lists_are_those_of_all_scores_less_all_penalties(model, clusters):
    """The pool looks at few candidates; the answer is as if it had looked at all."""
    plays, heard = clusters.to_csr()[:20], clusters.heard()[:20].tolil()
    heard[0, 63] = DISLIKED
    heard = heard.tocsr()
    scores = score_users(model, plays, heard)
    for top in (1, 3, N_TRACKS):
        for user, one in enumerate(recommend(model, plays, heard, replace(PLAIN, top=top))):
            held = distaste_of(model, plays[user], heard[user])
            after = scores[user] - (penalties(model, held, ROWS, 1.0) if held is not None else 0)
            np.testing.assert_allclose(one.scores, np.sort(after)[::-1][: len(one)], atol=1e-5)


def test_an_explanation_names_what_holds_a_track_back(hybrid, clusters):
    plays, heard = clusters.to_csr()[2], clusters.heard()[2].tolil()
    heard[0, 60] = DISLIKED
    heard = heard.tocsr()
    assert plays[0, 60] == 0
    ranked = recommend(hybrid, plays, heard, PLAIN)[0]
    demoted = False
    for row, score in zip(ranked.track_rows.tolist(), ranked.scores, strict=True):
        found = explain(hybrid, plays, row, heard=heard)
        assert found.score == pytest.approx(score, abs=1e-5)
        assert sum(found.parts.values()) == pytest.approx(found.score, abs=1e-5)
        assert sum(held.amount for held in found.held_back_by) == pytest.approx(-found.parts["distaste"])
        if found.held_back_by and found.held_back_by[0].track_row == 60:
            demoted = True
            assert found.held_back_by[0].disliked
            assert (
                found.held_back_because == f"held back because it sounds like {named(hybrid, 60)}, which you disliked"
            )
    assert demoted
    without = explain(hybrid, plays, 62)
    assert (without.held_back_by, without.held_back_because, without.parts["distaste"]) == ((), "", 0)


def test_taking_a_dislike_back_gives_exactly_the_former_list(hybrid, clusters):
    plays, heard = clusters.to_csr()[4], clusters.heard()[4]
    before = recommend(hybrid, plays, heard)[0]
    disliked = heard.tolil()
    disliked[0, before.track_rows[0]] = DISLIKED
    during = recommend(hybrid, plays, disliked.tocsr())[0]
    assert before.track_rows[0] not in during.track_rows
    again = recommend(hybrid, plays, heard)[0]
    np.testing.assert_array_equal(again.track_rows, before.track_rows)
    np.testing.assert_array_equal(again.scores, before.scores)


def test_confidence_grows_with_what_is_known(hybrid, cf_only):
    rows = np.argsort(hybrid.evidence, kind="stable")
    found = [confidences(hybrid, plays, rows) for plays in (0, 1, 5, 50)]
    assert not found[0].any()
    for few, more in pairwise(found):
        assert np.all(more > few)
    assert np.all(np.diff(found[2]) >= 0)
    assert found[3].max() < 1
    assert confidences(cf_only, 5, np.array([60]))[0] == 0, "neither played nor heard by anyone"
    assert [basis_of(plays) for plays in (0, 1, 4, 5)] == ["default", "few plays", "few plays", "taste"]

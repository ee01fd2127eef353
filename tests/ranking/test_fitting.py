from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommender.data.interactions import Interactions
from recommender.errors import ConfigError, DataError
from recommender.ranking.ranker import RankerConfig, fit_hybrid, score_users, validation_split
from recommender.ranking.search import MIXED_LOSS


@pytest.fixture
def split(clusters):
    return validation_split(clusters, np.ones(len(clusters.tracks), dtype=bool), seed=3)


def pairs_of(interactions: Interactions) -> set[tuple[int, int]]:
    return set(zip(interactions.user_rows.tolist(), interactions.track_rows.tolist(), strict=True))


def test_hidden_tracks_are_hidden_whole(split, clusters):
    assert len(split.cold_rows) == 10, "as many as wait for their first play"
    assert not set(split.cold_rows) & set(split.train.track_rows)
    assert not set(split.cold_rows) & set(split.held_out.track_rows)
    assert set(split.cold.track_rows) == set(split.cold_rows)
    liked = clusters.select(clusters.weights > 0)
    expected = {pair for pair in pairs_of(liked) if pair[1] in set(split.cold_rows.tolist())}
    assert pairs_of(split.cold) == expected


def test_every_user_with_plays_has_some_hidden_and_no_pair_is_on_both_sides(split, clusters):
    assert not pairs_of(split.held_out) & pairs_of(split.train)
    counts = np.diff(split.held_out.to_csr().indptr)
    assert counts[-1] == 0
    assert set(counts[:-1]) == {1}
    together = pairs_of(split.train) | pairs_of(split.held_out) | pairs_of(split.cold)
    skipped = pairs_of(clusters.select(clusters.weights == 0))
    assert pairs_of(clusters) - together <= skipped


def test_users_with_few_plays_keep_them(tiny_world):
    untimed = replace(tiny_world, times=np.full(len(tiny_world), np.datetime64("NaT"), dtype="datetime64[s]"))
    split = validation_split(untimed, np.ones(5, dtype=bool), seed=0)
    assert len(split.held_out) == 0
    assert len(split.cold_rows) == 0


def test_without_embeddings_no_track_is_hidden(clusters):
    split = validation_split(clusters, np.zeros(len(clusters.tracks), dtype=bool), seed=0)
    assert len(split.cold_rows) == 0
    assert len(split.held_out) > 0


def test_the_seed_decides(clusters):
    every = np.ones(len(clusters.tracks), dtype=bool)
    first, again, other = (validation_split(clusters, every, seed) for seed in (1, 1, 2))
    assert pairs_of(first.train) == pairs_of(again.train)
    assert pairs_of(first.train) != pairs_of(other.train)


def test_with_times_the_latest_are_hidden(clusters):
    """Row r happened on day r: the tracks first played last stand for new ones."""
    start = np.datetime64("2024-01-01", "s")
    timed = replace(clusters, times=start + np.arange(len(clusters)) * np.timedelta64(86400, "s"))
    split = validation_split(timed, np.ones(len(timed.tracks), dtype=bool), seed=0)
    assert split.train.times.max() < split.held_out.times.max()
    first = {row: timed.times[timed.track_rows == row].min() for row in np.unique(timed.track_rows)}
    last_of_known = max(time for row, time in first.items() if row not in set(split.cold_rows.tolist()))
    assert all(first[row] >= last_of_known for row in split.cold_rows.tolist())
    assert not pairs_of(split.held_out) & pairs_of(split.train)


def test_a_mask_of_another_catalog_is_refused(clusters):
    with pytest.raises(DataError, match="has_embedding has shape"):
        validation_split(clusters, np.ones(3, dtype=bool), seed=0)


def test_what_was_measured_is_recorded_and_keeps_the_rules(hybrid):
    found = hybrid.validation
    assert found["cold_tracks"] == 10
    assert found["cold"]["blend"] >= found["cold"]["content alone"] - 1e-9
    assert found["blend"]["track_half"] == hybrid.blend.track_half
    assert found["mixed"]["blend"]["new part"] > found["mixed"]["pure CF"]["new part"]
    if "rule given up" not in found:
        assert found["warm"]["blend"] >= 0.99 * found["warm"]["pure CF"] - 1e-9
    assert MIXED_LOSS < 0.02


def test_new_tracks_enter_mixed_lists(hybrid, clusters, cluster_of):
    """The ten new tracks are of both kinds; users get those of theirs among the first twenty."""
    scores = score_users(hybrid, clusters.to_csr(), clusters.heard())[:-1]
    top = np.argsort(-scores, axis=1)[:, :20]
    shown = np.isin(top, np.flatnonzero(hybrid.evidence == 0)).sum(axis=1)
    assert shown.mean() > 1
    right = cluster_of[top] == (np.arange(len(top)) % 2)[:, None]
    assert right.mean() > 0.7


def test_a_split_of_the_callers_own_is_used(clusters_catalog, clusters, clusters_embeddings, small_config, hybrid):
    every = np.ones(len(clusters.tracks), dtype=bool)
    own = validation_split(clusters, every, small_config.seed)
    given = fit_hybrid(clusters_catalog, clusters, clusters_embeddings, small_config, split=own)
    assert given.validation == hybrid.validation
    other = validation_split(clusters, every, 99, cold_share=0.3)
    assert (
        fit_hybrid(clusters_catalog, clusters, clusters_embeddings, small_config, split=other).validation["cold_tracks"]
        == 16
    )


def test_the_blend_is_chosen_with_the_splits_own_embeddings(
    clusters_catalog, clusters, clusters_embeddings, small_config, hybrid
):
    rng = np.random.default_rng(0)
    e = clusters_embeddings
    noise = replace(e, vectors=e.vectors[rng.permutation(len(e.vectors))])
    deaf = fit_hybrid(clusters_catalog, clusters, e, small_config, split_embeddings=noise)
    assert deaf.validation["cold"]["content alone"] < hybrid.validation["cold"]["content alone"]
    np.testing.assert_array_equal(deaf.sound.vectors, hybrid.sound.vectors)


def test_progress_counts_the_iterations_of_both_fits(clusters_catalog, clusters, clusters_embeddings, small_config):
    seen = []
    fit_hybrid(
        clusters_catalog, clusters, clusters_embeddings, small_config, progress=lambda *counts: seen.append(counts)
    )
    assert seen[-1] == (16, 16)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_users_without_plays_and_a_catalog_of_one_track(clusters_catalog, clusters, small_config):
    lonely = clusters_catalog.select(np.array([0]))
    kept = clusters.track_rows == 0
    one = Interactions(
        clusters.users,
        lonely.tracks,
        clusters.user_rows[kept],
        clusters.track_rows[kept] * 0,
        clusters.weights[kept],
        clusters.times[kept],
    )
    model = fit_hybrid(lonely, one, None, small_config)
    scores = score_users(model, sparse.csr_matrix((2, 1), dtype=np.float32))
    assert np.isfinite(scores).all()


def test_interactions_of_another_catalog_are_refused(tiny_catalog, clusters):
    with pytest.raises(DataError, match="other tracks than the catalog"):
        fit_hybrid(tiny_catalog, clusters)


@pytest.mark.parametrize("name", ["cold_share", "held_out_share"])
def test_shares_out_of_range_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name} is 1.5"):
        RankerConfig(**{name: 1.5})

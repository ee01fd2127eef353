from dataclasses import replace

import numpy as np
import pytest

from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ModelError
from recommender.evaluation import methods, protocol
from recommender.evaluation.methods import METHODS, Fits
from recommender.evaluation.protocol import evaluate_method, rank_users
from recommender.ranking.learned import FEATURES
from recommender.ranking.ranker import RankerConfig, RecommendOptions, recommend
from recommender.ranking.ranker_choice import Pools, train

K = 10


def ndcg(name: str, task, fits) -> float:
    return float(evaluate_method(METHODS[name](task, fits), task, (K,), name=name)[f"ndcg@{K}"].mean())


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_keeps_the_contract(name, mixed):
    task, fits = mixed
    rank = METHODS[name](task, fits)
    whole = rank_users(rank, task, K, name=name)  # refuses heard tracks, strangers and repetitions
    one_by_one = [rank(task.user_rows[row : row + 1], K)[0].tolist() for row in (0, 7)]
    assert [whole[0].tolist(), whole[7].tolist()] == one_by_one
    everything = rank(task.user_rows[:1], 1000)[0]
    heard = set(fits.heard[task.user_rows[0]].indices.tolist())
    assert sorted(everything.tolist()) == sorted(set(task.candidate_rows.tolist()) - heard)
    again = METHODS[name](task, Fits(fits.catalog, task.train, fits.embeddings, fits.config, fits.seed))
    np.testing.assert_array_equal(rank_users(again, task, K), whole)


def test_in_a_planted_world_audio_finds_the_listeners_of_new_tracks(cold):
    figures = {name: ndcg(name, *cold) for name in METHODS}
    for name in ("content kNN", "kNN on CF and content", "audio alone", "First Listen"):
        assert figures[name] > figures["random"] + 0.2, figures
        assert figures[name] > figures["oracle popularity"], figures


def test_what_knows_nothing_of_new_tracks_is_at_chance(cold):
    figures = {name: ndcg(name, *cold) for name in ("random", "popularity", "ALS alone")}
    assert figures["popularity"] == pytest.approx(figures["random"], abs=1e-9)
    assert figures["ALS alone"] == pytest.approx(figures["random"], abs=1e-9)


def test_random_is_what_chance_gives(cold):
    task, fits = cold
    recalls = []
    for seed in range(20):
        own = Fits(fits.catalog, fits.train, None, fits.config, seed)
        recalls.append(evaluate_method(METHODS["random"](task, own), task, (3,))["recall@3"].mean())
    # Of n candidates, r relevant: 3 r / n hits expected, divided by min(3, r).
    n_relevant = np.diff(task.relevant.indptr)[task.user_rows]
    expected = np.mean(3 * n_relevant / len(task.candidate_rows) / np.minimum(3, n_relevant))
    assert np.mean(recalls) == pytest.approx(expected, abs=4 * np.std(recalls) / np.sqrt(20))


def test_shuffled_embeddings_fall_to_chance(planted, small_ranker):
    task = protocol.cold_task(planted.interactions, np.ones(90, dtype=bool), fraction=0.3, seed=0)
    figures = []
    for seed in range(4):
        fits = Fits(planted.catalog, task.train, planted.embeddings, small_ranker, seed)
        figures.append((ndcg("shuffled embeddings", task, fits), ndcg("random", task, fits)))
    shuffled, random = np.mean(figures, axis=0)
    found = ndcg("First Listen", task, fits)
    assert abs(shuffled - random) < 0.25 * (found - random), (shuffled, random, found)


def test_oracle_popularity_orders_by_hidden_listeners(cold):
    task, fits = cold
    hidden = np.asarray(task.relevant.sum(axis=0)).ravel()
    ranked = METHODS["oracle popularity"](task, fits)(task.user_rows[:1], 1000)[0]
    assert (np.diff(hidden[ranked]) <= 0).all()


def test_ties_are_broken_differently_for_each_user_and_seed(cold):
    task, fits = cold
    first, second = METHODS["popularity"](task, fits)(task.user_rows[:2], 20)
    assert first.tolist() != second.tolist()
    other = Fits(fits.catalog, fits.train, None, fits.config, 1)
    assert METHODS["popularity"](task, other)(task.user_rows[:1], 20)[0].tolist() != first.tolist()
    # No place in the catalog is favoured: over many users the mean row among the first is the middle.
    ranked = rank_users(METHODS["random"](task, fits), task, 3)
    middle = task.candidate_rows.mean()
    assert abs(ranked.mean() - middle) < 4 * task.candidate_rows.std() / np.sqrt(ranked.size)


def test_rank_by_takes_the_best_in_order(mixed):
    task, fits = mixed
    scores = np.random.default_rng(0).integers(0, 6, (len(task.train.users), len(task.candidate_rows))).astype(float)
    ranked = methods.rank_by(lambda users: scores[users], task, fits)(task.user_rows, 7)
    heard = task.train.heard().toarray()[:, task.candidate_rows] > 0
    column = {int(row): at for at, row in enumerate(task.candidate_rows)}
    for user, rows in zip(task.user_rows, ranked, strict=True):
        own = np.sort(scores[user][~heard[user]])[::-1][:7]
        assert [scores[user, column[int(row)]] for row in rows] == own.tolist()


def test_nearest_neighbours_agree_with_a_slow_twin(mixed, monkeypatch):
    monkeypatch.setattr(methods, "NEIGHBOURS", 4)
    monkeypatch.setattr(methods, "_KNN_BLOCK", 7)
    task, fits = mixed
    ranked = METHODS["content kNN"](task, fits)(task.user_rows[:3], 12)
    vectors = fits.embeddings.vectors
    vectors = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    played = np.flatnonzero(task.train.track_evidence())
    for user, rows in zip(task.user_rows[:3], ranked, strict=True):
        liked = set(fits.plays[user].indices.tolist())
        scores = {}
        for track in set(task.candidate_rows.tolist()) - set(fits.heard[user].indices.tolist()):
            near = {p: np.exp(-2 * np.mean((vectors[track] - vectors[p]) ** 2)) for p in played.tolist() if p != track}
            best = sorted(near, key=near.get, reverse=True)[:4]
            scores[track] = sum(near[p] for p in best if p in liked)
        expected = sorted(scores.values(), reverse=True)[:12]
        assert [scores[row] for row in rows.tolist()] == pytest.approx(expected, rel=1e-4)


def test_a_score_that_is_no_number_is_refused(cold):
    task, fits = cold
    rank = methods.rank_by(lambda users: np.full((len(users), len(task.candidate_rows)), np.nan), task, fits)
    with pytest.raises(ModelError, match="a score of the task 'cold' is NaN"):
        rank(task.user_rows[:1], 3)


def test_content_methods_need_embeddings(cold):
    task, fits = cold
    deaf = Fits(fits.catalog, fits.train, None, fits.config, 0)
    for name in methods.NEED_EMBEDDINGS:
        with pytest.raises(ModelError, match="there are none"):
            METHODS[name](task, deaf)(task.user_rows[:1], 3)


def test_shuffling_hands_the_same_vectors_to_other_tracks():
    vectors = np.arange(40, dtype=np.float32).reshape(20, 2)
    embeddings = Embeddings.without_clips(Vocabulary("track", tuple(f"t{n}" for n in range(20))), vectors, "v1")
    shuffled = methods.shuffle(embeddings, 1)
    assert shuffled.tracks == embeddings.tracks
    assert sorted(shuffled.vectors[:, 0].tolist()) == vectors[:, 0].tolist()
    assert (shuffled.vectors != vectors).any()
    np.testing.assert_array_equal(methods.shuffle(embeddings, 1).vectors, shuffled.vectors)
    assert (methods.shuffle(embeddings, 2).vectors != shuffled.vectors).any()


def test_content_knn_without_a_played_track_that_sounds_knows_nothing(planted, small_ranker):
    task = protocol.cold_task(planted.interactions, np.ones(90, dtype=bool), fraction=0.3, seed=0)
    silent = Embeddings.without_clips(planted.catalog.tracks, np.zeros((90, 6), dtype=np.float32), "silent")
    fits = Fits(planted.catalog, task.train, silent, small_ranker, 0)
    fits.has_sound[:] = False
    everything = METHODS["content kNN"](task, fits)(task.user_rows[:2], 1000)
    assert sorted(everything[0].tolist()) == sorted(task.candidate_rows.tolist())


def test_first_listen_ranks_as_a_learned_ranker_would_serve(mixed):
    """The ranker was taught to prefer tracks of few listeners."""
    task, fits = mixed
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(2400, len(FEATURES))).astype(np.float32)
    listeners = FEATURES.index("listeners")
    columns[:, listeners] = np.log1p(rng.integers(1, 30, len(columns)))
    taught = Pools(columns, np.zeros(2400, dtype=np.float32), columns[:, listeners] < 2, np.full(60, 40))
    model = replace(fits.hybrid, learned=train(taught, RankerConfig(), rng, trees=30)[0])
    options = RecommendOptions(
        top=K,
        max_per_artist=None,
        artist_gap=0,
        diversity=0,
        calibration=0,
        distaste=0,
        candidate_rows=task.candidate_rows,
    )
    users = task.user_rows[:20]
    lists = recommend(model, fits.plays[users], task.left_out[users], options)
    ranked = methods.first_listen(task, replace(fits, fitted=model, _made={}))(users, K)
    plain = methods.first_listen(task, fits)(users, K)
    assert [one.tolist() for one in ranked] == [one.track_rows.tolist() for one in lists]
    assert np.mean([one.tolist() != other.tolist() for one, other in zip(ranked, plain, strict=True)]) > 0.5

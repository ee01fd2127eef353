from dataclasses import replace
from pathlib import Path

from pipelines.als_memory import recall_strength, remember_strength
from recommender.models.factors import AlsConfig
from recommender.ranking.model import RankerConfig


def test_what_was_found_is_used_while_the_plays_are_much_the_same(tmp_path: Path) -> None:
    path, ranker = tmp_path / "als.json", RankerConfig()
    assert recall_strength(path, ranker, 1000) == ranker
    remember_strength(path, ranker.als, replace(ranker.als, regularization=0.015), 1000)
    for n_plays in (700, 1000, 1400):
        recalled = recall_strength(path, ranker, n_plays)
        assert recalled.als == replace(ranker.als, regularization=0.015)
        assert not recalled.search_als
    for n_plays in (600, 1600):
        assert recall_strength(path, ranker, n_plays) == ranker


def test_a_search_that_would_begin_elsewhere_is_done(tmp_path: Path) -> None:
    path, ranker = tmp_path / "als.json", RankerConfig()
    remember_strength(path, ranker.als, replace(ranker.als, regularization=0.015), 1000)
    other = replace(ranker, als=AlsConfig(regularization=0.1))
    assert recall_strength(path, other, 1000) == other
    fixed = replace(ranker, search_als=False)
    assert recall_strength(path, fixed, 1000) == fixed


def test_a_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "als.json"
    for text in ("{", "[]", '{"plays": 1000}'):
        path.write_text(text, encoding="utf-8")
        assert recall_strength(path, RankerConfig(), 1000) == RankerConfig()

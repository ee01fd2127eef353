import numpy as np
import pandas as pd

from recommender.audio.signatures import NUMBERS, Signatures
from recommender.ranking.cluster_traits import genre_of, told, traits_of


def signatures(rng: np.random.Generator, n: int = 200) -> Signatures:
    numbers = rng.normal(size=(n, len(NUMBERS))).astype(np.float32)
    numbers[:, NUMBERS.index("tempo_bpm")] = rng.normal(120, 10, n)
    numbers[:20, NUMBERS.index("tempo_bpm")] += 30
    minor = np.zeros(n, dtype=np.int8)
    minor[:18] = 1
    return Signatures(numbers, np.zeros(n, dtype=np.int8), minor)


def test_what_differs_is_told_the_largest_first_and_nothing_else() -> None:
    found = traits_of(signatures(np.random.default_rng(0)), np.arange(20))
    assert [trait.measure for trait in found][:2] == ["tempo_bpm", "minor"]
    assert told(found).startswith("faster (1")
    assert "mostly minor (90%)" in told(found)
    assert found[0].here - found[0].library > 20
    alike = traits_of(signatures(np.random.default_rng(0)), np.arange(100, 200))
    assert alike == []


def test_unknown_sound_says_nothing() -> None:
    none = Signatures.of([None] * 30)
    assert traits_of(none, np.arange(30)) == []
    few = signatures(np.random.default_rng(1))
    assert traits_of(few, np.arange(3)) == []


def test_a_genre_that_most_have_and_few_elsewhere_is_told() -> None:
    genres = ["dub; techno", "dub", "dub", "", "dub", "dub", "house"] + ["rock"] * 20 + ["techno"] * 5

    def genre(genres, rows):
        codes, names = pd.factorize(np.array(genres, dtype=object))
        return genre_of(codes, names.tolist(), rows)

    found = genre(genres, np.arange(7))
    assert found is not None
    assert found.words == "dub (83%)"
    assert found.library == 5 / 31
    assert genre(genres, np.arange(7, 11)) is None, "too few"
    assert genre(["rock"] * 30, np.arange(10)) is None
    assert genre([""] * 30, np.arange(10)) is None

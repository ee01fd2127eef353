import numpy as np
import pandas as pd
import pytest

from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.ranking.ranker import HybridModel, fit_hybrid

N_TRACKS = 40


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Ten artists with four tracks each: 0-3 are by Artist 0, and so on; the first five artists sound alike."""
    rows = np.arange(N_TRACKS)
    return Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": [f"t{row:02d}" for row in rows],
                "title": [f"Title {row}" for row in rows],
                "artist": [f"Artist {row // 4}" for row in rows],
                "duration_s": np.where(rows == 7, np.nan, 180.0 + 10 * (rows % 4)),
                "path": [f"artist {row // 4}/title {row}.mp3" if row != 5 else "" for row in rows],
            }
        )
    )


@pytest.fixture(scope="session")
def model(catalog) -> HybridModel:
    """Sound alone: unit vectors around one of two axes."""
    rng = np.random.default_rng(3)
    vectors = 0.3 * rng.normal(size=(N_TRACKS, 5))
    vectors[np.arange(N_TRACKS), (np.arange(N_TRACKS) >= 20).astype(int)] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embeddings = Embeddings.without_clips(catalog.tracks, vectors.astype(np.float32), "ears")
    frame = pd.DataFrame({"user_id": pd.Series(dtype=str), "item_id": pd.Series(dtype=str), "weight": []})
    frame["timestamp"] = np.empty(0, dtype="datetime64[s]")
    nothing = Interactions.from_frame(frame, Vocabulary("user", ("u0",)), catalog.tracks)
    return fit_hybrid(catalog, nothing, embeddings)

import numpy as np
import pandas as pd
import pytest

from recommender.audio.signatures import Signature, Signatures
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
                "album": [f"Album {row // 2}" for row in rows],
                "released": ["" if row % 7 == 6 else str(1980 + row % 30) for row in rows],
                "genre": ["" if row % 9 == 8 else ("Indie Rock; Folk", "Techno", "Dub")[row % 3] for row in rows],
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


@pytest.fixture(scope="session")
def signatures(catalog) -> Signatures:
    """Tempo rises by 2 BPM from 80 with the rows; every tenth track has no signature."""
    return Signatures.of(
        [
            None
            if row % 10 == 9
            else Signature(
                tempo_bpm=80.0 + 2 * row,
                tempo_confidence=1,
                rival_bpm=160.0 + 4 * row,
                tonic=row % 12,
                mode="minor" if row % 2 else "major",
                key_confidence=1,
                loudness_lufs=-30.0 + (row * 7) % 20,
                loudness_confidence=1,
                brightness_hz=1000.0 + 50 * row,
                brightness_confidence=1,
                density_hz=1.0 + row / 10,
                density_confidence=1,
                pulse=0.5,
                pulse_confidence=1,
            )
            for row in range(len(catalog))
        ]
    )

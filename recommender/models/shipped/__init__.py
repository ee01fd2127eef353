"""The network that comes with the program: it hears on day one; ``MODEL_CARD.md`` beside says what it learned from."""

from __future__ import annotations

from pathlib import Path

from recommender.errors import ArtifactError
from recommender.models.ears import Ears, load_ears
from recommender.models.trained_cnn import TrainedCnn, load_trained

FOLDER = Path(__file__).parent
EARS_FILE, WEIGHTS_FILE = "hearing.onnx", "hearing.safetensors"
MAX_BYTES = 8_000_000
"""Of both files together."""


def load_shipped(threads: int = 1) -> Ears:
    """Load the shipped network for hearing, without torch.

    Parameters
    ----------
    threads : int
        Of one forward pass.

    Raises
    ------
    ArtifactError
        If it is not there, or damaged.
    """
    return load_ears(_found(EARS_FILE), threads)


def load_shipped_trained() -> TrainedCnn:
    """Load the shipped network's weights, for a training to go on from.

    Raises
    ------
    ArtifactError
        If they are not there, or damaged.
    """
    return load_trained(_found(WEIGHTS_FILE))


def _found(name: str) -> Path:
    path = FOLDER / name
    if not path.is_file():
        raise ArtifactError(
            f"this installation has no shipped audio model: {path} is missing; install firstlisten again, or train one "
            "on your music with: firstlisten train WORKSPACE"
        )
    return path

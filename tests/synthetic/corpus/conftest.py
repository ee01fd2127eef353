import os
from pathlib import Path

import pytest

from recommender.errors import ConfigError
from recommender.synthetic.corpus.soundfont import find_soundfont, load_soundfont


@pytest.fixture(scope="session")
def soundfont():
    """FIRSTLISTEN_SOUNDFONT, else that of the system; without either, or without the player, tests are skipped."""
    named = os.environ.get("FIRSTLISTEN_SOUNDFONT")
    try:
        path = find_soundfont(Path(named) if named else None)
        load_soundfont(path)
    except ConfigError as error:
        pytest.skip(str(error))
    return path


@pytest.fixture(scope="session")
def fonts(soundfont):
    return (load_soundfont(soundfont),)

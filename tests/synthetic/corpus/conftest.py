import pytest

from recommender.synthetic.corpus.soundfont import load_soundfont


@pytest.fixture(scope="session")
def fonts(soundfont):
    return (load_soundfont(soundfont),)

import pytest

from pipelines.serve import server_settings
from pipelines.workspace import open_workspace
from recommender.errors import ConfigError
from recommender.serving.settings import environment_choices


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("FIRSTLISTEN_ANSWERS_S", "soon", "a number"),
        ("FIRSTLISTEN_MAX_UPLOAD_BYTES", "1.5", "a whole number"),
        ("FIRSTLISTEN_JSON_LOGS", "maybe", "1 or 0"),
    ],
)
def test_a_bad_value_is_named(variable, value, expected):
    with pytest.raises(ConfigError, match=f"{variable} is '{value}', expected {expected}"):
        environment_choices({variable: value})


def test_the_environment_stands_between_defaults_and_choices(tmp_path, monkeypatch):
    workspace = open_workspace(tmp_path / "w", create=True)
    monkeypatch.setenv("FIRSTLISTEN_REFRESH_S", "7")
    monkeypatch.setenv("FIRSTLISTEN_EXPLORE", "0.5")
    settings = server_settings(workspace, explore=0.25)
    assert (settings.refresh_s, settings.explore, settings.answers_s) == (7.0, 0.25, 30.0)

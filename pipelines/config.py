"""All settings of a training in one place: defaults < TOML < flags."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.audio.clips import ClipConfig
from recommender.errors import ConfigError
from recommender.models.cnn_config import TrainCnnConfig
from recommender.ranking.model import RankerConfig


class Settings(BaseModel):
    """What a training can be told; ``firstlisten.toml`` in the workspace holds any part of it.

    Each section is the config of one room: ``[clips]``, ``[train_cnn]``, ``[ranker]`` (with ``[ranker.als]``
    and ``[ranker.prior]`` in it). A name that no room knows is an error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: ClipConfig = ClipConfig()
    train_cnn: TrainCnnConfig = TrainCnnConfig()
    ranker: RankerConfig = RankerConfig()

    def seeded(self, seed: int | None) -> Settings:
        """Return the settings with one seed everywhere; as they are if it is None."""
        if seed is None:
            return self
        als, prior = replace(self.ranker.als, seed=seed), replace(self.ranker.prior, seed=seed)
        ranker = replace(self.ranker, seed=seed, als=als, prior=prior)
        return self.model_copy(update={"ranker": ranker, "train_cnn": replace(self.train_cnn, seed=seed)})


def load_settings(workspace: Path, path: Path | None = None) -> Settings:
    """Read the settings of a workspace.

    Parameters
    ----------
    workspace : Path
        Its ``firstlisten.toml`` is read where there is one.
    path : Path, optional
        Read this file instead.

    Raises
    ------
    ConfigError
        If the file is missing, is not TOML, holds an unknown name or a value of the wrong kind, or lets the network
        hear other spectrograms than the analysis makes.
    """
    if path is None:
        path = workspace / "firstlisten.toml"
        if not path.exists():
            return Settings()
    try:
        settings = Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}, found {first['input']!r}") from error
    if settings.clips.mel != settings.train_cnn.cnn.mel:
        raise ConfigError(f"{path}: [clips.mel] and [train_cnn.cnn.mel] differ; say the same in both")
    return settings

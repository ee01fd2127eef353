"""Public research data sets, from the files that their authors published, in our own tables.

Each data set has a file here, whose first lines say which files are read, what is in them, where that was found out,
and what is left out. Nothing is downloaded. Ids are those of the data set: one workspace holds one data set.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recommender.data.datasets.download import Download
from recommender.data.datasets.jamendo import read_jamendo
from recommender.data.datasets.lastfm import read_360k, read_hetrec
from recommender.data.datasets.onion import read_onion
from recommender.data.datasets.result import DatasetTables
from recommender.data.datasets.taste_profile import read_taste_profile
from recommender.data.datasets.yambda import read_yambda
from recommender.data.progress import Progress, silent
from recommender.errors import DataError

DATASETS: dict[str, Callable[[Download, Progress], DatasetTables]] = {
    "lastfm-2k": read_hetrec,
    "lastfm-360k": read_360k,
    "taste-profile": read_taste_profile,
    "music4all-onion": read_onion,
    "yambda": read_yambda,
    "mtg-jamendo": read_jamendo,
}
"""The names that data sets go by, and their readers."""


def read_dataset(name: str, source: Path, progress: Progress = silent) -> DatasetTables:
    """Read a data set that somebody downloaded.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    source : Path
        The folder with its files, with subfolders or not; or one file or zip archive. Files may stay packed
        (``.bz2``, ``.gz``, ``.zip``), except Parquet.
    progress : Progress
        Told of bytes or rows of the file that is being read.

    Returns
    -------
    DatasetTables
        Memory grows with the distinct (user, track) pairs, tracks and vectors, not with the plays.

    Raises
    ------
    DataError
        If the name is unknown, a file that is required is not there or is another one, or more than a fifth of a
        file's rows cannot be used.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name](Download.at(source), progress)

"""Methods from a file of one's own, put to the same tasks as all others."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from recommender.data.storage import digest_of
from recommender.errors import ConfigError, FirstListenError, ModelError
from recommender.evaluation.methods import Fits, Method
from recommender.evaluation.metrics import Int32s
from recommender.evaluation.protocol import Rank, Task
from recommender.evaluation.suite import SUITE, Entry


def load_methods(path: Path, suite: Mapping[str, Entry] = SUITE) -> dict[str, Entry]:
    """Read the methods of a Python file: every public function ``name(task, fits) -> rank`` that it defines.

    The contract, on every task and every point of a curve:

    - ``fits`` holds what may be learned from: ``fits.plays`` (users x tracks, the revealed plays included),
      ``fits.embeddings``, ``fits.sound`` (standardised, zeros where there is none), ``fits.factors`` (ALS),
      ``fits.catalog``, ``fits.seed``. ``fits.trained`` is the same without revealed plays; a model is to be fitted on
      that, once: ``fits.once("my model", lambda: fit(fits.trained.plays))`` keeps it for all points of a curve.
    - ``rank(user_rows, k)`` returns one array of at most k track rows for each of the users, best first. It names only
      ``task.candidate_rows`` and none of ``task.left_out``. `methods.rank_by` makes a rank of a function that scores:
      ``rank_by(lambda users: scores (len(users), len(task.candidate_rows)), task, fits)``.
    - It does not look at ``task.relevant``: that is the answer.

    Names that begin with an underscore, classes, and what the file imports are no methods. A file runs with all rights
    of the one who names it.

    Parameters
    ----------
    path : Path
    suite : mapping of name to Entry
        Names that are taken.

    Returns
    -------
    dict of name to Entry
        By the functions' names, in the order of the file; for all tasks.

    Raises
    ------
    ConfigError
        If the file is missing, cannot be run, defines no method, or one with other arguments or with a taken name.
    """
    module = _run(path)
    version = digest_of(np.frombuffer(path.read_bytes() + b"\n", dtype=np.uint8))
    found = {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == module.__name__
    }
    if not found:
        raise ConfigError(f"{path} defines no public function; a method is a function name(task, fits) -> rank")
    for name, function in found.items():
        if name in suite:
            raise ConfigError(f"{path}: the name {name!r} is taken by a method of the suite; call it something else")
        needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        if len(needed) != 2 or any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in needed):
            raise ConfigError(
                f"{path}: {name}{inspect.signature(function)} is no method, expected {name}(task, fits); begin the "
                "names of helpers with an underscore"
            )
    return {name: Entry(_named(path, name, function), version=version) for name, function in found.items()}


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist, expected a Python file with methods")
    spec = importlib.util.spec_from_file_location(f"_methods_of_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file; its name has to end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} cannot be run: {_said(error)}") from error
    return module


def _named(path: Path, name: str, function: Method) -> Method:
    """Let what goes wrong inside a method name the file and the method."""

    def method(task: Task, fits: Fits) -> Rank:
        try:
            rank = function(task, fits)
        except Exception as error:
            raise ModelError(f"{path}: {name}, task {task.name!r}: {_said(error)}") from error
        if not callable(rank):
            raise ModelError(f"{path}: {name}, task {task.name!r}: gave {type(rank).__name__}, expected rank(users, k)")

        def checked(user_rows: Int32s, k: int) -> list[Int32s]:
            try:
                return [np.asarray(row, dtype=np.int32) for row in rank(user_rows, k)]
            except Exception as error:
                raise ModelError(f"{path}: {name}, task {task.name!r}: {_said(error)}") from error

        return checked

    method.__doc__ = function.__doc__
    return method


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, FirstListenError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

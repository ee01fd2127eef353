"""The same numbers every time: fixed threads and deterministic kernels while a block runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from recommender.errors import ConfigError


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[torch.Generator]:
    """Run a block with deterministic kernels on so many threads; give it a generator, and restore all settings after.

    Sums depend on how they are split over threads, so the same seed gives the same numbers on one kind of processor
    with the same number of threads only. Torch's global generator is seeded (weights are drawn from it) and restored.

    Parameters
    ----------
    seed : int
    threads : int

    Yields
    ------
    torch.Generator
        On the CPU, seeded with `seed`.
    """
    threads_before, was_deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filling: Any = torch.utils.deterministic
    filled_before = filling.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    with torch.random.fork_rng():
        try:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(True)
            filling.fill_uninitialized_memory = False  # doubles the time; no kernel of ours reads it
            torch.manual_seed(seed)
            yield torch.Generator().manual_seed(seed)
        finally:
            torch.set_num_threads(threads_before)
            torch.use_deterministic_algorithms(was_deterministic)
            filling.fill_uninitialized_memory = filled_before


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``"auto"`` is a CUDA device where there is one, else the CPU.

    Raises
    ------
    ConfigError
        If torch knows no such device or has none here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown, expected auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} is not there: torch sees no CUDA device; use device = 'auto' or 'cpu'")
    return device

"""Where a training run stands, written after every epoch, so that it can stop and go on as if it had not stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recommender.data.storage import Array, load_arrays, save_arrays

KIND = "cnn-checkpoint"


@dataclass
class TrainingState:
    """Everything that the next epoch depends on, besides the data and the config.

    Parameters
    ----------
    network : Module
        All that is trained.
    optimizer : AdamW
    generator : torch.Generator
        On the CPU; all chance in the training loop comes from it.
    best_weights : dict of str to ndarray
        The network's weights after the best epoch.
    best_epoch : int
        0 before the first epoch.
    history : list of dict
        One entry an epoch.
    """

    network: nn.Module
    optimizer: torch.optim.AdamW
    generator: torch.Generator
    best_weights: dict[str, Array]
    best_epoch: int
    history: list[dict[str, float]]

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)


def weights_of(module: nn.Module) -> dict[str, Array]:
    """Return a copy of a module's weights and buffers as arrays on the CPU."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def set_weights(module: nn.Module, weights: dict[str, Array]) -> None:
    """Put arrays into a module; names and shapes must be its own."""
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})


def save_checkpoint(path: Path, run: str, state: TrainingState) -> None:
    """Write the state, whole or not at all: one safetensors file with JSON in its header.

    Parameters
    ----------
    path : Path
    run : str
        A digest of the data and the config; `load_checkpoint` refuses another one.
    state : TrainingState
    """
    arrays = {f"network/{name}": array for name, array in weights_of(state.network).items()}
    arrays |= {f"best/{name}": array for name, array in state.best_weights.items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer/{index}/{name}": tensor.cpu().numpy() for name, tensor in moments.items()}
    arrays["generator"] = state.generator.get_state().numpy()
    save_arrays(path, KIND, run, arrays, {"best_epoch": state.best_epoch, "history": state.history})


def load_checkpoint(path: Path, run: str, state: TrainingState) -> None:
    """Bring `state` to where the run that wrote `path` stood.

    Raises
    ------
    ArtifactError
        If the file is damaged.
    VersionError
        If it is of a run on other data or with another config.
    """
    arrays, metadata = load_arrays(path, KIND, run)
    set_weights(state.network, _under("network/", arrays))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in _under("optimizer/", arrays).items():
        index, _, moment = name.partition("/")
        moments.setdefault(int(index), {})[moment] = torch.from_numpy(np.array(array))
    optimizer_state: dict[str, Any] = state.optimizer.state_dict()
    state.optimizer.load_state_dict({**optimizer_state, "state": moments})
    state.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
    state.best_weights = _under("best/", arrays)
    state.best_epoch = metadata["best_epoch"]
    state.history = metadata["history"]


def _under(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

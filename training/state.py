"""The state of a training run on disk: all that a resumed run needs, as one safetensors file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class StateError(Exception):
    """A state file can't be resumed from."""


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        phase: index of the current phase.
        epoch: epochs finished in it.
        batch: batches finished in the current epoch.
        total_epochs: epochs finished in all phases; seeds the augmentation.
        settings: the settings file's text, so that a changed one is noticed.
    """

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    total_epochs: int = 0
    settings: str = ""


def save_state(
    path: Path,
    network: dict[str, Tensor],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write the state under a temporary name and rename it, so that a kill never leaves half."""
    tensors = {f"network.{key}": value for key, value in network.items()}
    tensors |= {f"average.{key}": value for key, value in average.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
    # Cloned: safetensors refuses tensors that share memory.
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"progress": json.dumps(asdict(progress))})
    os.replace(temporary, path)


def read_state(path: Path) -> tuple[dict[str, dict[str, Tensor]], Progress]:
    """Return the tensors by kind ("network", "average", "optimizer") and the progress.

    Raises:
        StateError: if the file is damaged.
    """
    kinds: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            for key in file.keys():  # noqa: SIM118 - safe_open is no dict
                kind, name = key.split(".", 1)
                kinds[kind][name] = file.get_tensor(key)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path}: cannot resume from it ({error}); delete it to start anew") from None
    return kinds, progress


def restore_optimizer(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    """Put the saved moments back; nothing is done where none were saved."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    if state:
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})

"""Checkpoints: weights as safetensors, and a manifest NAME.json beside them.

The manifest holds the network's configuration and the SHA-256 of every file that belongs to the
checkpoint (weights, compiled networks), so that engines can check what they load without torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from stn_icnn.network import STNiCNN

FORMAT = "stn-icnn-1"
SHIPPED = Path(__file__).parent / "weights" / "realtime.safetensors"
"""The trained weights that come with the project."""


class CheckpointError(Exception):
    """A checkpoint is missing, damaged or of another format; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A weights file whose SHA-256 its manifest vouches for.

    Attributes:
        path: the .safetensors file.
        network: the configuration as plain data (`stn_icnn.config.NetworkConfig.to_dict`).
        files: SHA-256 by file name of all that belongs to the checkpoint.
        metrics: what the training measured; may be empty.
        parity: by file name, how a compiled network compared with eager when it was made.
    """

    path: Path
    network: Mapping[str, Any]
    files: Mapping[str, str]
    metrics: Mapping[str, Any]
    parity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the weights, lowercase hex."""
        return self.files[self.path.name]

    def verified(self, name: str) -> Path:
        """Return the path of a file of this checkpoint after checking its SHA-256.

        Raises:
            CheckpointError: if the file is not listed, missing, or differs from its SHA-256.
        """
        path = self.path.with_name(name)
        if name not in self.files:
            raise CheckpointError(f"{name} is no part of {self.path}")
        if not path.is_file():
            raise CheckpointError(f"{path}: missing; its checkpoint lists it")
        if sha256_of(path) != self.files[name]:
            raise CheckpointError(f"{path}: damaged (SHA-256 differs from its manifest); fetch it anew")
        return path


def read_checkpoint(path: Path | None = None) -> Checkpoint:
    """Read a checkpoint's manifest and check its weights file. Does not need torch.

    Args:
        path: the .safetensors file; None for the weights shipped with the project.

    Raises:
        CheckpointError: if anything is missing, damaged or of another format.
    """
    path = path or SHIPPED
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file")
    manifest_path = path.with_suffix(".json")
    try:
        manifest = json.loads(manifest_path.read_text())
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{manifest_path}: format {manifest['format']!r}, expected {FORMAT!r}")
        extras = (manifest.get("metrics", {}), manifest.get("parity", {}))
        checkpoint = Checkpoint(path, manifest["network"], manifest["files"], *extras)
        # Looked up here, so that a manifest without it fails as damaged and not later.
        _ = (checkpoint.sha256, checkpoint.network["name"], checkpoint.network["classes"])
    except FileNotFoundError:
        raise CheckpointError(f"{manifest_path}: missing; weights need their manifest") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{manifest_path}: damaged manifest ({error!r})") from None
    checkpoint.verified(path.name)
    return checkpoint


def load_network(checkpoint: Checkpoint) -> STNiCNN:
    """Rebuild the network of a checkpoint with its weights, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: if weights and configuration do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from stn_icnn.config import NetworkConfig
    from stn_icnn.network import STNiCNN

    try:
        network = STNiCNN(NetworkConfig.from_dict(dict(checkpoint.network)))
        network.load_state_dict(load_file(checkpoint.path))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{checkpoint.path}: not weights of its configuration: {error}") from None
    return network.eval()


def save_checkpoint(
    network: STNiCNN,
    weights: Mapping[str, Tensor],
    path: Path,
    metrics: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Checkpoint:
    """Write weights and manifest, each to a temporary name first, then renamed.

    Args:
        network: gives the configuration.
        weights: its state dict, or an average of several.
        path: ends in .safetensors.
        metrics: JSON-ready, kept in the manifest.
        half: store kernels as float16, for shipping; networks still compute in float32.
    """
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    stored = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    if half:
        # Batch norm's statistics are few and span many magnitudes: they stay float32.
        stored = {key: value.half() if value.ndim > 1 else value for key, value in stored.items()}
    save_file(stored, temporary)
    os.replace(temporary, path)
    data = network.config.to_dict()
    checkpoint = Checkpoint(path, data, {path.name: sha256_of(path)}, metrics or {})
    _write_manifest(checkpoint)
    return checkpoint


def add_files(checkpoint: Checkpoint, names: list[str], parity: Mapping[str, Any]) -> Checkpoint:
    """Record a compiled network that lies beside the weights in the manifest.

    Args:
        checkpoint: what it was made of.
        names: its files; the first names it.
        parity: how it compares with eager, JSON-ready.
    """
    files = {**checkpoint.files, **{name: sha256_of(checkpoint.path.with_name(name)) for name in names}}
    known = {**checkpoint.parity, names[0]: dict(parity)}
    extended = replace(checkpoint, files=files, parity=known)
    _write_manifest(extended)
    return extended


def _write_manifest(checkpoint: Checkpoint) -> None:
    manifest = {
        "format": FORMAT,
        "network": checkpoint.network,
        "files": checkpoint.files,
        "metrics": checkpoint.metrics,
        "parity": checkpoint.parity,
    }
    path = checkpoint.path.with_suffix(".json")
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(manifest, indent=1) + "\n")
    os.replace(temporary, path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, lowercase hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

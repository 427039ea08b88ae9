"""Training settings, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dacite import Config, DaciteError, UnexpectedDataError, from_dict

from stn_icnn.config import NAMED, NetworkConfig
from stn_icnn.labels import CLASS_ID
from training.augment import Augmentation

PHASES = ("coarse", "face", "localizer", "parts", "end_to_end")
LABEL_KINDS = ("full", "hair")
OPTIMIZERS = ("adamw", "adam")


class SettingsError(Exception):
    """The settings file is not one; the message names the file and the entry."""


def _check_least(where: str, least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{where}: {name} is {value}, must be at least {least}")


@dataclass(frozen=True)
class Phase:
    """One phase of training (arXiv 2002.04831, section 3.4).

    Attributes:
        name: "coarse" (segmentation loss on stage 1), "face" (the same on a face stage), "localizer" (smooth
            L1 against the thetas of the labels), "parts" (stage 2 on crops by the labels), or "end_to_end".
        epochs: passes over the data.
        learning_rate: peak of the one-cycle schedule.
        batch_size: faces a step.
        coarse_rate: the coarse stage's share of the learning rate where it was trained before.
        fine: compare what is composed with labels pixel by pixel, see `training.phases.phase_loss`.
    """

    name: str
    epochs: int
    learning_rate: float
    batch_size: int = 16
    coarse_rate: float = 1.0
    fine: bool = False

    def __post_init__(self) -> None:
        if self.name not in PHASES:
            raise ValueError(f"phase {self.name!r}: one of {', '.join(PHASES)}")
        where = f"phase {self.name}"
        _check_least(where, 1, epochs=self.epochs, batch_size=self.batch_size)
        if not self.learning_rate > 0:
            raise ValueError(f"{where}: learning_rate is {self.learning_rate}, must be above 0")


@dataclass(frozen=True)
class FaceSet:
    """Faces to train on.

    Attributes:
        folder: inside one of the data folders; "." is a data folder itself.
        split: see `training.data.read_split`.
        labels: "full", or "hair": id 13 is hair and everything else only known not to be.
        only: names to take, a shell pattern.
        samples: faces drawn from it in an epoch; 0 for as many as it has.
        without: names that are not taken, as they are held out; names it has not are an error.
        frames: side of its photos in sides of the training faces' frame.
        ignore: classes whose pixels in it teach nothing, as where a teacher's labels are no better than what
            is trained.
    """

    folder: str = "."
    split: str = "train"
    labels: str = "full"
    only: str = "*"
    samples: int = 0
    without: tuple[str, ...] = ()
    frames: float = 1.0
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.ignore if name not in CLASS_ID]
        if unknown:
            raise ValueError(f"set {self.folder}: ignore: no such class: {', '.join(unknown)}")
        if self.labels not in LABEL_KINDS:
            raise ValueError(f"set {self.folder}: labels {self.labels!r}: one of {', '.join(LABEL_KINDS)}")
        _check_least(f"set {self.folder}", 0, samples=self.samples)
        if not self.frames >= 1.0:
            raise ValueError(f"set {self.folder}: frames is {self.frames}, must be at least 1")


@dataclass(frozen=True)
class Settings:
    """A training run.

    Attributes:
        network: the network to train.
        phases: in order.
        sets: what to train on.
        validation: what to score on.
        seed: of initial weights, order and augmentation.
        optimizer: "adamw" or "adam".
        weight_decay: of adamw; kernels alone decay.
        average: decay a step of the moving average of the weights that is evaluated and saved.
        dice: share of the soft Dice loss; 0 leaves cross-entropy alone.
        class_balance: power of inverse class frequency that weighs the cross-entropy; 0 is none.
        boost: factors over that by class name, for a class that is not learnt otherwise.
        repeat_rare: faces that show a class rarer than this share of the faces are drawn more often.
        store_size: side at which the faces are packed, at least the network's input.
        validate_every: epochs between validations.
        augmentation: see `Augmentation`.
    """

    network: NetworkConfig
    phases: tuple[Phase, ...]
    sets: tuple[FaceSet, ...] = (FaceSet(),)
    validation: FaceSet = field(default_factory=lambda: FaceSet(split="val"))
    seed: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    average: float = 0.998
    dice: float = 1.0
    class_balance: float = 0.0
    boost: dict[str, float] = field(default_factory=dict)
    repeat_rare: float = 0.0
    store_size: int = 384
    validate_every: int = 5
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        unknown = [name for name in self.boost if name not in CLASS_ID]
        if unknown:
            raise ValueError(f"boost: no such class: {', '.join(unknown)}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer {self.optimizer!r}: one of {', '.join(OPTIMIZERS)}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average is {self.average}, must be from 0 to below 1")
        _check_least("settings", 1, store_size=self.store_size, validate_every=self.validate_every)


def read_settings(path: Path, changes: Sequence[str] = ()) -> Settings:
    """Read a settings file.

    Args:
        path: the TOML file.
        changes: entries to set over the file's own, each "key = value" as a line of TOML.

    Raises:
        SettingsError: if it is missing, not TOML, or an entry is unknown or of the wrong kind.
    """
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text())
        for change in changes:
            _set(data, tomllib.loads(change))
        data["network"] = _network(data.get("network"), data.pop("shape", {}))
        if isinstance(data.get("validation"), dict):
            data["validation"] = {"split": "val", **data["validation"]}
        return from_dict(Settings, _tuples(data), Config(strict=True))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except UnexpectedDataError as error:
        raise SettingsError(f"{path}: no entry {', '.join(sorted(error.keys))}") from None
    except (tomllib.TOMLDecodeError, DaciteError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _tuples(value: Any) -> Any:
    """Return TOML's data with its lists as tuples, which is what the settings hold."""
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _set(data: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and value and isinstance(data.get(key), dict):
            _set(data[key], value)
        else:
            data[key] = value


def _network(name: object, shape: object) -> NetworkConfig:
    """Return a named network with the entries of `shape` put over its own."""
    if not isinstance(name, str) or name not in NAMED:
        raise ValueError(f"network {name!r}: one of {', '.join(NAMED)}")
    if not isinstance(shape, dict):
        raise ValueError(f"shape is {shape!r}, must be a table")
    data = _merged(NAMED[name].to_dict(), shape, "shape")
    return from_dict(NetworkConfig, _tuples(data), Config(strict=True))


def _merged(base: dict[str, Any], over: dict[str, Any], where: str) -> dict[str, Any]:
    unknown = sorted(set(over) - set(base))
    if unknown:
        raise ValueError(f"{where}: no entry {', '.join(unknown)}; there are {', '.join(base)}")
    return {
        key: _merged(value, over[key], f"{where}.{key}")
        if isinstance(value, dict) and isinstance(over.get(key), dict) and over[key]
        else over.get(key, value)
        for key, value in base.items()
    }

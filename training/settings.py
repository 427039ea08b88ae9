"""Training settings, read from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stn_icnn.config import NAMED
from training.augment import Augmentation

PHASES = ("coarse", "localizer", "parts", "end_to_end")


class SettingsError(Exception):
    """The settings file is not one; the message names the file and the entry."""


@dataclass(frozen=True)
class Phase:
    """One phase of training (arXiv 2002.04831, section 3.4).

    Attributes:
        name: "coarse" (cross-entropy and Dice on stage 1), "localizer" (smooth L1 against the
            thetas of the labels), "parts" (stage 2 on crops by the labels), or "end_to_end".
        epochs: passes over the data.
        learning_rate: peak of the one-cycle schedule.
        batch_size: faces a step.
        coarse_rate: the coarse stage's share of the learning rate where it was trained before.
    """

    name: str
    epochs: int
    learning_rate: float
    batch_size: int = 16
    coarse_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in PHASES:
            raise ValueError(f"phase {self.name!r}: one of {', '.join(PHASES)}")


@dataclass(frozen=True)
class Settings:
    """A training run.

    Attributes:
        network: name of a network configuration.
        phases: in order.
        seed: of initial weights, order and augmentation.
        optimizer: "adamw" or "adam".
        weight_decay: of adamw.
        average: decay a step of the moving average of the weights that is evaluated and saved.
        store_size: side at which the faces are kept in memory, at least the network's input.
        validate_every: epochs between validations.
        augmentation: see `Augmentation`.
    """

    network: str
    phases: tuple[Phase, ...]
    seed: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 1e-4
    average: float = 0.998
    store_size: int = 384
    validate_every: int = 5
    augmentation: Augmentation = field(default_factory=Augmentation)


def read_settings(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        SettingsError: if it is missing, not TOML, or an entry is unknown or of the wrong kind.
    """
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text())
        phases = tuple(Phase(**entry) for entry in data.pop("phases"))
        augmentation = Augmentation(**data.pop("augmentation", {}))
        settings = Settings(phases=phases, augmentation=augmentation, **data)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except (tomllib.TOMLDecodeError, TypeError, ValueError, KeyError) as error:
        raise SettingsError(f"{path}: {error}") from None
    if settings.network not in NAMED:
        raise SettingsError(f"{path}: network {settings.network!r}: one of {', '.join(NAMED)}")
    return settings

"""What every engine is: its protocol, its specification and its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stn_icnn.packing import Packing

Crops = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class EngineError(Exception):
    """An engine could not be loaded or was used wrongly; the message says what to do."""


class EngineUnavailable(EngineError):
    """This machine lacks what a back-end needs; another back-end may still run."""


@dataclass(frozen=True)
class EngineSpec:
    """What an engine takes and gives.

    Attributes:
        packing: the sides of pictures and maps.
        classes: class id (of `stn_icnn.labels`) of each output channel.
    """

    packing: Packing
    classes: tuple[int, ...]

    @classmethod
    def of(cls, network: Mapping[str, Any]) -> EngineSpec:
        """Read the specification from a checkpoint's network configuration."""
        return cls(Packing.of(network), tuple(network["classes"]))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one face's pictures, see `Packing.input_shape`."""
        return self.packing.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Return the shape of one face's probabilities, see `Packing.output_shape`."""
        return self.packing.output_shape(len(self.classes))

    def check(self, crops: Crops) -> Crops:
        """Return crops as a contiguous array after checking them.

        Args:
            crops: (N, *input_shape) uint8 RGB, N at least 1.

        Raises:
            EngineError: on another dtype or shape.
        """
        shape = self.input_shape
        if crops.dtype != np.uint8 or crops.shape[1:] != shape or not len(crops):
            sides = ", ".join(map(str, shape))
            raise EngineError(
                f"crops must be uint8 (N, {sides}) with N >= 1, not {crops.dtype} {crops.shape}"
            )
        return np.ascontiguousarray(crops)


@dataclass(frozen=True)
class EngineOptions:
    """What the user asks of an engine.

    Attributes:
        threads: CPU threads.
        precision: "auto" for the back-end's own choice, or "fp32", "fp16", "int8".
        max_batch: largest batch that an engine with a fixed range must take.
        build: whether what is not compiled yet may be compiled now.
        report: gets one line for what takes long; None prints to stderr.
    """

    threads: int = 1
    precision: str = "auto"
    max_batch: int = 8
    build: bool = True
    report: Callable[[str], None] | None = None

    def choose(self, backend: str, able: Sequence[str]) -> str:
        """Return the precision to use: the asked one, or the first that the back-end is able to.

        Raises:
            EngineUnavailable: if it isn't able to what was asked.
        """
        if self.precision == "auto":
            return able[0]
        if self.precision not in able:
            raise EngineUnavailable(f"{backend} has no {self.precision}: {', '.join(able)}")
        return self.precision


class Engine(Protocol):
    """A network ready to run. `infer` may be called from any thread, one call at a time runs."""

    @property
    def spec(self) -> EngineSpec:
        """What goes in and comes out."""
        ...

    @property
    def precision(self) -> str:
        """The numbers that it computes in: "fp32", "fp16" or "int8"."""
        ...

    @property
    def description(self) -> str:
        """What runs, on which device, at which precision: for one printed line."""
        ...

    def infer(self, crops: Crops) -> Probabilities:
        """Parse faces.

        Args:
            crops: (N, *spec.input_shape) uint8 RGB: (N, S, S, 3), or face crops and heads as
                `Packing.pack` makes them; need not be contiguous.

        Returns:
            (N, *spec.output_shape) float32 that sum to 1 over the classes; the caller's own.
            `Packing.maps` takes one face's apart.

        Raises:
            EngineError: on another dtype or shape, or after `close`.
        """
        ...

    def close(self) -> None:
        """Free the network; a second call does nothing."""
        ...


Infer = Callable[[Crops], Probabilities]


class LockedEngine:
    """An engine around a function that runs checked crops, one call at a time; the base of all of ours.

    Args:
        name: of the back-end, for errors.
        spec: what goes in and comes out.
        precision: see `Engine.precision`.
        what: library and device, for `Engine.description`.
        infer: checked crops, contiguous -> (N, *spec.output_shape) float32, the caller's own.
        free: gives back what is not Python's, called once.
    """

    def __init__(
        self,
        name: str,
        spec: EngineSpec,
        precision: str,
        what: str,
        infer: Infer,
        free: Callable[[], None] | None = None,
    ) -> None:
        self.spec, self.precision, self.description = spec, precision, f"{what}, {precision}"
        self._name = name
        self._lock = Lock()
        self._infer: Infer | None = infer
        self._free = free

    def infer(self, crops: Crops) -> Probabilities:
        """See `Engine.infer`."""
        checked = self.spec.check(crops)
        with self._lock:
            if self._infer is None:
                raise EngineError(f"the {self._name} engine is closed")
            return self._infer(checked)

    def close(self) -> None:
        """Free the network; a second call does nothing."""
        with self._lock:
            self._infer = None
            free, self._free = self._free, None
            if free is not None:
                free()


def in_parts(infer: Infer, most: int) -> Infer:
    """Return a function that runs batches of any size in parts of `most` at most."""

    def run(crops: Crops) -> Probabilities:
        if len(crops) <= most:
            return infer(crops)
        return np.concatenate([infer(crops[start : start + most]) for start in range(0, len(crops), most)])

    return run

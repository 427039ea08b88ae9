"""Named network configurations, as plain data that travels inside a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from stn_icnn.icnn import ICNNConfig
from stn_icnn.labels import CLASS_ID, CLASSES
from stn_icnn.localizer import PartPrior
from stn_icnn.packing import Packing


@dataclass(frozen=True)
class PartNetConfig:
    """One part parser.

    Attributes:
        size: (height, width) of its crops in pixels.
        body: the shape of its iCNN.
    """

    size: tuple[int, int]
    body: ICNNConfig


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that is needed to rebuild a network; see `PAPER`, `FACE` and `REALTIME`.

    Attributes:
        name: short name, shown to users.
        classes: class ids (of `stn_icnn.labels`) of the output channels, background first.
        input_size: side of the square face crop in pixels.
        coarse_size: side at which the coarse stage sees what it parses; without a face stage it divides
            input_size.
        output_size: side of the probability maps of the face crop.
        coarse: shape of the coarse iCNN.
        part_nets: part parsers by name: brow, eye, nose, mouth; none for the coarse stage alone.
        localizer: "moments", "conv", or "prior" (fixed crops, for ablation).
        composition: "residual" (part parsers see the image and the coarse probabilities and
            correct the coarse logits) or "replace" (the paper: part probabilities alone).
        features: the part parsers of "residual" also see the features of the stage that they correct,
            cropped like the image (not in the paper).
        face: shape of a face stage (not in the paper): the coarse stage then parses the head, a square
            `HEAD_WIDTH` times as wide as the face crop, and the face stage the face crop; parts are corrected
            there. None: the coarse stage parses the face crop.
        centred: pixels go in as -2 to 2. False: as 0 to 255, and the first convolutions' kernels hold the
            scale, which costs nothing.
    """

    name: str
    classes: tuple[int, ...]
    input_size: int
    coarse_size: int
    output_size: int
    coarse: ICNNConfig
    part_nets: dict[str, PartNetConfig]
    localizer: str
    composition: str
    features: bool = False
    face: ICNNConfig | None = None
    centred: bool = True

    def __post_init__(self) -> None:
        corrected = self.composition == "residual" and bool(self.part_nets)
        if self.face is not None and not (self.coarse.fine and corrected):
            raise ValueError("a face stage needs a fine coarse stage and parts that correct")

    @property
    def packing(self) -> Packing:
        """Return how pictures go in and maps come out."""
        return Packing.of(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkConfig:
        """Rebuild a configuration from `to_dict`'s data, read back from JSON.

        Raises:
            KeyError, TypeError, ValueError: if the data is not such a configuration.
        """

        def body(entry: dict[str, Any]) -> ICNNConfig:
            tuples = {key: tuple(entry[key]) for key in ("widths", "head_kernels")}
            return ICNNConfig(**{**entry, **tuples})

        def part_net(entry: dict[str, Any]) -> PartNetConfig:
            height, width = entry["size"]
            return PartNetConfig((height, width), body(entry["body"]))

        part_nets = {name: part_net(entry) for name, entry in data["part_nets"].items()}
        changed = {
            "classes": tuple(data["classes"]),
            "coarse": body(data["coarse"]),
            "part_nets": part_nets,
            "face": body(data["face"]) if data.get("face") else None,
        }
        return cls(**{**data, **changed})


@dataclass(frozen=True)
class Part:
    """One of the six parts that the transformer crops.

    Attributes:
        net: name of its part parser.
        class_names: its classes; a mirrored part's are the mirror image of its partner's.
        mirrored: parsed by its partner's net on the mirrored crop.
        prior: where it lies in an aligned face crop: means over the 800 training faces of
            celebamask-mini.
    """

    net: str
    class_names: tuple[str, ...]
    mirrored: bool
    prior: PartPrior

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Return the class ids of the part."""
        return tuple(CLASS_ID[name] for name in self.class_names)


PARTS: dict[str, Part] = {
    "l_brow": Part("brow", ("l_brow",), False, PartPrior((0.253, -0.170), (0.088, 0.024))),
    "r_brow": Part("brow", ("r_brow",), True, PartPrior((-0.253, -0.170), (0.088, 0.024))),
    "l_eye": Part("eye", ("l_eye",), False, PartPrior((0.242, -0.043), (0.044, 0.017))),
    "r_eye": Part("eye", ("r_eye",), True, PartPrior((-0.242, -0.043), (0.044, 0.017))),
    "nose": Part("nose", ("nose",), False, PartPrior((0.0, 0.156), (0.069, 0.111))),
    "mouth": Part("mouth", ("mouth", "u_lip", "l_lip"), False, PartPrior((0.0, 0.503), (0.102, 0.044))),
}
"""The six parts of arXiv 2002.04831 in the order of theta."""

PART_NETS = ("brow", "eye", "nose", "mouth")

PAPER = NetworkConfig(
    name="paper",
    classes=tuple(
        CLASS_ID[name]
        for name in ("background", *(name for part in PARTS.values() for name in part.class_names))
    ),
    input_size=256,
    coarse_size=128,
    output_size=256,
    coarse=ICNNConfig(),
    part_nets={name: PartNetConfig((81, 81), ICNNConfig()) for name in PART_NETS},
    localizer="conv",
    composition="replace",
)
"""The paper's network: 9 classes, four full-resolution rows, 81x81 part crops, softmaxed parts."""


def _part_net(size: tuple[int, int]) -> PartNetConfig:
    return PartNetConfig(size, ICNNConfig((16, 32), 1, 3, 1, (3, 1), "relu", residual=True, head_width=16))


FACE = NetworkConfig(
    name="face",
    classes=tuple(range(len(CLASSES))),
    input_size=256,
    coarse_size=256,
    # Part parsers see more than two pixels for each of 128: 144 brings 0.4 points of F1 on eyes, 0.5 on lips.
    output_size=144,
    # Multiples of 16 fill the vector registers: 20 channels in the first row cost more than they bring.
    coarse=ICNNConfig((16, 32, 48, 64, 80), 4, 3, 3, (3, 1), "relu", residual=True, fine=12, head_width=24),
    part_nets={
        "brow": _part_net((32, 48)),
        "eye": _part_net((32, 48)),
        "nose": _part_net((32, 24)),
        "mouth": _part_net((40, 64)),
    },
    localizer="moments",
    composition="residual",
    features=True,
)
"""The face crop alone: all 19 classes, rows from quarter resolution, parts correct the coarse logits."""

REALTIME = replace(
    FACE,
    name="realtime",
    input_size=240,
    # Its lowest row then has 5 pixels a side: each sees the whole head.
    coarse_size=160,
    coarse=ICNNConfig((16, 32, 48, 64), 4, 3, 2, (3, 1), "relu", residual=True, fine=12, head_width=24),
    # What the coarse stage knows of the head spares it a row and a layer.
    face=replace(FACE.coarse, widths=(16, 32, 48, 64), layers=2),
    centred=False,
)
"""The whole head at a third of the face crop's resolution, and the face crop nearly as finely as `FACE`."""

NAMED: dict[str, NetworkConfig] = {config.name: config for config in (PAPER, FACE, REALTIME)}

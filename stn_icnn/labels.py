"""The 19 classes of CelebAMask-HQ, their mirror pairs, palette and the groups that papers score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CLASSES: tuple[str, ...] = (
    "background",
    "skin",
    "nose",
    "eye_g",
    "l_eye",
    "r_eye",
    "l_brow",
    "r_brow",
    "l_ear",
    "r_ear",
    "mouth",
    "u_lip",
    "l_lip",
    "hair",
    "hat",
    "ear_r",
    "neck_l",
    "neck",
    "cloth",
)
"""Class names; the position is the class id. `l_` and `r_` are the subject's own left and right."""

CLASS_ID: dict[str, int] = {name: index for index, name in enumerate(CLASSES)}

IGNORE = 255
"""Label value of pixels that no loss and no metric may count."""

LEGEND: dict[str, str] = {
    "eye_g": "glasses",
    "l_eye": "left eye",
    "r_eye": "right eye",
    "l_brow": "left brow",
    "r_brow": "right brow",
    "l_ear": "left ear",
    "r_ear": "right ear",
    "mouth": "inner mouth",
    "u_lip": "upper lip",
    "l_lip": "lower lip",
    "ear_r": "earring",
    "neck_l": "necklace",
}
"""Words to show to people for the class names that are not plain words already."""

LEFT_RIGHT_PAIRS: tuple[tuple[int, int], ...] = tuple(
    (CLASS_ID[f"l_{part}"], CLASS_ID[f"r_{part}"]) for part in ("eye", "brow", "ear")
)

PALETTE: npt.NDArray[np.uint8] = np.array(
    [
        (0, 0, 0),
        (238, 187, 153),
        (240, 128, 60),
        (90, 90, 200),
        (0, 200, 255),
        (0, 130, 230),
        (150, 220, 60),
        (70, 160, 40),
        (250, 220, 110),
        (210, 170, 60),
        (130, 20, 60),
        (255, 70, 110),
        (200, 30, 70),
        (150, 80, 200),
        (90, 200, 170),
        (255, 255, 120),
        (255, 160, 255),
        (190, 140, 120),
        (110, 130, 160),
    ],
    dtype=np.uint8,
)
"""RGB colour of each class, (19, 3) uint8."""

PAPER_GROUPS: dict[str, tuple[int, ...]] = {
    "eyes": (CLASS_ID["l_eye"], CLASS_ID["r_eye"]),
    "brows": (CLASS_ID["l_brow"], CLASS_ID["r_brow"]),
    "nose": (CLASS_ID["nose"],),
    "mouth": (CLASS_ID["mouth"], CLASS_ID["u_lip"], CLASS_ID["l_lip"]),
}
"""Groups scored on Helen by face parsing papers (arXiv 2002.04831, section 4)."""

PAPER_OVERALL: tuple[int, ...] = tuple(i for group in PAPER_GROUPS.values() for i in group)
"""Classes pooled into one foreground by the papers' "overall" F1."""


def mirror_ids() -> npt.NDArray[np.uint8]:
    """Return the (256,) uint8 table that renames left to right classes for a mirrored image."""
    table = np.arange(256, dtype=np.uint8)
    for left, right in LEFT_RIGHT_PAIRS:
        table[left], table[right] = right, left
    return table


def legend(class_id: int) -> str:
    """Return the words to show for a class id (0 to 18)."""
    name = CLASSES[class_id]
    return LEGEND.get(name, name)

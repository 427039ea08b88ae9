"""Run lengths as COCO writes them: columns first, background first, packed into printable characters.

Six bits a character, from "0" up: five of the number, lowest first, and one that says that more follow.
From the fourth number on it is the difference to the number before the last that is written. Source:
the MS COCO API, maskApi.c.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.frames import Image

Counts = npt.NDArray[np.int64]
# Enough for differences of any picture's runs.
_DIGITS = 8


def class_runs(values: npt.NDArray[np.uint32]) -> dict[int, tuple[Counts, Counts]]:
    """Return where the runs of each value begin and how long they are.

    Args:
        values: (H, W); 0 is left out. One pass serves all values.

    Returns:
        For each value: starts and lengths in pixels, counted down the columns.
    """
    flat = values.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges]).astype(np.int64)
    lengths = np.diff(np.append(starts, flat.size))
    kinds = flat[starts]
    return {int(kind): (starts[kinds == kind], lengths[kinds == kind]) for kind in np.unique(kinds) if kind}


def counts_of(starts: Counts, lengths: Counts, pixels: int) -> Counts:
    """Return COCO's counts: gap, run, gap, run ... over all pixels."""
    ends = starts + lengths
    counts = np.empty(2 * len(starts) + 1, np.int64)
    counts[0::2] = np.append(starts, pixels) - np.concatenate([[0], ends])
    counts[1::2] = lengths
    # No empty gap at the end: pycocotools writes none.
    return counts[:-1] if counts[-1] == 0 else counts


def pack(counts: Counts) -> str:
    """Return counts as COCO's string."""
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    shifts = 5 * np.arange(_DIGITS)
    rest = numbers[:, None] >> (shifts + 5)
    digits = (numbers[:, None] >> shifts) & 31
    # A number ends where all that is left repeats the sign that its last digit shows.
    more = np.where(digits & 16, rest != -1, rest != 0)
    written = np.ones_like(more)
    written[:, 1:] = np.logical_and.accumulate(more, axis=1)[:, :-1]
    return bytes((digits + 32 * more + 48)[written].astype(np.uint8)).decode("ascii")


def unpack(text: str) -> Counts:
    """Return the counts of COCO's string.

    Raises:
        ValueError: if it is none.
    """
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    if len(codes) == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("no run lengths")
    last = np.flatnonzero(codes & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(codes)) - np.repeat(first, last - first + 1)
    if place.max() >= _DIGITS:
        raise ValueError("no run lengths")
    numbers = np.add.reduceat((codes & 31) << (5 * place), first)
    numbers -= np.where(codes[last] & 16, np.int64(1) << (5 * (last - first + 1)), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def paint(labels: Image, counts: Counts, value: int) -> None:
    """Set the pixels of a mask in a label map (H, W) to a value.

    Raises:
        ValueError: if the mask has another size.
    """
    if counts.sum() != labels.size or counts.min() < 0:
        raise ValueError("run lengths of a picture of another size")
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(labels.shape, order="F")
    labels[mask] = value


def box_of(starts: Counts, lengths: Counts, height: int) -> tuple[int, int, int, int]:
    """Return x, y, width and height of runs in pixels."""
    lasts = starts + lengths - 1
    x0, x1 = int(starts[0] // height), int(lasts[-1] // height)
    if (starts // height != lasts // height).any():
        # A run that goes on in the next column touches top and bottom.
        return x0, 0, x1 - x0 + 1, height
    y0, y1 = int((starts % height).min()), int((lasts % height).max())
    return x0, y0, x1 - x0 + 1, y1 - y0 + 1

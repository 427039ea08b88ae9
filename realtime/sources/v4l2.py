"""What Linux says of a camera, asked by ioctl: its name, and the formats and sizes that it gives.

Numbers and layouts are those of the kernel's linux/videodev2.h.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES = 0x80685600, 0xC0405602, 0xC02C564A
CAPTURE, HAS_DEVICE_CAPS = 0x1, 0x80000000
DISCRETE = 1
# A driver that never says "no more" is not asked for ever.
MOST_FORMATS, MOST_SIZES = 32, 64

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32sII12x")
_SIZE = struct.Struct("=IIIIIIIII8x")


def camera_name(device: Path) -> str | None:
    """Return the name on the card of a device that gives pictures; None for any other device.

    Raises:
        OSError: if it can't be asked: no permission, unplugged.
    """
    with _opened(device) as file:
        answer = bytearray(_CAPABILITY.size)
        _ask(file, QUERYCAP, answer)
    _, card, _, _, all_of_it, this_node = _CAPABILITY.unpack(answer)
    # One camera has several nodes, and only some give pictures.
    capabilities = this_node if all_of_it & HAS_DEVICE_CAPS else all_of_it
    return _text(card) if capabilities & CAPTURE else None


def camera_formats(device: Path) -> dict[str, list[str]]:
    """Return the sizes, "WIDTHxHEIGHT", that a camera gives in each pixel format, by the format's code.

    Raises:
        OSError: if it can't be asked.
    """
    with _opened(device) as file:
        return {code: list(_sizes(file, number)) for number, code in _formats(file)}


def _formats(file: int) -> Iterator[tuple[int, str]]:
    for index in range(MOST_FORMATS):
        answer = bytearray(_FORMAT.pack(index, CAPTURE, 0, b"", 0, 0))
        if not _ask_next(file, ENUM_FMT, answer):
            return
        number = _FORMAT.unpack(answer)[4]
        yield number, _text(number.to_bytes(4, "little")).strip()


def _sizes(file: int, number: int) -> Iterator[str]:
    for index in range(MOST_SIZES):
        answer = bytearray(_SIZE.pack(index, number, 0, 0, 0, 0, 0, 0, 0))
        if not _ask_next(file, ENUM_FRAMESIZES, answer):
            return
        _, _, kind, *numbers = _SIZE.unpack(answer)
        if kind == DISCRETE:
            yield f"{numbers[0]}x{numbers[1]}"
            continue
        # Any size in between: least, greatest and step of the width, then of the height.
        yield f"{numbers[0]}x{numbers[3]} to {numbers[1]}x{numbers[4]}"
        return


@contextlib.contextmanager
def _opened(device: Path) -> Iterator[int]:
    file = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield file
    finally:
        os.close(file)


def _ask(file: int, request: int, answer: bytearray) -> None:
    import fcntl  # not on Windows

    fcntl.ioctl(file, request, answer)


def _ask_next(file: int, request: int, answer: bytearray) -> bool:
    """Ask for one more item of a list; False where there is none."""
    try:
        _ask(file, request, answer)
    except OSError:
        return False
    return True


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")

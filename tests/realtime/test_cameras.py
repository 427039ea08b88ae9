"""Listing cameras: a kernel and an OpenCV that are faked, with the layouts of linux/videodev2.h."""

from __future__ import annotations

import errno
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import cv2
import pytest

import realtime.sources.cameras as cameras
from run_webcam import main

MJPG, YUYV = 0x47504A4D, 0x56595559
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="asks the kernel by ioctl")


class Kernel:
    """Answers the three questions as a UVC camera's driver does: node 0 gives pictures, node 1 metadata."""

    sizes: ClassVar[dict[int, list[tuple[int, int]] | None]] = {MJPG: [(1920, 1080), (1280, 720)], YUYV: None}

    def __init__(self) -> None:
        self.node = -1

    def open(self, path: Path, flags: int) -> int:
        self.node = int(str(path)[-1])
        if self.node == 2:
            raise PermissionError(errno.EACCES, "Permission denied")
        if self.node == 3:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return 1000 + self.node

    def close(self, file: int) -> None:
        assert file == 1000 + self.node

    def ioctl(self, file: int, request: int, data: bytearray) -> int:
        size = (request >> 16) & 0x3FFF
        assert size == len(data), "the kernel writes as much as the request says"
        {0: self._capability, 2: self._format, 74: self._size}[request & 0xFF](data)
        return 0

    def _capability(self, data: bytearray) -> None:
        data[16:48] = "Kamera Ü".encode().ljust(32, b"\0")
        struct.pack_into("=II", data, 84, 0x84A00001, 0x04200001 if self.node == 0 else 0x04A00000)

    def _format(self, data: bytearray) -> None:
        index, kind = struct.unpack_from("=II", data)
        assert kind == 1
        if index >= 2:
            raise OSError(errno.EINVAL, "Invalid argument")
        struct.pack_into("=I", data, 44, (MJPG, YUYV)[index])

    def _size(self, data: bytearray) -> None:
        index, number = struct.unpack_from("=II", data)
        sizes = self.sizes[number]
        if sizes is None:
            if index:
                raise OSError(errno.EINVAL, "Invalid argument")
            struct.pack_into("=IIIIIII", data, 8, 3, 32, 640, 8, 24, 480, 8)
        elif index < len(sizes):
            struct.pack_into("=III", data, 8, 1, *sizes[index])
        else:
            raise OSError(errno.EINVAL, "Invalid argument")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    fake = Kernel()
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(sys, "platform", "linux")
    # In this module alone: everything else opens files, too.
    calls = SimpleNamespace(open=fake.open, close=fake.close, O_RDONLY=0, O_NONBLOCK=0)
    monkeypatch.setattr("realtime.sources.v4l2.os", calls)
    monkeypatch.setattr(fcntl, "ioctl", fake.ioctl)
    monkeypatch.setattr(cameras, "DEVICES", tmp_path)
    return tmp_path


def test_a_camera_is_listed_with_its_name_formats_and_use(
    kernel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("video0", "video1", "video2", "video3", "video"):
        (kernel / name).touch()
    assert main(["--list-cameras"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{kernel}/video0  Kamera Ü",
        "    MJPG: 1920x1080, 1280x720",
        "    YUYV: 32x24 to 640x480",
        f"{kernel}/video2  not allowed to open it",
        "    sudo usermod -aG video $USER, then log in again",
        f"{kernel}/video3  does not answer: Device or resource busy",
        f"use: python run_webcam.py --source {kernel}/video0 --camera-size 1280x720",
    ]


def test_no_camera_is_one_line_and_says_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cameras, "DEVICES", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    assert main(["--list-cameras"]) == 1
    assert capsys.readouterr().out.startswith("no camera found (no /dev/video* that gives pictures")


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_numbers_are_tried(
    system: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    released = []

    class Capture:
        def __init__(self, number: int) -> None:
            self.number = number

        def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
            return self.number == 1

        def get(self, what: int) -> float:
            known: dict[int, Any] = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0}
            return float(known.get(what, 30.0))

        def release(self) -> None:
            released.append(self.number)

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    assert main(["--list-cameras"]) == 0
    out = capsys.readouterr().out
    assert "1  camera 1\n    640x480, 30 fps by itself\n" in out
    assert "use: python run_webcam.py --source 1" in out
    assert released == list(cameras.TRIED)
    monkeypatch.setattr(cameras, "TRIED", range(0))
    assert main(["--list-cameras"]) == 1
    assert "allow" in capsys.readouterr().out

"""A virtual camera: what other programs choose as a webcam shows the painted picture."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any

import numpy as np

from realtime.errors import SinkError, UsageError
from realtime.frames import Image, RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.pace import Pace

JOIN_SECONDS = 1.0
# By `sys.platform`: what makes a virtual camera there.
MAKE_ONE = {
    "linux": "sudo modprobe v4l2loopback devices=1 video_nr=10 card_label=FaceParsing exclusive_caps=1"
    " (from the package v4l2loopback-dkms)",
    "darwin": "install OBS Studio 30 or newer (brew install --cask obs), press Start Virtual Camera in it"
    " once, and close it",
    "win32": "install OBS Studio (winget install OBSProject.OBSStudio); its virtual camera comes with it",
}


class VirtualCameraSink:
    """Sends the newest frame to a virtual camera at a steady rate, on a thread of its own.

    A frame that comes before the last one was sent takes its place, and one that stays is repeated: a
    program that reads slowly, or none at all, holds nothing up. Files play at their own speed.

    Args:
        device: the camera's name, such as "/dev/video10"; empty: the first there is.
        info: of the source, for the rate.
        size: width and height of the frames, pixels; odd ones lose their last column or row.

    Raises:
        UsageError: if the source is a still picture.
        SinkError: if there is no such camera; the message says how to make one.
    """

    def __init__(self, device: str, info: SourceInfo, size: tuple[int, int]) -> None:
        if info.still:
            raise UsageError("--virtual-camera needs moving pictures: a camera, a video, a stream or demo")
        width, height = size[0] // 2 * 2, size[1] // 2 * 2
        rate = min(60.0, max(1.0, float(info.fps)))
        self._camera = open_virtual_camera(device, width, height, rate)
        self._name = f"virtual camera {self._camera.device}"
        self._size, self._rate, self._pace = (width, height), rate, Pace(info)
        self._newest: Image | None = None
        self._failure: Exception | None = None
        self._came, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._send, name="virtual camera", daemon=True)
        self._thread.start()
        print(f"{self._name}: {width}x{height} at {rate:g} fps", file=sys.stderr, flush=True)

    def write(self, rendered: RenderedFrame) -> bool:
        """Make a frame the newest one.

        Raises:
            SinkError: if the camera has failed, or frames have another size.
        """
        if self._failure is not None:
            raise SinkError(f"{self._name} stopped: {_one_line(self._failure)}") from None
        width, height = self._size
        image = rendered.image[:height, :width]
        if image.shape[:2] != (height, width):
            raise SinkError(f"{self._name}: a frame of {image.shape[1]}x{image.shape[0]} in {width}x{height}")
        self._pace.wait(rendered)
        self._newest = np.ascontiguousarray(image)
        self._came.set()
        return True

    def _send(self) -> None:
        self._came.wait()
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            try:
                self._camera.send(self._newest)
            except Exception as error:
                self._failure = error
                return
            # After a reader that held it up it goes on from now, and makes up for nothing.
            due = max(due + 1.0 / self._rate, time.monotonic())

    def close(self, whole: bool = True) -> None:
        """Give the camera back; one that hangs in a send is left to the end of the process."""
        self._ending.set()
        self._came.set()
        self._thread.join(JOIN_SECONDS)
        if not self._thread.is_alive():
            with contextlib.suppress(Exception):
                self._camera.close()

    def abort(self) -> None:
        """Give the camera back."""
        self.close(whole=False)


def open_virtual_camera(device: str, width: int, height: int, rate: float) -> Any:
    """Return a `pyvirtualcam.Camera` that takes RGB.

    Raises:
        SinkError: if pyvirtualcam is not installed or there is no such camera.
    """
    try:
        import pyvirtualcam
    except ImportError:
        raise SinkError("--virtual-camera needs pyvirtualcam: pip install '.[virtual-camera]'") from None
    form = pyvirtualcam.PixelFormat.RGB
    try:
        return pyvirtualcam.Camera(width, height, rate, fmt=form, device=device or None)
    except Exception as error:
        make = MAKE_ONE.get(sys.platform, "see pyvirtualcam's page for this system")
        called = f"virtual camera {device}" if device else "virtual camera"
        reason = _one_line(error).partition(". ")[0]
        raise SinkError(f"no {called} here ({reason}); to make one: {make}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

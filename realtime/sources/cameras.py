"""Which cameras there are: asked of the kernel on Linux, tried one by one elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import cv2

from realtime.native_logs import hide_native_logs
from realtime.sources.v4l2 import camera_formats, camera_name

DEVICES = Path("/dev")
# OpenCV can't say how many there are: these numbers are tried.
TRIED = range(6)
MOST_SIZES = 8
# By `sys.platform`: what to look at where there is none.
HINTS = {
    "linux": "no /dev/video* that gives pictures: plug one in; a container or WSL must be given the device",
    "darwin": "allow the terminal to use the camera: System Settings, Privacy & Security, Camera",
    "win32": "allow desktop apps to use the camera: Settings, Privacy & security, Camera",
}


@dataclass(frozen=True)
class Camera:
    """A camera that was found.

    Attributes:
        source: what `--source` takes for it.
        name: on its card, or what it gave.
        formats: lines about what it gives, for people; or why it can't be asked.
    """

    source: str
    name: str
    formats: tuple[str, ...] = ()


def find_cameras() -> list[Camera]:
    """Return the cameras of this machine; one that another program uses may be missing, except on Linux."""
    return _of_the_kernel() if sys.platform.startswith("linux") else _tried()


def print_cameras() -> int:
    """Print each camera, what it gives and how to use it; return the exit code: 1 where there is none."""
    with hide_native_logs():
        cameras = find_cameras()
    if not cameras:
        print(f"no camera found ({no_camera_hint()})")
        return 1
    for camera in cameras:
        print(f"{camera.source}  {camera.name}", *(f"    {line}" for line in camera.formats), sep="\n")
    print(f"use: python run_webcam.py --source {cameras[0].source} --camera-size 1280x720")
    return 0


def no_camera_hint() -> str:
    """Return what to look at where no camera was found."""
    return HINTS.get(sys.platform, "plug one in")


def _of_the_kernel() -> list[Camera]:
    paths = [path for path in DEVICES.glob("video*") if path.name[5:].isdecimal()]
    found = (_ask(path) for path in sorted(paths, key=lambda path: int(path.name[5:])))
    return [camera for camera in found if camera is not None]


def _ask(path: Path) -> Camera | None:
    try:
        name = camera_name(path)
        if name is None:
            return None
        formats = camera_formats(path)
    except PermissionError:
        # Only the group may: a common surprise on servers.
        mend = "sudo usermod -aG video $USER, then log in again"
        return Camera(str(path), "not allowed to open it", (mend,))
    except OSError as error:
        return Camera(str(path), f"does not answer: {error.strerror}")
    return Camera(str(path), name, tuple(f"{code}: {_list(sizes)}" for code, sizes in formats.items()))


def _list(sizes: list[str]) -> str:
    more = len(sizes) - MOST_SIZES
    return ", ".join(sizes[:MOST_SIZES]) + (f" and {more} more" if more > 0 else "")


def _tried() -> list[Camera]:
    cameras = []
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    for number in TRIED:
        capture = cv2.VideoCapture(number)
        try:
            if capture.isOpened():
                size = (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
                given = f"{size[0]:.0f}x{size[1]:.0f}, {capture.get(cv2.CAP_PROP_FPS):g} fps by itself"
                cameras.append(Camera(str(number), f"camera {number}", (given,)))
        finally:
            capture.release()
    return cameras

"""`--doctor`: what works on this machine, a line each, and how to mend what does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from engines import BACKENDS, EngineError, load_engine
from engines.cache import user_folder
from engines.engine import EngineUnavailable
from engines.gpu import find_gpu
from realtime.errors import RealtimeError
from realtime.faces.detector import FaceDetector
from realtime.frames import Frame, RenderedFrame
from realtime.media import SourceInfo
from realtime.models import MODELS, is_whole
from realtime.native_logs import hide_native_logs
from realtime.sinks import VideoFileSink
from realtime.sinks.encoders import ENCODERS, usable_encoders
from realtime.sinks.virtual import open_virtual_camera
from realtime.sinks.window import has_display
from realtime.sources import open_source
from realtime.sources.cameras import find_cameras, no_camera_hint

# By extra: the package that shows it is installed.
EXTRAS = {
    "bench": "matplotlib",
    "demo": "scikit-image",
    "onnx": "onnxruntime",
    "quantize": "nncf",
    "ray": "ray",
    "serve": "aiortc",
    "tensorrt": "tensorrt-rtx-cu13",
    "torch-tensorrt": "torch-tensorrt-rtx",
    "train": "torch",
    "virtual-camera": "pyvirtualcam",
}


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        what: was looked at.
        good: it works.
        text: how it is, and what to do where it does not work.
        needed: the main job, a video in and out, can't run without it.
    """

    what: str
    good: bool
    text: str
    needed: bool = False

    def line(self) -> str:
        """Return it as a line: "ok", "NO" where the main job needs it, "-" for the rest."""
        mark = "ok" if self.good else "NO" if self.needed else "-"
        return f"{mark:2s}  {self.what:15s} {self.text}"


def run_doctor() -> int:
    """Print every finding as it is made; return 0 if the main job can run, else 1."""
    healthy = True
    for check in (_python, _cache, _models, _engines, _gpu, _codecs, _cameras, _display, _virtual, _extras):
        with hide_native_logs():
            findings = list(check())
        for finding in findings:
            print(finding.line(), flush=True)
            healthy &= finding.good or not finding.needed
    print("videos can be processed here" if healthy else "videos can't be processed here: see NO above")
    return 0 if healthy else 1


def _python() -> Iterator[Finding]:
    packages = ("numpy", "opencv-python", "av", "mediapipe", "openvino")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    yield Finding("python", True, f"{platform.python_version()} on {platform.platform()}; {versions}")


def _cache() -> Iterator[Finding]:
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        text = f"{folder}: {error.strerror}; set STN_ICNN_CACHE to a folder that can be written to"
        yield Finding("cache", False, text)
    else:
        yield Finding("cache", True, str(folder))


def _models() -> Iterator[Finding]:
    missing = [model.name for model in MODELS if not is_whole(model)]
    if missing:
        text = f"not here: {', '.join(missing)}; python -m realtime setup"
        yield Finding("models", False, text, needed=True)
        return
    yield _tried("models", lambda: FaceDetector().close(), ", ".join(model.name for model in MODELS))


def _engines() -> Iterator[Finding]:
    def choose() -> str:
        engine, line = load_engine(max_batch=4, build=False)
        try:
            started = time.monotonic()
            engine.infer(np.zeros((1, *engine.spec.input_shape), np.uint8))
            return f"{line.removeprefix('engine: ')}; first face {1000 * (time.monotonic() - started):.0f} ms"
        finally:
            engine.close()

    yield _tried("engine", choose)
    for name in BACKENDS:
        try:
            engine, _ = load_engine(name, build=False)
        except EngineError as error:
            yield Finding(f"  {name}", False, str(error))
        else:
            yield Finding(f"  {name}", True, engine.description)
            engine.close()


def _gpu() -> Iterator[Finding]:
    try:
        yield Finding("gpu", True, str(find_gpu()))
    except EngineUnavailable as error:
        yield Finding("gpu", False, f"{error}; not needed, see docs/engines.md")


def _codecs() -> Iterator[Finding]:
    yield _tried("video files", _write_and_read)
    usable = usable_encoders(".mkv")
    rest = [name for name in ENCODERS if name not in usable]
    yield Finding("encoders", bool(usable), f"{', '.join(usable)} (not here: {', '.join(rest) or 'none'})")


def _write_and_read() -> str:
    info = SourceInfo("doctor", 64, 48, Fraction(30), Fraction(1, 30))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doctor.mp4"
        sink = VideoFileSink(path, info)
        for index in range(4):
            image = np.full((48, 64, 3), 50 * index, np.uint8)
            sink.write(RenderedFrame(Frame(image, index, Fraction(index, 30), 0.0), image))
        sink.close()
        source = open_source(str(path))
        levels = [int(frame.image.mean()) for frame in source.frames()]
        source.close()
    if len(levels) != 4 or max(abs(level - 50 * index) for index, level in enumerate(levels)) > 5:
        raise RealtimeError(f"four grey pictures came back as levels {levels}")
    return "written and read back, libx264 in .mp4"


def _cameras() -> Iterator[Finding]:
    cameras = find_cameras()
    if not cameras:
        yield Finding("camera", False, f"none: {no_camera_hint()}")
    for camera in cameras:
        yield Finding("camera", True, f"--source {camera.source}: {camera.name}")


def _display() -> Iterator[Finding]:
    if has_display():
        name = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or sys.platform
        yield Finding("display", True, name)
    else:
        text = "none, so no window: use --no-display with --output; by ssh, ssh -X or --output udp://..."
        yield Finding("display", False, text)


def _virtual() -> Iterator[Finding]:
    yield _tried("virtual camera", lambda: open_virtual_camera("", 640, 480, 30.0).close(), needed=False)


def _extras() -> Iterator[Finding]:
    for extra, package in EXTRAS.items():
        try:
            found = f"{package} {importlib.metadata.version(package)}"
            yield Finding(f"extra {extra}"[:20], True, found)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(f"extra {extra}"[:20], False, f"pip install '.[{extra}]'")


def _tried(what: str, action: Callable[[], str | None], text: str = "", needed: bool = True) -> Finding:
    """Do something; find it good if it goes well."""
    try:
        return Finding(what, True, action() or text or "works", needed)
    except (RealtimeError, EngineError) as error:
        return Finding(what, False, str(error), needed)
    except Exception as error:
        # A broken installation breaks in any way; the other checks go on.
        return Finding(what, False, f"{type(error).__name__}: {error}".splitlines()[0], needed)

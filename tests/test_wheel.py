"""What is installed is all there: a built wheel runs a job in an environment and a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy: building leaves folders behind.
    files = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
    source = folder / "source"
    for name in filter(None, files.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('..'))"
    subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_holds_types_weights_and_pages_of_the_browser(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/py.typed" for package in ("engines", "realtime", "stn_icnn")} <= names
    assert {"stn_icnn/weights/realtime.fp16.onnx", "stn_icnn/weights/realtime.int8.xml"} <= names
    assert {"realtime/serve/static/index.html", "realtime/presets/evening.toml", "run_webcam.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "examples/"))]
    rooms = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "realtime").rglob("*.py")}
    assert rooms <= {str(Path(name).parent) for name in names}, "every package is listed in pyproject.toml"


@pytest.mark.timeout(240)
def test_an_installed_wheel_runs_a_job_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    # Its dependencies come from here, behind what was installed; this project's own folder does not.
    (site,) = (tmp_path / "venv").rglob("site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(ours) + "\n")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = (
        "import realtime, engines, stn_icnn; print(realtime.__file__, engines.__file__, stn_icnn.__file__)"
    )
    found = subprocess.run(
        [str(python), "-c", where], cwd=tmp_path, capture_output=True, text=True, env=clean
    )
    assert found.stdout.count(str(site)) == 3, found.stdout + found.stderr
    script = python.with_name("stn-icnn")
    words = ["--source", "demo", "--max-frames", "3", "--effect", "lips", "--output", "painted.mp4"]
    done = subprocess.run(
        [str(script), *words, "--no-display"], cwd=tmp_path, capture_output=True, text=True, env=clean
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "painted.mp4").stat().st_size > 1000

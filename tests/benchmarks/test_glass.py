from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import read_json
from tests.conftest import skip_or_fail


# Alone: it watches what a screen shows, and when.
@pytest.mark.alone
def test_what_is_shown_is_read_back_and_was_captured_before(tmp_path: Path) -> None:
    if shutil.which("Xvfb") is None:
        skip_or_fail("needs Xvfb")
    path = tmp_path / "glass.json"
    # A process of its own: cv2's window hangs where PyAV was imported first.
    command = [sys.executable, "-m", "benchmarks", "glass", "--virtual", "--size", "480p", "--threads", "2"]
    command += ["--rounds", "1", "--seconds", "1", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=100)
    assert done.returncode == 0, done.stderr
    _, (result,) = read_json(path)
    plain, whole = result.rows
    assert (plain.name, whole.name) == ("window alone", "parse + paint + window")
    assert plain.measured is not None
    assert whole.measured is not None
    assert len(plain.measured.seconds) >= 5
    assert min(plain.measured.seconds) > 0.0
    # By the quickest: a second has frames that the window system held back.
    assert min(plain.measured.seconds) < min(whole.measured.seconds) < 5.0

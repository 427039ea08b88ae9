"""The examples run from any folder, and print what their comments say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
# Pixels and shares differ a little from processor to processor.
TOLERANCE = 0.05
MOST_LINES = 60


def printed(script: Path) -> list[str]:
    """What the comments at the end of an example say that it prints."""
    _, found, comments = script.read_text().partition("\n# Prints")
    assert found, script
    return [line.removeprefix("# ") for line in comments.splitlines()[1:]]


def run(script: Path, folder: Path, *arguments: str) -> list[str]:
    paths = os.pathsep.join(filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(script), *arguments]
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=110)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def same(got: str, told: str) -> bool:
    """Say whether two lines have the same words, and numbers within the tolerance."""
    number = r"\d+(?:\.\d+)?"
    if re.sub(number, "#", got) != re.sub(number, "#", told):
        return False
    pairs = zip(re.findall(number, got), re.findall(number, told), strict=True)
    return all(abs(float(a) - float(b)) <= max(1.0, TOLERANCE * float(b)) for a, b in pairs)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_prints_what_it_says(script: Path, tmp_path: Path, face_folder: Path) -> None:
    training = script.stem == "train_on_folder"
    got = run(script, tmp_path, *([str(face_folder), str(tmp_path / "out")] if training else []))
    told = printed(script)
    if training:
        # Above it the training tells how it goes.
        got = got[-1:]
    if script.stem == "engine_alone":
        # Weights and versions go on.
        got, told = got[1:], told[1:]
    assert len(got) == len(told)
    assert all(map(same, got, told)), (got, told)


def test_an_example_takes_files_of_its_user(tmp_path: Path) -> None:
    assert "wrote grey.png" in run(EXAMPLES / "own_effect.py", tmp_path, "grey.png")
    assert run(EXAMPLES / "parse_photo.py", tmp_path, "grey.png")[0].startswith("face 0: ")


def test_examples_are_short_and_listed() -> None:
    page = (EXAMPLES / "README.md").read_text()
    assert len(SCRIPTS) == 6
    for script in SCRIPTS:
        assert len(script.read_text().splitlines()) <= MOST_LINES
        assert f"`{script.name}`" in page

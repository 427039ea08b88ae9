"""training/reproduce.sh: every command in it is one, and each needs only what those before it made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engines.__main__ import _parser as engines_parser
from training.__main__ import _parser as training_parser

SCRIPT = Path(__file__).parents[2] / "training" / "reproduce.sh"

# Notes each command with what it finds of what it names, and makes what it would make.
STAND_IN = f"""#!{sys.executable}
import json, sys
from pathlib import Path
_, module, *words = sys.argv[1:]
found = [word for word in words if Path(word).exists()]
out = Path(words[words.index("--out") + 1]) if "--out" in words else None
if out is not None:
    out.mkdir(parents=True, exist_ok=True)
    names = [name for name in ("teacher", "paper", "realtime") if name in words or "release" in words]
    for name in names or ["face"]:
        (out / f"{{name}}.safetensors").touch()
    (out / "images").mkdir(exist_ok=True)
print(json.dumps([module, words, found]))
"""


def test_every_command_is_one_and_finds_what_it_needs(tmp_path: Path) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    for name in ("hair", "celebamask-mini/images", "celebamask-mini/unlabelled", "landmarks68", "wide"):
        (tmp_path / "data" / name).mkdir(parents=True)
    done = subprocess.run(
        ["bash", str(SCRIPT), "data", "runs", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHON": str(stand_in), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    parsers = {"training": training_parser(), "engines": engines_parser()}
    commands: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        module, words, found = json.loads(line)
        args = vars(parsers[module].parse_args(words))
        commands[args["command"]] += 1
        for name in ("weights", "init", "data", "calibration"):
            value = args.get(name)
            for path in value if isinstance(value, list) else [value]:
                assert path is None or str(path) in found, f"{words}: there is no {path}"
    assert commands == {"fit": 11, "label": 22, "release": 2, "evaluate": 2}


@pytest.mark.parametrize("words", [[], ["data"], ["a", "b", "c", "d"]])
def test_wrong_use_is_said(words: list[str]) -> None:
    done = subprocess.run(["bash", str(SCRIPT), *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "usage: training/reproduce.sh DATA RUNS OUT\n"

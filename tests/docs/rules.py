"""How each documented command is tried: run in a scratch folder, or at least read by the tool's own parser.

A command is shortened, never changed in kind: `--max-frames` is added, cameras and windows are stand-ins, and
an address becomes one on this machine. What needs hours, a GPU or another program is not run.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.app.config import RunConfig, split_output
from realtime.batch.__main__ import main as batch_main
from realtime.sinks import CONTAINERS
from realtime.sinks.image import IMAGE_SUFFIXES
from realtime.sinks.virtual import MAKE_ONE
from run_webcam import _parser as run_webcam_parser
from run_webcam import main as run_webcam_main
from tests.docs.pages import ROOT

# Documented flags that make a run impossible or endless here: these commands are read, not run.
READ_ONLY = {"--require-gpu", "--serve", "--doctor"}
# Other people's programs.
OTHERS = {"ffplay", "ffmpeg", "ssh", "git", "curl", "docker", "."}
# Run to their end, as they take seconds; the rest of these tools is read.
QUICK = {("realtime", "setup"), ("engines", "list"), ("engines", "clear")}

Rule = Callable[[Sequence[str], Path], str]


def try_command(words: Sequence[str], folder: Path) -> str:
    """Try a command in a scratch folder that holds video.mp4 and photo.jpg; say how: "run" or "read".

    Raises:
        AssertionError: if it doesn't work, or nothing is known of it.
    """
    if re.fullmatch(r"[A-Z]+=\S+", words[0]):
        # A variable for the lines after it, which take it as it is written.
        return "read"
    if list(words[:2]) == ["python", "run_webcam.py"]:
        return _run_webcam(words[2:], folder)
    if list(words[:2]) == ["python", "-m"]:
        return _module(words[2], words[3:], folder)
    rule = RULES.get(words[0])
    assert rule is not None, f"no rule in tests/docs/rules.py for {words[0]!r}"
    return rule(words, folder)


def _run_webcam(flags: Sequence[str], folder: Path) -> str:
    # What the shell would put there: a token.
    flags = [re.sub(r"\$\(.*\)", "0" * 32, word) for word in flags]
    args = run_webcam_parser().parse_args(flags)
    for path in (args.tls_cert, args.tls_key):
        if path is not None:
            (folder / path).touch()
    if READ_ONLY & set(flags) or args.backend not in ("auto", "openvino") or "_nvenc" in (args.codec or ""):
        _check_config(args)
        return "read"
    if args.list_cameras:
        assert run_webcam_main(list(flags)) == 0
        return "run"
    if "://" in args.source or (args.output or "").startswith("rt"):
        # A sender or a server must be there; tests/realtime/test_live.py and test_stream.py have them.
        _check_config(args)
        return "read"
    flags = [re.sub(r"udp://[^:]+", "udp://127.0.0.1", word) for word in flags]
    for given in (args.source, args.like):
        if given is not None:
            _provide(str(given), folder)
    for name in ("preset", "weights"):
        path = getattr(args, name)
        assert path is None or "/" not in str(path), "no file of that name is made here"
    limit = [] if args.max_frames or Path(args.source).is_dir() else ["--max-frames", "4"]
    # Where a sheet or a file is written a bar would be for people.
    assert run_webcam_main([*flags, *limit, "--no-progress"]) == 0
    for made in (args.output, args.contact_sheet, args.stats_json, args.save_preset):
        assert made is None or "://" in str(made) or Path(made).exists(), f"{made} was not made"
    return "run"


def _check_config(args: argparse.Namespace) -> None:
    values = {**vars(args), "effects": tuple(args.effect)}
    values["output"], values["stream"] = split_output(args.output)
    known = set(RunConfig.__dataclass_fields__)
    RunConfig(**{name: value for name, value in values.items() if name in known})


def _provide(source: str, folder: Path) -> None:
    """Make what a page calls its source, out of the test's own video and photo."""
    path = folder / source
    if path.exists() or source == "demo" or source.isdecimal() or source.startswith("/dev/"):
        return
    assert not Path(source).is_absolute(), f"{source}: pages name files in the current folder"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in CONTAINERS:
        shutil.copy(folder / "video.mp4", path)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        cv2.imwrite(str(path), np.asarray(cv2.imread(str(folder / "photo.jpg")), np.uint8))
    else:
        assert not path.suffix, f"{source}: neither a video, a photo nor a folder"
        path.mkdir()
        kind = "photo.jpg" if "photo" in source.lower() or "image" in source.lower() else "video.mp4"
        shutil.copy(folder / kind, path / f"one{Path(kind).suffix}")


def parsers() -> Mapping[str, argparse.ArgumentParser]:
    """Return the parser of every command line of the project, by module."""
    modules = ("engines", "training", "benchmarks", "realtime", "realtime.batch")
    found = {name: importlib.import_module(f"{name}.__main__")._parser() for name in modules}
    return {"run_webcam": run_webcam_parser(), **found}


def _module(name: str, arguments: Sequence[str], folder: Path) -> str:
    if name == "venv":
        return "read"
    parser = parsers().get(name)
    assert parser is not None, f"python -m {name}: no such tool"
    args = parser.parse_args(arguments)
    if name == "realtime.batch" and not args.ray:
        return _batch(args, arguments, folder)
    if (name, *arguments[:1]) not in QUICK:
        return "read"
    with pytest.MonkeyPatch.context() as patch:
        if name == "engines":
            # What the other tests have compiled is not cleared away.
            patch.setattr("engines.cache.user_folder", lambda: folder / "cache")
        assert importlib.import_module(f"{name}.__main__").main(list(arguments)) == 0
    return "run"


def _batch(args: argparse.Namespace, arguments: Sequence[str], folder: Path) -> str:
    _provide("clips", folder)
    assert batch_main([*arguments, "--max-frames", "4"]) == 0
    assert (args.output_dir / "report.csv").exists()
    return "run"


def _make(words: Sequence[str], folder: Path) -> str:
    makefile = (ROOT / "Makefile").read_text()
    settings = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    assert all(f"$({name})" in makefile for name in settings), f"the Makefile uses no {list(settings)}"
    parsers()["benchmarks"].parse_args(["all", *shlex.split(settings.get("BENCH", ""))])
    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    unknown = {word for word in words[1:] if "=" not in word} - set(targets)
    assert not unknown, f"the Makefile has no {unknown}"
    return "read"


def _pip(words: Sequence[str], folder: Path) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    if words[1:3] == ["download", "--dest"]:
        # Wheels for another machine: our own requirements, to the letter.
        wanted = [*project["dependencies"], *(each for extra in extras.values() for each in extra)]
        ours = {requirement.split(";")[0] for requirement in wanted}
        names = {re.split("[<>=]", requirement)[0] for requirement in ours}
        assert all(word in ours or word in names for word in words[4:]), f"not all of {words[4:]} are ours"
        return "read"
    assert words[1] == "install"
    for word in words[2:]:
        match = re.fullmatch(r"\.(?:\[([\w,-]+)\])?", word)
        assert match or word == "-e", f"{word}: pages install the project itself and its extras"
        unknown = set((match[1] or "").split(",") if match else "") - {*extras, ""}
        assert not unknown, f"pyproject.toml has no extra {unknown}"
    return "read"


def _bash(words: Sequence[str], folder: Path) -> str:
    # tests/training/test_reproduce.py runs it.
    assert (ROOT / words[1]).is_file(), f"no script {words[1]}"
    return "read"


def _sudo(words: Sequence[str], folder: Path) -> str:
    assert MAKE_ONE["linux"].startswith(" ".join(words)), "the page and the program's own message differ"
    return "read"


RULES: Mapping[str, Rule] = {
    "bash": _bash,
    "make": _make,
    "pip": _pip,
    "sudo": _sudo,
    **dict.fromkeys(OTHERS, lambda words, folder: "read"),
}

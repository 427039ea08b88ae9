"""Batches: what fails, what is lost and what is left; on processes and on a Ray cluster."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from filelock import FileLock

import realtime.batch.__main__ as batch
from realtime.app.config import RunConfig
from realtime.batch.crew import CrewError, Event, Foreman
from realtime.batch.inputs import Task, find_files, make_tasks
from realtime.batch.worker import Outcome, Worker, remove_leftovers
from realtime.errors import UsageError
from realtime.masks import read
from run_webcam import main as run_webcam
from tests.conftest import Image, VideoMaker, times
from tests.realtime.clips import FRAMES, Clip, write
from tests.realtime.standin import QuickWorker

import av  # isort: skip

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(100)
Rows = list[dict[str, str]]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Batches run with the stand-in, in a folder of their own; the file says which jobs were begun."""
    monkeypatch.setattr(batch, "Worker", QuickWorker)
    monkeypatch.setenv("STANDIN_LOG", str(tmp_path / "log"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "log"


def make_clips(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    first = write(Clip("first.mp4"), folder)
    for name in names:
        (folder / name).write_bytes(first.read_bytes())
    first.unlink()


def rows_of(folder: Path) -> Rows:
    with (folder / "report.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def statuses(folder: Path) -> dict[str, str]:
    return {Path(row["file"]).name: row["status"] for row in rows_of(folder)}


def check_whole(folder: Path, count: int) -> None:
    """Every output is whole, and nothing half-done lies beside them."""
    names = sorted(path.name for path in folder.iterdir())
    videos = [name for name in names if name.endswith(".mp4")]
    assert len(videos) == count
    assert names == sorted([".batch", "report.csv", *videos])
    for name in videos:
        assert len(times(folder / name)) == FRAMES


def test_twenty_files_of_which_three_are_broken(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [f"good{number:02d}.mp4" for number in range(17)]
    make_clips(tmp_path / "clips", *good)
    whole = (tmp_path / "clips" / good[0]).read_bytes()
    bad = {"empty.mp4": b"", "cut.mp4": whole[: len(whole) // 2], "text.mp4": b"This is a text.\n" * 50}
    for name, data in bad.items():
        (tmp_path / "clips" / name).write_bytes(data)
    args = ["clips", "--output-dir", "out", "--jobs", "2"]
    assert batch.main(args) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "20 files: 17 done, 3 failed; out/report.csv"
    check_whole(tmp_path / "out", 17)
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 20
    for row in rows:
        name = Path(row["file"]).name
        assert row["status"] == ("failed" if name in bad else "done")
        assert row["frames"] == ("0" if name in bad else str(FRAMES))
        assert bool(row["error"]) == (name in bad)
    errors = {Path(row["file"]).name: row["error"] for row in rows}
    assert "the file is empty" in errors["empty.mp4"]
    assert "not a readable video" in errors["cut.mp4"]
    assert sorted(log.read_text().split()) == sorted([*good, *bad]), "a broken file is tried once"

    log.unlink()
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.mp4")}
    (tmp_path / "clips" / "cut.mp4").write_bytes(whole)
    assert batch.main(args) == 1
    assert sorted(log.read_text().split()) == sorted(bad), "only what is left"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "20 files: 1 done, 17 done before, 2 failed; out/report.csv"
    check_whole(tmp_path / "out", 18)
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())
    assert sum(row["status"] == "done before" for row in rows_of(tmp_path / "out")) == 17

    for name in ("empty.mp4", "text.mp4"):
        (tmp_path / "clips" / name).unlink()
    log.unlink()
    assert batch.main(args) == 0
    assert not log.exists(), "no worker was needed"


def test_a_lost_workers_file_is_given_to_another(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clips(tmp_path / "clips", "a.mp4", "b.mp4", "deadly.mp4", "unlucky.mp4")
    assert batch.main(["clips", "--output-dir", "out", "--jobs", "2", "--attempts", "2"]) == 1
    assert statuses(tmp_path / "out") == {
        "a.mp4": "done",
        "b.mp4": "done",
        "deadly.mp4": "failed",
        "unlucky.mp4": "done",
    }
    error = next(row["error"] for row in rows_of(tmp_path / "out") if "deadly" in row["file"])
    assert error == "its worker was lost (exit code -9) (tried 2 times)"
    assert sorted(log.read_text().split()) == sorted(["a.mp4", "b.mp4", *["deadly.mp4", "unlucky.mp4"] * 2])
    check_whole(tmp_path / "out", 3)
    assert capsys.readouterr().err.count("warning: a worker was lost") == 3


def start(tmp_path: Path, *flags: str, pause: float) -> subprocess.Popen[str]:
    code = (
        "import sys, realtime.batch.__main__ as batch; from tests.realtime.standin import QuickWorker\n"
        f"sys.path.insert(0, {str(ROOT)!r}); batch.Worker = QuickWorker; sys.exit(batch.main(sys.argv[1:]))"
    )
    env = {**os.environ, "STANDIN_PAUSE": str(pause), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *flags]
    # A group of its own: Ctrl-C in a terminal goes to all of it.
    return subprocess.Popen(
        command,
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.alone
def test_ctrl_c_ends_with_a_report_and_nothing_half_done(log: Path, tmp_path: Path) -> None:
    names = [f"clip{number}.mp4" for number in range(6)]
    make_clips(tmp_path / "clips", *names)
    flags = ["clips", "--output-dir", "out", "--jobs", "2"]
    process = start(tmp_path, *flags, pause=0.1)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("[1/6]")
        sent = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.monotonic() - sent < 5.0
    assert process.returncode == 1
    assert "left; out/report.csv" in out.splitlines()[-1]
    assert "Traceback" not in errors
    found = list(statuses(tmp_path / "out").values())
    done = found.count("done")
    assert 1 <= done < 6
    assert found.count("left") == 6 - done
    # One may have been finished that nobody could be told of any more; it is done again.
    made = len(list((tmp_path / "out").glob("*.mp4")))
    assert done <= made <= done + 2
    check_whole(tmp_path / "out", made)
    log.unlink()
    assert batch.main(flags) == 0
    assert len(log.read_text().split()) == 6 - done
    check_whole(tmp_path / "out", 6)


def test_a_batch_of_the_real_parser_gives_what_the_front_door_gives(
    make_video: VideoMaker, tmp_path: Path, portrait: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(frames=4)
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", portrait[..., ::-1])
    args = ["--like", "photo.png", "--effect", "lips", "--threads", "1", "--mask-format", "npz"]
    assert run_webcam(["--source", "clip.mp4", "--output", "one.mp4", "--masks", "one", *args]) == 0
    assert batch.main(["clip.mp4", "--output-dir", "out", "--masks", "masks", *args]) == 0

    def pixels(path: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
        with av.open(str(path)) as container:
            return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in container.decode(video=0)]

    for a, b in zip(pixels(Path("one.mp4")), pixels(Path("out/clip.mp4")), strict=True):
        assert np.array_equal(a, b)
    for x, y in zip(read("one"), read("masks/clip.mp4"), strict=True):
        assert np.array_equal(x.labels, y.labels)
        assert x.labels.any()


def test_other_settings_or_lost_outputs_are_done_again(log: Path, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", "a.mp4", "b.mp4")
    args = ["clips", "--output-dir", "out", "--masks", "masks", "--jobs", "1"]
    assert batch.main(args) == 0
    assert batch.main([*args, "--jobs", "2", "--threads", "2"]) == 0
    assert len(log.read_text().split()) == 2, "how many work at it changes nothing"
    (tmp_path / "out" / "a.mp4").unlink()
    assert batch.main(args) == 0
    assert log.read_text().split()[2:] == ["a.mp4"]
    (tmp_path / "masks" / "b.mp4" / "masks.json").unlink()
    assert batch.main(args) == 1, "a folder that holds no whole masks is not ours to replace"
    for path in (tmp_path / "masks" / "b.mp4").iterdir():
        path.unlink()
    assert batch.main(args) == 0
    assert batch.main([*args, "--effect", "lips"]) == 0
    assert statuses(tmp_path / "out") == {"a.mp4": "done", "b.mp4": "done"}
    assert batch.main([*args, "--effect", "lips", "--mask-format", "coco"]) == 0
    assert statuses(tmp_path / "out") == {"a.mp4": "done", "b.mp4": "done"}
    assert len(list(read(tmp_path / "masks" / "a.mp4"))) == FRAMES


def test_the_largest_file_is_begun_first(log: Path, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", "a.mp4", "b.mp4", "c.mp4")
    with (tmp_path / "clips" / "b.mp4").open("ab") as file:
        file.write(b"\0\0\0\x08free")
    assert batch.main(["clips", "none.mp4", "--output-dir", "out", "--jobs", "1"]) == 1
    assert log.read_text().split() == ["b.mp4", "a.mp4", "c.mp4", "none.mp4"]
    assert list(statuses(tmp_path / "out")) == ["a.mp4", "b.mp4", "c.mp4", "none.mp4"]


def test_masks_alone(log: Path, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", "a.mp4")
    assert batch.main(["clips", "--output-dir", "out", "--no-video", "--masks", "masks"]) == 0
    assert len(list(read(tmp_path / "masks" / "a.mp4"))) == FRAMES
    check_whole(tmp_path / "out", 0)


def test_a_long_file_goes_on_where_it_was(log: Path, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", "unlucky.mp4")
    assert batch.main(["clips", "--output-dir", "out", "--resume"]) == 0
    check_whole(tmp_path / "out", 1)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty files, named as videos in folders are."""
    for name in ("a/x.mp4", "a/y.avi", "a/notes.txt", "a/deep/z.mp4", "b/x.mp4", "b/[odd].mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "files"),
    [
        (["a"], ["a/x.mp4", "a/y.avi"]),
        (["a/*"], ["a/notes.txt", "a/x.mp4", "a/y.avi"]),
        (["a/**/*.mp4"], ["a/deep/z.mp4", "a/x.mp4"]),
        (["b/x.mp4", "b"], ["b/x.mp4", "b/[odd].mp4"]),
        (["b/[odd].mp4"], ["b/[odd].mp4"]),
        (["a/x.mp4", "a/../a/x.mp4", "b/../a/x.mp4"], ["a/x.mp4"]),
        (["none.mp4"], ["none.mp4"]),
        (["@list"], ["a/x.mp4", "none.mp4", "b/[odd].mp4", "b/x.mp4"]),
    ],
)
def test_inputs_are_files_folders_patterns_and_lists(tree: Path, inputs: list[str], files: list[str]) -> None:
    (tree / "list").write_text("# mine\n  a/x.mp4\n\nnone.mp4\nb\n")
    assert find_files(inputs) == files


def test_folders_can_be_kept(tree: Path) -> None:
    config = RunConfig(output=Path("out"), masks=Path("masks"))
    files = find_files(["a/**/*.mp4", "a/y.avi", "b/x.mp4"])
    with pytest.raises(
        UsageError, match=r"a/x\.mp4 and b/x\.mp4 would both become x\.mp4; use --keep-folders"
    ):
        make_tasks(files, config)
    tasks = make_tasks(files, config, keep_folders=True)
    made = {task.file: [str(path.relative_to(tree)) for path in task.outputs] for task in tasks}
    assert made == {
        "a/deep/z.mp4": ["out/a/deep/z.mp4", "masks/a/deep/z.mp4"],
        "a/x.mp4": ["out/a/x.mp4", "masks/a/x.mp4"],
        "a/y.avi": ["out/a/y.avi.mkv", "masks/a/y.avi"],
        "b/x.mp4": ["out/b/x.mp4", "masks/b/x.mp4"],
    }


def test_outputs_lie_in_folders_as_the_inputs_do(log: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_clips(tmp_path / name, "x.mp4")
    assert batch.main(["one", "two", "--output-dir", "out", "--keep-folders"]) == 0
    assert len(times(tmp_path / "out" / "one" / "x.mp4")) == FRAMES
    assert len(times(tmp_path / "out" / "two" / "x.mp4")) == FRAMES


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["none/*.mp4"], 2, "none/*.mp4: no file is named like this"),
        (["empty"], 2, "empty: holds no video"),
        (["@none"], 1, "none: the list cannot be read"),
        (["@blank"], 2, "blank: the list is empty"),
        (["clip.mp4", "--jobs", "0"], 2, "--jobs 0: at least 1"),
        (["clip.mp4", "--attempts", "0"], 2, "--attempts 0: at least 1"),
        (["clip.mp4", "--no-video"], 2, "--no-video without --masks"),
        (["clip.mp4", "--effect", "beard"], 2, "unknown effect 'beard'"),
        (["clip.mp4", "--output-dir", "blank"], 2, "blank: is a file; give a folder"),
        (["clip.mp4", "--output-dir", "/proc/out"], 1, "/proc/out: cannot be written"),
    ],
)
def test_bad_requests_get_one_line(
    flags: list[str], code: int, message: str, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clips(tmp_path, "clip.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").touch()
    before = sorted(tmp_path.rglob("*"))
    assert batch.main(["--output-dir", "out", *flags]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_workers_that_cannot_begin_end_the_batch(
    make_video: VideoMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_video(frames=1)
    monkeypatch.chdir(tmp_path)
    assert batch.main(["clip.mp4", "--output-dir", "out", "--weights", "none.safetensors"]) == 1
    assert "error: none.safetensors: no such weights file" in capsys.readouterr().err
    assert statuses(tmp_path / "out") == {"clip.mp4": "left"}


def test_a_second_batch_in_the_same_folder_is_refused(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clips(tmp_path / "clips", "a.mp4")
    (tmp_path / "out" / ".batch").mkdir(parents=True)
    with FileLock(tmp_path / "out" / ".batch" / "lock"):
        assert batch.main(["clips", "--output-dir", "out"]) == 1
    assert "out: another batch is at work there" in capsys.readouterr().err


def test_a_damaged_record_means_that_a_file_is_not_done(log: Path, tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", "a.mp4")
    args = ["clips", "--output-dir", "out"]
    assert batch.main(args) == 0
    (record,) = (tmp_path / "out" / ".batch").glob("*.json")
    assert json.loads(record.read_text())["frames"] == FRAMES
    record.write_text("{")
    assert batch.main(args) == 0
    assert statuses(tmp_path / "out") == {"a.mp4": "done"}


def test_only_a_files_own_leftovers_are_removed(tmp_path: Path) -> None:
    mine = [".a.12.part.mp4", ".a.99.part.mp4", ".a.12.part.mp4.old"]
    others = [".a.b.12.part.mp4", ".b.12.part.mp4", ".a.12.part.mkv", "a.12.part.mp4", "a.mp4", ".a.part.mp4"]
    for name in mine + others:
        (tmp_path / name).touch()
    (tmp_path / mine[0]).unlink()
    (tmp_path / mine[0]).mkdir()
    (tmp_path / mine[0] / "000000.png").touch()
    remove_leftovers(tmp_path / "a.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


class ToldCrew:
    """Gives the events that it is told."""

    def __init__(self, *events: Event) -> None:
        self.events, self.given, self.closed = list(events), [], 0  # type: tuple[list[Event], list[int], int]

    def give(self, worker: int, job: RunConfig) -> None:
        self.given.append(worker)

    def wait(self, seconds: float) -> Event | None:
        return self.events.pop(0) if self.events else None

    def close(self) -> None:
        self.closed += 1


def foreman(crew: ToldCrew, stopped: Callable[[], bool] = lambda: False) -> tuple[Foreman, list[Outcome]]:
    told: list[Outcome] = []
    return Foreman(crew, 2, lambda task, outcome: told.append(outcome), lambda line: None, stopped), told


TASK = Task("a.mp4", RunConfig(source="/none/a.mp4", output=Path("/none/out/a.mp4")))


def test_workers_that_end_before_they_begin_are_given_up() -> None:
    crew = ToldCrew(*(Event(number, "lost", "exit code 1") for number in range(9)))
    with pytest.raises(CrewError, match=r"workers end before they begin \(exit code 1\)"):
        foreman(crew)[0].run([TASK])
    assert (len(crew.events), crew.closed) == (6, 1)


def test_what_may_go_better_is_tried_again_and_an_idle_worker_may_be_lost() -> None:
    crew = ToldCrew(
        Event(0, "ready", "engine"),
        Event(0, "done", outcome=Outcome(error="disk full", again=True)),
        Event(1, "ready", "engine"),
        Event(1, "lost", "gone"),
        Event(0, "done", outcome=Outcome(3)),
    )
    master, told = foreman(crew)
    master.run([TASK])
    assert told == [Outcome(3)]
    assert crew.given == [0, 0]


def test_a_stop_ends_at_once() -> None:
    crew = ToldCrew(Event(0, "ready", "engine"))
    master, told = foreman(crew, stopped=lambda: bool(crew.given))
    master.run([TASK])
    assert (told, crew.closed) == ([], 1)


def test_a_worker_tells_warnings_and_errors_in_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "realtime.app.run.load_engine", lambda *_: (SimpleNamespace(close=lambda: None), "engine")
    )
    monkeypatch.setattr("realtime.app.run.FaceDetector", lambda **_: 1 / 0)
    (tmp_path / "sub").mkdir()
    make_clips(tmp_path, "a.mp4")
    monkeypatch.chdir(tmp_path)
    worker = Worker(RunConfig(), str(tmp_path))
    done = worker.do(RunConfig(source=str(tmp_path / "a.mp4"), output=tmp_path / "new" / "a.mp4"))
    assert (done.error, done.again, done.frames) == ("division by zero", True, 0)
    gone = worker.do(RunConfig(source=str(tmp_path / "none.mp4"), output=tmp_path / "b.mp4"))
    assert "no such file" in gone.error
    assert not gone.again
    worker.close()


def test_a_cluster_that_loses_a_machine_makes_every_file_whole_and_none_twice(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    names = [f"clip{number}.mp4" for number in range(8)]
    make_clips(tmp_path / "clips", *names)
    out, log = tmp_path / "out", tmp_path / "log"
    env = {**os.environ, "STANDIN_LOG": str(log), "STANDIN_PAUSE": "0.05"}
    command = [sys.executable, "-m", "tests.realtime.ray_cluster", str(out), "3", str(tmp_path / "clips")]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    # Searched for: Ray writes lines of its own between ours, and now and then into them.
    killed = re.search(r"killed when (\d) were done", done.stdout)
    assert killed is not None
    assert 3 <= int(killed[1]) < 8, "in the middle"
    assert "8 files: 8 done; " in done.stdout
    check_whole(out, 8)
    assert list(statuses(out).values()) == ["done"] * 8
    begun = log.read_text().split()
    assert set(begun) == set(names)
    assert len(begun) <= 9, "only what the lost machine was at is begun again"


def test_without_ray_a_cluster_is_usage(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clips(tmp_path / "clips", "a.mp4")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert batch.main(["clips", "--output-dir", "out", "--ray", "auto"]) == 2
    assert "--ray needs Ray: pip install '.[ray]'" in capsys.readouterr().err


def test_an_address_without_a_cluster_is_told_at_once(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    make_clips(tmp_path / "clips", "a.mp4")
    with socket.socket() as unused:
        # Bound and not listening: nobody answers there.
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert batch.main(["clips", "--output-dir", "out", "--ray", address]) == 1
    assert f"error: --ray {address}: no cluster there" in capsys.readouterr().err
    assert statuses(tmp_path / "out") == {"a.mp4": "left"}


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        batch.main(["--help"])
    text = capsys.readouterr().out
    own = "output-dir no-video keep-folders jobs ray attempts"
    shared = (
        "effect preset like like-parts like-face compare codec crf masks mask-format resume max-frames "
        "backend precision require-gpu weights threads max-faces detect-every smooth propagate "
        "tta"
    )
    for flag in (*own.split(), *shared.split()):
        assert f"--{flag}" in text
    assert "INPUT" in text

"""The front door as users meet it: `run_webcam.py` with good and bad requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime.effects import EFFECTS as ALL_EFFECTS
from realtime.effects.tone import prepare_colours
from realtime.errors import ModelError
from realtime.people import PersonGate
from realtime.people.segmenter import person_segmenter
from realtime.pipeline import Pipeline
from realtime.presets import PRESETS, load_preset
from run_webcam import main
from stn_icnn.labels import CLASS_ID
from tests.conftest import Image, VideoMaker, times, write_sound_alone

import av  # isort: skip  # after cv2

ROOT = Path(__file__).parents[2]
EFFECTS = ["--effect", "lips:color=#b3123f", "--effect", "hair:color=#6a2c70"]


def run(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "run_webcam.py"), *map(str, args)]
    env = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command, capture_output=True, text=True, timeout=100, env=env, **options
    )


def test_a_video_goes_in_and_comes_out_painted(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(size=(640, 360), frames=6, audio=True)
    out, sheet = tmp_path / "out.mp4", tmp_path / "sheet.png"
    done = run("--source", source, "--output", out, "--contact-sheet", sheet, "--stats", *EFFECTS)
    assert done.returncode == 0, done.stderr
    assert times(out) == times(source)
    with av.open(str(source)) as old, av.open(str(out)) as new:
        before = [frame.to_ndarray(format="rgb24") for frame in old.decode(video=0)]
        after = [frame.to_ndarray(format="rgb24") for frame in new.decode(video=0)]
        assert new.streams.audio
    change = np.abs(before[0].astype(int) - after[0]).sum(axis=2)
    assert change[60:110, 280:360].mean() > 30, "hair is dyed"
    assert change[300:, :60].mean() < 15, "the corner is as it was"
    assert "6 frames in" in done.stdout
    for word in ("parse", "render", "output", "latency", f"wrote {out}", f"wrote {sheet}"):
        assert word in done.stdout
    assert done.stderr.splitlines()[0].startswith("engine: realtime")
    assert len(done.stderr.splitlines()) == 1, "no chatter of libraries"
    assert cv2.imread(str(sheet)) is not None


def test_the_whole_run_needs_no_torch(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    code = (
        "import sys; sys.modules['torch'] = None; from run_webcam import main; "
        f"sys.exit(main(['--source', {str(make_video(frames=2))!r}, '--output', {str(out)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(times(out)) == 2


def test_compare_puts_before_and_after_side_by_side(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    args = ["--source", str(make_video(frames=2)), "--compare", "--output", str(out)]
    assert main(args) == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].width == 640


def test_a_still_image_is_searched_for_small_faces(tmp_path: Path, portrait: Image) -> None:
    picture = np.full((720, 1280, 3), 96, np.uint8)
    picture[400:600, 1000:1200] = cv2.resize(portrait, (200, 200), interpolation=cv2.INTER_AREA)
    photo, output = tmp_path / "photo.png", tmp_path / "parts.png"
    cv2.imwrite(str(photo), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert main(["--source", str(photo), "--effect", "overlay:legend=no", "--output", str(output)]) == 0
    painted = cv2.imread(str(output))
    assert painted is not None
    changed = (painted[..., ::-1] != picture).any(axis=2)
    assert changed[425:475, 1065:1110].mean() > 0.9, "the face is painted"
    assert not changed[:, :900].any()


def test_a_still_image_gives_an_image(tmp_path: Path, portrait: Image) -> None:
    photo, out = tmp_path / "photo.jpg", tmp_path / "out.png"
    cv2.imwrite(str(photo), portrait[..., ::-1])
    assert main(["--source", str(photo), "--effect", "overlay:legend=no", "--output", str(out)]) == 0
    painted = cv2.imread(str(out))
    assert painted is not None
    assert painted.shape == portrait.shape
    assert (painted[45, 220] != portrait[45, 220, ::-1]).any()


def test_a_preset_is_painted_and_the_effects_are_saved(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "mine.toml"
    args = ["--source", str(make_video(frames=2)), "--no-display", "--preset", "meeting"]
    assert main([*args, "--effect", "lips:gloss=1", "--save-preset", str(saved)]) == 0
    assert f"wrote {saved}" in capsys.readouterr().out
    effects = load_preset(str(saved)).effects
    assert effects[: len(load_preset("meeting").effects)][0] == "background:fill=blur,strength=0.7"
    assert effects[-1].startswith("lips:color=#b3123f,strength=0.7,gloss=1,")
    again = ["--source", str(make_video(frames=2)), "--no-display", "--preset", str(saved)]
    assert main(again) == 0


def test_no_frame_waits_for_what_effects_need(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noted(owner: type, name: str) -> None:
        work = getattr(owner, name)

        def note(self: Any) -> Any:
            order.append(name)
            return work(self)

        monkeypatch.setattr(owner, name, note)

    noted(PersonGate, "prepare")
    noted(Pipeline, "run")
    prepare_colours.cache_clear()
    assert main(["--source", str(make_video(frames=2)), "--no-display", "--effect", "hair"]) == 0
    assert order == ["prepare", "run"]
    assert prepare_colours.cache_info().misses == 1


def test_the_look_of_a_photo_is_printed_painted_and_saved(
    tmp_path: Path, portrait: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, plain, out, saved = (tmp_path / name for name in ("hers.png", "mine.png", "out.png", "hers.toml"))
    cv2.imwrite(str(plain), portrait[..., ::-1])
    made_up = ["--effect", "lips:color=#8c0f2c,strength=1", "--effect", "hair:color=#8a3f1e,strength=1"]
    assert main(["--source", str(plain), *made_up, "--output", str(photo)]) == 0
    capsys.readouterr()
    args = ["--source", str(plain), "--output", str(out), "--like", str(photo), "--save-preset", str(saved)]
    assert main([*args, "--like-parts", "hair,lips", "--like-face", "1", "--effect", "blush"]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    effects = load_preset(str(saved)).effects
    assert first == f"like {photo}: --effect {effects[0]} --effect {effects[1]}"
    assert [text.partition(":")[0] for text in effects] == ["lips", "hair", "blush"]
    pictures = [np.asarray(cv2.imread(str(path)), np.int16) for path in (photo, plain, out)]
    hair = np.s_[40:60, 200:250]
    before, after = (np.abs(each[hair] - pictures[0][hair]).mean() for each in pictures[1:])
    assert after < 0.5 * before


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--like-parts", "lips"], 2, "--like-parts without --like"),
        (["--like-face", "1"], 2, "--like-face without --like"),
        (["--like", "mine.png", "--like-parts", "nose"], 2, "unknown part 'nose': one or more of skin,blush"),
        (["--like", "mine.png", "--like-face", "2"], 2, "mine.png: there is no face 2: found 1"),
        (["--like", "none.png"], 1, "none.png: no such file"),
    ],
)
def test_a_photo_that_gives_no_look_is_told(
    flags: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    portrait: Image,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("mine.png", portrait[..., ::-1])
    assert main(["--source", "mine.png", "--output", "out.png", *flags]) == code
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not Path("out.png").exists()


def test_a_segmenter_that_cannot_be_had_is_told_before_the_first_frame(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(model: object) -> Path:
        raise ModelError("selfie_segmentation_landscape.tflite: pip could not download it")

    monkeypatch.setattr("realtime.people.segmenter.model_path", missing)
    person_segmenter.cache_clear()
    args = ["--source", str(make_video(frames=2)), "--no-display", "--effect", "background"]
    assert main(args) == 1
    assert capsys.readouterr().err == (
        "error: selfie_segmentation_landscape.tflite: pip could not download it\n"
    )


def test_people_are_cut_out_with_transparency(tmp_path: Path, portrait: Image) -> None:
    photo, out = tmp_path / "photo.jpg", tmp_path / "out.png"
    cv2.imwrite(str(photo), portrait[..., ::-1])
    assert main(["--source", str(photo), "--effect", "cutout", "--output", str(out)]) == 0
    clear = np.asarray(cv2.imread(str(out), cv2.IMREAD_UNCHANGED))
    assert clear.shape == (512, 512, 4)
    assert clear[110, 222, 3] == 255, "the face is opaque"
    assert clear[40, 320, 3] == 0, "the wall is not"


def test_max_frames_and_no_output_just_measure(
    make_video: VideoMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(make_video(frames=6))
    assert main(["--source", source, "--no-display", "--max-frames", "3", "--max-faces", "1"]) == 0
    assert capsys.readouterr().out.startswith("3 frames in")


@pytest.mark.parametrize("backend", ["openvino", "eager"])
def test_backends_can_be_named(
    backend: str, make_video: VideoMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--source", str(make_video(frames=2)), "--no-display", "--backend", backend, "--threads", "1"]
    assert main([*args, "--precision", "fp32"]) == 0
    line = capsys.readouterr().err
    assert "(asked for)" in line
    assert ", fp32" in line


BAD = {
    "missing file": (["--source", "none.mp4"], 1, "no such file"),
    "text as video": (["--source", "text.mp4"], 1, "not a readable video"),
    "truncated mp4": (["--source", "cut.mp4"], 1, "not a readable video"),
    "cut mp4": (["--source", "late.mp4"], 1, "damaged or cut short after frame"),
    "camera 99": (["--source", "99"], 1, "camera 99 cannot be opened"),
    "zero bytes": (["--source", "empty.mp4"], 1, "empty"),
    "audio only": (["--source", "sound.m4a"], 1, "holds only audio"),
    "image to video": (["--source", "photo.png"], 2, "the source is a still image"),
    "unknown effect": (["--effect", "beard"], 2, "unknown effect 'beard'"),
    "bad colour": (["--effect", "lips:color=red"], 2, "bad colour 'red'"),
    "no such folder": (["--output", "none/out.mp4"], 1, "no such folder"),
    "output is a folder": (["--output", "folder.mp4"], 1, "is a folder"),
    "unwritable": (["--output", "/proc/out.mp4"], 1, "/proc/out.mp4"),
    "output kind": (["--output", "out.xyz"], 2, "unknown kind of video"),
    "output is input": (["--output", "clip.mp4"], 2, "the output is the input itself"),
    "corrupt weights": (["--weights", "bad.safetensors"], 1, "damaged"),
    "missing weights": (["--weights", "none.safetensors"], 1, "no such weights file"),
    "int8 by eager": (["--backend", "eager", "--precision", "int8"], 1, "eager has no int8: fp32"),
    "zero threads": (["--threads", "0"], 2, "--threads 0: at least 1"),
    "zero frames": (["--max-frames", "0"], 2, "--max-frames 0: at least 1"),
    "zero steps": (["--detect-every", "0"], 2, "--detect-every 0: at least 1"),
    "too smooth": (["--smooth", "1"], 2, "--smooth 1: from 0 (none) to 0.95"),
    "long propagation": (["--propagate", "2"], 2, "--propagate 2: seconds, from 0 (never) to 0.5"),
    "no tta": (["--tta", "0"], 2, "--tta 0: from 1 to 6"),
    "much tta": (["--tta", "7"], 2, "--tta 7: from 1 to 6"),
    "no stats folder": (["--stats-json", "none/s.json"], 1, "no such folder"),
    "zero faces": (["--max-faces", "0"], 2, "--max-faces 0: at least 1"),
    "unknown preset": (["--preset", "noon"], 2, "unknown preset 'noon': one of copper, evening"),
    "preset nowhere": (["--save-preset", "none/p.toml"], 1, "no such folder"),
    "no background": (["--effect", "background:fill=none.png"], 2, "neither blur, nor a colour"),
    "same outputs": (["--output", "a.png", "--contact-sheet", "a.png"], 2, "the same file"),
    "sheet kind": (["--contact-sheet", "sheet.txt"], 2, "a contact sheet is an image"),
}


@pytest.fixture
def bad_folder(
    tmp_path: Path, make_video: VideoMaker, portrait: Image, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of good and bad files, made the current one."""
    clip = make_video(frames=20, audio=True)
    fast = make_video("fast.mp4", frames=20, options={"movflags": "faststart"}).read_bytes()
    files = {
        "text.mp4": b"This is a text and no video.\n" * 50,
        "cut.mp4": clip.read_bytes()[: clip.stat().st_size // 2],
        "late.mp4": fast[: int(len(fast) * 0.7)],
        "empty.mp4": b"",
        "photo.png": cv2.imencode(".png", portrait)[1].tobytes(),
        "bad.safetensors": b"not weights",
        "bad.json": (
            b'{"format": "stn-icnn-1", "network": {"name": "x", "classes": []},'
            b' "files": {"bad.safetensors": "00"}}'
        ),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.mp4").mkdir()
    write_sound_alone(clip, tmp_path / "sound.m4a")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_get_one_line_and_leave_nothing(
    case: str, bad_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args, code, message = BAD[case]
    given = dict(zip(args[::2], args[1::2], strict=True))
    full = {"--source": "clip.mp4", "--output": "out.mp4", **given}
    before = {path: path.stat().st_mtime_ns for path in bad_folder.iterdir()}
    assert main([word for pair in full.items() for word in pair]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if not line.startswith("engine: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert message in errors[0]
    after = {path: path.stat().st_mtime_ns for path in bad_folder.iterdir()}
    assert after == before, "nothing is left behind and nothing was touched"


def test_a_required_gpu_is_not_replaced_by_the_cpu(
    make_video: VideoMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--source", str(make_video(frames=2)), "--no-display", "--backend", "openvino", "--require-gpu"]
    assert main(args) == 1
    assert capsys.readouterr().err == "error: openvino runs on the CPU, and a GPU is required\n"


def test_what_is_whole_of_a_cut_video_can_be_had_as_the_error_says(
    bad_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--source", "late.mp4", "--output", "out.mp4"]
    assert main(args) == 1
    whole = capsys.readouterr().err.rsplit("--max-frames ", 1)[1].split()[0]
    assert main([*args, "--max-frames", whole]) == 0
    assert len(times(bad_folder / "out.mp4")) == int(whole) > 0


def test_no_display_names_the_way_out(make_video: VideoMaker) -> None:
    done = run("--source", make_video(frames=2))
    assert done.returncode == 1
    assert done.stderr == "error: no display here; use --no-display with --output FILE or --stats\n"


def test_unknown_flags_are_usage() -> None:
    assert run("--sauce", "0").returncode == 2


def test_help_names_every_flag_and_effect() -> None:
    text = run("--help").stdout
    flags = "source effect preset save-preset output display no-display compare contact-sheet backend"
    for flag in (
        *flags.split(),
        "precision",
        "weights",
        "threads",
        "max-faces",
        "max-frames",
        "require-gpu",
        "stats",
    ):
        assert f"--{flag}" in text
    for flag in (
        "codec",
        "crf",
        "resume",
        "progress",
        "detect-every",
        "smooth",
        "propagate",
        "tta",
        "stats-json",
        "no-progress",
        "camera-size",
        "camera-fps",
        "reconnect",
    ):
        assert f"--{flag}" in text
    for effect in (*(f"  {name}:" for name in ALL_EFFECTS), "lips:color=#b3123f"):
        assert effect in text
    for preset in PRESETS:
        assert f"  {preset} " in text


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_within_two_seconds_and_the_output_plays(number: int, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    command = [sys.executable, str(ROOT / "run_webcam.py"), "--source", "demo", "--output", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        part = tmp_path / f".out.{process.pid}.part.mp4"
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 0) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        sent = time.monotonic()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    # The 2 s of the pipeline, and a second for a busy machine to start and end a process.
    assert time.monotonic() - sent < 3.0
    assert process.returncode == 0, stderr
    assert "stopped early" in stdout
    assert len(times(out)) >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_labels_used_by_the_effects_exist() -> None:
    assert {"u_lip", "l_lip", "hair"} <= set(CLASS_ID)


@pytest.mark.timeout(60)
def test_ctrl_c_before_the_first_frame_ends_at_once(make_video: VideoMaker, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    code = (
        "import sys, time, realtime.app.run; from run_webcam import main\n"
        "def load(*args): print('loading', flush=True); time.sleep(50)\n"
        "realtime.app.run.load_engine = load\n"
        f"main(['--source', {str(make_video(frames=2))!r}, '--output', {str(out)!r}])"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "loading\n"
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=10)
    assert (started.returncode, errors) == (130, "stopped before anything was done\n")
    assert not out.exists()

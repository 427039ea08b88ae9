"""The browser page measured from outside: a Chromium with a made camera whose frames bear their number."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks.report import Result, Row
from realtime.errors import RealtimeError, UsageError
from realtime.frames import Image
from realtime.sources.demo import demo_portrait

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HELP = "the browser page in a Chromium with a made camera: frame rate, latency, memory"
ROUNDS = 1
ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, CODE_HEIGHT, BITS = 640, 480, 32, 8
# Every number once: 8.5 s at the 30 fps that Chromium plays such a file at.
FRAMES = 1 << BITS
START_SECONDS = 60.0
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
)
# Notes when each number is captured and when it is seen painted, both on the page's clock.
_MEASURE = """
() => {
  const stream = window.cameraStream, video = document.getElementById("painted");
  const canvas = new OffscreenCanvas(16, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const read = (picture, width, height) => {
    context.drawImage(picture, 0, height * 452 / 480, width, height * 24 / 480, 0, 0, 16, 1);
    const { data } = context.getImageData(0, 0, 16, 1);
    let code = 0, check = 0;
    for (let i = 0; i < 8; i++) {
      code = 2 * code + (data[4 * i] > 127);
      check = 2 * check + (data[4 * (i + 8)] > 127);
    }
    return code === (check ^ 255) ? code : null;
  };
  const seen = (window.seen = { captured: new Map(), painted: [] });
  (async () => {
    const processor = new MediaStreamTrackProcessor({ track: stream.getVideoTracks()[0].clone() });
    for (const reader = processor.readable.getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      const code = read(value, value.displayWidth, value.displayHeight);
      if (code !== null) seen.captured.set(code, performance.now());
      value.close();
    }
  })();
  const painted = (now) => {
    const code = read(video, video.videoWidth, video.videoHeight), begun = seen.captured.get(code);
    seen.painted.push([performance.now(), begun === undefined ? null : performance.now() - begun]);
    video.requestVideoFrameCallback(painted);
  };
  video.requestVideoFrameCallback(painted);
}
"""
_KEEP_STREAM = """
const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (ask) navigator.mediaDevices.getUserMedia = async (wish) => (window.cameraStream = await ask(wish));
"""


def find_chromium() -> str:
    """Return the path of an installed Chromium or Chrome.

    Raises:
        UsageError: if there is none, or Playwright, which drives it, is missing.
    """
    try:
        import playwright  # noqa: F401
    except ImportError:
        raise UsageError("no Playwright to drive a browser with: pip install '.[dev]'") from None
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return path
    raise UsageError("no Chromium or Chrome is installed")


def camera_image(portrait: Image, number: int) -> Image:
    """Return (480, 640, 3) uint8 RGB: the portrait, gently moving, and the frame's number as light cells.

    Args:
        portrait: see `demo_portrait`.
        number: 0 to 255; after the last the first follows.
    """
    turn = 2.0 * np.pi * number / FRAMES
    matrix = np.array([[1.25, 0.0, 12.0 * np.sin(turn)], [0.0, 1.25, 6.0 * np.sin(2.0 * turn)]])
    image = cv2.warpAffine(portrait, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101)
    bits = [number >> bit & 1 for bit in reversed(range(BITS))]
    cells = np.array([*bits, *(1 - bit for bit in bits)], np.uint8) * 255
    image[-CODE_HEIGHT:] = np.repeat(cells, WIDTH // len(cells))[None, :, None]
    return np.asarray(image, np.uint8)


def write_camera(path: Path, frames: int = FRAMES) -> None:
    """Write what the made camera films.

    Args:
        path: an .mjpeg file.
        frames: at most 256.
    """
    portrait = demo_portrait()
    with path.open("wb") as file:
        for number in range(frames):
            image = camera_image(portrait, number)
            good, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            assert good, "a JPEG can always be made of this"
            file.write(data.tobytes())


@contextmanager
def served(*flags: str) -> Iterator[tuple[str, int]]:
    """Run the server; yield the page's address and the process id.

    Raises:
        RealtimeError: if it doesn't start.
    """
    command = [sys.executable, str(ROOT / "run_webcam.py"), "--serve", "127.0.0.1:0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            match = re.match(r"serving (\S+) ", process.stdout.readline())
            if match is None:
                raise RealtimeError("the server didn't start; see above")
            yield match[1], process.pid
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


@contextmanager
def browser(camera: Path) -> Iterator[Browser]:
    """Run a headless Chromium whose camera plays a file."""
    from playwright.sync_api import sync_playwright

    flags = [*_FLAGS, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_chromium(), args=flags)
        try:
            yield running
        finally:
            running.close()


def visit(running: Browser, address: str) -> Page:
    """Open the page in a window of its own, start its camera and wait until painted frames come."""
    page = running.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.add_init_script(_KEEP_STREAM)
    page.goto(address)
    page.wait_for_selector(".effect")
    page.click("#start")
    page.wait_for_selector("#status[data-state=on]", timeout=START_SECONDS * 1e3)
    page.locator("#size", has_text="480").wait_for(timeout=START_SECONDS * 1e3)
    return page


def measure(seconds: float, visitors: int, connects: int, flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """Measure the page.

    Args:
        seconds: measured, after five of warming up.
        visitors: pages at once.
        connects: visits in turn afterwards, over which the server's memory is watched.
        flags: of the server.

    Returns:
        "visitors": for each "fps", frames presented a second, and "latency", camera to screen, its "p50" and
        "p95" in milliseconds, with both for each minute; "memory": the server's, MiB, each ten visits.

    Raises:
        UsageError: without a Chromium.
        RealtimeError: if the server doesn't start.
    """
    find_chromium()
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.mjpeg"
        write_camera(camera)
        places = f"--max-visitors={visitors}"
        with served(places, *flags) as (address, process), browser(camera) as running:
            pages = [visit(running, address) for _ in range(visitors)]
            for page in pages:
                # The cells are read from left to right.
                page.click("#mirror")
            time.sleep(5.0)
            for page in pages:
                page.evaluate(_MEASURE)
            time.sleep(seconds)
            seen = [page.evaluate("window.seen.painted") for page in pages]
            shown = [page.inner_text("#latency") for page in pages]
            for page in pages:
                page.context.close()
            memory = [resident(process)]
            for count in range(1, connects + 1):
                visit(running, address).context.close()
                if count % 10 == 0:
                    memory.append(resident(process))
    results = [_summary(rows) | {"shown": text} for rows, text in zip(seen, shown, strict=True)]
    return {"visitors": results, "memory": memory}


def resident(process: int) -> float:
    """Return the memory a process holds, MiB; 0 where that isn't told."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def _summary(rows: list[tuple[float, float | None]]) -> dict[str, Any]:
    if len(rows) < 2:
        raise RealtimeError("no painted frames came back")
    begun = rows[0][0]
    minutes: dict[int, list[tuple[float, float | None]]] = {}
    for row in rows:
        minutes.setdefault(int((row[0] - begun) // 60e3), []).append(row)
    return _figures(rows) | {"minutes": [_figures(part) for part in minutes.values() if len(part) > 1]}


def _figures(rows: list[tuple[float, float | None]]) -> dict[str, Any]:
    # A number comes again after 8.5 s: what is older was misread.
    latencies = [latency for _, latency in rows if latency is not None and latency < 4000.0]
    fps = 1e3 * (len(rows) - 1) / (rows[-1][0] - rows[0][0])
    p50, p95 = np.percentile(latencies, [50, 95]) if latencies else (np.nan, np.nan)
    return {"fps": round(fps, 1), "latency": {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--seconds", type=float, default=30.0, help="timed seconds of a run (default 30)")
    parser.add_argument("--visitors", type=int, default=1, help="pages at once (default 1)")
    parser.add_argument("--connects", type=int, default=0, help="visits to watch memory over (default 0)")
    parser.add_argument("--preset", default="evening", help="effects painted (default: evening)")


def run(args: argparse.Namespace) -> Result:
    """Run it; see `measure`."""
    flags = ["--preset", args.preset, *(["--threads", str(args.threads)] if args.threads else [])]
    rows = []
    for turn in range(1, args.rounds + 1):
        results = measure(args.seconds, args.visitors, args.connects, tuple(flags))
        group = f"run {turn}, {args.visitors} at once"
        for number, visitor in enumerate(results["visitors"], 1):
            rows.append(_row(group, f"visitor {number}", visitor))
            parts = enumerate(visitor["minutes"], 1) if len(visitor["minutes"]) > 1 else ()
            rows += [_row(group, f"visitor {number}, minute {minute}", part) for minute, part in parts]
        rows += [
            Row(group, f"memory after {10 * tens} visits", figures={"server_mib": round(value)})
            for tens, value in enumerate(results["memory"])
        ]
    settings = {"seconds": args.seconds, "visitors": args.visitors, "preset": args.preset}
    return Result(
        "browser", settings, rows, ["camera to screen, by numbered frames, on the page's one clock"]
    )


def _row(group: str, name: str, figures: dict[str, Any]) -> Row:
    latency = figures["latency"]
    return Row(
        group, name, figures={"fps": figures["fps"], "p50_ms": latency["p50"], "p95_ms": latency["p95"]}
    )

"""The whole pipeline, from file to file and from a live camera that is simulated, by frame size and faces."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import KEPT_FRAMES, SIZES, SteadyCamera, clip_frames, portraits
from benchmarks.report import Figure, Result, Row
from benchmarks.statistics import Measured
from benchmarks.tracing import Trace, clock, cpu_share
from engines import Engine, load_engine
from engines.loader import available_cores
from realtime.app.config import RunConfig
from realtime.effects import parse_effect
from realtime.effects.rendering import Renderer
from realtime.faces.detector import FaceDetector
from realtime.faces.propagation import PROPAGATION
from realtime.faces.tracker import FaceTracker
from realtime.frames import Frame, Image, RenderedFrame
from realtime.native_logs import hide_native_logs
from realtime.people import PersonGate
from realtime.pipeline import Pipeline, Report, Stage
from realtime.pipeline.threads import engine_threads, hold_opencv
from realtime.sinks import NullSink, Sink, open_output
from realtime.sources import Source, open_source

HELP = "time file to file and a live camera with lips, hair and skin, beside decoding and encoding alone"
EFFECTS = ("lips", "hair", "skin")
KINDS = ("file", "live")
# The first frames of a run find the face and fill the caches.
WARM_UP = 5
ROUNDS = 3

Works = Mapping[str, Callable[[Any], Any]]
"""The stages' works by name, in order."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("--clip", help="a video file; default: the demo's portrait, as often as --faces says")
    parser.add_argument(
        "--sizes", nargs="+", default=["480p", "720p", "1080p"], choices=list(SIZES), help="frame sizes"
    )
    parser.add_argument(
        "--faces", nargs="+", type=int, default=[1, 2, 3, 4], help="faces in the picture (1 to 4)"
    )
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, help="default: both")
    parser.add_argument("--frames", type=int, default=60, help="frames of a run (default 60)")


@dataclass
class Case:
    """What one kind of run gave, round by round.

    Attributes:
        seconds: of a frame: each run's mean where a file was done, each frame's latency where it is live.
        ratios: of each round, to the baseline's run beside it.
        reports, traces, cpu: of the runs; cpu is the share of all cores that was used.
    """

    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Figure]:
        """Return frames a second, drops and use of the CPU: of all rounds."""
        if not self.reports:
            return {}
        fps = [report.frames / report.seconds for report in self.reports]
        busy = available_cores() * np.divide(self.cpu, fps)
        faces = sum(report.faces for report in self.reports)
        propagated = sum(report.propagated for report in self.reports)
        return {
            "fps": round(float(np.median(fps)), 1),
            "dropped_share": round(float(np.mean([report.drop_rate for report in self.reports])), 3),
            "cpu_share": round(float(np.median(self.cpu)), 3),
            "cpu_ms": round(float(np.median(busy)) * 1e3, 2),
            **({"propagated_share": round(propagated / faces, 3)} if faces else {}),
        }

    def stages(self) -> dict[str, dict[str, Figure]]:
        """Return each stage's service and its wait for frames by name: medians of the rounds' p50 and p95."""
        summaries = [report.timing.summary()["stages"] for report in self.reports]
        found: dict[str, dict[str, Figure]] = {}
        for name in summaries[0]:
            found[name] = {
                f"{what}_{percent}_ms": round(
                    float(np.median([s[name][what][percent] for s in summaries])), 2
                )
                for what in ("service", "wait")
                for percent in ("p50", "p95")
            }
        capture = [np.percentile(trace.capture, (50, 95)) * 1e3 for trace in self.traces]
        p50, p95 = np.median(capture, axis=0)
        taken = {"service_p50_ms": round(float(p50), 2), "service_p95_ms": round(float(p95), 2)}
        return {"capture": dict(taken), **found}


@dataclass(frozen=True)
class Painting:
    """What is done to each frame: what `run_webcam.py` does unless asked otherwise.

    Attributes:
        engine: see `engines.Engine`.
        propagation: see `FaceTracker`; 0 for portraits, which slide as no face does.
    """

    engine: Engine
    propagation: float

    @contextmanager
    def stages(self) -> Iterator[Works]:
        """Give the stages, with a tracker of their own."""
        with closing(FaceDetector(max_faces=RunConfig.max_faces)) as detector:
            gate = PersonGate()
            gate.prepare()
            tracker = FaceTracker(detector, self.engine, gate=gate, propagation=self.propagation)
            renderer = Renderer([parse_effect(name) for name in EFFECTS])
            yield {"parse": tracker.update, "render": renderer.render}


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module."""
    hold_opencv()
    threads = {kind: args.threads or engine_threads(kind == "file") for kind in args.kinds}
    rows: list[Row] = []
    notes: list[str] = []
    traces: dict[str, dict[str, float]] = {}
    with ExitStack() as undo, hide_native_logs():
        engines: dict[int, Engine] = {}
        for count in dict.fromkeys(threads.values()):
            engines[count], line = load_engine(threads=count, max_batch=max(args.faces))
            undo.callback(engines[count].close)
            notes.append(f"{' and '.join(kind for kind in threads if threads[kind] == count)}: {line}")
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        for size in args.sizes:
            for faces in [1] if args.clip else args.faces:
                images = _pictures(args.clip, SIZES[size], faces)
                group = f"{size}, {'clip' if args.clip else f'{faces} face' + 's' * (faces > 1)}"
                for kind in args.kinds:
                    measure = measure_files if kind == "file" else measure_live
                    painting = Painting(engines[threads[kind]], PROPAGATION if args.clip else 0.0)
                    cases = measure(images, args.frames, args.rounds, painting, folder)
                    rows += _rows(f"{kind}, {group}", cases)
                    whole = list(cases.values())[-1]
                    stages = whole.stages().items()
                    rows += [Row(f"{kind}, {group}: stages", name, figures=taken) for name, taken in stages]
                    traces[f"{kind}, {group}"] = whole.traces[-1].waterfall()
    settings = {"threads": threads, "rounds": args.rounds, "frames": args.frames, "effects": list(EFFECTS)}
    notes += [
        "file: a round's time is its whole run's over its frames; live: latencies of frames, capture to sink",
        "wait: how long a stage had no frame to work on; in plots, how long the frame waited for the stage",
    ]
    return Result("pipeline", settings, rows, notes, traces)


def measure_files(
    images: Sequence[Image], frames: int, rounds: int, painting: Painting, folder: Path
) -> dict[str, Case]:
    """Time file to file, in turns with decoding and encoding alone.

    Args:
        images: the film, played to and fro.
        frames: of a run.
        rounds: of runs.
        painting: what is done to it.
        folder: for the films.
    """
    film = folder / "film.mp4"
    camera = SteadyCamera(images, frames, live=False)
    Pipeline(camera, [Stage("copy", _unpainted)], [open_output(film, camera.info)]).run()
    plain, whole = Case(), Case()
    for turn in range(1 + rounds):
        # The first round warms up and counts for nothing.
        first, second = (plain, whole) if turn else (Case(), Case())
        beside = _copy_file(film, folder, {"copy": _unpainted}, first)
        with painting.stages() as stages:
            taken = _copy_file(film, folder, stages, second)
        first.ratios.append(1.0)
        second.ratios.append(taken / beside)
    return {"decode + encode": plain, "parse + paint": whole}


def measure_live(
    images: Sequence[Image], frames: int, rounds: int, painting: Painting, folder: Path
) -> dict[str, Case]:
    """Time a live camera of 30 frames a second, in turns with a Gaussian blur of one frame.

    Args and Returns are those of `measure_files`.
    """
    blur, live = Case(), Case()
    for turn in range(1 + rounds):
        beside, case = (blur, live) if turn else (Case(), Case())
        unit = [_blur_seconds(images[0]) for _ in range(9)]
        with painting.stages() as stages:
            count = frames if turn else 2 * WARM_UP
            trace = run_traced(SteadyCamera(images, count), NullSink(), stages, case)
        latencies = np.sum(list(trace.spans().values()), axis=0)[WARM_UP:]
        beside.seconds += unit
        beside.ratios.append(1.0)
        case.seconds += latencies.tolist()
        case.ratios.append(float(np.median(latencies) / np.median(unit)))
    return {"Gaussian blur": blur, "capture to sink": live}


def run_traced(source: Source, sink: Sink, stages: Works, case: Case) -> Trace:
    """Run a pipeline once, add to `case` what it did, and return the stamps of its frames."""
    trace = Trace()
    traced = [trace.stage(name, work) for name, work in stages.items()]
    pipeline = Pipeline(trace.source(source), traced, [trace.sink(sink)])
    begun = clock()
    case.reports.append(pipeline.run())
    case.cpu.append(cpu_share(begun, available_cores()))
    case.traces.append(trace)
    return trace


def _copy_file(film: Path, folder: Path, stages: Works, case: Case) -> float:
    source = open_source(str(film))
    run_traced(source, open_output(folder / "out.mp4", source.info), stages, case)
    report = case.reports[-1]
    case.seconds.append(report.seconds / report.frames)
    return case.seconds[-1]


def _pictures(clip: str | None, size: tuple[int, int], faces: int) -> list[Image]:
    return clip_frames(clip, KEPT_FRAMES, size) if clip else portraits(faces, size)


def _unpainted(frame: Frame) -> RenderedFrame:
    return RenderedFrame(frame, frame.image)


def _blur_seconds(image: Image) -> float:
    begun = time.perf_counter()
    cv2.GaussianBlur(image, (0, 0), 7.0)
    return time.perf_counter() - begun


def _rows(group: str, cases: dict[str, Case]) -> list[Row]:
    baseline = next(iter(cases))
    return [
        Row(group, name, baseline, Measured(tuple(case.seconds), tuple(case.ratios)), case.figures())
        for name, case in cases.items()
    ]

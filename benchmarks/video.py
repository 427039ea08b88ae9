"""How good the parsing of clips is that have no labels: faces counted, hair outside people, flicker."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from benchmarks import quality, temporal
from benchmarks.known_faces import KnownFaces, read_known_faces
from benchmarks.quality_sink import QualitySink
from benchmarks.report import Figure, Result, Row
from benchmarks.worst_frames import WorstFrames, assemble_sheet
from engines import Engine
from engines.loader import available_cores
from realtime.app.config import RunConfig
from realtime.app.run import LazyEngine
from realtime.errors import UsageError
from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker
from realtime.frames import Image, ParsedFrame, RenderedFrame
from realtime.native_logs import hide_native_logs
from realtime.people import PersonGate
from realtime.pipeline import Pipeline, Stage
from realtime.pipeline.threads import hold_opencv
from realtime.sinks.image import IMAGE_SUFFIXES, save_image
from realtime.sinks.sink import check_writable, one_of
from realtime.sources import open_source
from stn_icnn.checkpoint import read_checkpoint

HELP = "quality of the parsing of clips without labels: faces counted, hair outside people, cut off, flicker"
# Nothing is timed.
ROUNDS = None
SHIPPED_NAME = "shipped"
# Endings of the figures that have a mean over clips; the others are counts.
_MEANT = ("_share", "_iou", "_per_frame")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own flags."""
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="video files, or demo")
    parser.add_argument(
        "--people", type=Path, metavar="FILE", help="TOML: known numbers of faces, see docs/benchmarks.md"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="a network to measure beside the shipped one"
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write the worst frames as one PNG")
    parser.add_argument("--frames", type=int, metavar="N", help="frames of each clip at most (default: all)")


def run(args: argparse.Namespace) -> Result:
    """Run it; see the docstring of the module.

    Raises:
        UsageError: if a flag, a clip or the file of known faces makes no sense.
        RealtimeError, EngineError, CheckpointError: if a clip, a model, an engine or weights can't be had.
    """
    hold_opencv()
    names = _check(args)
    known = None if args.people is None else read_known_faces(args.people)
    notes: list[str] = []
    rows: list[Row] = []
    tiles: list[Image] = []
    with ExitStack() as undo, hide_native_logs():
        networks = _load_networks(args, undo, notes)
        for clip, name in zip(args.clips, names, strict=True):
            for network, (config, engine) in networks.items():
                worst = WorstFrames(f"{name}, {network}")
                sink = QualitySink(None if known is None else known.get(name, ()), worst)
                measure_clip(replace(config, source=clip), engine, sink)
                rows.append(Row(name, network, figures=sink.figures()))
                tiles += worst.tiles()
    notes += _people_notes(known, names)
    if args.sheet is not None:
        notes.append(_write_sheet(args.sheet, tiles))
    return Result("video", _settings(args), [*rows, *mean_rows(rows)], notes)


def measure_clip(config: RunConfig, engine: Engine, sink: QualitySink) -> None:
    """Parse a clip as `run_webcam.py` does and measure each frame.

    Args:
        config: the clip and how it is parsed.
        engine: see `engines.Engine`.
        sink: gets each frame.

    Raises:
        RealtimeError: if the clip can't be read.
    """
    with closing(FaceDetector(max_faces=config.max_faces)) as detector:
        tracker = FaceTracker(
            detector,
            engine,
            config.detect_every,
            config.smooth,
            tta=config.tta_for(still=False),
            gate=PersonGate(),
            propagation=config.propagate,
        )
        stages = [Stage("parse", tracker.update), Stage("render", _unpainted)]
        Pipeline(open_source(config.source), stages, [sink], config.max_frames).run()


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the mean over the clips of each network's shares; a clip where one is None is left out of it."""
    clips = len({row.group for row in rows})
    found = []
    for network in dict.fromkeys(row.name for row in rows):
        figures = [row.figures for row in rows if row.name == network]
        means = {name: _mean(figures, name) for name in figures[0] if name.endswith(_MEANT)}
        found.append(Row(f"mean over {clips} clip{'s' * (clips != 1)}", network, figures=means))
    return found


def _mean(figures: Sequence[Mapping[str, Figure]], name: str) -> float | None:
    values = [value for each in figures if isinstance(value := each[name], int | float)]
    return round(sum(values) / len(values), 4) if values else None


def _check(args: argparse.Namespace) -> list[str]:
    """Check what is asked before anything is measured; return the clips' names."""
    if args.frames is not None and args.frames < 1:
        raise UsageError(f"--frames {args.frames}: at least 1")
    if args.sheet is not None:
        if args.sheet.suffix.lower() not in IMAGE_SUFFIXES:
            raise UsageError(f"{args.sheet}: a contact sheet is an image: one of {one_of(IMAGE_SUFFIXES)}")
        check_writable(args.sheet)
    if args.weights is not None:
        # Before the shipped ones are compiled, which takes seconds.
        read_checkpoint(args.weights)
    names = [Path(clip).name for clip in args.clips]
    for clip in args.clips:
        _check_clip(clip)
    if len(set(names)) < len(names):
        raise UsageError("two clips have the same file name: their figures could not be told apart")
    return names


def _check_clip(clip: str) -> None:
    # Not opened to see: a camera may be in use, and a stream may keep one waiting.
    if clip.isdecimal() or clip.startswith("/dev/") or "://" in clip:
        raise UsageError(f"{clip}: is live; give a video file")
    with closing(open_source(clip)) as source:
        if source.info.still:
            raise UsageError(f"{clip}: is an image; give a video file")


def _load_networks(
    args: argparse.Namespace, undo: ExitStack, notes: list[str]
) -> dict[str, tuple[RunConfig, Engine]]:
    """Load the shipped network and the one given; note what runs."""
    weights: dict[str, Path | None] = {SHIPPED_NAME: None}
    if args.weights is not None:
        name = args.weights.stem
        weights[str(args.weights) if name == SHIPPED_NAME else name] = args.weights
    networks = {}
    for name, path in weights.items():
        config = RunConfig(weights=path, threads=args.threads, max_frames=args.frames)
        lazy = LazyEngine(config, undo, announce=False)
        networks[name] = (config, lazy.get())
        notes.append(f"{name}: {lazy.line}")
    return networks


def _people_notes(known: KnownFaces | None, names: Sequence[str]) -> list[str]:
    if known is None:
        return ["faces: not held against a known number, which --people FILE gives"]
    missing = [name for name in names if name not in known]
    return [f"faces: no known number of {', '.join(missing)}"] if missing else []


def _write_sheet(path: Path, tiles: Sequence[Image]) -> str:
    """Write the contact sheet; return a note on it."""
    if not tiles:
        return f"sheet: no frame is bad enough to be shown, so {path.name} was not written"
    save_image(path, assemble_sheet(tiles))
    return f"sheet: the worst frame of each kind of fault is in {path.name}"


def _settings(args: argparse.Namespace) -> dict[str, object]:
    return {
        "threads": args.threads or available_cores(),
        "max_frames": args.frames,
        "people": None if args.people is None else args.people.name,
        "person_confidence": quality.PERSON_CONFIDENCE,
        "person_seen_share": quality.PERSON_SEEN,
        "person_margin_cells": quality.PERSON_MARGIN,
        "border_ring_sides": quality.BORDER_RING,
        "flow_side_pixels": temporal.FLOW_SIDE,
        "compared_side_pixels": temporal.COMPARED_SIDE,
        "photometric_levels": temporal.PHOTOMETRIC_LEVELS,
        "most_occluded_share": temporal.MOST_OCCLUDED,
    }


def _unpainted(parsed: ParsedFrame) -> RenderedFrame:
    return RenderedFrame(parsed.frame, parsed.frame.image, faces=parsed.faces)

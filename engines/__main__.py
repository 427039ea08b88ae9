"""Command line of the engines: `python -m engines list|build|check|clear|release`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from engines.engine import EngineError, EngineOptions
from engines.loader import BACKENDS, available_cores, load_engine
from engines.tensorrt import build_ahead
from engines.tensorrt_library import TARGETS
from stn_icnn.checkpoint import SHIPPED, CheckpointError, read_checkpoint
from stn_icnn.packing import Packing


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser(
        "list", help="say which back-ends can run here, why others can't, and what the cache holds"
    )
    build = commands.add_parser("build", help="compile now what the first run would compile, into the cache")
    check = commands.add_parser("check", help="compare a back-end with eager here and now (needs torch)")
    commands.add_parser("clear", help="delete every compiled network in the cache")
    release = commands.add_parser(
        "release", help="write weights and their OpenVINO and ONNX networks for shipping (needs torch)"
    )
    release.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to")
    release.add_argument("--half", action="store_true", help="store the weights as 16-bit numbers")
    networks = release.add_mutually_exclusive_group()
    networks.add_argument(
        "--weights-only",
        action="store_true",
        help="no other networks; the first run compiles what it needs",
    )
    networks.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="photos of aligned faces: an int8 network is made too, calibrated and compared on them",
    )
    for command in (build, check):
        command.add_argument("--backend", choices=["auto", *BACKENDS], default="auto", help="default: auto")
        command.add_argument(
            "--precision", choices=["auto", "fp32", "fp16", "int8"], default="auto", help="default: auto"
        )
        command.add_argument("--max-batch", type=int, default=8, help="largest batch (default 8)")
    build.add_argument(
        "--target",
        nargs="+",
        choices=TARGETS,
        metavar="SM",
        help=f"tensorrt: kinds of card to build for, without a GPU but for current: {', '.join(TARGETS)}",
    )
    build.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="tensorrt: where the engines go (default: the cache), to be copied into a GPU machine's cache",
    )
    check.add_argument("--faces", type=Path, metavar="FOLDER", help="photos of aligned faces to compare on")
    for command in (listing, build, check, release):
        command.add_argument("--weights", type=Path, default=SHIPPED, help="default: the shipped ones")
    return parser


def _list(args: argparse.Namespace) -> None:
    from engines.cache import EngineCache
    from engines.choice import BACKEND, Choice

    for name in BACKENDS:
        try:
            engine, _ = load_engine(name, args.weights, build=False)
        except EngineError as error:
            print(f"{name:13s} no: {error}")
        else:
            print(f"{name:13s} {engine.description}")
            engine.close()
    cache = EngineCache()
    entries = cache.entries()
    print(f"cache {cache.root}: {len(entries)} compiled networks")
    for entry in entries:
        built = f"built {entry.manifest['built']} in {entry.manifest['seconds']} s"
        told = Choice.read(entry) if entry.manifest["key"]["backend"] == BACKEND else entry.parity
        print(f"  {entry.folder.name}: {built}, {told or 'not run yet'}")


def _build(args: argparse.Namespace) -> None:
    if args.target is not None or args.out is not None:
        _build_ahead(args)
        return
    engine, line = load_engine(args.backend, args.weights, precision=args.precision, max_batch=args.max_batch)
    # What is compiled at the first face, or the first two at once, is compiled now too.
    for count in range(1, args.max_batch + 1):
        engine.infer(np.zeros((count, *engine.spec.input_shape), np.uint8))
    engine.close()
    print(line)


def _build_ahead(args: argparse.Namespace) -> None:
    checkpoint = read_checkpoint(args.weights)
    options = EngineOptions(available_cores(), args.precision, args.max_batch)
    for entry in build_ahead(checkpoint, options, args.target or ["current"], args.out):
        print(f"{entry.folder}: {entry.manifest['key']['device']}, {entry.manifest['key']['precision']}")


def _check(args: argparse.Namespace) -> None:
    from engines.eager import eager
    from engines.parity import compare, sample_crops
    from engines.quantize import read_crops
    from stn_icnn.checkpoint import load_network

    engine, line = load_engine(args.backend, args.weights, precision=args.precision, max_batch=args.max_batch)
    print(line)
    packing = engine.spec.packing
    crops = sample_crops(packing) if args.faces is None else read_crops(args.faces, packing, 100)
    parity = compare(engine.infer, eager(load_network(read_checkpoint(args.weights))), crops)
    print(f"{parity.faces} faces: {parity}")
    parity.require(engine.precision)


def _clear(args: argparse.Namespace) -> None:
    from engines.cache import EngineCache

    cache = EngineCache()
    print(f"{cache.clear()} compiled networks deleted from {cache.root}")


def _release(args: argparse.Namespace) -> None:
    from engines.quantize import CALIBRATION, read_crops, release_int8
    from engines.release import copy_checkpoint, release_onnx, release_openvino

    checkpoint = copy_checkpoint(read_checkpoint(args.weights), args.out, args.half)
    if args.weights_only:
        print(checkpoint.path)
        return
    crops = None
    if args.calibration is not None:
        crops = read_crops(args.calibration, Packing.of(checkpoint.network), CALIBRATION)
    checkpoint, parity = release_openvino(checkpoint)
    print(f"{checkpoint.path.with_suffix('.xml')}: {parity}")
    checkpoint, parity = release_onnx(checkpoint, crops)
    print(f"{checkpoint.path.with_suffix('.fp16.onnx')}: {parity}")
    if crops is not None:
        checkpoint, parity = release_int8(checkpoint, crops)
        print(f"{checkpoint.path.with_suffix('.int8.xml')}: {parity}, {parity.faces} faces")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command == "build" and (args.target or args.out) and args.backend != "tensorrt":
        parser.error("--target and --out go with --backend tensorrt")
    if getattr(args, "max_batch", 1) < 1:
        parser.error("--max-batch is at least 1")
    commands = {"list": _list, "build": _build, "check": _check, "clear": _clear, "release": _release}
    try:
        commands[args.command](args)
    except (EngineError, CheckpointError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Command line of the engines: `python -m engines list|build|check|clear|release`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from engines.engine import EngineError
from engines.loader import BACKENDS, load_engine
from stn_icnn.checkpoint import SHIPPED, CheckpointError, read_checkpoint


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
        "release", help="write weights and their OpenVINO networks for shipping (needs torch)"
    )
    release.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to")
    release.add_argument("--half", action="store_true", help="store the weights as 16-bit numbers")
    networks = release.add_mutually_exclusive_group()
    networks.add_argument(
        "--weights-only",
        action="store_true",
        help="no OpenVINO networks; the first run compiles what it needs",
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
    check.add_argument("--faces", type=Path, metavar="FOLDER", help="photos of aligned faces to compare on")
    for command in (listing, build, check, release):
        command.add_argument("--weights", type=Path, default=SHIPPED, help="default: the shipped ones")
    return parser


def _list(args: argparse.Namespace) -> None:
    from engines.cache import EngineCache

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
        print(f"  {entry.folder.name}: {built}, {entry.parity}")


def _build(args: argparse.Namespace) -> None:
    engine, line = load_engine(args.backend, args.weights, precision=args.precision, max_batch=args.max_batch)
    engine.close()
    print(line)


def _check(args: argparse.Namespace) -> None:
    from engines.eager import eager
    from engines.parity import compare, sample_crops
    from engines.quantize import read_crops
    from stn_icnn.checkpoint import load_network

    engine, line = load_engine(args.backend, args.weights, precision=args.precision, max_batch=args.max_batch)
    print(line)
    side = engine.spec.input_size
    crops = sample_crops(side) if args.faces is None else read_crops(args.faces, side, 100)
    parity = compare(engine.infer, eager(load_network(read_checkpoint(args.weights))), crops)
    print(f"{parity.faces} faces: {parity}")
    parity.require(engine.precision)


def _clear(args: argparse.Namespace) -> None:
    from engines.cache import EngineCache

    cache = EngineCache()
    print(f"{cache.clear()} compiled networks deleted from {cache.root}")


def _release(args: argparse.Namespace) -> None:
    from engines.export import copy_checkpoint, release_openvino
    from engines.quantize import CALIBRATION, read_crops, release_int8

    checkpoint = copy_checkpoint(read_checkpoint(args.weights), args.out, args.half)
    if args.weights_only:
        print(checkpoint.path)
        return
    crops = None
    if args.calibration is not None:
        crops = read_crops(args.calibration, checkpoint.network["input_size"], CALIBRATION)
    checkpoint, parity = release_openvino(checkpoint)
    print(f"{checkpoint.path.with_suffix('.xml')}: {parity}")
    if crops is not None:
        checkpoint, parity = release_int8(checkpoint, crops)
        print(f"{checkpoint.path.with_suffix('.int8.xml')}: {parity}, {parity.faces} faces")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    commands = {"list": _list, "build": _build, "check": _check, "clear": _clear, "release": _release}
    try:
        commands[args.command](args)
    except (EngineError, CheckpointError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

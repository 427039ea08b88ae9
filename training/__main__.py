"""Command line of training: `python -m training fit|label|evaluate|plot`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import torch

from stn_icnn.checkpoint import SHIPPED, CheckpointError, load_network, read_checkpoint
from stn_icnn.network import place
from training.data import DataError, load_faces, read_split
from training.evaluate import (
    EvaluationError,
    count_macs,
    evaluate_hair,
    evaluate_network,
    evaluate_pipeline,
    evaluate_points,
)
from training.label import Teacher, label_folder
from training.logs import LogError, plot
from training.loop import Run, choose_precision, fit
from training.settings import FaceSet, SettingsError, read_settings
from training.state import StateError

CONFIGS = Path(__file__).parent / "configs"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fit_parser = commands.add_parser("fit", help="train a network; goes on where --out stands")
    fit_parser.add_argument(
        "--config",
        required=True,
        help="a TOML file, or a name of training/configs, such as faces, realtime, mixing or paper",
    )
    fit_parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change an entry of the TOML file, such as shape.coarse.layers=2; may be given again",
    )
    fit_parser.add_argument(
        "--data",
        required=True,
        type=Path,
        action="append",
        help="folder that holds the sets' folders; may be given again",
    )
    fit_parser.add_argument("--out", required=True, type=Path, help="folder for weights, state and logs")
    fit_parser.add_argument(
        "--init", type=Path, metavar="FILE", help="weights to start from, where names and shapes agree"
    )
    fit_parser.add_argument("--pack", type=Path, help="file of packed faces that several runs share")
    fit_parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    fit_parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16"],
        default="auto",
        help="bf16: iCNNs in bfloat16; auto (default): where the processor has it",
    )
    fit_parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    fit_parser.add_argument("--workers", type=int, default=1, help="augmentation processes (default 1)")
    teach = commands.add_parser("label", help="let trained weights label photos, to train others on")
    teach.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=[SHIPPED],
        help="the teacher's, several for the mean of what they say; default: the shipped ones",
    )
    teach.add_argument(
        "--zooms",
        type=_zoom,
        nargs="+",
        default=[1.0],
        help="factors from 0.5 to 2 to look at each photo enlarged by, for the mean; default: 1",
    )
    teach.add_argument("--data", required=True, type=Path, help="folder of photos, or of faces with points/")
    teach.add_argument("--out", required=True, type=Path, help="folder that gets images/ and labels/")
    teach.add_argument("--only", default="*", help="names to take, a shell pattern; default: all")
    teach.add_argument("--sure", type=float, default=0.6, help="least probability of a label; default 0.6")
    teach.add_argument(
        "--frames",
        type=_frames,
        default=1.0,
        help="width of what is labelled in widths of the training faces' frame, from 1 (default) to 4; above "
        "1 photos without points are framed by the face found in them",
    )
    teach.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    check = commands.add_parser("evaluate", help="score weights on a split")
    check.add_argument("--weights", type=Path, default=SHIPPED, help="default: the shipped ones")
    check.add_argument("--data", required=True, type=Path, help="folder of labelled faces")
    check.add_argument("--split", default="val", help="val (default), train, another list, or all")
    check.add_argument(
        "--protocol",
        choices=["network", "pipeline"],
        default="network",
        help="network: the photo is the face crop (default); pipeline: detect and align in it first",
    )
    check.add_argument(
        "--stages",
        choices=["all", "coarse", "true-crops"],
        default="all",
        help="with --protocol network: all (default), the coarse stage alone, or parts cropped by the labels",
    )
    check.add_argument(
        "--precision",
        choices=["auto", "fp32", "fp16", "int8"],
        default="auto",
        help="with --protocol pipeline: of the engine (default auto)",
    )
    check.add_argument(
        "--tta",
        type=int,
        choices=range(1, 7),
        default=6,
        help="with --protocol pipeline: parsings averaged for each face (default 6; 1 as in a live video)",
    )
    check.add_argument(
        "--points-offset",
        type=float,
        default=0.0,
        metavar="PX",
        help="with points/: added to x and y, as -1 where pixels are counted from 1; default 0",
    )
    check.add_argument(
        "--held-out",
        metavar="CONFIG",
        help="with --protocol pipeline: score the hair of the photos that this config holds out of training",
    )
    check.add_argument("--json", type=Path, help="write the scores here")
    check.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    curves = commands.add_parser("plot", help="draw the learning curves of runs")
    curves.add_argument("runs", nargs="+", type=Path, help="folders that fit wrote")
    curves.add_argument("--out", type=Path, default=Path("curves.png"), help="default: curves.png")
    return parser


def _zoom(text: str) -> float:
    zoom = float(text)
    # Written so that nan is refused too.
    if not 0.5 <= zoom <= 2.0:
        raise argparse.ArgumentTypeError(f"{text}: from 0.5 to 2")
    return zoom


def _frames(text: str) -> float:
    frames = float(text)
    if not 1.0 <= frames <= 4.0:
        raise argparse.ArgumentTypeError(f"{text}: from 1 to 4")
    return frames


def _config(name: str) -> Path:
    named = CONFIGS / f"{name}.toml"
    return named if named.is_file() else Path(name)


def _fit(args: argparse.Namespace) -> None:
    path = _config(args.config)
    settings = read_settings(path, args.set)
    run = Run(
        settings=settings,
        roots=args.data,
        out=args.out,
        device=args.device,
        precision=choose_precision(args.precision, args.device),
        workers=args.workers,
        pack=args.pack,
        init=args.init,
        settings_text="\n".join([path.read_text(), *args.set]),
    )
    if args.threads:
        torch.set_num_threads(args.threads)
    # Augmentation runs in processes of its own; OpenCV's threads would fight torch's.
    cv2.setNumThreads(0)
    print(f"trained: {fit(run)}")


def _label(args: argparse.Namespace) -> None:
    networks = [place(load_network(read_checkpoint(path)), args.device) for path in args.weights]
    teacher = Teacher(networks, args.zooms, args.device)
    count = label_folder(teacher, args.data, args.out, args.sure, args.only, args.frames)
    print(f"labelled: {count} faces in {args.out}")


def _evaluate(args: argparse.Namespace) -> None:
    if args.held_out is not None and args.protocol != "pipeline":
        raise SettingsError("--held-out goes with --protocol pipeline")
    network = place(load_network(read_checkpoint(args.weights)), args.device)
    parameters = sum(p.numel() for p in network.parameters())
    if args.protocol == "network":
        faces = load_faces(args.data, FaceSet(split=args.split), 512)
        result = evaluate_network(network, faces, args.device, args.stages)
    elif args.held_out is not None:
        held_out = {name for one in read_settings(_config(args.held_out)).sets for name in one.without}
        names = sorted(held_out & set(read_split(args.data, "all")))
        if not names:
            raise DataError(f"{args.data}: no photo there that {args.held_out} holds out")
        result = evaluate_hair(args.weights, args.data, names, args.precision, args.tta)
    elif (args.data / "points").is_dir():
        result = evaluate_points(args.weights, args.data, args.precision, args.points_offset, args.tta)
    else:
        result = evaluate_pipeline(args.weights, args.data, args.split, args.precision, args.tta)
    result |= {"protocol": args.protocol, "parameters": parameters, "macs": count_macs(network)}
    for name, value in result.get("classes", {}).items():
        print(f"{name:12s} {value:.4f}")
    for key, value in result.items():
        if isinstance(value, float):
            print(f"{key:18s} {value:.4f}")
    found = f", {result['found']} found" if "found" in result else ""
    size = f"parameters {parameters:,}, {result['macs'] / 1e9:.2f} GMAC"
    print(f"{args.protocol}: faces {result['faces']}{found}, {size}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def _plot(args: argparse.Namespace) -> None:
    plot(args.runs, args.out)
    print(f"drawn: {args.out}")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    try:
        {"fit": _fit, "label": _label, "evaluate": _evaluate, "plot": _plot}[args.command](args)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (DataError, StateError, CheckpointError, EvaluationError, LogError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

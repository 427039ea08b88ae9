"""Command line of training: `python -m training fit|evaluate`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import torch

from stn_icnn.checkpoint import SHIPPED, CheckpointError, load_network, read_checkpoint
from stn_icnn.network import place
from training.data import DataError, load_faces
from training.evaluate import EvaluationError, evaluate_network, evaluate_pipeline
from training.loop import Run, fit
from training.settings import SettingsError, read_settings
from training.state import StateError

CONFIGS = Path(__file__).parent / "configs"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fit_parser = commands.add_parser("fit", help="train a network; goes on where --out stands")
    fit_parser.add_argument("--config", required=True, help="a TOML file, or a name: realtime, paper")
    fit_parser.add_argument("--data", required=True, type=Path, help="folder of labelled faces")
    fit_parser.add_argument("--out", required=True, type=Path, help="folder for weights and state")
    fit_parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    fit_parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    fit_parser.add_argument("--workers", type=int, default=1, help="augmentation processes (default 1)")
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
    check.add_argument("--json", type=Path, help="write the scores here")
    check.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    return parser


def _fit(args: argparse.Namespace) -> None:
    named = CONFIGS / f"{args.config}.toml"
    path = named if named.is_file() else Path(args.config)
    run = Run(
        settings=read_settings(path),
        data=args.data,
        out=args.out,
        device=args.device,
        workers=args.workers,
        settings_text=path.read_text(),
    )
    if args.threads:
        torch.set_num_threads(args.threads)
    # Augmentation runs in processes of its own; OpenCV's threads would fight torch's.
    cv2.setNumThreads(0)
    print(f"trained: {fit(run)}")


def _evaluate(args: argparse.Namespace) -> None:
    network = place(load_network(read_checkpoint(args.weights)), args.device)
    if args.protocol == "pipeline":
        result = evaluate_pipeline(args.weights, args.data, args.split)
    else:
        result = evaluate_network(network, load_faces(args.data, args.split, 512), args.device)
    result |= {"protocol": args.protocol, "parameters": sum(p.numel() for p in network.parameters())}
    for name, value in result["classes"].items():
        print(f"{name:12s} {value:.4f}")
    for key in ("mean_f1_19", "mean_f1_18", "paper_overall_f1", "mean_iou_19"):
        print(f"{key:18s} {result[key]:.4f}")
    found = f", {result['found']} found" if "found" in result else ""
    print(f"{args.protocol}: faces {result['faces']}{found}, parameters {result['parameters']:,}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (2 usage, 1 other errors)."""
    args = _parser().parse_args(argv)
    try:
        {"fit": _fit, "evaluate": _evaluate}[args.command](args)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (DataError, StateError, CheckpointError, EvaluationError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last saved state", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

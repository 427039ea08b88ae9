"""The flags that say what is done with a video: the same for one and for many."""

from __future__ import annotations

import argparse
from pathlib import Path

from engines import BACKENDS
from realtime.effects import describe_effects
from realtime.faces.propagation import MAX_PROPAGATION, PROPAGATION
from realtime.faces.smoothing import STRENGTH
from realtime.faces.tta import MAX_TTA
from realtime.likeness import READERS
from realtime.masks import FORMATS
from realtime.presets import describe_presets
from realtime.sinks import ENCODERS


def add_effects(parser: argparse.ArgumentParser) -> None:
    """Add what is painted, and the list of it below the help."""
    add = parser.add_argument
    add(
        "--effect",
        action="append",
        default=[],
        metavar="NAME:key=value,...",
        help="an effect; may be given several times (default: overlay)",
    )
    add("--preset", metavar="NAME|FILE", help="a list of effects, below, or a TOML file of your own")
    add(
        "--like",
        type=Path,
        metavar="PHOTO",
        help="the look of the face in a photo, as effects; they are printed",
    )
    add(
        "--like-parts",
        metavar="NAME,...",
        help=f"take these of it alone: {','.join(READERS)} (default: all)",
    )
    add("--like-face", type=int, metavar="N", help="the photo's face, 1 the largest, where it shows several")
    add("--compare", action="store_true", help="before and after, side by side")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        f"effects, with their options and defaults:\n{describe_effects()}\n\npresets:\n{describe_presets()}"
    )


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add how files are written."""
    add = parser.add_argument
    add(
        "--codec",
        metavar="NAME",
        help=f"video encoder: {', '.join(ENCODERS)} (default: by the file's ending)",
    )
    add("--crf", type=int, metavar="N", help="quality, on the encoder's own scale (default: nearly lossless)")
    add("--masks", type=Path, metavar="FOLDER", help="write the parsing of every frame into a new folder")
    add("--mask-format", choices=FORMATS, help=f"how masks are written (default: {FORMATS[0]})")
    add(
        "--resume",
        action="store_true",
        help="keep finished segments when interrupted, and go on with those of an earlier run",
    )
    add("--max-frames", type=int, metavar="N", help="stop after so many frames")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add what parses, and how."""
    add = parser.add_argument
    add("--backend", choices=["auto", *BACKENDS], default="auto", help="engine (default: auto)")
    add(
        "--precision",
        choices=["auto", "fp32", "fp16", "int8"],
        default="auto",
        help="numbers the engine computes in (default: auto, the engine's own choice)",
    )
    add("--require-gpu", action="store_true", help="fail rather than run on the CPU")
    add("--weights", type=Path, metavar="FILE", help="a .safetensors file (default: the shipped one)")
    add(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads of the engine (default: one a core; for a video file half as many)",
    )
    add("--max-faces", type=int, default=4, metavar="N", help="faces a frame, the largest (default: 4)")
    add("--detect-every", type=int, default=5, metavar="N", help="frames between searches for faces (5)")
    add(
        "--smooth",
        type=float,
        default=STRENGTH,
        metavar="S",
        help=f"steadiness, 0 (none) to 0.95 ({STRENGTH})",
    )
    add(
        "--propagate",
        type=float,
        default=PROPAGATION,
        metavar="SECONDS",
        help="for how long a parsing may be carried on along the motion where that explains what is seen, "
        f"0 (parse every frame) to {MAX_PROPAGATION} ({PROPAGATION})",
    )
    add(
        "--tta",
        type=int,
        metavar="N",
        help=f"test-time augmentation: parsings averaged for each face, 1 to {MAX_TTA}, better and slower "
        f"(default: 1, images {MAX_TTA})",
    )

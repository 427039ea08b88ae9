"""What lies beside the masks: `masks.json` about the whole, `frames.jsonl` with a line a frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from realtime.errors import SourceError
from realtime.frames import Detection, Frame, ParsedFace
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASSES, PALETTE

VERSION = "stn-icnn-masks-1"
FORMATS = ("png", "npz", "coco", "alpha")
INFO, LINES, COCO, VIDEO = "masks.json", "frames.jsonl", "coco.json", "alpha.mov"


@dataclass(frozen=True)
class MaskInfo:
    """What a folder of masks says of itself.

    Attributes:
        kind: one of `FORMATS`.
        source: name of what was parsed.
        width, height: of its frames in pixels.
        time_base: unit of its times, seconds.
        frames: how many there are.
        whole: all frames of the source; else the run was ended before.
    """

    kind: str
    source: str
    width: int
    height: int
    time_base: Fraction
    frames: int
    whole: bool

    def to_json(self) -> str:
        """Return the text of `masks.json`."""
        own = {**self.__dict__, "time_base": str(self.time_base)}
        data = {"format": VERSION, **own, "classes": list(CLASSES), "palette": PALETTE.tolist()}
        return json.dumps(data, indent=1) + "\n"


def read_info(folder: Path | str) -> MaskInfo:
    """Return what a folder of masks says of itself.

    Raises:
        SourceError: if it is none, or one of another version.
    """
    path = Path(folder) / INFO
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != VERSION:
            raise SourceError(f"{path}: of another version ({data['format']!r}, not {VERSION!r})")
        values = {name: data[name] for name in MaskInfo.__dataclass_fields__}
        info = MaskInfo(**{**values, "time_base": Fraction(data["time_base"])})
    except OSError as error:
        raise SourceError(f"{folder}: no folder of masks ({INFO}: {error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise SourceError(f"{path}: damaged") from None
    if info.kind not in FORMATS:
        raise SourceError(f"{path}: unknown kind of masks {info.kind!r}")
    return info


@dataclass(frozen=True)
class MaskFace:
    """One face of a frame.

    Attributes:
        detection: its box, score and keypoints, pixels of the frame.
        alignment: of its crop.
        track_id: the same for the same person from frame to frame.
        parsed: with its probabilities, of which the 8 bits that `npz` keeps are left; None in other formats.
    """

    detection: Detection
    alignment: Alignment
    track_id: int
    parsed: ParsedFace | None = None


def frame_line(number: int, frame: Frame, faces: tuple[ParsedFace, ...]) -> str:
    """Return a frame's line of `frames.jsonl`."""
    duration = None if frame.duration is None else str(frame.duration)
    data = {"number": number, "index": frame.index, "pts": str(frame.time), "duration": duration}
    return json.dumps({**data, "faces": [_face_data(face) for face in faces]}) + "\n"


def _face_data(face: ParsedFace) -> dict[str, Any]:
    seen, place = face.detection, face.alignment
    return {
        "track": face.track_id,
        "score": round(float(seen.score), 4),
        "box": _rounded(seen.box),
        "right_eye": _rounded(seen.right_eye),
        "left_eye": _rounded(seen.left_eye),
        "mouth": _rounded(seen.mouth),
        # Exact: from it the probabilities find their place again.
        "crop": {
            "centre": [float(v) for v in place.centre],
            "side": float(place.side),
            "roll": place.roll,
            "wide": place.wide,
        },
    }


def _rounded(values: tuple[float, ...]) -> list[float]:
    return [round(float(value), 2) for value in values]


def face_of(data: Mapping[str, Any]) -> MaskFace:
    """Return a face of a line of `frames.jsonl`."""
    points = (tuple(data[name]) for name in ("right_eye", "left_eye", "mouth"))
    detection = Detection(tuple(data["box"]), data["score"], *points)
    crop = data["crop"]
    # Files of before it was known lack "wide".
    alignment = Alignment(tuple(crop["centre"]), crop["side"], crop["roll"], crop.get("wide", 1.0))
    return MaskFace(detection, alignment, data["track"])

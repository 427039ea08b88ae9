"""Mask files: the parsing of a video, frame by frame, as other programs and later runs can use it.

`realtime.sinks.masks` writes them; `read` reads every kind of them. docs/masks.md describes the files.
"""

from __future__ import annotations

from realtime.masks.reader import MaskFrame, read
from realtime.masks.sidecar import FORMATS, MaskFace, MaskInfo, read_info

__all__ = ["FORMATS", "MaskFace", "MaskFrame", "MaskInfo", "read", "read_info"]

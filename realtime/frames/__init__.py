"""What flows between the stages: frames, parsed faces, where their crops lie, and channels to flow through.

Everything else of the pipeline may import this package; it imports none of it.
"""

from realtime.frames.channel import Channel, Closed
from realtime.frames.frames import (
    Detection,
    Frame,
    Image,
    ParsedFace,
    ParsedFrame,
    PartAlpha,
    Plane,
    RenderedFrame,
)
from realtime.frames.geometry import Alignment, Points

__all__ = [
    "Alignment",
    "Channel",
    "Closed",
    "Detection",
    "Frame",
    "Image",
    "ParsedFace",
    "ParsedFrame",
    "PartAlpha",
    "Plane",
    "Points",
    "RenderedFrame",
]

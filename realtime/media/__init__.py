"""What sources and sinks both know of media: what a source says of itself, light, times, opening.

So sources and sinks need not know each other.
"""

from realtime.media.info import SourceInfo
from realtime.media.light import UNKNOWN_COLOUR, Colour, Hdr

__all__ = ["UNKNOWN_COLOUR", "Colour", "Hdr", "SourceInfo"]

"""Real-time face parsing: sources, detection, parsing, effects and sinks, one thread a stage.

`FaceParser` parses single images; `realtime.app` runs whole videos, `run_webcam.py` is its front door.
"""

from __future__ import annotations

# Before anything imports av: in the other order cv2.imshow hangs.
import cv2 as _cv2  # noqa: F401

from engines import EngineError
from realtime.errors import RealtimeError
from realtime.frames import Detection, ParsedFace
from realtime.parser import FaceParser

__all__ = ["Detection", "EngineError", "FaceParser", "ParsedFace", "RealtimeError"]

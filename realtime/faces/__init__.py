"""From a frame to parsed faces: detection, alignment, parsing, tracking, test-time augmentation, smoothing.

Knows nothing of effects, sources and sinks.
"""

from realtime.faces.detector import FaceDetector
from realtime.faces.tracker import FaceTracker

__all__ = ["FaceDetector", "FaceTracker"]

"""Label maps of a video, frame by frame: python examples/masks_of_video.py [VIDEO]; without one, the demo."""

import sys
from itertools import islice

import numpy as np

from engines import load_engine
from realtime.faces import FaceDetector, FaceTracker
from realtime.sources import open_source
from stn_icnn.labels import CLASS_ID

source = open_source(sys.argv[1] if len(sys.argv) > 1 else "demo")
engine, _ = load_engine(precision="fp32", threads=2)
detector = FaceDetector(max_faces=2)
tracker = FaceTracker(detector, engine)  # faces keep an identity and a steady mask from frame to frame

for frame in islice(source.frames(), 5):
    parsed = tracker.update(frame)
    for face in parsed.faces:
        labels = face.label_map()  # (H, W) uint8
        lips = np.isin(labels, [CLASS_ID["u_lip"], CLASS_ID["l_lip"]])
        print(f"{float(frame.time):.3f} s: track {face.track_id}, lips {lips.sum()} pixels")

source.close()
detector.close()
engine.close()

# Prints for the demo:
# 0.000 s: track 1, lips 2505 pixels
# 0.033 s: track 1, lips 2508 pixels
# 0.067 s: track 1, lips 2479 pixels
# 0.100 s: track 1, lips 2587 pixels
# 0.133 s: track 1, lips 2590 pixels

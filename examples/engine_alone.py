"""The network without the pipeline: python examples/engine_alone.py [BACKEND]; default: openvino."""

import sys

import cv2
import numpy as np

from engines import load_engine
from realtime.sources.demo import demo_portrait
from stn_icnn.labels import CLASSES

backend = sys.argv[1] if len(sys.argv) > 1 else "openvino"
engine, line = load_engine(backend, precision="fp32", threads=2)
print(line.split(" (")[0].split(" on ")[0])

# An aligned face crop, cut out by hand here; `realtime.faces` finds and aligns faces.
packing = engine.spec.packing
face = demo_portrait()[30:230, 122:322]
size = (packing.input_size, packing.input_size)
crop = cv2.resize(face, size).astype(np.uint8)  # (S, S, 3) uint8 RGB
crops = packing.pack_crop(crop)[None]  # (N, S * S + K * K, 3): the face crop, and a picture of the head

probabilities = engine.infer(crops)  # float32, sums to 1 over the classes
print(probabilities.shape, probabilities.dtype, f"{probabilities.sum(axis=1).mean():.3f}")

shares = packing.maps(probabilities[0]).face.mean(axis=(1, 2))  # of (classes, O, O), the face crop
for channel in np.argsort(-shares)[:4]:
    print(f"{CLASSES[engine.spec.classes[channel]]}: {shares[channel]:.0%}")
engine.close()

# Prints:
# engine: realtime 28cf3d4f, OpenVINO 2026.4.1
# (1, 19, 27136) float32 1.000
# background: 33%
# cloth: 23%
# hair: 23%
# skin: 15%

"""Parse a photo: python examples/parse_photo.py [PHOTO]; without one, the demo's portrait."""

import sys

import cv2

from realtime import FaceParser
from realtime.sources.demo import demo_portrait

image = demo_portrait()  # (H, W, 3) uint8 RGB
if len(sys.argv) > 1:
    found = cv2.imread(sys.argv[1])
    if found is None:
        sys.exit(f"{sys.argv[1]}: not a picture that OpenCV reads")
    image = cv2.cvtColor(found, cv2.COLOR_BGR2RGB).astype("uint8")

with FaceParser(precision="fp32") as parser:  # int8, the default, differs a little from CPU to CPU
    faces = parser.parse(image)

for number, face in enumerate(faces):  # largest face first
    labels = face.label_map()  # (H, W) uint8 class ids of stn_icnn.labels
    hair = face.probability("hair")  # (H, W) float32, 0 to 1
    x0, y0, x1, y1 = face.box
    print(f"face {number}: {x1 - x0:.0f} x {y1 - y0:.0f} pixels, score {face.score:.2f}")
    print(f"  {len(set(labels.ravel().tolist())) - 1} parts; hair covers {hair.mean():.0%} of the photo")

# Prints for the demo's portrait:
# face 0: 101 x 101 pixels, score 0.91
#   14 parts; hair covers 4% of the photo

"""Train the shipped weights on a folder of labelled faces: python examples/train_on_folder.py FOLDER OUT.

FOLDER holds images/NAME.jpg, labels/NAME.png (class ids of stn_icnn.labels, 255 = ignore), train.txt and
val.txt with a NAME a line.
"""

import sys
from pathlib import Path

from stn_icnn.checkpoint import SHIPPED, read_checkpoint
from training.__main__ import main

folder, out = sys.argv[1:3]
quick = 'phases=[{name="end_to_end",epochs=1,learning_rate=1e-4,coarse_rate=0.5}]'  # leave it out: 15 epochs
code = main(
    ["fit", "--config", "faces", "--init", str(SHIPPED), "--data", folder, "--out", out, "--set", quick]
)
if code == 0:
    checkpoint = read_checkpoint(Path(out) / "realtime.safetensors")
    print(f"{checkpoint.network['name']}: trained, {len(checkpoint.network['classes'])} classes")
sys.exit(code)

# Prints, last of all:
# realtime: trained, 19 classes

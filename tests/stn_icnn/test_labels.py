from __future__ import annotations

import subprocess
import sys

import numpy as np

from stn_icnn import labels


def test_there_are_19_classes_with_a_colour_each() -> None:
    assert len(labels.CLASSES) == len(set(labels.CLASSES)) == 19
    assert labels.PALETTE.shape == (19, 3)
    assert len({tuple(colour) for colour in labels.PALETTE.tolist()}) == 19


def test_mirroring_renames_left_to_right_and_back() -> None:
    table = labels.mirror_ids()
    assert table[labels.CLASS_ID["l_eye"]] == labels.CLASS_ID["r_eye"]
    assert table[labels.CLASS_ID["r_ear"]] == labels.CLASS_ID["l_ear"]
    assert table[labels.CLASS_ID["l_lip"]] == labels.CLASS_ID["l_lip"], "the lower lip is no left lip"
    assert np.array_equal(table[table], np.arange(256))
    assert table[labels.IGNORE] == labels.IGNORE


def test_the_papers_overall_pools_eyes_brows_nose_and_mouth() -> None:
    assert sorted(labels.PAPER_OVERALL) == [2, 4, 5, 6, 7, 10, 11, 12]


def test_labels_and_checkpoints_do_not_import_torch() -> None:
    code = "import sys, stn_icnn.labels, stn_icnn.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pytest

from realtime.frames import Frame
from realtime.frames.geometry import Alignment
from stn_icnn.labels import CLASS_ID
from tests.realtime.faces import parsed_face, with_head


def test_frames_are_checked_and_frozen() -> None:
    frame = Frame(np.zeros((4, 6, 3), np.uint8), 0, Fraction(0), 0.0)
    with pytest.raises(FrozenInstanceError):
        frame.index = 1  # type: ignore[misc]
    for bad in (np.zeros((4, 6), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((0, 6, 3), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            Frame(bad, 0, Fraction(0), 0.0)
    with pytest.raises(ValueError, match="float32"):
        Frame(np.zeros((4, 6, 3), np.float32), 0, Fraction(0), 0.0)


def test_the_label_map_lies_where_the_crop_lies() -> None:
    face = parsed_face({"hair": (10, 5, 50, 20), "skin": (15, 20, 45, 60)})
    labels = face.label_map()
    assert labels.shape == (120, 160)
    assert labels.dtype == np.uint8
    # The crop's first pixel is the image's (48, 28).
    assert (labels[34:47, 59:97] == CLASS_ID["hair"]).all()
    assert (labels[49:87, 64:92] == CLASS_ID["skin"]).all()
    assert labels[:28].max() == labels[:, :48].max() == labels[92:].max() == labels[:, 112:].max() == 0


def test_a_turned_crop_turns_its_labels() -> None:
    face = parsed_face({"nose": (0, 0, 64, 8)}, alignment=Alignment((79.5, 59.5), 64.0, np.pi / 2))
    ys, xs = np.nonzero(face.label_map() == CLASS_ID["nose"])
    # The crop's upper edge points to the image's right.
    assert xs.min() > 100
    assert ys.max() - ys.min() > 55


def test_probability_matches_the_labels_and_sums_over_classes() -> None:
    face = parsed_face({"u_lip": (20, 30, 40, 34), "l_lip": (20, 34, 40, 40)})
    upper, both = face.probability("u_lip"), face.probability(["u_lip", "l_lip"])
    assert upper.shape == both.shape == (120, 160)
    assert upper.dtype == np.float32
    assert both[63, 78] == pytest.approx(1.0)
    assert upper[68, 78] == 0.0
    assert both.sum() == pytest.approx(upper.sum() + face.probability("l_lip").sum(), rel=1e-4)
    assert face.probability("hat").max() == 0
    with pytest.raises(ValueError, match="no such class: moustache"):
        face.probability("moustache")


def test_alpha_covers_only_its_part_and_fades_at_the_crops_border() -> None:
    face = parsed_face({"hair": (0, 0, 64, 30)})
    part = face.alpha("hair")
    assert part is not None
    assert part.alpha[15, 32] == pytest.approx(1.0, abs=1e-3)
    assert part.alpha[15, 0] < 0.3, "no straight edge where the crop ends"
    assert part.alpha.shape[0] < 40
    assert face.alpha("nose") is None


def test_faint_doubts_are_not_painted() -> None:
    face = parsed_face({})
    face.probabilities[CLASS_ID["hair"]] = 0.2
    assert face.alpha("hair") is None
    assert face.probability("hair").max() == pytest.approx(0.2)


def test_faces_partly_or_wholly_outside_the_image() -> None:
    cut = parsed_face({"skin": (0, 0, 64, 64)}, alignment=Alignment((0.0, 0.0), 64.0, 0.2))
    assert cut.label_map()[5, 5] == CLASS_ID["skin"]
    gone = parsed_face({"skin": (0, 0, 64, 64)}, alignment=Alignment((-500.0, 0.0), 64.0, 0.0))
    assert gone.label_map().max() == 0
    assert gone.alpha("skin") is None
    assert gone.probability("skin").max() == 0


def test_the_head_goes_on_where_the_face_crop_ends() -> None:
    # The crop's hair ends at its upper border; the head's goes on above, in pixels of four.
    face = with_head(parsed_face({"hair": (10, 0, 54, 20)}), {"hair": (10, 4, 22, 16)})
    labels = face.label_map()
    # The crop's first pixel is the image's (48, 28), the square's (16, -4).
    hair = labels == CLASS_ID["hair"]
    assert hair[16:44, 62:98].all()
    assert not hair[:8].any()
    assert not hair[52:].any(), "inside the crop its own parsing counts"
    plane = face.whole("hair")
    assert plane.shape == (128, 128)
    assert face.region(plane) is not None
    assert face.square.side == 2 * face.alignment.side
    assert face.square.face_side == face.alignment.face_side
    assert face.plane("hair").shape == (64, 64)
    assert face.probability("hair")[20, 80] == pytest.approx(1.0)
    assert face.probability("hair").sum() == pytest.approx(plane.sum(), rel=0.05)


def test_the_face_crops_parsing_gives_way_softly() -> None:
    face = with_head(parsed_face({"hair": (0, 0, 64, 64)}), {})
    plane = face.whole("hair")
    assert plane[64, 64] == 1.0
    assert plane[32, 64] == pytest.approx(0.0, abs=1e-6)
    assert np.abs(np.diff(plane[:, 64])).max() < 0.3
    assert (np.diff(plane[32:40, 64]) > 0).all()


def test_inner_parts_are_painted_from_the_face_crop_alone() -> None:
    face = with_head(parsed_face({"u_lip": (20, 30, 40, 34)}), {"hair": (0, 0, 32, 8)})
    assert face.paint_plane("u_lip").shape == (64, 64)
    hair = face.paint_plane("hair")
    assert hair.shape == (128, 128)
    # What goes on beyond what was seen fades over a tenth of it, not in a line.
    assert hair[0].max() == 0.0
    assert 0.0 < hair[6, 64] < 0.6
    assert hair[16, 64] == pytest.approx(1.0, abs=0.02)


def test_what_was_not_seen_is_no_part_of_a_face_without_a_head() -> None:
    face = parsed_face({"hair": (0, 0, 64, 20)})
    assert face.whole("hair").shape == (64, 64)
    assert face.square is face.alignment

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from stn_icnn.checkpoint import Checkpoint
from stn_icnn.labels import CLASS_ID, IGNORE
from tests.conftest import Image, drawn_face, make_network, tiny_config
from training.__main__ import main
from training.data import DataError, read_pair
from training.evaluate import evaluate_points
from training.framing import Known, outline_masks, read_points
from training.label import Teacher, merge, teach, undress

HAIR = CLASS_ID["hair"]


def known(label: Image, **facts: Any) -> Known:
    """What is known of a place without a photo: nothing but these facts."""
    image = np.zeros((*label.shape, 3), np.uint8)
    return Known(image, np.zeros(label.shape, bool))._replace(**facts)


def sure_of(label: Image, probability: float = 0.9) -> npt.NDArray[np.float32]:
    rest = (1.0 - probability) / 18.0
    wanted = np.arange(19)[:, None, None] == label
    return np.where(wanted, probability, rest).astype(np.float32)


def test_what_the_teacher_is_unsure_of_is_ignored() -> None:
    label = drawn_face(0)[1]
    assert np.array_equal(merge(sure_of(label), 0.6, known(label)), label)
    assert (merge(sure_of(label, 0.5), 0.6, known(label)) == IGNORE).all()


def test_known_hair_overrules_the_teacher() -> None:
    probabilities = np.zeros((19, 1, 4), np.float32)
    probabilities[HAIR] = [[0.9, 0.9, 0.1, 0.1]]
    probabilities[0] = [[0.1, 0.1, 0.9, 0.9]]
    hair = np.array([[13, 0, 13, 255]], np.uint8)
    assert merge(probabilities, 0.6, known(hair, hair=hair)).tolist() == [[HAIR, 0, HAIR, 0]]


def face_points() -> npt.NDArray[np.float64]:
    """68 points on the drawn face of side 128: only eyes and mouth are where they belong."""
    points = np.full((68, 2), 64.0)

    def ring(first: int, count: int, x: float, y: float, rx: float, ry: float) -> None:
        angles = np.linspace(np.pi, -np.pi, count, endpoint=False)
        points[first : first + count] = np.stack([x + rx * np.cos(angles), y - ry * np.sin(angles)], axis=1)

    ring(36, 6, 48.6, 61.4, 6, 3)
    ring(42, 6, 79.4, 61.4, 6, 3)
    ring(48, 12, 64.0, 96.0, 14, 8)
    ring(60, 8, 64.0, 96.0, 8, 2)
    return points


def test_outlines_cover_what_the_points_enclose() -> None:
    masks = outline_masks(face_points(), (128, 128))
    assert masks["r_eye"][61, 48]
    assert not masks["r_eye"][61, 79], "the subject's right eye is on the left of the photo"
    assert masks["l_eye"][61, 79]
    assert masks["lips"].sum() == pytest.approx(np.pi * 14 * 8, rel=0.15)
    assert masks["mouth"][masks["lips"]].sum() == masks["mouth"].sum()


def test_where_points_and_teacher_disagree_nothing_is_taught() -> None:
    masks = outline_masks(face_points(), (128, 128))
    label = np.ones((128, 128), np.uint8)
    label[masks["r_eye"]] = CLASS_ID["r_eye"]
    label[0, 0] = CLASS_ID["l_lip"]
    merged = merge(sure_of(label), 0.6, known(label, outlines=masks))
    assert (merged[masks["r_eye"]] == CLASS_ID["r_eye"]).all()
    assert (merged[masks["l_eye"]] == IGNORE).all()
    assert (merged[masks["lips"]] == IGNORE).all()
    assert merged[0, 0] == IGNORE
    assert merged[5, 5] == 1


def test_the_mirror_image_is_asked_too() -> None:
    teacher = Teacher([make_network(tiny_config())])
    crop = np.asarray(cv2.resize(drawn_face(3)[0], (64, 64)), np.uint8)
    seen = teach(teacher, crop)
    assert seen.shape == (19, 64, 64)
    assert np.allclose(seen.sum(axis=0), 1.0, atol=1e-4)
    mirrored = teach(teacher, np.ascontiguousarray(crop[:, ::-1]))
    swapped = mirrored[[0, 1, 2, 3, 5, 4, 7, 6, 9, 8, *range(10, 19)]][..., ::-1]
    assert np.allclose(seen, swapped, atol=1e-5)


def test_several_networks_and_zooms_are_averaged_where_they_see() -> None:
    first, second = make_network(tiny_config()), make_network(tiny_config(), seed=5)
    crop = np.asarray(cv2.resize(drawn_face(3)[0], (64, 64)), np.uint8)
    one, two = (teach(Teacher([network]), crop) for network in (first, second))
    assert not np.allclose(one, two, atol=1e-3)
    assert np.allclose(teach(Teacher([first, second]), crop), (one + two) / 2.0, atol=1e-5)
    larger = teach(Teacher([first], [1.0, 1.5]), crop)
    assert np.allclose(larger.sum(axis=0), 1.0, atol=1e-4)
    corner = (slice(None), slice(0, 8), slice(0, 8))
    assert np.allclose(larger[corner], one[corner], atol=1e-5), "the corner is out of sight at 1.5"
    assert not np.allclose(larger, one, atol=1e-3)


def test_zooming_leaves_things_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def bright(self: object, crops: torch.Tensor) -> torch.Tensor:
        """Say hair where the crop is bright, and background elsewhere."""
        out = torch.zeros(len(crops), 19, *crops.shape[1:3])
        out[:, HAIR] = crops[..., 0].float() / 255.0
        out[:, 0] = 1.0 - out[:, HAIR]
        return out

    network = make_network(tiny_config())
    monkeypatch.setattr(type(network), "forward", bright)
    image = np.zeros((128, 128, 3), np.uint8)
    image[40:80, 30:70] = 255
    for zoom in (0.8, 1.25):
        hair = teach(Teacher([network], [zoom]), image)[HAIR] > 0.5
        rows, columns = np.flatnonzero(hair.any(axis=1)), np.flatnonzero(hair.any(axis=0))
        found = [rows[0], rows[-1] + 1, columns[0], columns[-1] + 1]
        assert np.abs(np.array(found) - [40, 80, 30, 70]).max() <= 1


def test_a_folder_of_hair_labels_becomes_a_training_set(
    tiny_checkpoint: Checkpoint, face_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "taught"
    args = ["label", "--weights", str(tiny_checkpoint.path), "--data", str(face_folder), "--out", str(out)]
    assert (
        main([*args, "--only", "face[01]", "--sure", "0.01", "--device", "cpu", "--zooms", "0.9", "1"]) == 0
    )
    assert "labelled: 2 faces" in capsys.readouterr().out
    image, label = read_pair(out, "face0")
    assert image.shape == (384, 384, 3)
    truth = cv2.resize(drawn_face(0)[1], (384, 384), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(label == HAIR, truth == HAIR), "the known hair and no other"
    assert not list(out.rglob("*.tmp*"))


def test_faces_in_the_wild_are_framed_by_their_points(
    tiny_checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_skin(teacher: object, image: Image) -> npt.NDArray[np.float32]:
        return sure_of(np.ones(image.shape[:2], np.uint8))

    monkeypatch.setattr("training.label.teach", all_skin)
    wild = tmp_path / "wild"
    for folder in ("images", "points"):
        (wild / folder).mkdir(parents=True)
    # The face lies in a corner, so that its frame reaches beyond the photo.
    cv2.imwrite(str(wild / "images" / "a.jpg"), drawn_face(0)[0][30:, 20:, ::-1])
    np.savetxt(wild / "points" / "a.txt", face_points() - [20, 30])
    args = ["--weights", str(tiny_checkpoint.path), "--data", str(wild), "--out", str(tmp_path / "out")]
    assert main(["label", *args, "--sure", "0.5"]) == 0
    image, label = read_pair(tmp_path / "out", "a")
    outside = label[0] == IGNORE
    assert outside.all(), "what the photo does not show is not taught"
    assert (label[200] != IGNORE).mean() > 0.3
    centre = image[int(0.48 * 384), int(0.62 * 384)].astype(int)
    eye = np.random.default_rng(99).integers(0, 256, (19, 3))[CLASS_ID["l_eye"]]
    assert np.abs(centre - eye).max() < 60


def test_bad_folders_are_errors_in_one_line(
    tiny_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["label", "--weights", str(tiny_checkpoint.path), "--data", str(tmp_path / "no")]
    assert main([*args, "--out", str(tmp_path / "out")]) == 1
    assert "no photo *.jpg there" in capsys.readouterr().err
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "a.txt").write_text("1 2\n3 4\n")
    with pytest.raises(DataError, match="68 lines"):
        read_points(tmp_path / "points" / "a.txt")
    (tmp_path / "points" / "a.txt").write_text("one two")
    with pytest.raises(DataError, match="cannot be read"):
        read_points(tmp_path / "points" / "a.txt")


def test_points_score_the_pipeline(
    tmp_path: Path, portrait: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    from realtime import FaceParser
    from stn_icnn.checkpoint import SHIPPED

    for folder in ("images", "points"):
        (tmp_path / folder).mkdir()
    with FaceParser(tta=1) as parser:
        label = parser.parse(portrait)[0].label_map()
    # Outlines of the parser's own eyes and lips: what it finds again must agree with them.
    points = np.zeros((68, 2))
    lips = np.isin(label, [CLASS_ID[name] for name in ("u_lip", "l_lip", "mouth")])
    for first, count, mask in (
        (36, 6, label == CLASS_ID["r_eye"]),
        (42, 6, label == CLASS_ID["l_eye"]),
        (48, 12, lips),
    ):
        rows, columns = np.nonzero(mask)
        x0, x1, y0, y1 = columns.min(), columns.max(), rows.min(), rows.max()
        angles = np.linspace(np.pi, -np.pi, count, endpoint=False)
        ring = [
            (x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angles),
            (y0 + y1) / 2 - (y1 - y0) / 2 * np.sin(angles),
        ]
        points[first : first + count] = np.stack(ring, axis=1)
    points[60:] = points[48:60].mean(axis=0)
    for name, image in (("face", portrait), ("none", np.zeros_like(portrait))):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), image[..., ::-1])
        np.savetxt(tmp_path / "points" / f"{name}.txt", points)
    evaluate = ["evaluate", "--data", str(tmp_path), "--protocol", "pipeline", "--tta", "1"]
    assert main(evaluate) == 0
    assert "faces 2, 1 found" in capsys.readouterr().out
    result = evaluate_points(SHIPPED, tmp_path, tta=1)
    assert result["found"] == 1
    # The face not found counts as 0, so half is the most there is.
    assert 0.3 < result["mouth_iou"] <= 0.5
    assert 0.25 < result["eyes_iou"] <= 0.5
    for name in ("face", "none"):
        np.savetxt(tmp_path / "points" / f"{name}.txt", points + 6.0)
    moved = [*evaluate, "--json", str(tmp_path / "a.json")]
    assert main([*moved, "--points-offset", "0"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["eyes_iou"] < 0.9 * result["eyes_iou"]
    assert main([*moved, "--points-offset", "-6"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["eyes_iou"] == pytest.approx(
        result["eyes_iou"], abs=0.01
    )
    with pytest.raises(DataError, match=r"no NAME\.txt"):
        evaluate_points(SHIPPED, tmp_path / "images")


def test_a_teacher_must_know_every_class(tmp_path: Path) -> None:
    from dataclasses import replace

    from training.label import label_folder

    network = make_network(replace(tiny_config(), classes=tuple(range(18))))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="all 19 classes"):
        label_folder(Teacher([network]), tmp_path, tmp_path / "out")
    assert torch.is_grad_enabled()


def in_colours(label: Image, **tones: tuple[int, int, int]) -> Image:
    image = np.full((*label.shape, 3), 120, np.uint8)
    for name, tone in tones.items():
        image[label == CLASS_ID[name]] = tone
    return image


def dressed() -> Image:
    """Skin, below it the neck, below that clothes, and clothes apart from it."""
    label = np.zeros((80, 80), np.uint8)
    label[10:40, 20:60], label[40:50, 30:50] = CLASS_ID["skin"], CLASS_ID["neck"]
    label[50:80, 10:70], label[0:8, 0:20] = CLASS_ID["cloth"], CLASS_ID["cloth"]
    return label


SKIN_TONE = (205, 150, 125)


def test_bare_shoulders_are_neck_and_clothes_stay_clothes() -> None:
    label = dressed()
    bare = in_colours(label, skin=SKIN_TONE, neck=SKIN_TONE, cloth=SKIN_TONE)
    changed = undress(label, known(label, image=bare))
    assert (changed[54:, 14:66] == CLASS_ID["neck"]).all()
    assert (changed[:6, :17] == IGNORE).all(), "of the skin's colour, but apart from it"
    assert np.array_equal(changed[label != CLASS_ID["cloth"]], label[label != CLASS_ID["cloth"]])
    blue = in_colours(label, skin=SKIN_TONE, neck=SKIN_TONE, cloth=(40, 60, 160))
    assert (undress(label, known(label, image=blue))[56:] == label[56:]).all()
    dark = in_colours(label, skin=SKIN_TONE, neck=SKIN_TONE, cloth=(52, 36, 30))
    assert (undress(label, known(label, image=dark))[56:] == label[56:]).all()


def test_nothing_is_undressed_in_a_grey_photo_or_beyond_the_photo() -> None:
    label = dressed()
    grey = in_colours(label, skin=(150, 150, 150), neck=(150, 150, 150), cloth=(150, 150, 150))
    assert np.array_equal(undress(label, known(label, image=grey)), label)
    bare = in_colours(label, skin=SKIN_TONE, neck=SKIN_TONE, cloth=SKIN_TONE)
    outside = np.ones(label.shape, bool)
    assert np.array_equal(undress(label, known(label, image=bare, outside=outside)), label)

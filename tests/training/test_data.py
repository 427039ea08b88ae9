from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.augment import Augmentation
from training.data import AugmentedFaces, DataError, batches, load_faces, read_split


def test_a_split_is_read_as_rgb_with_its_labels(face_folder: Path) -> None:
    faces = load_faces(face_folder, "train", 64)
    assert faces.images.shape == (4, 64, 64, 3)
    assert faces.labels.shape == (4, 64, 64)
    assert faces.images.dtype == faces.labels.dtype == np.uint8
    assert set(np.unique(faces.labels)) <= set(range(19))
    first = cv2.imread(str(face_folder / "images" / "face0.jpg"))
    assert first is not None
    small = cv2.resize(first, (64, 64), interpolation=cv2.INTER_AREA)[..., ::-1]
    assert np.array_equal(faces.images[0], small)


def test_all_takes_every_label(face_folder: Path) -> None:
    assert len(read_split(face_folder, "all")) == 6


def test_every_bad_file_is_named_before_training(face_folder: Path) -> None:
    (face_folder / "images" / "face0.jpg").unlink()
    (face_folder / "labels" / "face1.png").write_bytes(b"no image")
    cv2.imwrite(str(face_folder / "labels" / "face2.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(face_folder / "labels" / "face3.png"), np.full((128, 128), 77, np.uint8))
    with pytest.raises(DataError) as caught:
        load_faces(face_folder, "train", 64)
    text = str(caught.value)
    assert "4 bad of 4" in text
    assert "images/face0.jpg: missing or unreadable" in text
    assert "labels/face1.png: missing or unreadable" in text
    assert "face2: image is (128, 128), label is (8, 8)" in text
    assert "labels/face3.png: class ids out of range: [77]" in text


def test_missing_folders_and_splits_are_said(face_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder labels/"):
        read_split(tmp_path / "none", "train")
    with pytest.raises(DataError, match="no such split"):
        read_split(face_folder, "test")
    (face_folder / "none.txt").touch()
    with pytest.raises(DataError, match="empty"):
        load_faces(face_folder, "none", 64)


def test_augmented_faces_depend_on_seed_epoch_and_index_alone(face_folder: Path) -> None:
    faces = load_faces(face_folder, "train", 64)
    dataset = AugmentedFaces(faces, 48, Augmentation(), seed=1)
    image, label = dataset[(2, 3)]
    again, label_again = AugmentedFaces(faces, 48, Augmentation(), seed=1)[(2, 3)]
    assert image.shape == (48, 48, 3)
    assert np.array_equal(image, again)
    assert np.array_equal(label, label_again)
    assert not np.array_equal(image, dataset[(3, 3)][0])
    assert not np.array_equal(image, AugmentedFaces(faces, 48, Augmentation(), seed=2)[(2, 3)][0])


def test_batches_hold_each_face_once_and_change_with_the_epoch() -> None:
    first = batches(10, 4, epoch=0, seed=0)
    assert [len(batch) for batch in first] == [4, 4]
    assert len({index for batch in first for _, index in batch}) == 8
    assert first == batches(10, 4, epoch=0, seed=0)
    assert [i for b in first for _, i in b] != [i for b in batches(10, 4, 1, 0) for _, i in b]
    assert len(batches(3, 16, 0, 0)) == 1, "fewer faces than a batch are one batch"

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from stn_icnn.labels import IGNORE
from training.augment import Augmentation
from training.data import (
    NOT_HAIR,
    AugmentedFaces,
    DataError,
    Pack,
    batches,
    load_faces,
    pack_faces,
    read_split,
)
from training.settings import FaceSet


def test_a_split_is_read_as_rgb_with_its_labels(face_folder: Path) -> None:
    faces = load_faces(face_folder, FaceSet(), 64)
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
        load_faces(face_folder, FaceSet(), 64)
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
        load_faces(face_folder, FaceSet(split="none"), 64)


def packed(folder: Path, *sets: FaceSet) -> Pack:
    return pack_faces(folder / "pack.safetensors", [folder], sets or (FaceSet(),), 64)


def test_a_pack_holds_what_the_folder_holds(face_folder: Path) -> None:
    pack = packed(face_folder)
    faces = load_faces(face_folder, FaceSet(), 64)
    assert len(pack) == 4
    for index in range(4):
        assert np.array_equal(pack[index].image, faces.images[index])
        assert np.array_equal(pack[index].label, faces.labels[index])
    assert pack.frequency.sum() == pytest.approx(1.0)
    assert pack.frequency[13] == pytest.approx((faces.labels == 13).mean())
    assert pack.presence[:, 2].all()
    assert not pack.presence[:, 14].any()


def test_a_pack_is_made_anew_when_the_data_changed_and_only_then(face_folder: Path) -> None:
    first = packed(face_folder).path.stat().st_mtime_ns
    assert packed(face_folder).path.stat().st_mtime_ns == first
    cv2.imwrite(str(face_folder / "labels" / "face0.png"), np.full((128, 128), 14, np.uint8))
    assert packed(face_folder).presence[0, 14]
    path = face_folder / "pack.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert len(packed(face_folder)) == 4, "a damaged pack is no obstacle"


def test_hair_labels_speak_of_hair_alone(face_folder: Path) -> None:
    pack = packed(face_folder, FaceSet(), FaceSet(split="val", labels="hair", only="face5"))
    assert pack.set_of.tolist() == [0, 0, 0, 0, 1]
    assert set(np.unique(pack[4].label)) == {13, NOT_HAIR}
    assert not pack.presence[4].any()
    assert pack.frequency[0] > 0, "what is not hair does not count as background"
    assert pack.frequency[0] == pytest.approx(packed(face_folder).frequency[0])


def test_what_a_set_is_not_asked_about_is_unknown(face_folder: Path) -> None:
    plain = packed(face_folder, FaceSet(only="face0"))[0].label.copy()
    shown = np.unique(plain)
    assert {1, 2} <= set(shown.tolist())
    label = packed(face_folder, FaceSet(only="face0", ignore=("nose",)))[0].label
    assert (label[plain == 2] == IGNORE).all()
    assert np.array_equal(label[plain != 2], plain[plain != 2])


def test_all_bad_files_of_all_sets_are_named(face_folder: Path) -> None:
    (face_folder / "images" / "face0.jpg").unlink()
    (face_folder / "labels" / "face5.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        packed(face_folder, FaceSet(), FaceSet(split="val"))
    assert "images/face0.jpg" in str(caught.value)
    assert "labels/face5.png" in str(caught.value)
    assert not (face_folder / "pack.safetensors").exists()
    with pytest.raises(DataError, match="elsewhere: no folder labels/"):
        packed(face_folder, FaceSet("elsewhere"))
    with pytest.raises(DataError, match="empty of nobody"):
        packed(face_folder, FaceSet(only="nobody*"))


def test_augmented_faces_depend_on_seed_epoch_and_place_alone(face_folder: Path) -> None:
    pack = packed(face_folder)
    dataset = AugmentedFaces(pack, 48, Augmentation(), seed=1)
    image, label = dataset[(2, 0, 3)]
    again, label_again = AugmentedFaces(pack, 48, Augmentation(), seed=1)[(2, 0, 3)]
    assert image.shape == (48, 48, 3)
    assert np.array_equal(image, again)
    assert np.array_equal(label, label_again)
    assert not np.array_equal(image, dataset[(3, 0, 3)][0])
    assert not np.array_equal(image, dataset[(2, 1, 3)][0]), "a repeated face looks different"
    assert not np.array_equal(image, AugmentedFaces(pack, 48, Augmentation(), seed=2)[(2, 0, 3)][0])


def drawn(
    pack: Pack, sets: tuple[FaceSet, ...], rare: float = 0.0, epoch: int = 0, size: int = 1
) -> list[int]:
    return [index for batch in batches(pack, sets, rare, size, epoch, 0) for _, _, index in batch]


def test_an_epoch_draws_from_each_set_what_it_asks_for(face_folder: Path) -> None:
    sets = (FaceSet(), FaceSet(split="val", samples=5))
    pack = packed(face_folder, *sets)
    indices = drawn(pack, sets)
    assert sorted(indices)[:4] == [0, 1, 2, 3], "each face once"
    assert sorted(indices.count(index) for index in (4, 5)) == [2, 3], "no face twice before all were drawn"
    assert indices == drawn(pack, sets)
    assert indices != drawn(pack, sets, epoch=1)
    whole = batches(pack, sets, 0.0, 4, 0, 0)
    assert [len(batch) for batch in whole] == [4, 4], "a short last batch is dropped"
    assert len(batches(pack, sets[:1], 0.0, 16, 0, 0)) == 1, "fewer faces than a batch are one batch"


def test_faces_with_rare_classes_come_more_often(face_folder: Path) -> None:
    label = cv2.imread(str(face_folder / "labels" / "face2.png"), cv2.IMREAD_GRAYSCALE)
    assert label is not None
    label[:20] = 14
    cv2.imwrite(str(face_folder / "labels" / "face2.png"), label)
    sets = (FaceSet(samples=4000),)
    indices = drawn(packed(face_folder), sets, rare=1.0)
    # Shown by one face of four: drawn sqrt(1 / 0.25) = 2 times as often as the others.
    assert indices.count(2) == pytest.approx(1600, abs=2)
    assert indices.count(0) == pytest.approx(800, abs=2)


def test_names_that_are_held_out_are_not_read(face_folder: Path) -> None:
    names = read_split(face_folder, "train")
    faces = load_faces(face_folder, FaceSet(without=(names[1],)), 64)
    assert faces.names == [names[0], *names[2:]]
    with pytest.raises(DataError, match="held out, but not there: nobody"):
        load_faces(face_folder, FaceSet(without=("nobody",)), 64)


def test_wide_photos_are_enlarged_to_the_framing_of_the_others(face_folder: Path) -> None:
    def seen(frames: float) -> npt.NDArray[np.uint8]:
        pack = pack_faces(face_folder / f"{frames}.safetensors", [face_folder], [FaceSet(frames=frames)], 64)
        still = Augmentation(0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        labels = [AugmentedFaces(pack, 64, still, 0)[0, place, 0][1] for place in range(6)]
        # Not one with black bars, which are known to be nobody's.
        return max(labels, key=lambda label: float((label == 255).mean()))

    photo, wide = seen(1.0), seen(2.0)
    # A photo of one frame fills a quarter of two frames; beyond it nothing is known.
    assert (photo != 255).mean() == pytest.approx(0.25, abs=0.03)
    assert (wide != 255).mean() > 0.9
    assert (photo[16:48, 16:48][::2, ::2] == wide[::4, ::4]).mean() > 0.5


def test_only_photos_of_one_framing_lend_each_other(face_folder: Path) -> None:
    sets = (FaceSet(), FaceSet(frames=2.0))
    pack = pack_faces(face_folder / "two.safetensors", [face_folder], sets, 64)
    assert set(pack.shown_by("skin", 1.0)) == set(range(4))
    assert set(pack.shown_by("skin", 2.0)) == set(range(4, 8))

from __future__ import annotations

import numpy as np
import pytest

from stn_icnn.labels import CLASS_ID
from training.augment import Augmentation, Sample
from training.mixing import mix, recolour, stand_before, wear

SIDE = 128
PINK = (200, 20, 160)
SKIN, HAIR, NECK, CLOTH = (CLASS_ID[name] for name in ("skin", "hair", "neck", "cloth"))


def seeds() -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(12)]


def person(tone: int = 150) -> Sample:
    """Return a head with hair, ears, eyes and a mouth, its neck and a collar, before a background."""
    label = np.zeros((SIDE, SIDE), np.uint8)
    label[10:70, 30:98] = HAIR
    label[90:, 50:78] = NECK
    label[115:, 20:108] = CLOTH
    label[30:95, 40:88] = SKIN
    label[55:70, 34:40] = CLASS_ID["r_ear"]
    label[55:70, 88:94] = CLASS_ID["l_ear"]
    label[50:54, 48:58] = CLASS_ID["r_eye"]
    label[50:54, 70:80] = CLASS_ID["l_eye"]
    label[80:86, 56:72] = CLASS_ID["l_lip"]
    image = np.full((SIDE, SIDE, 3), tone, np.uint8)
    image[label == 0] = 40
    image[label == HAIR] = (90, 60, 30)
    return Sample(image, label)


def wearing(thing: str) -> Sample:
    """Return a person who wears a thing, painted in a colour that nothing else has."""
    image, label = person()
    where = {
        "hat": (slice(2, 34), slice(26, 102)),
        "eye_g": (slice(46, 58), slice(44, 84)),
        "ear_r": (slice(70, 80), slice(35, 40)),
        "neck_l": (slice(104, 108), slice(52, 76)),
        "cloth": (slice(108, SIDE), slice(8, 120)),
        "hair": (slice(6, 104), slice(22, 106)),
    }[thing]
    if thing == "eye_g":
        # The eyes are seen through the glasses.
        eyes = np.isin(label, (CLASS_ID["l_eye"], CLASS_ID["r_eye"]))
        label[where] = np.where(eyes[where], label[where], CLASS_ID[thing])
    elif thing == "hair":
        # Long, and open before the face and the neck.
        hair = np.isin(label, (0, HAIR))[where]
        label[where] = np.where(hair, HAIR, label[where])
        image[where][hair] = PINK
        return Sample(image, label)
    else:
        label[where] = CLASS_ID[thing]
    image[where] = PINK
    return Sample(image, label)


@pytest.mark.parametrize("thing", ["hat", "eye_g", "ear_r", "neck_l"])
def test_what_a_donor_wears_is_worn_where_it_belongs(thing: str) -> None:
    donor, worn_by = wearing(thing), person()
    before = Sample(worn_by.image.copy(), worn_by.label.copy())
    shares, places = [], []
    for rng in seeds():
        image, label = wear(worn_by, donor, thing, rng)
        worn = label == CLASS_ID[thing]
        shares.append(worn.mean() / (donor.label == CLASS_ID[thing]).mean())
        places.append(np.argwhere(worn).mean(axis=0))
        # Nothing changes but where it lies, and a soft edge around that.
        changed = np.argwhere((image != worn_by.image).any(axis=2))
        low, high = np.argwhere(label != worn_by.label).min(axis=0), np.argwhere(worn).max(axis=0)
        assert (changed >= low - 4).all()
        assert (changed <= high + 4).all()
        assert image.dtype == label.dtype == np.uint8
    assert 0.5 < np.mean(shares) < 1.5
    offset = np.mean(places, axis=0) - np.argwhere(donor.label == CLASS_ID[thing]).mean(axis=0)
    assert np.abs(offset).max() < 4.0
    assert np.array_equal(worn_by.image, before.image)
    assert np.array_equal(worn_by.label, before.label)


def test_clothes_go_over_clothes_neck_and_background() -> None:
    donor, face = wearing("cloth"), person()
    for rng in seeds():
        image, label = wear(face, donor, "cloth", rng)
        new = (label == CLOTH) & (face.label != CLOTH)
        assert new.sum() > 200, "wider ones reach further"
        assert np.isin(face.label[label != face.label], (0, NECK)).all()
        assert ((label == CLOTH) | (face.label != CLOTH)).all(), "nobody loses what they wear"
        pink = np.abs(image.astype(int) - face.image).max(axis=2) > 60
        assert (label[pink] == CLOTH).mean() > 0.9
        assert pink.sum() > 0.5 * (donor.label == CLOTH).sum()


def test_a_wig_covers_ears_and_leaves_the_inner_face_and_a_hat() -> None:
    donor, face = wearing("hair"), wearing("hat")
    face.label[45:48, 46:60] = CLASS_ID["r_brow"]
    kept = [CLASS_ID[name] for name in ("hat", "l_eye", "r_eye", "l_lip", "r_brow")]
    ears = [CLASS_ID[name] for name in ("l_ear", "r_ear")]
    for rng in seeds():
        label = wear(face, donor, "hair", rng).label
        assert np.array_equal(np.isin(label, kept), np.isin(face.label, kept))
        assert (label == HAIR).sum() > 1.5 * (face.label == HAIR).sum()
        assert np.isin(label, ears).sum() < np.isin(face.label, ears).sum()


def test_eyes_are_seen_through_glasses() -> None:
    for rng in seeds():
        label = wear(person(), wearing("eye_g"), "eye_g", rng).label
        for eye in ("l_eye", "r_eye"):
            assert (label == CLASS_ID[eye]).any()


def test_hair_does_not_stand_above_a_hat() -> None:
    for rng in seeds():
        label = wear(person(), wearing("hat"), "hat", rng).label
        for column in range(45, 84):
            hat = np.flatnonzero(label[:, column] == CLASS_ID["hat"])
            assert not (label[: hat[0], column] == HAIR).any()


def test_a_thing_hides_neither_mouth_nor_nose_and_is_not_worn_twice() -> None:
    low = wearing("hat")
    low.label[34:60, 26:102] = CLASS_ID["hat"]
    head = person()
    assert wear(head, low, "hat", np.random.default_rng(0)) is head, "a hat over the eyes does not fit"
    wearer = wearing("eye_g")
    assert wear(wearer, wearing("eye_g"), "eye_g", np.random.default_rng(0)) is wearer
    for rng in seeds():
        label = wear(head, wearing("hat"), "hat", rng).label
        assert (label == CLASS_ID["l_lip"]).sum() == (head.label == CLASS_ID["l_lip"]).sum()


def test_an_earring_hangs_from_the_lobe_of_its_side() -> None:
    donor, low = wearing("ear_r"), person()
    # This one's ears reach 6 pixels lower.
    low.label[70:76, 34:40] = CLASS_ID["r_ear"]
    tops = []
    for rng in seeds():
        label = wear(low, donor, "ear_r", rng).label
        rows, columns = np.nonzero(label == CLASS_ID["ear_r"])
        assert columns.max() < SIDE // 2
        tops.append(rows.min())
    assert abs(np.mean(tops) - 76) < 2.0
    earless = person()
    earless.label[earless.label == CLASS_ID["r_ear"]] = HAIR
    assert not (wear(earless, donor, "ear_r", np.random.default_rng(0)).label == CLASS_ID["ear_r"]).any()


def test_a_face_stands_before_another_background() -> None:
    face, donor = person(), person()
    donor.image[donor.label == 0] = (10, 200, 10)
    for rng in seeds():
        image, label = stand_before(face, donor, rng)
        assert np.array_equal(label, face.label)
        behind = image[(label == 0) & (donor.label == 0)]
        # But for the softened edge it is the donor's.
        assert np.mean(np.abs(behind.astype(int) - (10, 200, 10)).max(axis=1) < 12) > 0.85
        inner = face.label == CLASS_ID["l_eye"]
        assert np.array_equal(image[inner], face.image[inner])


def test_where_the_donor_stood_its_background_goes_on() -> None:
    slim, donor = person(), person()
    slim.label[:, 20:50] = 0
    donor.image[donor.label == 0] = (10, 200, 10)
    donor.image[donor.label != 0] = (250, 0, 0)
    image = stand_before(slim, donor, np.random.default_rng(1)).image
    uncovered = image[40:90, 25:46].reshape(-1, 3)
    assert (uncovered[:, 0] < 60).all(), "nothing of the donor is left"
    assert uncovered[:, 1].mean() > 150


def test_colours_change_and_labels_stay() -> None:
    face = person()
    touched = set()
    for seed in range(40):
        image, label = recolour(face, np.random.default_rng(seed))
        assert np.array_equal(label, face.label)
        difference = np.abs(image.astype(int) - face.image).max(axis=2)
        touched |= set(np.unique(face.label[difference > 20]).tolist())
        assert difference[face.label == CLASS_ID["l_eye"]].max() == 0
    assert {0, HAIR, CLOTH} <= touched


def test_where_hair_alone_is_labelled_nothing_is_worn() -> None:
    image, label = person()
    partly = Sample(image, np.where(label == HAIR, HAIR, 254).astype(np.uint8))
    always = Augmentation(wear=1.0, backdrop=1.0, recolour=1.0)
    assert all(mix(partly, always, lambda *_: wearing("hat"), rng) is partly for rng in seeds())


def test_mixing_follows_its_probabilities() -> None:
    head, hat = person(), wearing("hat")

    def borrow(name: str, _: np.random.Generator) -> Sample | None:
        return hat if name == "hat" else None

    never = Augmentation()
    assert all(mix(head, never, borrow, rng) is head for rng in seeds())
    often = Augmentation(wear=1.0)
    worn = [
        bool((mix(head, often, borrow, np.random.default_rng(seed)).label == CLASS_ID["hat"]).any())
        for seed in range(200)
    ]
    assert 0.15 < np.mean(worn) < 0.35, "a quarter of what is worn is hats"

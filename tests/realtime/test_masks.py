"""Mask files: every format says the same, other programs read them, and nothing half-done is left."""

from __future__ import annotations

import json
import resource
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from realtime.app.config import RunConfig
from realtime.effects.overlay import Overlay
from realtime.errors import SinkError, SourceError
from realtime.frames import Frame, ParsedFace, RenderedFrame
from realtime.frames.geometry import Alignment
from realtime.masks import FORMATS, MaskFrame, read, read_info, rle
from realtime.masks.labels import frame_labels, label_ids
from realtime.media import SourceInfo
from realtime.sinks import MaskSink
from run_webcam import main
from stn_icnn.labels import CLASSES, PALETTE
from tests.conftest import Image, VideoMaker, times
from tests.realtime.faces import HEAD, parsed_face

SIZE = (121, 163)
BASE = Fraction(1, 90000)
INFO = SourceInfo("clip.mp4", SIZE[1], SIZE[0], Fraction(30), BASE)
PTS = [Fraction(7, 90000), Fraction(3010, 90000), Fraction(3011, 90000), Fraction(1, 3)]


def soft_face(x: float, y: float, side: float, track: int, roll: float = 0.3) -> ParsedFace:
    """A face with soft edges, as networks give them."""
    face = parsed_face(HEAD, SIZE, Alignment((x, y), side, roll, 1.2), 128)
    blurred = np.stack([cv2.GaussianBlur(plane, (0, 0), 3.0) for plane in face.probabilities])
    return replace(face, probabilities=blurred, track_id=track)


def rendered(index: int, faces: tuple[ParsedFace, ...], pts: Fraction) -> RenderedFrame:
    frame = Frame(np.zeros((*SIZE, 3), np.uint8), 2 * index, pts, 0.0, Fraction(1, 30))
    # What is shown may be of another size, as beside --compare.
    return RenderedFrame(frame, np.zeros((SIZE[0], 2 * SIZE[1], 3), np.uint8), None, faces)


@pytest.fixture(scope="module")
def film() -> list[RenderedFrame]:
    """Two faces that overlap, one that leaves the picture, none, and one."""
    near, far = soft_face(60, 60, 120, 1), soft_face(110, 50, 70, 2, -0.2)
    out = soft_face(5, 100, 90, 3, 2.0)
    return [rendered(i, f, PTS[i]) for i, f in enumerate([(near, far), (near, out), (), (far,)])]


def write(film: Iterable[RenderedFrame], folder: Path, kind: str) -> Path:
    sink = MaskSink(folder, kind, INFO)
    assert all(sink.write(frame) for frame in film)
    sink.close()
    return folder


def labels_of(frame: RenderedFrame) -> Image:
    return frame_labels(frame.faces, SIZE)[0]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_to_the_pipelines_labels(
    kind: str, film: list[RenderedFrame], tmp_path: Path
) -> None:
    found = list(read(write(film, tmp_path / "masks", kind)))
    assert len(found) == len(film)
    for number, (frame, parsed) in enumerate(zip(found, film, strict=True)):
        assert np.array_equal(frame.labels, labels_of(parsed))
        assert frame.labels.dtype == np.uint8
        assert (frame.number, frame.index, frame.pts) == (number, 2 * number, PTS[number])
        assert frame.duration == Fraction(1, 30)
        assert [face.track_id for face in frame.faces] == [face.track_id for face in parsed.faces]
        for face, known in zip(frame.faces, parsed.faces, strict=True):
            assert face.alignment == known.alignment
            assert face.detection.score == pytest.approx(known.score, abs=1e-4)
            assert face.detection.box == pytest.approx(known.box, abs=0.01)
    assert len(set(np.unique(found[0].labels))) >= 10, "the film shows many classes"
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


def test_the_nearest_face_lies_on_top(film: list[RenderedFrame]) -> None:
    near, far = film[0].faces
    labels, owners = frame_labels((near, far), SIZE)
    both = (near.label_map() != 0) & (far.label_map() != 0)
    assert both.sum() > 50
    assert (owners[both] == 1).all()
    assert np.array_equal(labels[owners == 1], near.label_map()[owners == 1])
    assert np.array_equal(labels[owners == 2], far.label_map()[owners == 2])
    assert not labels[owners == 0].any()


@pytest.mark.parametrize(
    "place", [(60.0, 60.0, 120.0, 0.3), (5.0, 100.0, 90.0, 2.0), (80.0, 60.0, 500.0, 0.0)]
)
def test_labels_are_those_of_the_likeliest_class(place: tuple[float, float, float, float]) -> None:
    x, y, side, roll = place
    face = soft_face(x, y, side, 1, roll)
    planes = np.stack([face.sample(p, slice(0, SIZE[0]), slice(0, SIZE[1])) for p in face.probabilities])
    expected = np.where(planes.max(axis=0) > 0, planes.argmax(axis=0), 0)
    second, first = np.sort(planes, axis=0)[-2:]
    clear = first - second > 0.02
    assert clear.mean() > 0.1
    assert np.array_equal(face.label_map()[clear], expected[clear])


def test_png_is_indexed_for_other_programs(film: list[RenderedFrame], tmp_path: Path) -> None:
    folder = write(film, tmp_path / "masks", "png")
    with Pillow.open(folder / "000001.png") as picture:
        assert picture.mode == "P"
        palette = picture.getpalette()
        assert palette is not None
        assert palette[: PALETTE.size] == PALETTE.ravel().tolist()
        assert np.array_equal(np.asarray(picture), labels_of(film[1]))


def test_npz_needs_numpy_alone(film: list[RenderedFrame], tmp_path: Path) -> None:
    folder = write(film, tmp_path / "masks", "npz")
    with np.load(folder / "000000.npz", allow_pickle=False) as data:
        assert sorted(data) == ["classes", "labels", "probabilities", "to_image", "track_ids"]
        assert data["probabilities"].shape == (2, 19, 128, 128)
        assert data["probabilities"].dtype == np.uint8
        assert data["track_ids"].tolist() == [1, 2]
        face = film[0].faces[0]
        assert np.allclose(data["to_image"][0], face.alignment.to_image(128))
        skin = data["probabilities"][0, data["classes"].tolist().index(1)] / 255.0
        warped = cv2.warpAffine(skin.astype(np.float32), data["to_image"][0], SIZE[::-1])
        assert np.abs(warped - face.probability("skin")).max() < 0.03
    with np.load(folder / "000002.npz", allow_pickle=False) as data:
        assert len(data["probabilities"]) == len(data["to_image"]) == 0
        assert not data["labels"].any()


def test_npz_gives_faces_back_that_parse_alike(film: list[RenderedFrame], tmp_path: Path) -> None:
    frame = next(read(write(film, tmp_path / "masks", "npz")))
    for face, known in zip(frame.faces, film[0].faces, strict=True):
        assert face.parsed is not None
        assert np.abs(face.parsed.probabilities - known.probabilities).max() <= 0.5 / 255 + 1e-6
        assert (face.parsed.label_map() != known.label_map()).mean() < 0.002


def test_npz_holds_the_head_too_where_it_was_seen(film: list[RenderedFrame], tmp_path: Path) -> None:
    near, far = film[0].faces
    faces = tuple(
        replace(face, head=soft_face(*place, seed, 0.0).probabilities[:, ::4, ::4])
        for face, place, seed in ((near, (60, 60, 120), 5), (far, (60, 60, 120), 6))
    )
    folder = write([replace(film[0], faces=faces), film[2]], tmp_path / "masks", "npz")
    with np.load(folder / "000000.npz", allow_pickle=False) as data:
        assert data["head_probabilities"].shape == (2, 19, 32, 32)
        assert np.allclose(data["head_to_image"][0], near.alignment.widened(2).to_image(32))
    first, second = read(folder)
    assert not second.faces
    for face, known in zip(first.faces, faces, strict=True):
        assert face.parsed is not None
        assert face.parsed.head is not None
        assert known.head is not None
        assert np.abs(face.parsed.head - known.head).max() <= 0.5 / 255 + 1e-6


def test_pycocotools_reads_the_same_masks(film: list[RenderedFrame], tmp_path: Path) -> None:
    folder = write(film, tmp_path / "masks", "coco")
    coco = COCO(str(folder / "coco.json"))
    assert {i: c["name"] for i, c in coco.cats.items()} == dict(enumerate(CLASSES[1:], 1))
    assert [image["pts"] for image in coco.imgs.values()] == [str(pts) for pts in PTS]
    assert 0 not in coco.anns
    for number, frame in enumerate(film):
        labels, owners = frame_labels(frame.faces, SIZE)
        again = np.zeros(SIZE, np.uint8)
        for note in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
            owner = [face.track_id for face in frame.faces].index(note["track_id"]) + 1
            mask = coco.annToMask(note)
            assert np.array_equal(mask, (labels == note["category_id"]) & (owners == owner))
            assert note["area"] == mask.sum() == coco_mask.area(note["segmentation"])
            assert note["bbox"] == coco_mask.toBbox(note["segmentation"]).tolist()
            again[mask > 0] = note["category_id"]
        assert np.array_equal(again, labels)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.3, 0.9, 1.0])
)
def test_run_lengths_are_pycocotools_own(height: int, width: int, seed: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    runs = rle.class_runs(mask.astype(np.uint32))
    if not mask.any():
        assert runs == {}
        return
    counts = rle.counts_of(*runs[1], mask.size)
    theirs = coco_mask.encode(np.asfortranarray(mask))
    assert rle.pack(counts) == theirs["counts"].decode()
    assert np.array_equal(rle.unpack(rle.pack(counts)), counts)
    assert list(rle.box_of(*runs[1], height)) == coco_mask.toBbox(theirs).tolist()
    again = np.zeros_like(mask)
    rle.paint(again, counts, 1)
    assert np.array_equal(again, mask)


def test_run_lengths_of_a_large_picture() -> None:
    mask = np.zeros((4320, 7680), np.uint8)
    mask[4000:, 7000:7300] = 1
    mask[3, 5] = 1
    counts = rle.counts_of(*rle.class_runs(mask.astype(np.uint32))[1], mask.size)
    theirs = coco_mask.encode(np.asfortranarray(mask))
    assert rle.pack(counts) == theirs["counts"].decode()
    assert np.array_equal(rle.unpack(rle.pack(counts)), counts)


@pytest.mark.parametrize("text", ["", "P", "0" * 5 + "~", "P" * 20 + "0"])
def test_what_is_no_run_lengths_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no run lengths"):
        rle.unpack(text)


def test_the_alpha_video_holds_the_alpha_of_painting(film: list[RenderedFrame], tmp_path: Path) -> None:
    folder = write(film, tmp_path / "masks", "alpha")
    frames = list(read(folder))
    alpha = frames[3].alpha
    assert alpha is not None
    expected = np.zeros(SIZE, np.float32)
    found = film[3].faces[0].alpha(CLASSES[1:])
    assert found is not None
    expected[found.region] = found.alpha
    assert np.abs(alpha / 255.0 - expected).max() <= 0.5 / 255 + 1e-6
    assert ((alpha > 20) & (alpha < 235)).mean() > 0.01, "soft edges"
    assert frames[2].alpha is not None
    assert not frames[2].alpha.any()
    assert times(folder / "alpha.mov") == PTS


def test_every_class_has_a_colour_of_its_own() -> None:
    assert np.array_equal(label_ids(PALETTE[None]), np.arange(len(CLASSES), dtype=np.uint8)[None])
    with pytest.raises(ValueError, match="no class"):
        label_ids(np.full((1, 1, 3), 7, np.uint8))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_ended_early_leaves_masks_that_read(
    kind: str, film: list[RenderedFrame], tmp_path: Path
) -> None:
    sink = MaskSink(tmp_path / "masks", kind, INFO)
    for frame in film[:2]:
        sink.write(frame)
    sink.close(whole=False)
    assert len(list(read(tmp_path / "masks"))) == 2
    assert not read_info(tmp_path / "masks").whole


@pytest.mark.parametrize("kind", FORMATS)
def test_a_failed_run_leaves_nothing(kind: str, film: list[RenderedFrame], tmp_path: Path) -> None:
    sink = MaskSink(tmp_path / "masks", kind, INFO)
    sink.write(film[0])
    sink.abort()
    assert list(tmp_path.iterdir()) == []
    sink = MaskSink(tmp_path / "masks", kind, INFO)
    sink.close()
    assert list(tmp_path.iterdir()) == [], "without a frame there is nothing to keep"


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """Let the system refuse to make files larger than so many bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [300, 2500])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_told_and_leaves_nothing(
    kind: str, limit: int, film: list[RenderedFrame], tmp_path: Path
) -> None:
    sink = MaskSink(tmp_path / "masks", kind, INFO)

    def all_of_it() -> None:
        try:
            for frame in film * 30:
                sink.write(frame)
            sink.close()
        except SinkError:
            sink.abort()
            raise

    with small_disk(limit), pytest.raises(SinkError, match=r"masks: cannot be (written|finished)"):
        all_of_it()
    assert list(tmp_path.iterdir()) == []


def test_masks_in_the_way_are_refused_or_replaced(film: list[RenderedFrame], tmp_path: Path) -> None:
    folder = write(film[:1], tmp_path / "masks", "png")
    with pytest.raises(SinkError, match="is not empty; give a new folder"):
        MaskSink(folder, "png", INFO)
    sink = MaskSink(folder, "coco", INFO, replace=True)
    for frame in film:
        sink.write(frame)
    assert len(list(read(folder))) == 1, "the old ones stay until the new ones are whole"
    sink.close()
    assert len(list(read(folder))) == len(film)
    assert not list(folder.glob("*.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    other = tmp_path / "holiday"
    other.mkdir()
    (other / "photo.jpg").touch()
    with pytest.raises(SinkError, match="is not empty"):
        MaskSink(other, "png", INFO, replace=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    write(film, empty, "png")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {"png": "000001.png", "npz": "000001.npz", "coco": "coco.json", "alpha": "alpha.mov"}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("what", ["format", "frames.jsonl", "masks.json"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_damaged_masks_are_told(
    kind: str, what: str, how: str, film: list[RenderedFrame], tmp_path: Path
) -> None:
    folder = write(film, tmp_path / "masks", kind)
    path = folder / (DAMAGE[kind] if what == "format" else what)
    if how == "cut":
        _cut(path)
    else:
        path.unlink()
    with pytest.raises(SourceError, match="masks"):
        list(read(folder))


def test_masks_of_another_version_are_refused(film: list[RenderedFrame], tmp_path: Path) -> None:
    folder = write(film, tmp_path / "masks", "png")
    data = json.loads((folder / "masks.json").read_text())
    (folder / "masks.json").write_text(json.dumps({**data, "format": "stn-icnn-masks-9"}))
    with pytest.raises(SourceError, match="another version"):
        read(folder)
    with pytest.raises(SourceError, match="no folder of masks"):
        read(tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
def test_memory_does_not_grow_with_the_film(kind: str, film: list[RenderedFrame], tmp_path: Path) -> None:
    def peak(name: str, count: int) -> int:
        tracemalloc.start()
        write((rendered(i, faces, Fraction(i, 30)) for i in range(count)), tmp_path / name, kind)
        for _ in read(tmp_path / name):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    faces = film[0].faces
    peak("warm", 2)
    assert peak("long", 80) < peak("short", 8) + 200_000


@pytest.mark.parametrize("kind", ["png", "alpha"])
def test_a_video_gives_masks_beside_its_output(kind: str, make_video: VideoMaker, tmp_path: Path) -> None:
    source, out = make_video(frames=4, times=[0, 3000, 7000, 9001]), tmp_path / "out.mp4"
    args = ["--source", str(source), "--masks", str(tmp_path / "masks"), "--mask-format", kind]
    assert main([*args, "--output", str(out), "--compare"]) == 0
    frames = list(read(tmp_path / "masks"))
    assert [frame.pts for frame in frames] == times(source) == times(out)
    assert [frame.labels.shape for frame in frames] == [(240, 320)] * 4
    check_portrait(frames)
    info = read_info(tmp_path / "masks")
    assert (info.kind, info.source, info.frames, info.whole) == (kind, "clip.mp4", 4, True)


def check_portrait(frames: list[MaskFrame]) -> None:
    for frame in frames:
        assert len(frame.faces) == 1
        x0, y0, x1, y1 = (round(v) for v in frame.faces[0].detection.box)
        face = frame.labels[y0:y1, x0:x1]
        assert (face == CLASSES.index("skin")).mean() > 0.3
        assert (face == CLASSES.index("nose")).any()
    assert len({frame.faces[0].track_id for frame in frames}) == 1


def test_masks_alone_need_no_other_output(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "masks"
    assert main(["--source", str(make_video(frames=3)), "--masks", str(folder), "--max-frames", "2"]) == 0
    assert f"wrote {folder}" in capsys.readouterr().out
    assert len(list(read(folder))) == 2
    assert read_info(folder).kind == "png"
    assert not read_info(folder).whole


def test_nothing_is_painted_that_nobody_sees(tmp_path: Path) -> None:
    alone = RunConfig(source="demo", masks=tmp_path / "masks")
    assert alone.parsed_effects == ()
    assert not alone.shows_window
    assert replace(alone, output=tmp_path / "out.mp4").parsed_effects == (Overlay(),)
    assert replace(alone, display=True).parsed_effects == (Overlay(),)
    assert replace(alone, effects=("lips",)).parsed_effects != ()


def test_the_demo_and_a_photo_give_masks_too(tmp_path: Path, portrait: Image) -> None:
    photo = tmp_path / "photo.jpg"
    cv2.imwrite(str(photo), portrait[..., ::-1])
    assert main(["--source", str(photo), "--masks", str(tmp_path / "still"), "--mask-format", "npz"]) == 0
    check_portrait(list(read(tmp_path / "still")))
    demo = ["--source", "demo", "--max-frames", "3", "--masks", str(tmp_path / "demo")]
    assert main([*demo, "--mask-format", "coco"]) == 0
    check_portrait(list(read(tmp_path / "demo")))


def test_a_folder_of_videos_gives_a_folder_of_masks_each(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("a.mp4", "b.mkv"):
        make_video(name, frames=2).rename(clips / name)
    (clips / "c.mp4").write_text("This is no video.\n" * 50)
    args = ["--source", str(clips), "--masks", str(tmp_path / "masks")]
    assert main(args) == 1
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.mp4", "b.mkv"]
    for name in ("a.mp4", "b.mkv"):
        check_portrait(list(read(tmp_path / "masks" / name)))
    capsys.readouterr()
    assert main(args) == 1
    assert capsys.readouterr().err.count("is not empty; give a new folder for the masks") == 2


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--mask-format", "png"], 2, "--mask-format without --masks"),
        (["--masks", "m", "--output", "o.mp4", "--resume"], 2, "--resume and --masks do not go together"),
        (["--masks", "o.mp4", "--output", "o.mp4"], 2, "--masks needs a folder of its own"),
        (["--masks", "full"], 1, "full: is not empty; give a new folder for the masks, or empty it"),
        (["--masks", "clip.mp4"], 1, "clip.mp4: is a file; give a folder for the masks"),
        (["--masks", "none/m"], 1, "no such folder none"),
    ],
)
def test_bad_requests_get_one_line(
    flags: list[str],
    code: int,
    message: str,
    make_video: VideoMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_video(frames=2).parent
    monkeypatch.chdir(folder)
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()
    before = sorted(folder.rglob("*"))
    assert main(["--source", "clip.mp4", "--no-display", *flags]) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("engine: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert sorted(folder.rglob("*")) == before

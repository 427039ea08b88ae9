"""Files go in and come out with every frame at its time and every other track as it was."""

from __future__ import annotations

import hashlib
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import realtime.app.run
from realtime.media.light import hdr_of
from run_webcam import main
from tests.conftest import Image, times
from tests.realtime.clips import CLIPS, Clip, write
from tests.realtime.standin import STAND_INS

NAMES = [clip.name for clip in CLIPS]
BY_NAME = dict(zip(NAMES, CLIPS, strict=True))


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stand_in in STAND_INS.items():
        monkeypatch.setattr(realtime.app.run, name, stand_in)


def convert(source: Path, out: Path, *flags: str) -> int:
    return main(["--source", str(source), "--output", str(out), "--effect", "lips", *flags])


def tracks(path: Path, kind: str) -> list[tuple[str, str, list[Fraction]]]:
    """Of each track of a kind: codec, MD5 of all its packets, their times."""
    found = []
    with av.open(str(path)) as container:
        count = len(getattr(container.streams, kind))
    for number in range(count):
        # Opened anew: a seek to the start may leave out what lies before zero.
        with av.open(str(path)) as container:
            stream = getattr(container.streams, kind)[number]
            packets = [packet for packet in container.demux(stream) if packet.size]
            digest = hashlib.md5(b"".join(bytes(packet) for packet in packets)).hexdigest()
            starts = [Fraction(p.pts or 0) * Fraction(p.time_base or 1) for p in packets]
            found.append((stream.codec_context.codec.canonical_name, digest, starts))
    return found


def seconds(path: Path) -> float:
    """Until the video's last frame is over."""
    with av.open(str(path)) as container:
        *_, last = container.decode(video=0)
        return float(((last.pts or 0) + (last.duration or 0)) * Fraction(last.time_base or 1))


def first_picture(path: Path) -> Image:
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def ending_for(clip: Clip) -> str:
    ending = Path(clip.name).suffix
    return ending if ending in (".mp4", ".mov", ".mkv", ".webm") else ".mp4"


@pytest.mark.parametrize("name", NAMES)
def test_frames_times_and_tracks_are_kept(name: str, tmp_path: Path) -> None:
    clip = BY_NAME[name]
    source, out = write(clip, tmp_path), tmp_path / f"out{ending_for(clip)}"
    assert convert(source, out) == 0
    expected = list(clip.expected) if clip.expected else times(source)
    assert times(out) == expected
    before, after = tracks(source, "audio"), tracks(out, "audio")
    assert len(before) == len(clip.audio)
    assert [track[:2] for track in after] == [track[:2] for track in before]
    for old, new in zip(before, after, strict=True):
        assert all(abs(a - b) < 0.0005 for a, b in zip(old[2], new[2], strict=True))
    if ending_for(clip) == source.suffix:
        assert [t[:2] for t in tracks(out, "subtitles")] == [t[:2] for t in tracks(source, "subtitles")]
    if clip.expected is None:
        assert abs(seconds(out) - seconds(source)) <= 1 / float(clip.rate) + 1e-6
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({source.name, out.name})


def test_a_video_that_was_trimmed_by_its_edit_list_is_whole(tmp_path: Path) -> None:
    clip = Clip("trimmed.mp4", list(range(60)), options={"g": "5", "bf": "0"}, audio=["aac"])
    source, out = write(clip, tmp_path), tmp_path / "out.mp4"
    data = bytearray(source.read_bytes())
    place = data.index(b"elst") + 12
    # From frame 20 on, half a second long.
    data[place : place + 8] = struct.pack(">Ii", 45000, 20 * 512)
    source.write_bytes(data)
    assert convert(source, out) == 0
    assert times(out) == times(source) == [Fraction(i, 30) for i in range(15)]


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_broken_times_of_sound_are_mended(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(BY_NAME["late.mkv"], tmp_path)
    source, out = tmp_path / "bad.mkv", tmp_path / f"out{ending}"
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(good)) as old, av.open(str(source), "w", container_options=options) as new:
        copies = [new.add_stream_from_template(stream) for stream in old.streams]
        for count, packet in enumerate(p for p in old.demux() if p.size):
            packet.stream = copies[packet.stream_index]
            if packet.stream.type == "audio":
                # Rising decoding times let it pass; the file keeps the others alone.
                packet.dts = count - 1000
                packet.pts = 100 if count % 5 == 0 else packet.pts
            new.mux(packet)
    assert convert(source, out) == 0
    assert times(out) == times(good)
    (before,), (after,) = tracks(source, "audio"), tracks(out, "audio")
    assert before[2] != sorted(before[2])
    assert after[1] == before[1]
    assert after[2] == sorted(after[2])
    assert "track 1's packet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["turned.mp4", "upside.mp4", "mirrored.mp4"])
def test_turned_pictures_come_out_upright(name: str, tmp_path: Path) -> None:
    source, out = write(BY_NAME[name], tmp_path), tmp_path / "out.mp4"
    assert convert(source, out) == 0
    picture = first_picture(out)
    height, width = picture.shape[:2]
    bright = [picture[y, x].mean() > 200 for y in (4, height - 4) for x in (4, width - 4)]
    # The mark is in the stored picture's upper left: turned left; by half; turned right and then mirrored.
    corner = {"turned.mp4": 2, "upside.mp4": 3, "mirrored.mp4": 0}[name]
    assert (width, height) == ((96, 64) if name == "upside.mp4" else (64, 96))
    assert [index for index, is_bright in enumerate(bright) if is_bright] == [corner]
    with av.open(str(out)) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_frames_come_in_order_and_one_for_one(tmp_path: Path) -> None:
    source, out = write(BY_NAME["bframes.avi"], tmp_path), tmp_path / "out.mp4"
    assert convert(source, out) == 0
    with av.open(str(out)) as container:
        levels = [frame.to_ndarray(format="rgb24")[-4, -4, 0] for frame in container.decode(video=0)]
    assert np.abs(np.array(levels, int) - (20 + 15 * np.arange(12))).max() < 5


def test_titles_chapters_languages_attachments_and_covers_are_kept(tmp_path: Path) -> None:
    source, out = write(BY_NAME["tracks.mkv"], tmp_path), tmp_path / "out.mkv"
    assert convert(source, out) == 0
    with av.open(str(source)) as old, av.open(str(out)) as new:
        assert new.metadata["title"] == "A Tïtle"
        assert new.chapters() == old.chapters()
        assert [s.metadata.get("language") for s in new.streams.audio] == ["eng", "deu"]
        assert new.streams.subtitles[0].metadata["language"] == "fra"
        attached = {(s.name, s.mimetype, s.data) for s in new.streams.attachments}
        assert ("font.ttf", "font/ttf", b"abcd") in attached
        covers = [s for s in new.streams.video if s.disposition & av.stream.Disposition.attached_pic]
        assert len(covers) == 1


def test_what_the_container_cannot_hold_is_left_out_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write(BY_NAME["tracks.mkv"], tmp_path), tmp_path / "out.mp4"
    assert convert(source, out) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "track 3 subtitle subrip fra, track 4 attachment; try .mkv" in warnings[0]
    assert [t[:2] for t in tracks(out, "audio")] == [t[:2] for t in tracks(source, "audio")]
    with av.open(str(out)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
        assert len(container.streams.video) == 2, "the cover is kept"
    # What .mp4 makes of it is kept whole by .mp4 and by .mkv.
    for name in ("again.mp4", "again.mkv"):
        again = tmp_path / name
        assert convert(out, again) == 0
        assert "warning" not in capsys.readouterr().err
        with av.open(str(again)) as container:
            assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
            assert [s.metadata.get("language") for s in container.streams.audio] == ["eng", "deu"]
            assert any(s.disposition & av.stream.Disposition.attached_pic for s in container.streams.video)


def test_hdr_metadata_is_kept_and_the_lost_depth_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write(BY_NAME["hdr.mp4"], tmp_path), tmp_path / "out.mp4"
    for codec in ("libx264", "libx265", "libsvtav1"):
        assert convert(source, out, "--codec", codec) == 0
        assert "not kept: 10-bit depth" in capsys.readouterr().err
        with av.open(str(source)) as old, av.open(str(out)) as new:
            a, b = next(old.decode(video=0)), next(new.decode(video=0))
        assert (b.colorspace, b.color_primaries, b.color_trc) == (9, 9, 16)
        values = [hdr_numbers(picture) for picture in (a, b)]
        assert values[1] == pytest.approx(values[0], rel=1e-3, abs=1e-4)


def hdr_numbers(picture: av.VideoFrame) -> list[float]:
    found = hdr_of(picture)
    assert found is not None
    assert found.mastering is not None
    assert found.light is not None
    return [float(value) for value in (*found.mastering, *found.light)]


def test_hdr_metadata_that_is_lost_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(BY_NAME["hdr.mp4"], tmp_path)
    assert convert(source, tmp_path / "out.webm") == 0
    assert "HDR mastering data (libvpx-vp9 takes none)" in capsys.readouterr().err


def test_the_shape_of_pixels_is_kept(tmp_path: Path) -> None:
    source, out = write(BY_NAME["wide.mp4"], tmp_path), tmp_path / "out.mp4"
    assert convert(source, out) == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_mended_times_are_told_once_a_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(BY_NAME["broken.mkv"], tmp_path)
    assert convert(source, tmp_path / "out.mkv") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(lines) == 2
    assert "frame 3 is not later" in lines[0]
    assert "frame 10 lies far before" in lines[1]

"""Small clips of every awkward kind, made with PyAV: each frame bears its number as a grey level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import av  # isort: skip  # after cv2

FRAMES = 12
MILLI = Fraction(1, 1000)
MPEG = Fraction(1, 90000)
NTSC = Fraction(1, 30000)
HDR = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"


@dataclass(frozen=True)
class Clip:
    """How a clip is made.

    Attributes:
        name: file name; the ending chooses the container.
        pts: of its frames, in time_base; None: 0, 1, 2 ... thirtieths of a second.
        expected: times that the output must have, where they differ from the source's.
        last: duration of the last frame in time_base.
        prepare: called with container and video stream before the first frame.
        force: packets' own PTS, whatever the encoder says (intra-only codecs).
    """

    name: str
    pts: Sequence[int] | None = None
    time_base: Fraction = Fraction(1, 30)
    rate: Fraction = Fraction(30)
    codec: str = "libx264"
    size: tuple[int, int] = (96, 64)
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    audio: Sequence[str] = ()
    subtitles: str | None = None
    expected: Sequence[Fraction] | None = None
    last: int | None = None
    prepare: Callable[[Any, Any], None] | None = None
    force: bool = False
    extra: Callable[[Any], None] | None = None


def write(clip: Clip, folder: Path) -> Path:
    """Write a clip; return its path."""
    path = folder / clip.name
    options = {"avoid_negative_ts": "disabled"}
    if path.suffix in (".mp4", ".mov"):
        options["movie_timescale"] = "90000"
    with av.open(str(path), "w", container_options=options) as container:
        video: Any = container.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
        video.width, video.height, video.pix_fmt = *clip.size, clip.pixels
        video.time_base = video.codec_context.time_base = clip.time_base
        if clip.prepare is not None:
            clip.prepare(container, video)
        sounds = [container.add_stream(codec, rate=48000) for codec in clip.audio]
        for sound, language in zip(sounds, ("eng", "deu"), strict=False):
            sound.metadata["language"] = language
        titles = _subtitles(container, clip, folder)
        if clip.extra is not None:
            clip.extra(container)
        container.start_encoding()
        for sound in sounds:
            _sound(container, sound)
        for packet in titles:
            container.mux(packet)
        _pictures(container, video, clip)
    return path


def _pictures(container: Any, video: Any, clip: Clip) -> None:
    width, height = clip.size
    times = list(clip.pts or range(FRAMES))
    forced = iter(range(len(times)))
    for index, pts in enumerate(times):
        grey = np.full((height, width, 3), 20 + 15 * index % 225, np.uint8)
        grey[: height // 2, : width // 2] = 255  # upper left, for turns
        picture = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=clip.pixels)
        picture.pts, picture.time_base = (index if clip.force else pts), clip.time_base
        if clip.last and index == len(times) - 1:
            picture.duration = clip.last
        _mux(container, video.encode(picture), times, forced, clip)
    _mux(container, video.encode(None), times, forced, clip)


def _mux(container: Any, packets: Any, times: list[int], forced: Any, clip: Clip) -> None:
    for packet in packets:
        if clip.force:
            index = next(forced)
            packet.pts, packet.dts = times[index], index - 1000
        container.mux(packet)


def _sound(container: Any, sound: Any) -> None:
    size = sound.codec_context.frame_size or 1024
    layout = sound.codec_context.format.name
    for index in range(48000 * FRAMES // 30 // size + 1):
        wave = 0.3 * np.sin(np.arange(size) * 0.05 * (index + 1))
        samples = (wave * 32767).astype(np.int16) if layout.startswith("s16") else wave.astype(np.float32)
        chunk = av.AudioFrame.from_ndarray(samples[None], layout, "mono")
        chunk.sample_rate, chunk.pts, chunk.time_base = 48000, index * size, Fraction(1, 48000)
        container.mux(sound.encode(chunk))
    container.mux(sound.encode(None))


def _subtitles(container: Any, clip: Clip, folder: Path) -> list[Any]:
    if clip.subtitles is None:
        return []
    text = "1\n00:00:00,100 --> 00:00:00,200\nhello\n\n2\n00:00:00,250 --> 00:00:00,350\nworld\n"
    if clip.subtitles == "vtt":
        text = "WEBVTT\n\n00:00.100 --> 00:00.200\nhello\n\n00:00.250 --> 00:00.350\nworld\n"
    path = folder / f"titles.{clip.subtitles}"
    path.write_text(text)
    with av.open(str(path)) as source:
        stream = container.add_stream_from_template(source.streams.subtitles[0])
        stream.metadata["language"] = "fra"
        packets = [packet for packet in source.demux() if packet.size]
    path.unlink()
    for packet in packets:
        packet.stream = stream
    return packets


def chapters_and_cover(container: Any) -> None:
    """Add two chapters, a title, an attachment and a cover."""
    container.metadata["title"] = "A Tïtle"
    container.set_chapters(
        [
            {"id": i, "start": 200 * i, "end": 200 * i + 200, "time_base": MILLI, "metadata": {"title": name}}
            for i, name in enumerate(("One", "Two"))
        ]
    )
    container.add_attachment("font.ttf", "font/ttf", b"abcd")
    cover = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    container.add_attachment("cover.jpg", "image/jpeg", cover)


def rotation(degrees: int, mirrored: bool = False) -> Callable[[Any, Any], None]:
    """Ask players to turn the picture."""
    return lambda container, video: video.set_display_rotation(degrees, hflip=mirrored)


def wide_pixels(container: Any, video: Any) -> None:
    """Make pixels 4:3."""
    video.codec_context.sample_aspect_ratio = Fraction(4, 3)


def hdr_colour(container: Any, video: Any) -> None:
    """BT.2020, PQ."""
    context = video.codec_context
    context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, 16, 1


def _ms(*values: int) -> list[Fraction]:
    return [Fraction(value, 1000) for value in values]


BROKEN = [0, 33, 66, 66, 133, 120, 200, 233, 266, 5000, 100, 133]
B_FRAMES = {"bf": "3", "b_strategy": "0"}
X265 = {"x265-params": "log-level=none"}

CLIPS = [
    Clip("cfr.mp4", audio=["aac"]),
    Clip("vfr.mp4", [0, 3000, 5000, 11000, 11100, 20000, 20090, 30000, 50000], MPEG, audio=["aac"]),
    Clip("ntsc.mov", [1001 * i for i in range(7, 19)], NTSC, Fraction(30000, 1001), audio=["pcm_s16le"]),
    Clip("late.mkv", [20000 + 40 * i for i in range(FRAMES)], MILLI, Fraction(25), audio=["libopus"]),
    Clip("turned.mp4", prepare=rotation(90)),
    Clip("upside.mp4", prepare=rotation(180)),
    Clip("mirrored.mp4", prepare=rotation(-90, mirrored=True)),
    Clip("tracks.mkv", time_base=MILLI, pts=[33 * i for i in range(FRAMES)], audio=["aac", "libopus"],
         subtitles="srt", extra=chapters_and_cover),
    Clip("titled.webm", time_base=MILLI, pts=[40 * i for i in range(FRAMES)], codec="libvpx-vp9",
         options={"deadline": "realtime", "cpu-used": "8"}, audio=["libopus"], subtitles="vtt"),
    Clip("odd.mp4", size=(97, 63), pixels="yuv444p"),
    Clip("deep.mkv", time_base=MILLI, pts=[40 * i for i in range(FRAMES)], codec="libx265",
         pixels="yuv420p10le", options=X265),
    Clip("hdr.mp4", pixels="yuv420p10le", prepare=hdr_colour,
         options={"x264-params": f"mastering-display={HDR}:cll=1000,400"}),
    Clip("bframes.mp4", options=B_FRAMES, audio=["aac"]),
    Clip("bframes.avi", options=B_FRAMES, audio=["ac3"], expected=[Fraction(i, 30) for i in range(FRAMES)]),
    Clip("pcm.avi", codec="mjpeg", pixels="yuvj420p", audio=["pcm_s16le"],
         expected=[Fraction(i, 30) for i in range(FRAMES)]),
    Clip("gaps.avi", [0, 1, 2, 5, 6, 7, 9, 10, 11, 12, 13, 17], codec="mjpeg", pixels="yuvj420p"),
    Clip("opus.ogv", codec="libvpx", audio=["libopus"]),
    Clip("stream.ts", time_base=MPEG, pts=[3000 * i for i in range(FRAMES)], options=B_FRAMES, audio=["ac3"]),
    Clip("timeless.h264", expected=[Fraction(i, 30) for i in range(FRAMES)]),
    Clip("broken.mkv", BROKEN, MILLI, codec="mjpeg", pixels="yuvj420p", force=True,
         expected=_ms(0, 33, 66, 67, 133, 134, 200, 233, 266, 5000, 5033, 5066)),
    Clip("wide.mp4", prepare=wide_pixels),
    Clip("still_end.mp4", [0, 3000, 6000], MPEG, last=180000, audio=["aac"]),
    Clip("rgb.mkv", time_base=MILLI, pts=[40 * i for i in range(FRAMES)], codec="ffv1", pixels="bgr0"),
]  # fmt: skip

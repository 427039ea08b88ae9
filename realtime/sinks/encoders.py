"""The video encoders that can be asked for, and how each spells quality."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import cast

import av
import numpy as np

from realtime.errors import SinkError, UsageError
from realtime.media.light import Hdr
from realtime.sinks.hdr import hdr_flag

# What each ending may hold, the first as its default.
CONTAINERS = {
    ".mp4": ("h264", "hevc", "av1", "vp9"),
    ".m4v": ("h264", "hevc"),
    ".mov": ("h264", "hevc"),
    ".mkv": ("h264", "hevc", "av1", "vp9"),
    ".webm": ("vp9", "av1"),
}
DEFAULTS = {"h264": "libx264", "vp9": "libvpx-vp9"}


@dataclass(frozen=True)
class Encoding:
    """What the user asks of the encoder.

    Attributes:
        codec: an encoder's name, None for the container's default.
        crf: on the encoder's own scale; None for its default.
    """

    codec: str | None = None
    crf: int | None = None


DEFAULT = Encoding()


@dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg.

    Attributes:
        codec: what it writes: "h264", "hevc", "av1", "vp9".
        quality: the options that a quality goes to.
        span: the least and the greatest quality it takes; lower is better, unless `options` say otherwise.
        options: about visually lossless, and fast enough that the parser stays the slowest stage.
        unit: what the quality is multiplied by.
    """

    codec: str
    quality: tuple[str, ...]
    span: tuple[int, int]
    options: Mapping[str, str]
    unit: int = 1


def _encoder(codec: str, quality: str, best: int, worst: int, unit: int = 1, **options: str) -> Encoder:
    named = {name.replace("_", "-") if name == "cpu_used" else name: text for name, text in options.items()}
    return Encoder(codec, tuple(quality.split()), (best, worst), MappingProxyType(named), unit)


ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "libx264": _encoder("h264", "crf", 0, 51, preset="veryfast", crf="20"),
        "libx265": _encoder("hevc", "crf", 0, 51, preset="veryfast", crf="22"),
        "libvpx-vp9": _encoder("vp9", "crf", 0, 63, deadline="realtime", cpu_used="8", crf="30", b="0"),
        "libsvtav1": _encoder("av1", "crf", 1, 63, preset="10", crf="30"),
        "libaom-av1": _encoder("av1", "crf", 0, 63, usage="realtime", cpu_used="8", crf="28", b="0"),
        **{
            f"{codec}_nvenc": _encoder(codec, "cq", 0, 51, rc="vbr", cq="23", b="0")
            for codec in ("h264", "hevc", "av1")
        },
        **{
            f"{codec}_qsv": _encoder(codec, "global_quality", 1, 51, global_quality="23")
            for codec in ("h264", "hevc", "av1", "vp9")
        },
        **{
            f"{codec}_amf": _encoder(codec, "qp_i qp_p", 0, 51, rc="cqp", qp_i="22", qp_p="22")
            for codec in ("h264", "hevc")
        },
        **{
            # Its quality rises with the number, in FFmpeg's lambda units.
            f"{codec}_videotoolbox": _encoder(
                codec, "global_quality", 1, 100, 118, flags="+qscale", global_quality=str(65 * 118)
            )
            for codec in ("h264", "hevc")
        },
    }
)


def choose_encoder(suffix: str, encoding: Encoding) -> str:
    """Return the encoder for a file's ending, after trying it where the user named it.

    Raises:
        UsageError: if it is unknown, can't be put into the container, or the quality is out of its scale.
        SinkError: if it can't be opened here; the message names those that can.
    """
    allowed = CONTAINERS[suffix]
    name = encoding.codec or DEFAULTS[allowed[0]]
    encoder = ENCODERS.get(name)
    if encoder is None:
        raise UsageError(f"--codec {name}: unknown; usable here: {', '.join(usable_encoders(suffix))}")
    if encoder.codec not in allowed:
        raise UsageError(f"--codec {name}: {suffix} holds {' or '.join(allowed)}, not {encoder.codec}")
    low, high = encoder.span
    if encoding.crf is not None and not low <= encoding.crf <= high:
        raise UsageError(f"--crf {encoding.crf}: {name} takes {low} to {high}")
    if encoding.codec is not None and (reason := why_unusable(name)):
        others = ", ".join(usable_encoders(suffix))
        raise SinkError(f"--codec {name} cannot be used here ({reason}); usable: {others}")
    return name


def usable_encoders(suffix: str) -> list[str]:
    """Return the encoders for a file's ending that work here, each tried."""
    names = [name for name, encoder in ENCODERS.items() if encoder.codec in CONTAINERS[suffix]]
    return [name for name in names if why_unusable(name) is None]


def why_unusable(name: str) -> str | None:
    """Encode a black picture; return what went wrong, None if nothing did."""
    if name not in av.codecs_available:
        return "not in this build of FFmpeg"
    container = av.open(io.BytesIO(), "w", format="matroska")
    try:
        stream = add_video(container, name, Encoding(), 320, 240, Fraction(30))
        stream.codec_context.time_base = Fraction(1, 30)
        picture = av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), format="rgb24")
        picture = picture.reformat(format=stream.pix_fmt)
        picture.pts, picture.time_base = 0, Fraction(1, 30)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        container.close()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def add_video(
    container: av.container.OutputContainer,
    name: str,
    encoding: Encoding,
    width: int,
    height: int,
    rate: Fraction,
    hdr: Hdr | None = None,
) -> av.VideoStream:
    """Add a video stream of an encoder; return it, its size and pixel format set.

    Raises:
        ValueError: if the encoder takes no picture of that size.
    """
    encoder = ENCODERS[name]
    options = dict(encoder.options)
    if encoding.crf is not None:
        options |= dict.fromkeys(encoder.quality, str(encoding.crf * encoder.unit))
    options |= hdr_flag(name, hdr)
    stream = cast(av.VideoStream, container.add_stream(name, rate=rate, options=options))
    stream.width, stream.height = width, height
    stream.pix_fmt = _pixel_format(name, encoder.codec, width, height)
    if encoder.codec == "hevc" and "mp4" in container.format.name.split(","):
        # Apple's players know no other name for it.
        stream.codec_context.codec_tag = "hvc1"
    return stream


# Of a cut-out picture, by the endings that keep transparency: codec, pixel format and options.
CLEAR: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    ".webm": ("libvpx-vp9", "yuva420p", ENCODERS["libvpx-vp9"].options),
    ".mov": ("prores_ks", "yuva444p10le", {"profile": "4444"}),
}


def keeps_clear(suffix: str, encoding: Encoding) -> bool:
    """Say whether a file's ending, with what is asked of the encoder, keeps transparency."""
    return suffix in CLEAR and encoding.codec in (None, CLEAR[suffix][0])


def add_clear_video(
    container: av.container.OutputContainer,
    suffix: str,
    encoding: Encoding,
    width: int,
    height: int,
    rate: Fraction,
) -> av.VideoStream:
    """Add a video stream that keeps transparency, where `keeps_clear`."""
    name, pixels, fixed = CLEAR[suffix]
    options = dict(fixed)
    if encoding.crf is not None and name in ENCODERS:
        options |= dict.fromkeys(ENCODERS[name].quality, str(encoding.crf))
    stream = cast(av.VideoStream, container.add_stream(name, rate=rate, options=options))
    stream.width, stream.height, stream.pix_fmt = width, height, pixels
    # Players look here for the opacity of VP9.
    stream.metadata["alpha_mode"] = "1"
    return stream


def _pixel_format(name: str, codec: str, width: int, height: int) -> str:
    formats = [form.name for form in av.Codec(name, "w").video_formats or []] or ["yuv420p"]
    # H.264 and HEVC in 4:2:0 have no odd sizes.
    odd = (width % 2 or height % 2) and codec in ("h264", "hevc")
    for choice in ("yuv444p",) if odd else ("yuv420p", "nv12"):
        if choice in formats:
            return choice
    raise ValueError(f"{name} takes no {width}x{height} pictures")

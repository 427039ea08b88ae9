"""Video files and network streams, by PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from realtime.errors import SourceError
from realtime.frames import Frame, Image
from realtime.sources.source import Colour, SourceInfo

# FFmpeg reads these as text art; nobody means them as videos.
TEXT_FORMATS = {"tty", "ansi", "txt", "bin", "xbin"}
OPEN_SECONDS = 10.0
# Streams that won't wait; http and the like are read as files are.
LIVE_PROTOCOLS = ("rtsp:", "rtsps:", "rtmp:", "rtp:", "udp:", "srt:")
# FFmpeg's fast way from YUV to RGB darkens by more than one level; this one takes 3 ms more at 720p.
EXACT = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


class VideoSource:
    """A video file, or a network stream by URL.

    Raises:
        SourceError: if it can't be opened or holds no video.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        network = "://" in name
        try:
            self._container = av.open(name, timeout=OPEN_SECONDS if network else None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SourceError(f"{name}: not a readable video: {reason}") from None
        streams = [s for s in self._container.streams.video if not _is_cover(s)]
        if not streams or self._container.format.name in TEXT_FORMATS:
            what = "only audio" if self._container.streams.audio and not streams else "no video"
            self._container.close()
            raise SourceError(f"{name}: holds {what}; give a video or an image")
        self._stream = streams[0]
        if self._stream.codec_context is None or not self._stream.width:
            self._container.close()
            raise SourceError(f"{name}: its video cannot be decoded")
        self._stream.thread_type = "AUTO"
        context = self._stream.codec_context
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(30)
        self.info = SourceInfo(
            name=name,
            width=self._stream.width,
            height=self._stream.height,
            fps=Fraction(rate),
            time_base=Fraction(self._stream.time_base or Fraction(1, 90000)),
            frames=self._stream.frames or None,
            live=name.startswith(LIVE_PROTOCOLS),
            path=None if network else Path(name),
            colour=Colour(
                int(context.colorspace),
                int(context.color_range),
                int(context.color_primaries),
                int(context.color_trc),
            ),
        )
        self._formatter = VideoReformatter()

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        index, packets = 0, 0
        next_pts = 0
        step = max(1, round(1 / (self.info.fps * self.info.time_base)))
        try:
            for packet in self._container.demux(self._stream):
                packets += packet.size > 0
                for picture in packet.decode():
                    pts = next_pts if picture.pts is None else picture.pts
                    next_pts = pts + step
                    yield Frame(self._rgb(picture), index, pts * self.info.time_base, time.monotonic())
                    index += 1
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(self._damage(index, f"{error}")) from None
        if index == 0:
            raise SourceError(f"{self._name}: holds no frame that can be decoded")
        if self.info.frames and packets < self.info.frames:
            raise SourceError(self._damage(index, f"it promises {self.info.frames} frames"))

    def _rgb(self, picture: av.VideoFrame) -> Image:
        image = self._formatter.reformat(picture, format="rgb24", interpolation=EXACT).to_ndarray()
        if picture.rotation:
            # Phones store the picture as the sensor sees it, with the turn beside it.
            image = np.rot90(image, picture.rotation // 90)
        return np.ascontiguousarray(image)

    def _damage(self, index: int, reason: str) -> str:
        keep = f"; --max-frames {index} processes what is whole" if index else ""
        return f"{self._name}: damaged or cut short after frame {index} ({reason}){keep}"

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def _is_cover(stream: av.VideoStream) -> bool:
    """Say whether a stream is a cover picture of an audio file."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)

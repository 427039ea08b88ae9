"""Video files and network streams, by PyAV."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.video.reformatter import Interpolation, VideoReformatter

from realtime.errors import SourceError, warn
from realtime.frames import Frame, Image
from realtime.media import SourceInfo
from realtime.media.light import colour_of, hdr_of, losses_of, matrix_of
from realtime.media.opening import OPEN_SECONDS, is_cover
from realtime.media.times import DecodeTimes, TimeMender
from realtime.sources.upright import lies_on_its_side, upright

# FFmpeg reads these as text art; nobody means them as videos.
TEXT_FORMATS = {"tty", "ansi", "txt", "bin", "xbin"}
READ_SECONDS = 5.0
# Streams that won't wait. Others on a network are files where they have an end.
LIVE_PROTOCOLS = ("rtsp:", "rtsps:", "rtmp:", "rtmps:", "rtp:", "udp:", "srt:")
NETWORK_OPTIONS = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "udp": {"overrun_nonfatal": "1"},
    # A seekable file is asked for again from where it broke off.
    "http": {"reconnect": "1", "reconnect_delay_max": "4"},
    "https": {"reconnect": "1", "reconnect_delay_max": "4"},
}
# These say when a frame is decoded and not when it is shown.
DECODE_TIMES_ONLY = {"avi"}
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
        SourceError: if it can't be opened or holds no video that can be decoded.
    """

    def __init__(self, name: str) -> None:
        # PyAV's containers and streams refer to each other: without it a closed one keeps tens of megabytes
        # for as long as the collector sees no need, which in a folder of videos is long.
        gc.collect()
        self._name = name
        self._container = _open(name)
        self._found = 0
        try:
            self._stream = _video_of(self._container, name)
            live = _is_live(name, self._container)
            # Decoding frame by frame on several threads delays each by as many frames.
            self._stream.thread_type = "SLICE" if live else "AUTO"
            self._decoded = self._decode(live)
            first = next(self._decoded, None)
            if first is None:
                raise SourceError(f"{name}: holds no frame that can be decoded")
            self._pictures: Iterator[av.VideoFrame] = itertools.chain([first], self._decoded)
            self._matrix = matrix_of(first)
            self.info = self._describe(first, live)
        except SourceError:
            self._container.close()
            raise
        self._formatter = VideoReformatter()
        self._first_index = 0

    def _describe(self, first: av.VideoFrame, live: bool) -> SourceInfo:
        stream, network = self._stream, "://" in self._name
        width, height = first.width, first.height
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        if self._matrix is not None and lies_on_its_side(self._matrix):
            width, height, aspect = height, width, 1 / aspect
        duration = self._container.duration
        return SourceInfo(
            name=self._name,
            width=width,
            height=height,
            fps=self._rate(first),
            time_base=Fraction(stream.time_base or Fraction(1, 90000)),
            frames=_promised(self._container, stream) or None,
            live=live,
            path=None if network else Path(self._name),
            colour=colour_of(stream.codec_context),
            url=self._name if network and not live else None,
            seconds=None if duration is None or live else duration / av.time_base,
            pixel_aspect=aspect,
            hdr=hdr_of(first),
            lost=losses_of(first),
        )

    def _rate(self, first: av.VideoFrame) -> Fraction:
        stream = self._stream
        if first.pts is None and first.duration and stream.time_base:
            # A bare stream's container knows no rate and says 25; the video itself may.
            return 1 / (first.duration * Fraction(stream.time_base))
        return Fraction(stream.average_rate or stream.guessed_rate or 30)

    def skip_to(self, index: int) -> None:
        """Begin with frame `index`: those before it are decoded, to count them, but not given."""
        self._first_index = index

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        base = self.info.time_base
        step = round(1 / (self.info.fps * base))
        mender = TimeMender(step, round(1 / base), lambda text: warn(f"{self._name}: {text}"))
        for index, picture in enumerate(self._pictures):
            pts = mender.mend(picture.pts)
            if index >= self._first_index:
                duration = picture.duration * base if picture.duration else None
                yield Frame(self._rgb(picture), index, pts * base, time.monotonic(), duration)

    def _decode(self, live: bool) -> Iterator[av.VideoFrame]:
        count = 0
        try:
            for picture in self._decode_unchecked(live):
                yield picture
                count += 1
        except (av.error.FFmpegError, OSError) as error:
            if live:
                raise SourceError(f"{self._name}: the stream broke off ({_reason(error)})") from None
            raise SourceError(self._damage(count, f"{error}")) from None
        promised = _promised(self._container, self._stream)
        if count and not live and self._found < promised:
            raise SourceError(self._damage(count, f"it promises {promised} frames"))

    def _decode_unchecked(self, live: bool) -> Iterator[av.VideoFrame]:
        unordered = self._container.format.name in DECODE_TIMES_ONLY
        times = DecodeTimes()
        for packet in self._container.demux(self._stream):
            self._found += packet.size > 0
            if unordered and packet.size and packet.dts is not None:
                times.add(packet.dts)
                # The gaps of a variable rate are counted as frames, and have no packet.
                self._found = packet.dts + 1
            for picture in _pictures_of(packet, live):
                if unordered:
                    picture.pts = times.take()
                yield picture

    def _rgb(self, picture: av.VideoFrame) -> Image:
        image = self._formatter.reformat(picture, format="rgb24", interpolation=EXACT).to_ndarray()
        # Also where it needs no turn: rows from FFmpeg may be padded, and not every library copes.
        return upright(cast(Image, image), self._matrix or (1, 0, 0, 0, 1))

    def _damage(self, index: int, reason: str) -> str:
        keep = f"; --max-frames {index} processes what is whole" if index else ""
        return f"{self._name}: damaged or cut short after frame {index} ({reason}){keep}"

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        # Its generator refers back to this object, and that to the decoder's memory.
        self._pictures = self._decoded = iter(())


def _open(name: str) -> av.container.InputContainer:
    protocol, mark, _ = name.partition("://")
    options = NETWORK_OPTIONS.get(protocol, {}) if mark else {}
    if name.startswith(LIVE_PROTOCOLS):
        options = {**options, "fflags": "nobuffer"}
    try:
        timeout = (OPEN_SECONDS, READ_SECONDS) if mark else None
        return av.open(name, timeout=timeout, container_options=options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{name}: not a readable video: {_reason(error)}") from None


def _video_of(container: av.container.InputContainer, name: str) -> av.VideoStream:
    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams or container.format.name in TEXT_FORMATS:
        what = "only audio" if container.streams.audio and not streams else "no video"
        raise SourceError(f"{name}: holds {what}; give a video or an image")
    if streams[0].codec_context is None or not streams[0].width:
        raise SourceError(f"{name}: its video cannot be decoded")
    return streams[0]


def _promised(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Return how many frames a file says it has, 0 where it does not say."""
    if "mp4" in container.format.name and len(stream.index_entries):
        # A video that was trimmed without encoding still counts what its edit list leaves out.
        return min(stream.frames, len(stream.index_entries))
    return stream.frames


def _is_live(name: str, container: av.container.InputContainer) -> bool:
    return name.startswith(LIVE_PROTOCOLS) or ("://" in name and container.duration is None)


def _pictures_of(packet: av.Packet[av.VideoStream], live: bool) -> list[av.VideoFrame]:
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        # Who joins a broadcast late lacks the pictures that the first ones were made from.
        if live:
            return []
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.ExitError):
        return "no data in time"
    return getattr(error, "strerror", None) or str(error)

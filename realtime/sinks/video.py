"""Video files, by PyAV: every frame with its time."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

import av
from av.video.reformatter import Interpolation, VideoReformatter

from realtime.errors import SinkError, warn
from realtime.frames import RenderedFrame
from realtime.media import SourceInfo
from realtime.sinks.encoders import DEFAULT, Encoding, add_clear_video, add_video, choose_encoder, keeps_clear
from realtime.sinks.hdr import FLAGS
from realtime.sinks.sink import temporary_name
from realtime.sinks.tracks import TrackCopier

FINE = 90_000
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
# From a stream's colour space (AVColorSpace) to the converter's number for the same matrix.
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}

# Of fewer frames libx265 leaves the decoding times as they were in memory; their order is that of showing.
FEW = 3


class VideoFileSink:
    """Encodes frames under a temporary name, with their times and the source's other tracks.

    Args:
        path: the file to make; replaced only when the new one is whole.
        info: of the source: time base, colour, rate and the file whose tracks are copied.
        encoding: encoder and quality; those of the ending by default.
        quiet: don't warn of what is lost: that has been said.

    Raises:
        UsageError: if the encoding does not fit the ending.
        SinkError: if the encoder can't be used here.
    """

    def __init__(
        self, path: Path, info: SourceInfo, encoding: Encoding = DEFAULT, quiet: bool = False
    ) -> None:
        self._path, self._info, self._encoding, self._quiet = path, info, encoding, quiet
        self._codec = choose_encoder(path.suffix.lower(), encoding)
        self._temporary = temporary_name(path)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._tracks: TrackCopier | None = None
        self._formatter = VideoReformatter()
        self._clear = False
        self._frames = 0

    def write(self, rendered: RenderedFrame) -> bool:
        """Encode a frame of any size; all must have the first one's."""
        try:
            if self._stream is None:
                self._open(rendered)
            assert self._stream is not None
            assert self._container is not None
            if self._tracks is not None:
                self._tracks.copy_until(rendered.frame.time)
            for packet in self._stream.encode(self._picture(rendered)):
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
            raise SinkError(f"{self._path}: cannot be written: {error}") from None
        self._frames += 1
        return True

    def _open(self, rendered: RenderedFrame) -> None:
        info, suffix = self._info, self._path.suffix.lower()
        self._container = open_container(self._temporary, info)
        height, width = rendered.image.shape[:2]
        self._clear = rendered.cutout is not None and keeps_clear(suffix, self._encoding)
        if self._clear:
            stream = add_clear_video(self._container, suffix, self._encoding, width, height, info.fps)
        else:
            stream = add_video(
                self._container, self._codec, self._encoding, width, height, info.fps, info.hdr
            )
        self._stream = stream
        context, colour = stream.codec_context, info.colour
        # On both, else times of a variable rate are rounded.
        stream.time_base = context.time_base = info.time_base
        context.colorspace, context.color_range = colour.space, colour.range
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.sample_aspect_ratio = info.pixel_aspect
        if info.tracks is not None:
            self._tracks = TrackCopier(info.tracks, self._container)
            stream.metadata.update(self._tracks.video_tags)
        self._container.start_encoding()
        self._warn_of_losses()

    def _warn_of_losses(self) -> None:
        lost = list(self._info.lost)
        if self._info.hdr is not None and self._codec not in FLAGS:
            lost.append(f"HDR mastering data ({self._codec} takes none)")
        if lost and not self._quiet:
            warn(f"{self._info.name}: not kept: {', '.join(lost)}")

    def _picture(self, rendered: RenderedFrame) -> av.VideoFrame:
        assert self._stream is not None
        if self._clear and rendered.cutout is not None:
            raw = av.VideoFrame.from_ndarray(rendered.cutout, format="rgba")
        else:
            raw = av.VideoFrame.from_ndarray(rendered.image, format="rgb24")
        colour = self._info.colour
        picture = self._formatter.reformat(
            raw,
            format=self._stream.pix_fmt,
            dst_colorspace=MATRICES.get(colour.space),
            interpolation=EXACT,
            dst_color_range=colour.range or None,
        )
        picture.pts = int(rendered.frame.time / self._info.time_base)
        picture.time_base = self._info.time_base
        if rendered.frame.duration is not None:
            picture.duration = int(rendered.frame.duration / self._info.time_base)
        return picture

    def close(self, whole: bool = True) -> None:
        """Write what the encoder still holds and the rest of the tracks; then give the file its name."""
        if self._container is None:
            return
        assert self._stream is not None
        try:
            for packet in self._stream.encode(None):
                if self._frames < FEW and self._codec == "libx265":
                    packet.dts = packet.pts
                self._container.mux(packet)
            if self._tracks is not None:
                self._tracks.finish(whole)
            self._container.close()
            os.replace(self._temporary, self._path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise SinkError(f"{self._path}: cannot be finished: {error}") from None
        self._container = None

    def abort(self) -> None:
        """Remove the temporary file; a file already under the final name stays as it was."""
        container, self._container = self._container, None
        if self._tracks is not None:
            self._tracks.close()
        if container is not None:
            # The file goes anyway, and the first failure has been told.
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                container.close()
        self._temporary.unlink(missing_ok=True)


def open_container(path: Path, info: SourceInfo) -> av.container.OutputContainer:
    """Open a video file for writing such that no time of the source is rounded or moved.

    Matroska alone rounds: it counts milliseconds.
    """
    # Audio may begin before zero (a codec's lead-in); .mkv would move every time for it.
    options = {"avoid_negative_ts": "disabled"}
    if path.suffix.lower() in (".mp4", ".m4v", ".mov"):
        # Late starts and audio's lead-in and end are stored in this unit, by default in milliseconds: the
        # video's must fit exactly, the audio's to less than half a sample.
        ticks = info.time_base.denominator
        options["movie_timescale"] = str(ticks * math.ceil(FINE / ticks))
    return av.open(str(path), "w", container_options=options)

"""Video files, by PyAV: every frame with its time."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import cast

import av
from av.video.reformatter import Interpolation, VideoReformatter

from realtime.errors import SinkError
from realtime.frames import RenderedFrame
from realtime.sinks.audio import AudioCopier
from realtime.sinks.sink import temporary_name
from realtime.sources import SourceInfo

VIDEO_CODECS = {
    ".mp4": "libx264",
    ".m4v": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx-vp9",
}
# About visually lossless, and fast enough that the parser stays the slowest stage.
CODEC_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b:v": "0"},
}
# Of a cut-out picture, in the files that keep transparency: codec, pixel format and options.
CLEAR_CODECS = {
    ".webm": ("libvpx-vp9", "yuva420p", CODEC_OPTIONS["libvpx-vp9"]),
    ".mov": ("prores_ks", "yuva444p10le", {"profile": "4444"}),
}
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
# From a stream's colour space (AVColorSpace) to the converter's number for the same matrix.
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}


class VideoFileSink:
    """Encodes frames under a temporary name, with their times and the source's audio.

    Args:
        path: the file to make; replaced only when the new one is whole.
        info: of the source: time base, colour, rate and the file whose audio is copied.
    """

    def __init__(self, path: Path, info: SourceInfo) -> None:
        self._path, self._info = path, info
        self._temporary = temporary_name(path)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._audio: AudioCopier | None = None
        self._formatter = VideoReformatter()
        self._clear = False

    def write(self, rendered: RenderedFrame) -> bool:
        """Encode a frame of any size; all must have the first one's."""
        try:
            if self._stream is None:
                self._open(rendered)
            assert self._stream is not None
            assert self._container is not None
            if self._audio is not None:
                self._audio.copy_until(rendered.frame.time)
            for packet in self._stream.encode(self._picture(rendered)):
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SinkError(f"{self._path}: cannot be written: {error}") from None
        return True

    def _open(self, rendered: RenderedFrame) -> None:
        # Audio may begin before zero (a codec's lead-in); .mkv would move every time for it.
        options = {"avoid_negative_ts": "disabled"}
        self._container = av.open(str(self._temporary), "w", container_options=options)
        suffix = self._path.suffix.lower()
        self._clear = rendered.cutout is not None and suffix in CLEAR_CODECS
        height, width = rendered.image.shape[:2]
        codec = VIDEO_CODECS[suffix]
        # 4:2:0 has no odd sizes.
        pixels = "yuv420p" if width % 2 == 0 and height % 2 == 0 else "yuv444p"
        options = CODEC_OPTIONS[codec]
        if self._clear:
            codec, pixels, options = CLEAR_CODECS[suffix]
        stream = self._container.add_stream(codec, rate=self._info.fps, options=options)
        self._stream = cast(av.VideoStream, stream)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = pixels
        if self._clear:
            # Players look here for the opacity of VP9.
            self._stream.metadata["alpha_mode"] = "1"
        context, colour = self._stream.codec_context, self._info.colour
        # On both, else times of a variable rate are rounded.
        self._stream.time_base = self._info.time_base
        context.time_base = self._info.time_base
        context.colorspace, context.color_range = colour.space, colour.range
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        if self._info.path is not None:
            self._audio = AudioCopier(self._info.path, self._container)
        self._container.start_encoding()

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
        return picture

    def close(self, whole: bool = True) -> None:
        """Write what the encoder still holds and the rest of the audio; then give the file its name."""
        if self._container is None:
            return
        assert self._stream is not None
        try:
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            if self._audio is not None:
                self._audio.finish(whole)
            self._container.close()
            os.replace(self._temporary, self._path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise SinkError(f"{self._path}: cannot be finished: {error}") from None
        self._container = None

    def abort(self) -> None:
        """Remove the temporary file; a file already under the final name stays as it was."""
        container, self._container = self._container, None
        if self._audio is not None:
            self._audio.close()
        if container is not None:
            # The file goes anyway, and the first failure has been told.
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                container.close()
        self._temporary.unlink(missing_ok=True)

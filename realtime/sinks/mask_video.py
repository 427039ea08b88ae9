"""Masks as one video with transparency, without loss: QuickTime Animation, which editors open."""

from __future__ import annotations

import contextlib
from pathlib import Path

import av
import numpy as np

from realtime.frames import Image, RenderedFrame
from realtime.masks.labels import frame_alpha, rendered_labels
from realtime.masks.sidecar import VIDEO
from realtime.media import SourceInfo
from realtime.sinks.video import open_container
from stn_icnn.labels import PALETTE

# One machine word a pixel, in the order that the encoder takes: opacity, red, green, blue.
_WORDS = np.ascontiguousarray(np.pad(PALETTE, ((0, 0), (1, 0)))).view(np.uint32)[:, 0]


class AlphaVideo:
    """Writes `alpha.mov`: each part in its palette's colour, not premultiplied, and the soft alpha of all."""

    def __init__(self, folder: Path, info: SourceInfo) -> None:
        self._info = info
        self._container = open_container(folder / VIDEO, info)
        self._stream = stream = self._container.add_stream("qtrle", rate=info.fps)
        self._begun = False
        stream.time_base = stream.codec_context.time_base = info.time_base

    def write(self, rendered: RenderedFrame) -> None:
        """Encode a frame."""
        stream, frame = self._stream, rendered.frame
        pixels = argb(rendered)
        if not self._begun:
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt, self._begun = "argb", True
        picture = av.VideoFrame.from_ndarray(pixels, format="argb")
        picture.pts, picture.time_base = int(frame.time / self._info.time_base), self._info.time_base
        if frame.duration is not None:
            picture.duration = int(frame.duration / self._info.time_base)
        self._container.mux(stream.encode(picture))

    def finish(self) -> None:
        """Encode what is left and close the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abort(self) -> None:
        """Close the file."""
        with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
            self._container.close()


def argb(rendered: RenderedFrame) -> Image:
    """Return (H, W, 4) uint8: opacity, and the colours of the labels."""
    labels, _ = rendered_labels(rendered)
    words = _WORDS[labels].view(np.uint8).reshape(*labels.shape, 4)
    words[..., 0] = frame_alpha(rendered.faces, labels.shape)
    return words

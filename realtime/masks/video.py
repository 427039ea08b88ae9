"""Reading the video of masks, by PyAV: colours and opacity as they were written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from realtime.errors import SourceError
from realtime.frames import Image


def read_rgba(path: Path) -> Iterator[Image]:
    """Yield each frame of a lossless video as (H, W, 4) uint8 RGB and opacity.

    Raises:
        SourceError: if it can't be read.
    """
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgba"), np.uint8)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None

"""The browser page: webcams come over WebRTC, go through the same stages and are sent back painted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from engines import Engine
from realtime.errors import UsageError
from realtime.faces.detector import FaceDetector
from realtime.serve.memory import share_arenas
from realtime.serve.options import ServeOptions

if TYPE_CHECKING:
    from realtime.app.config import RunConfig


def serve(options: ServeOptions, config: RunConfig, load: Callable[[], Engine]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        options: where and to whom.
        config: effects at first, and how faces are found and followed.
        load: returns the one engine that all visitors share.

    Raises:
        UsageError: if what this needs is not installed.
        RealtimeError: if the address can't be had, or a model can't.
    """
    try:
        from realtime.serve.room import Room
        from realtime.serve.server import run_server
    except ImportError as error:
        raise UsageError(f"--serve needs aiortc and aiohttp ({error}): pip install '.[serve]'") from None
    share_arenas()
    detector = partial(FaceDetector, max_faces=config.max_faces)
    room = Room(
        load(),
        detector,
        config.parsed_effects,
        options.max_visitors,
        config.detect_every,
        config.smooth,
        config.tta_for(still=False),
        config.propagate,
    )
    try:
        # The first visitor doesn't wait, and a model that can't be had is told at once.
        room.give_back(room.borrow())
        asyncio.run(run_server(options, room))
    finally:
        room.close()

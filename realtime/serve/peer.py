"""One visitor: a connection, a pipeline of its own with its own tracker, and what it wants to look like."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from contextlib import suppress

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import SessionDescription

from realtime.effects import Effect, need_the_whole_head
from realtime.effects.rendering import Renderer, prepare
from realtime.errors import RealtimeError, UsageError
from realtime.faces.tracker import FaceTracker
from realtime.frames import Frame, ParsedFrame
from realtime.people import PersonGate, person_segmenter
from realtime.pipeline import Pipeline, Stage
from realtime.serve.messages import Wish, read_wish
from realtime.serve.room import Room
from realtime.serve.sink import PaintedTrack, TrackSink
from realtime.serve.source import TrackSource

# Seconds in which an answered offer must become a connection.
CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 5.0
FIGURES_EVERY = 1.0
# A slider that is dragged sends twenty.
MOST_MESSAGES = 100
_GONE = ("failed", "closed")
_log = logging.getLogger(__name__)


class Visitor:
    """A page that is painted; to be made and used on the event loop.

    Args:
        room: what visitors share.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self.wish = Wish(tuple(room.effects))
        # No servers: nothing is asked of other hosts.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected, self._over = asyncio.Event(), asyncio.Event()
        self._painted = PaintedTrack()
        self._source = TrackSource(lambda: self.wish.mirror)
        self._channel: RTCDataChannel | None = None
        self._messages = 0
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("track", self._track_came)
        self._connection.on("datachannel", self._channel_came)

    async def answer(self, sdp: str) -> str:
        """Answer an offer.

        Args:
            sdp: of the page.

        Returns:
            Ours.

        Raises:
            UsageError: if the offer makes no sense.
        """
        try:
            _check_bundle(SessionDescription.parse(sdp))
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            self._connection.addTrack(self._painted)
            for transceiver in self._connection.getTransceivers():
                transceiver.setCodecPreferences(_codecs())
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:
            # What a wrong description brings aiortc to raise is of any kind.
            _log.info("offer refused: %r", error)
            raise UsageError("the offer is not one that can be answered") from None
        return str(self._connection.localDescription.sdp)

    async def stay(self) -> None:
        """Paint until the visitor leaves or something fails; then free everything."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await _first(self._connected.wait(), self._over.wait())
            if self._connected.is_set() and not self._over.is_set():
                await self._paint()
        except RealtimeError as error:
            self._send({"error": str(error)})
        finally:
            await self.close()

    def leave(self) -> None:
        """Let `stay` come to its end."""
        self._over.set()

    async def close(self) -> None:
        """Free the connection; also one that never came to be."""
        self._over.set()
        self._source.interrupt()
        self._painted.stop()
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connection.close()
        self._connection.remove_all_listeners()

    async def _paint(self) -> None:
        loop = asyncio.get_running_loop()
        detector = await loop.run_in_executor(self._room.threads, self._room.borrow)
        try:
            room = self._room
            gate = PersonGate(lambda: need_the_whole_head(self.wish.effects))
            tracker = FaceTracker(
                detector,
                room.engine,
                room.detect_every,
                room.smooth,
                tta=room.tta,
                gate=gate,
                propagation=room.propagate,
            )
            stages = [
                Stage("parse", _Steady(tracker, self).parse),
                Stage("render", Renderer(lambda: self.wish.effects).render),
            ]
            sink = TrackSink(self._painted, loop, lambda: self.wish.split)
            pipeline = Pipeline(self._source, stages, [sink])
            run = loop.run_in_executor(self._room.threads, pipeline.run)
            self._start(self._send_figures())
            await _first(run, self._over.wait())
            pipeline.stop()
            self._source.interrupt()
            await run
        finally:
            self._room.give_back(detector)

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _state_changed(self) -> None:
        if self._connection.connectionState == "connected":
            self._connected.set()
        elif self._connection.connectionState in _GONE:
            self._over.set()

    def _track_came(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._start(self._source.follow(track))

    def _channel_came(self, channel: RTCDataChannel) -> None:
        if self._channel is None:
            self._channel = channel
            channel.on("message", self._message_came)

    def _message_came(self, text: object) -> None:
        self._messages += 1
        if self._messages > MOST_MESSAGES:
            self._over.set()
            return
        try:
            wish = read_wish(text)
        except UsageError as error:
            self._send({"error": str(error)})
            return
        self._start(self._take(wish))

    async def _take(self, wish: Wish) -> None:
        """Change what the visitor sees, once what the effects need is there; in the order of the messages."""
        async with self._reading:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._room.threads, _prepare, wish.effects)
            except RealtimeError as error:
                self._send({"error": str(error)})
                return
            self.wish = wish

    async def _send_figures(self) -> None:
        while True:
            await asyncio.sleep(FIGURES_EVERY)
            self._messages = 0
            self._send(self._painted.figures())

    def _send(self, content: dict[str, str] | dict[str, float]) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(json.dumps(content))


class _Steady:
    """Parses frames; forgets the past when the picture is of another size or turned over."""

    def __init__(self, tracker: FaceTracker, visitor: Visitor) -> None:
        self._tracker, self._visitor = tracker, visitor
        self._before: tuple[tuple[int, ...], bool] | None = None

    def parse(self, frame: Frame) -> ParsedFrame:
        now = frame.image.shape, self._visitor.wish.mirror
        if now != self._before:
            self._tracker.reset()
            self._before = now
        return self._tracker.update(frame)


def _check_bundle(description: SessionDescription) -> None:
    """Refuse all but one transport for everything, which is what browsers offer.

    A bundle of something else leaves aiortc with sockets that it can't close.

    Raises:
        UsageError: on anything else.
    """
    parts = sorted(media.rtp.muxId for media in description.media)
    bundles = [sorted(map(str, group.items)) for group in description.group if group.semantic == "BUNDLE"]
    if "" in parts or len(set(parts)) != len(parts) or bundles != [parts]:
        raise UsageError("an offer has all it offers in one bundle")


def _codecs() -> list[RTCRtpCodecCapability]:
    """Return VP8, which is cheapest to encode (docs/browser.md), and what repeats its lost packets."""
    able = RTCRtpReceiver.getCapabilities("video")
    return [codec for codec in able.codecs if codec.mimeType in ("video/VP8", "video/rtx")] if able else []


def _prepare(effects: tuple[Effect, ...]) -> None:
    prepare(effects)
    if need_the_whole_head(effects):
        # The one that all share: a visitor's gate then finds it loaded.
        person_segmenter()


async def _first(*waits: Awaitable[object]) -> None:
    """Wait until one of several is there; what is waited for by others goes on."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, wait in zip(tasks, waits, strict=True):
        if task is not wait:
            task.cancel()

"""A server on the test's own event loop, and visitors that are no browser but aiortc."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack, VideoStreamTrack
from av import VideoFrame

from engines import Engine
from realtime.effects import Effect
from realtime.faces.detector import FaceDetector
from realtime.serve.options import ServeOptions
from realtime.serve.room import Room
from realtime.serve.server import Server
from tests.conftest import Image
from tests.realtime.standin import NoFaces


class Camera(VideoStreamTrack):
    """A picture that is dark on the left and light on the right."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        image = np.zeros((120, 160, 3), np.uint8)
        image[:, 80:] = 220
        frame = VideoFrame.from_ndarray(image, "rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Client:
    """One visitor."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(Camera())
        self.channel = self.connection.createDataChannel("look")
        self.open = asyncio.Event()
        self.said: list[dict[str, Any]] = []
        self.track: MediaStreamTrack | None = None
        self.channel.on("open", self.open.set)
        self.channel.on("message", lambda text: self.said.append(json.loads(text)))
        self.connection.on("track", self._came)

    def _came(self, track: MediaStreamTrack) -> None:
        self.track = track

    async def offer(self) -> dict[str, str]:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return {"type": "offer", "sdp": self.connection.localDescription.sdp}

    async def enter(self, http: aiohttp.ClientSession, address: str) -> tuple[int, dict[str, str]]:
        async with http.post(f"{address}offer", json=await self.offer()) as answer:
            status, content = answer.status, await answer.json()
        if status == 200:
            await self.connection.setRemoteDescription(RTCSessionDescription(content["sdp"], "answer"))
        return status, content

    async def see(self) -> Image:
        """Return the next painted picture, (H, W, 3) uint8 RGB."""
        assert self.track is not None
        picture = await self.track.recv()
        assert isinstance(picture, VideoFrame)
        return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)

    async def see_until(self, mirrored: bool) -> None:
        while (float((image := await self.see())[:, :70].mean()) > image[:, 90:].mean()) != mirrored:
            pass

    async def hear(self, key: str) -> Any:
        while not any(key in content for content in self.said):
            await asyncio.sleep(0.02)
        return next(content[key] for content in self.said if key in content)

    async def close(self) -> None:
        await self.connection.close()


@asynccontextmanager
async def serving(
    places: int = 2,
    token: str | None = None,
    detector: type[NoFaces] = NoFaces,
    effects: Sequence[Effect] = (),
    tls: tuple[Path | None, Path | None] = (None, None),
) -> AsyncIterator[tuple[Server, str, aiohttp.ClientSession]]:
    """Yield a server, its address and an HTTP session, for half a minute at most."""
    engine, make = cast(Engine, NoFaces()), cast("type[FaceDetector]", detector)
    room = Room(engine, make, effects, places)
    server = Server(ServeOptions("127.0.0.1", 0, token, *tls, max_visitors=places), room)
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as http:
            try:
                yield server, await server.open(), http
            finally:
                await server.close()
    finally:
        room.close()


async def emptied(server: Server) -> None:
    """Wait until every visitor is gone."""
    while server.visitors:
        await asyncio.sleep(0.02)

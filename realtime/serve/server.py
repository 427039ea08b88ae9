"""The HTTP side: the page's own files, what it can offer, and the answer to a visitor's offer."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import ssl
from pathlib import Path

import numpy as np
from aiohttp import web
from aiortc.codecs import vpx

from realtime.errors import RealtimeError, UsageError
from realtime.serve.catalogue import catalogue
from realtime.serve.guard import check_token, guard
from realtime.serve.messages import LONGEST_OFFER, read_offer, read_size
from realtime.serve.options import ServeOptions
from realtime.serve.peer import Visitor
from realtime.serve.room import Room

STATIC = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing but these is ever read: no path is made of a request.
PAGES = {f"/{path.name}": path for path in sorted(STATIC.iterdir()) if path.suffix in _KINDS}
PAGES["/"] = PAGES["/index.html"]
# aiortc begins at a third of it, which blurs 640x480, and adapts downwards where the network asks for it.
FIRST_BITRATE = 1_500_000
# After a visit, seconds.
TIDY_SECONDS = 0.5


class Server:
    """Serves the page and its visitors on the running event loop.

    Args:
        options: where and to whom.
        room: what visitors share.
    """

    def __init__(self, options: ServeOptions, room: Room) -> None:
        self._options, self._room = options, room
        self._visitors: dict[Visitor, asyncio.Task[None] | None] = {}
        self._runner: web.AppRunner | None = None
        # One photo at a time: those who are painted go before.
        self._reading = asyncio.Lock()
        vpx.DEFAULT_BITRATE = FIRST_BITRATE

    @property
    def visitors(self) -> int:
        """Return how many are there, or on their way."""
        return len(self._visitors)

    async def open(self) -> str:
        """Begin to listen; return the page's address.

        Raises:
            UsageError: if the TLS files are none.
            RealtimeError: if the address can't be had.
        """
        app = web.Application(middlewares=[guard(self._options)], client_max_size=2 * LONGEST_OFFER)
        for path in PAGES:
            app.router.add_get(path, self._page)
        app.router.add_get("/catalogue", self._catalogue)
        app.router.add_post("/offer", self._offer)
        app.router.add_post("/like", self._like)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        options = self._options
        site = web.TCPSite(self._runner, options.host, options.port, ssl_context=_tls(options))
        try:
            await site.start()
        except OSError as error:
            await self.close()
            reason = error.strerror or error
            raise RealtimeError(f"{options.host}:{options.port} cannot be listened on: {reason}") from None
        port = self._runner.addresses[0][1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        return f"{options.scheme}://{host}:{port}/"

    async def close(self) -> None:
        """See every visitor out and stop listening."""
        for visitor in self._visitors:
            visitor.leave()
        await asyncio.gather(*(task for task in self._visitors.values() if task), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        path = PAGES[request.path]
        return web.Response(body=path.read_bytes(), content_type=_KINDS[path.suffix], charset="utf-8")

    async def _catalogue(self, request: web.Request) -> web.Response:
        check_token(request, self._options)
        return web.json_response(catalogue(self._room.effects))

    async def _like(self, request: web.Request) -> web.Response:
        """Answer a photo, sent as RGBA pixels, with its look; it is in memory alone, and only until then.

        Nothing of it is decoded here: the page did that.
        """
        check_token(request, self._options)
        query = request.query
        try:
            width, height = read_size(query.get("width", ""), query.get("height", ""))
            pixels = await _read_exactly(request, 4 * width * height)
        except UsageError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        image = np.ascontiguousarray(np.frombuffer(pixels, np.uint8).reshape(height, width, 4)[..., :3])
        async with self._reading:
            loop = asyncio.get_running_loop()
            try:
                look = await loop.run_in_executor(self._room.threads, self._room.read_look, image)
            except RealtimeError as error:
                raise web.HTTPUnprocessableEntity(text=str(error)) from None
        return web.json_response({"effects": look.texts, "left_out": look.left_out})

    async def _offer(self, request: web.Request) -> web.Response:
        check_token(request, self._options)
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="an offer is application/json")
        try:
            sdp = read_offer(await request.text())
        except (UsageError, UnicodeDecodeError, LookupError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        if len(self._visitors) >= self._room.places:
            places = self._room.places
            raise web.HTTPServiceUnavailable(
                text=f"all {places} places are taken" if places > 1 else "the only place is taken"
            )
        visitor = Visitor(self._room)
        # At once, before anything is waited for: two offers must not get the last place.
        self._visitors[visitor] = None
        try:
            answer = await visitor.answer(sdp)
        except BaseException as error:
            await visitor.close()
            del self._visitors[visitor]
            if isinstance(error, UsageError):
                raise web.HTTPBadRequest(text=str(error)) from None
            raise
        task = asyncio.create_task(visitor.stay())
        self._visitors[visitor] = task
        task.add_done_callback(lambda _: self._forget(visitor))
        return web.json_response({"type": "answer", "sdp": answer})

    def _forget(self, visitor: Visitor) -> None:
        del self._visitors[visitor]
        # A connection's objects refer to each other, and hold frames: left alone they are found late.
        asyncio.get_running_loop().call_later(TIDY_SECONDS, gc.collect)


async def _read_exactly(request: web.Request, length: int) -> bytes:
    """Return a body of so many bytes.

    Raises:
        UsageError: if it is of another length.
    """
    body = bytearray()
    while len(body) <= length:
        chunk = await request.content.read(length + 1 - len(body))
        if not chunk:
            break
        body += chunk
    if len(body) != length:
        raise UsageError(f"a photo of that size is {length} bytes of RGBA")
    return bytes(body)


def _tls(options: ServeOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--tls-cert {options.tls_cert}: not a certificate with its key: {error}") from None
    return context


async def run_server(options: ServeOptions, room: Room) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        RealtimeError: see `Server.open`.
    """
    # What visitors do wrong is their matter; they are told.
    logging.getLogger("aiortc").setLevel(logging.CRITICAL)
    logging.getLogger("aioice").setLevel(logging.CRITICAL)
    ending, server = asyncio.Event(), Server(options, room)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    try:
        address = await server.open()
        print(f"serving {address} for {room.places} visitors at once; Ctrl-C ends", flush=True)
        await ending.wait()
    finally:
        await server.close()

"""Who may ask what: hosts, origins, the token, and the headers every answer bears."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from realtime.serve.options import ServeOptions, is_local

HEADERS = {
    # Everything the page is made of comes from here; pictures and recordings are made in the page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def guard(options: ServeOptions) -> Middleware:
    """Return a middleware that lets through what `ServeOptions` allow, and turns errors into JSON."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_host(request, options)
            _check_origin(request, options)
            answer = await handler(request)
        except web.HTTPException as error:
            answer = web.json_response({"error": error.text or error.reason}, status=error.status)
        answer.headers.update(HEADERS)
        return answer

    return guarded


def check_token(request: web.Request, options: ServeOptions) -> None:
    """Check the token, where there is one.

    Raises:
        web.HTTPUnauthorized: without it.
    """
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if options.token is not None and not hmac.compare_digest(
        given.encode(errors="replace"), options.token.encode()
    ):
        raise web.HTTPUnauthorized(text="a token is needed, and this is not the one")


def _check_host(request: web.Request, options: ServeOptions) -> None:
    """Refuse names that another site made point here (DNS rebinding)."""
    # Where other hosts are served, the token does this: another site can't know it.
    name = urlsplit(f"//{request.host}").hostname or ""
    if options.local and not is_local(name):
        raise web.HTTPForbidden(text=f"{name[:100]}: this page is served to this machine alone")


def _check_origin(request: web.Request, options: ServeOptions) -> None:
    """Refuse what other sites' pages ask."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{options.scheme}://{request.host}":
        raise web.HTTPForbidden(text="asked by another site's page")
    # A link on another page may lead here; nothing else.
    followed = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none") and not followed:
        raise web.HTTPForbidden(text="asked by another site's page")

"""Network addresses that frames can be sent to, and how each is written to."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

from realtime.errors import UsageError

# By scheme: FFmpeg's format, and what it is told.
PROTOCOLS: dict[str, tuple[str, dict[str, str]]] = {
    "rtmp": ("flv", {"flvflags": "no_duration_filesize"}),
    "rtmps": ("flv", {"flvflags": "no_duration_filesize"}),
    "rtsp": ("rtsp", {"rtsp_transport": "tcp"}),
    "udp": ("mpegts", {"flush_packets": "1"}),
}
# About what broadcasters ask for: 4.1 Mbit/s at 1280x720 and 30 fps.
BITS_A_PIXEL = 0.15
# Of an MPEG transport stream in Ethernet's packets.
PACKET_BYTES = 1316


def check_address(url: str) -> None:
    """Check that an address is one that can be sent to.

    Raises:
        UsageError: if not.
    """
    known = "rtmp://, rtmps://, rtsp:// or udp://"
    parts = urlsplit(url)
    if parts.scheme == "srt":
        raise UsageError(f"{shown(url)}: PyAV's FFmpeg has no SRT; send to {known}")
    if parts.scheme not in PROTOCOLS:
        raise UsageError(f"{shown(url)}: cannot be sent to; give a file name, or {known}")
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"{shown(url)}: its port is no number from 1 to 65535") from None
    if not parts.hostname or (parts.scheme == "udp" and port is None):
        raise UsageError(f"{shown(url)}: write {parts.scheme}://HOST:PORT{'' if port else '/...'}")


def shown(url: str) -> str:
    """Return an address without what may be secret: stream keys and passwords."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}"


def describe_job(url: str, width: int, height: int, fps: Fraction) -> dict[str, Any]:
    """Return what the sender is told; see `realtime.sinks.sender`."""
    scheme = urlsplit(url).scheme
    form, options = PROTOCOLS[scheme]
    if scheme == "udp" and "pkt_size" not in url:
        url += f"{'&' if '?' in url else '?'}pkt_size={PACKET_BYTES}"
    kilobits = max(300, math.ceil(width * height * float(fps) * BITS_A_PIXEL / 1000))
    codec = {"preset": "veryfast", "tune": "zerolatency", "crf": "23", "forced-idr": "1", "sc_threshold": "0"}
    # Half a second of it: what is sent at once must not fill a line that is as fast as that.
    codec |= {"maxrate": f"{kilobits}k", "bufsize": f"{kilobits // 2}k"}
    job = {"url": url, "format": form, "options": options, "codec": codec, "kilobits": kilobits}
    return job | {"width": width, "height": height, "rate": str(fps)}

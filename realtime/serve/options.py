"""Where the page is served and who may use it: flags as one validated value."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from realtime.errors import UsageError

DEFAULT_ADDRESS = "127.0.0.1:8460"
# A token is all that guards a page that other hosts reach.
LEAST_TOKEN = 16


@dataclass(frozen=True)
class ServeOptions:
    """Where and to whom the page is served.

    Attributes:
        host: address to listen on.
        port: 0 for a free one.
        token: what the page must know to be served frames; None on this machine alone.
        tls_cert, tls_key: PEM files, both or none.
        max_visitors: pages that are painted at once.

    Raises:
        UsageError: where other hosts would reach it without a token, or a file is missing.
    """

    host: str
    port: int
    token: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_visitors: int = 2

    def __post_init__(self) -> None:
        if self.max_visitors < 1:
            raise UsageError(f"--max-visitors {self.max_visitors}: at least 1")
        if self.token is None and not self.local:
            raise UsageError(f"--serve {self.host}: other hosts could reach it, so it needs --token TOKEN")
        if self.token is not None and not re.fullmatch(rf"[\x21-\x7e]{{{LEAST_TOKEN},}}", self.token):
            raise UsageError(f"--token: at least {LEAST_TOKEN} letters, digits or signs, without spaces")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key go together")
        for flag, path in (("--tls-cert", self.tls_cert), ("--tls-key", self.tls_key)):
            if path is not None and not path.is_file():
                raise UsageError(f"{flag} {path}: no such file")

    @property
    def local(self) -> bool:
        """Say whether this machine alone reaches it."""
        return is_local(self.host)

    @property
    def scheme(self) -> str:
        """Return "http" or "https"."""
        return "http" if self.tls_cert is None else "https"


def read_address(text: str) -> tuple[str, int]:
    """Read "HOST:PORT", "HOST", ":PORT" or "PORT"; what is left out is the default's.

    Raises:
        UsageError: if it is none of these.
    """
    host, port = DEFAULT_ADDRESS.rsplit(":", 1)
    if text.isdecimal():
        text = f":{text}"
    # An IPv6 address is written in brackets.
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*)(?::([0-9]{1,5}))?", text)
    if match is None or int(match[2] or port) > 65535:
        raise UsageError(f"--serve {text}: write it as HOST:PORT, for example {DEFAULT_ADDRESS}")
    return (match[1] or host).strip("[]"), int(match[2] or port)


def is_local(host: str) -> bool:
    """Say whether a host's name or address is this machine's own, for this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

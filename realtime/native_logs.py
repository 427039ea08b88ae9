"""Keeping native libraries' chatter off the terminal: users get our one line instead."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

# Set to anything, native libraries may write to the terminal: for debugging.
LOUD = "STN_ICNN_NATIVE_LOGS"


@contextlib.contextmanager
def hide_native_logs() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 nowhere; Python's sys.stderr still works."""
    if os.environ.get(LOUD):
        yield
        return
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        # No such descriptor (a service, say): nothing to hide.
        yield
        return
    python_stderr = sys.stderr
    if _descriptor_of(python_stderr) == 2:
        sys.stderr = os.fdopen(os.dup(saved), "w", buffering=1, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)
        sys.stderr = python_stderr


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None

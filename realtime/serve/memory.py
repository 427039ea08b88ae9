"""Keeping the memory of a program that makes and ends threads all day flat."""

from __future__ import annotations

import contextlib
import ctypes

# glibc's malloc.h.
M_ARENA_MAX = -8
ARENAS = 2


def share_arenas() -> None:
    """Let all threads take memory from two pools; does nothing where the C library is not glibc.

    Otherwise what each visit's threads free is spread over new pools, and the program grows visit by visit.
    """
    # CDLL(None) is a TypeError on Windows; other C libraries have no mallopt.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)

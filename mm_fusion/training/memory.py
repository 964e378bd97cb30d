"""Freed memory kept by the process: maps of some megabytes cost no page faults at every step."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2


def keep_freed_memory() -> bool:
    """Whether glibc was told to keep freed memory, for this process and those that it forks.

    By default it gives every tensor above some megabytes back at once, and half of a step on a CPU goes into
    getting the same pages again.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20))
    return all([mallopt(option, value) == 1 for option, value in settings])

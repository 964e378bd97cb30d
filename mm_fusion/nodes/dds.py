"""What a process does before `rclpy.init`: a DDS profile that carries images and clouds, and a pinned malloc.

Imports no rclpy, so that launch files and the demo use it too.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from pathlib import Path

from mm_fusion.config import find_file
from mm_fusion.errors import ConfigurationError

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Kilted reads the first, Humble and Jazzy the second alone."""

SEGMENT_BYTES = 128 << 20
"""As in config/dds/fastdds.xml: at 10 Hz six 1600x900 images and clouds arrive whole; 512 kB loses them."""

SMALLEST_SEGMENT_BYTES = 4 << 20
PARTICIPANTS = 4
"""Processes with a segment of their own that must fit beside each other: driver, node, RViz, recorder."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def prepare_process() -> None:
    """Sets the DDS profile and pins malloc; call it before `rclpy.init`."""
    os.environ.update(dds_environment())
    pin_malloc()


def dds_environment(shared_memory: Path = Path("/dev/shm")) -> dict[str, str]:
    """The environment variables that name our DDS profile; empty where the user has set either of them.

    Where `shared_memory` is too small for the shipped segment, a profile with a smaller one is written to the
    temporary folder and this is said once on stderr.
    """
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return {}
    try:
        profile = find_file("config/dds", "fastdds.xml")
    except ConfigurationError as error:
        print(f"DDS profile: {error}; large messages may be lost", file=sys.stderr)
        return {}
    segment = segment_bytes(free_bytes(shared_memory))
    if segment < SEGMENT_BYTES:
        print(
            f"{shared_memory} has room for shared memory segments of {segment >> 20} MB only, "
            f"{SEGMENT_BYTES >> 20} MB is better: large messages may be lost (container: --shm-size=1g)",
            file=sys.stderr,
        )
        profile = _profile_with(profile, segment)
    return dict.fromkeys(PROFILE_VARIABLES, str(profile))


def free_bytes(folder: Path) -> int:
    """Free bytes of the file system that holds `folder`; 0 where it does not exist."""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return 0
    return stat.f_bavail * stat.f_frsize


def segment_bytes(free: int) -> int:
    """The shipped segment size, or what `PARTICIPANTS` of them leave of `free` bytes."""
    return max(SMALLEST_SEGMENT_BYTES, min(SEGMENT_BYTES, free // PARTICIPANTS))


def _profile_with(profile: Path, segment: int) -> Path:
    """A copy of `profile` with another segment size, one per user and size."""
    text = re.sub(r"(?<=<segment_size>)\d+", str(segment), profile.read_text(encoding="utf-8"))
    target = Path(tempfile.gettempdir()) / f"mm_fusion_fastdds_{os.getuid()}_{segment >> 20}mb.xml"
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".xml")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(name, target)
    return target


def pin_malloc() -> bool:
    """Keep freed memory, so that an image does not cost thousands of page faults; False if not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    return all([mallopt(option, value) == 1 for option, value in settings])

"""The machine and the libraries that a figure was measured with."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("numpy", "numba", "opencv-python-headless", "onnxruntime", "openvino", "torch", "tensorrt")


def hardware() -> dict[str, object]:
    """Processor, cores that this process may use, and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    load = round(os.getloadavg()[0], 2)
    return {"processor": _processor(), "cores": cores, "memory_gb": round(pages / 1e9, 1), "load_1min": load}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {name.strip(): value.strip() for name, value in told.items()}
    return f"{names.get('model name', platform.machine())} (model {names.get('model', '?')})"


def software() -> dict[str, str | None]:
    """Python and the libraries that take part, None where one is not installed."""
    from mm_fusion import __version__

    own = {"mm_fusion": __version__, "python": platform.python_version(), "system": platform.platform()}
    return {**own, **{name: _version(name) for name in LIBRARIES}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def peak_rss_mb() -> float:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)

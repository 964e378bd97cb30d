"""What this machine computes with; asked in a child process where an answer may end the process that asks.

`python -m mm_fusion.runtime.device_probe` prints it as one line of JSON.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIMIT_S = 60.0
"""A driver that hangs must not hold the node for ever."""
_CC_MAJOR, _CC_MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR. Source: cuda.h."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Full TensorRT version, GPU name, its compute capability and the driver; '' where there is none.

    problem: why TensorRT cannot be used, in words, '' where it can.
    """

    tensorrt: str = ""
    gpu: str = ""
    compute: str = ""
    driver: str = ""
    problem: str = ""


@lru_cache
def probe() -> Probe:
    """What a child process found; never raises, never hangs, and asks once."""
    if not may_have_gpu():
        missing = "" if importlib.util.find_spec("tensorrt") else "TensorRT is not installed, and "
        return Probe(problem=f"{missing}no NVIDIA driver is here")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mm_fusion.runtime.device_probe"],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe(problem=f"asking for the GPU failed: {error}")
    return _answer(done)


def may_have_gpu() -> bool:
    """Whether a driver library can be loaded at all; cheap, and loads nothing that touches a device."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def processor() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model"))]
    return named[0] if named else platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def operating_system() -> str:
    """System, architecture and distribution."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = platform.release()
    return f"{platform.system()} {platform.machine()} {name}".strip()


def installed_version(distribution: str) -> str:
    """Version of an installed distribution, '' where it is not."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _answer(done: subprocess.CompletedProcess[str]) -> Probe:
    try:
        return Probe(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, TypeError, IndexError):
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        return Probe(problem=f"asking for the GPU ended with code {done.returncode} and said: {said}")


def _look() -> Probe:
    """Asks library and driver; for the child process."""
    gpu, compute, problem = _gpu()
    tensorrt, missing = _tensorrt()
    return Probe(tensorrt, gpu, compute, _driver() if gpu else "", missing or problem)


def _tensorrt() -> tuple[str, str]:
    try:
        return str(importlib.import_module("tensorrt").__version__), ""
    except (ImportError, OSError, AttributeError) as error:
        # the bindings import without their libraries only to fail here
        return "", f"TensorRT cannot be imported: {error}"


def _gpu() -> tuple[str, str, str]:
    """Name and compute capability of the first device, and what is wrong."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return "", "", f"no NVIDIA driver: {error}"
    count, device = ctypes.c_int(), ctypes.c_int()
    if code := cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return "", "", f"the NVIDIA driver answers with error {code}"
    if not count.value or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return "", "", "no NVIDIA GPU was found"
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    parts = []
    for attribute in (_CC_MAJOR, _CC_MINOR):
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        parts.append(str(value.value))
    return name.value.decode("utf-8", "replace"), ".".join(parts), ""


def _driver() -> str:
    """Version of the kernel module; Jetsons name the board's release in its place."""
    for path in ("/sys/module/nvidia/version", "/etc/nv_tegra_release"):
        try:
            return Path(path).read_text(encoding="utf-8").splitlines()[0].strip()
        except (OSError, IndexError):
            continue
    return "unknown"


if __name__ == "__main__":
    print(json.dumps(asdict(_look())))

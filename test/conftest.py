"""What all tests share: where recordings lie that are not part of the package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Loops of libraries with threads of their own make tests on shared machines slow and uneven.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ROS_PYTHON_CHECK_FIELDS", "1")
os.environ.setdefault("ROS_LOG_DIR", str(ROOT / "out" / "log"))


def find_shared_data() -> Path | None:
    """Folder of recordings beside the repository, or the one that ASTYX points into."""
    given = os.environ.get("ASTYX")
    folder = Path(given).resolve().parent if given else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with `astyx`, `sensors_calibration` and `nuscenes_keyframe`; skips where it is absent."""
    folder = find_shared_data()
    if folder is None:
        pytest.skip("no recordings in ../shared/data (or beside ASTYX)")
    return folder


@pytest.fixture(scope="session")
def astyx(shared_data: Path) -> Path:
    """Folder of the Astyx recordings with `train` and `val`; skips where it is absent."""
    folder = Path(os.environ.get("ASTYX", shared_data / "astyx"))
    if not folder.is_dir():
        pytest.skip(f"no Astyx recordings in {folder}")
    return folder

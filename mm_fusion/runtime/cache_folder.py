"""Where compiled engines, remembered choices and unpacked checkpoints are kept."""

from __future__ import annotations

import logging
import os
import uuid
from functools import lru_cache
from pathlib import Path

VARIABLE = "MM_FUSION_CACHE"
"""Environment variable that names another folder than `~/.cache/mm_fusion`."""


def cache_folder() -> Path | None:
    """The folder, made where it was missing; None where it cannot be written, which is said once."""
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else _home_cache()
    return folder if _can_write(folder) else None


def write_beside(path: Path, content: bytes) -> None:
    """Write `content` beside `path` and rename it when whole; several writers leave one whole file.

    Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _home_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mm_fusion"


@lru_cache
def _can_write(folder: Path) -> bool:
    probe = folder / f".{uuid.uuid4().hex}.probe"
    try:
        # trying is the only sure test: root may write where the mode says no, and not where the disk is
        # mounted read-only
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        logging.getLogger(__name__).warning(
            "%s: cannot be written (%s); nothing is kept for the next start; set %s to another folder",
            folder,
            error.strerror,
            VARIABLE,
        )
        return False
    return True

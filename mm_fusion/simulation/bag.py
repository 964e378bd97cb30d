"""A simulated drive as a rosbag2: whole under its name, or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mm_fusion.bags.write import BagWriter
from mm_fusion.errors import BagError
from mm_fusion.simulation.simulator import Simulator

Progress = Callable[[float], None]
"""Called with the share 0..1 that is done."""


def write_bag(
    path: str | Path,
    simulator: Simulator,
    seconds: float,
    progress: Progress | None = None,
    overwrite: bool = False,
    workers: int = 1,
) -> dict[str, int]:
    """Write `seconds` of a drive; messages by topic. Raises `BagError` where it cannot be written.

    After an error, a full disk or an interrupt nothing is left under the name, or what was there before.
    """
    counts: dict[str, int] = {}
    try:
        with BagWriter(path, overwrite=overwrite, compressed=True) as writer:
            for event in simulator.events(seconds, workers=workers):
                writer.write(event.topic, event.message, event.receipt_ns)
                counts[event.topic] = counts.get(event.topic, 0) + 1
                if progress is not None:
                    progress(min(1.0, (event.receipt_ns - simulator.start_ns) / 1e9 / seconds))
    except OSError as error:
        raise BagError(f"{path}: cannot be written: {error}; nothing was left there") from error
    return counts

"""When each message of a recording is due: the arithmetic of the player, without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Schedule:
    """Recorded against steady time. begin_ns: recorded time at steady 0; rate: recorded per real second."""

    begin_ns: int
    rate: float

    def due_s(self, recorded_ns: int) -> float:
        """Steady seconds after the start at which `recorded_ns` is reached."""
        return (recorded_ns - self.begin_ns) / 1e9 / self.rate

    def without(self, pause_ns: int) -> Schedule:
        """The schedule from here on with a pause of `pause_ns` recorded time left out."""
        return replace(self, begin_ns=self.begin_ns + pause_ns)


def clock_ticks(last_ns: int, next_ns: int, step_ns: int) -> Iterator[int]:
    """Times strictly between the two at which /clock is told, `step_ns` apart; none where step is 0."""
    if step_ns > 0:
        yield from range(last_ns + step_ns, next_ns, step_ns)

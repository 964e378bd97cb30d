"""A collector fed in milliseconds by a host that polls when it is due: what the collector's tests speak."""

from __future__ import annotations

from mm_fusion.alignment.collector import Collector, Release
from mm_fusion.alignment.sensor_state import SensorTiming
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import DropLog

MS = 1_000_000
S = 1_000_000_000
Call = tuple[str, float, float]


class Scene:
    """A collector fed in milliseconds: calls are (sensor, time, receipt); the host polls when it is due."""

    def __init__(
        self, sensors: str = "lidar camera radar", given_ms: float | None = None, **alignment: object
    ) -> None:
        self.drops = DropLog()
        options = {"reference": ["lidar"], "budget_ms": 60, **alignment}
        given = None if given_ms is None else round(given_ms * MS)
        timing = SensorTiming(150 * MS, period_ns=given)
        self.collector = Collector(
            dict.fromkeys(sensors.split(), timing), AlignmentConfig(**options), self.drops
        )
        self.frames: list[Release] = []
        self.delays_ms: list[float] = []

    def add(self, sensor: str, time_ms: float, receipt_ms: float) -> None:
        receipt_ns = round(receipt_ms * MS)
        self.until(receipt_ms)
        self._keep(self.collector.add(sensor, round(time_ms * MS), receipt_ns, (sensor, time_ms)), receipt_ns)

    def until(self, now_ms: float) -> None:
        due = self.collector.next_due_ns()
        while due is not None and due <= now_ms * MS:
            self._keep(self.collector.poll(due), due)
            due = self.collector.next_due_ns()

    def _keep(self, releases: list[Release], now_ns: int) -> None:
        self.frames += releases
        self.delays_ms += [(now_ns - release.opened_receipt_ns) / MS for release in releases]

    def play(self, calls: list[Call]) -> None:
        for call in sorted(calls, key=lambda call: call[2]):
            self.add(*call)

    def finish(self) -> list[dict[str, float]]:
        """Chosen times by sensor in ms, of all frames."""
        self.frames += self.collector.flush()
        return self.taken()

    def taken(self) -> list[dict[str, float]]:
        return [{name: item.time_ns / MS for name, item in r.chosen.items()} for r in self.frames]

    @property
    def stamps_ms(self) -> list[float]:
        return [release.stamp_ns / MS for release in self.frames]


def periodic(sensor: str, start: float, end: float, period: float = 100, latency: float = 20) -> list[Call]:
    """Calls of one regular sensor."""
    count = int((end - start) / period)
    return [(sensor, start + k * period, start + k * period + latency) for k in range(count)]

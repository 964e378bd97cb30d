"""Which measurements the collector takes in: odd stamps are dropped and counted, jumped clocks start anew."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from mm_fusion.alignment.sensor_state import SensorQueue, SensorState
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import DropLog, DropReason

JUMPS_TO_RESET = 3
CONSTANT_OFFSET_NS = 1_000_000_000
"""An offset against the other sensors above this is a clock on another time scale."""
CONSTANT_SPREAD_NS = 200_000_000
"""Latency that varies less than this between median and p90 counts as constant."""


class Verdict(Enum):
    """What becomes of a measurement; RESET_ALL: everything starts anew with it."""

    ACCEPT = "accept"
    DROP = "drop"
    RESET_ALL = "reset_all"


class Admission:
    """Judges each stamp against its own sensor's stamps, all sensors' latency, and what frames took."""

    def __init__(
        self,
        sensors: Sequence[SensorQueue],
        references: Sequence[SensorQueue],
        alignment: AlignmentConfig,
        drops: DropLog,
    ) -> None:
        self._sensors = sensors
        self._references = references
        self._future_ns = round(alignment.future_ms * 1e6)
        self._reset_ns = round(alignment.reset_s * 1e9)
        self._drops = drops

    def typical_latency_ns(self, now_ns: int) -> int | None:
        """The median latency of the sensors heard of late (of all where there is none), of two the larger."""
        heard: list[int] = []
        known: list[int] = []
        for queue in self._sensors:
            latency = queue.stats.latency_ns
            if latency is not None:
                (heard if queue.heard(now_ns) else known).append(latency)
        latencies = heard or known
        latencies.sort()
        return latencies[len(latencies) // 2] if latencies else None

    def latest_plausible_ns(self, receipt_ns: int, now_ns: int) -> int | None:
        """The newest time that a message received at `receipt_ns` can have; None while nothing is known."""
        latency = self.typical_latency_ns(now_ns)
        return None if latency is None else receipt_ns - latency + self._future_ns

    def judge(
        self,
        queue: SensorQueue,
        time_ns: int,
        receipt_ns: int,
        now_ns: int,
        latest_ns: int | None,
        released_ns: int | None,
    ) -> Verdict:
        """What becomes of a measurement of `queue`; drops are counted, plausible stamps go into statistics.

        latest_ns: newest plausible time. released_ns: reference time of the last released frame.
        """
        if queue.holds(time_ns) or time_ns == queue.stats.newest_ns:
            text = f"{queue.name}: stamp {time_ns} ns came again; does its driver stop the clock?"
            self._drops.add(queue.name, DropReason.DUPLICATE, text)
            return Verdict.DROP
        if (
            latest_ns is not None
            and time_ns > latest_ns
            and not self._quicker(queue, time_ns, receipt_ns, latest_ns)
        ):
            verdict = self._judge_future(queue, time_ns, receipt_ns, now_ns, latest_ns)
            if verdict is Verdict.DROP:
                return verdict
        newest_ns = queue.stats.newest_ns
        if newest_ns is not None and time_ns < newest_ns - self._reset_ns:
            queue.went_back = True
            if self._everything_went_back(now_ns):
                return Verdict.RESET_ALL
        verdict = self._judge_late(queue, time_ns, receipt_ns, released_ns)
        if verdict is Verdict.ACCEPT and time_ns != queue.stats.newest_ns:
            queue.observe(time_ns, receipt_ns)
        return verdict

    def _quicker(self, queue: SensorQueue, time_ns: int, receipt_ns: int, latest_ns: int) -> bool:
        """Whether the stamp is ahead because its sensor is steadily quicker than most, not by its clock.

        Six cameras at 150 ms must not turn a LiDAR at 20 ms into one from the future: that is no stamp ahead
        of its own receipt, is where the sensor's own latency puts it, and leads by less than a clock's
        offset.
        """
        latency_ns, own_ns = receipt_ns - time_ns, queue.stats.latency_ns
        if latency_ns < 0 or time_ns - latest_ns > CONSTANT_OFFSET_NS:
            return False
        return own_ns is None or abs(own_ns - latency_ns) <= self._future_ns

    def _judge_future(
        self, queue: SensorQueue, time_ns: int, receipt_ns: int, now_ns: int, latest_ns: int
    ) -> Verdict:
        own_ns = queue.stats.latency_ns
        if own_ns is not None and own_ns - (receipt_ns - time_ns) <= self._future_ns:
            queue.observe(time_ns, receipt_ns)
            return self._drop_future(queue, time_ns, latest_ns)
        if not self._jumped(queue):
            return self._drop_future(queue, time_ns, latest_ns)
        queue.observe(time_ns, receipt_ns)
        anew_ns = self.latest_plausible_ns(receipt_ns, now_ns)
        if anew_ns is not None and time_ns > anew_ns:
            return self._drop_future(queue, time_ns, anew_ns)
        return Verdict.ACCEPT

    def _drop_future(self, queue: SensorQueue, time_ns: int, latest_ns: int) -> Verdict:
        ahead_ms = (time_ns - latest_ns + self._future_ns) / 1e6
        text = (
            f"{queue.name}: stamp is {ahead_ms:.1f} ms ahead of where its receipt and the sensors' latency "
            f"put it; mend its clock, give stamp_offset_ms, or raise alignment.future_ms"
        )
        self._drops.add(queue.name, DropReason.FUTURE, text)
        return Verdict.DROP

    def _judge_late(
        self, queue: SensorQueue, time_ns: int, receipt_ns: int, released_ns: int | None
    ) -> Verdict:
        if not self._too_old(queue, time_ns, released_ns):
            return Verdict.ACCEPT
        newest_ns = queue.stats.newest_ns
        back = newest_ns is not None and time_ns < newest_ns
        if back and not self._jumped(queue):
            return self._drop_late(queue, time_ns, released_ns)
        if not self._too_old(queue, time_ns, released_ns):
            return Verdict.ACCEPT
        if not back:
            queue.odd_run = 0
        queue.observe(time_ns, receipt_ns)
        queue.note_sent(time_ns, receipt_ns)
        return self._drop_late(queue, time_ns, released_ns)

    def _too_old(self, queue: SensorQueue, time_ns: int, released_ns: int | None) -> bool:
        """Whether no frame to come can want it, by what frames took and were, and by its sensor's newest."""
        if queue.taken_ns is not None and time_ns < queue.taken_ns:
            return True
        newest_ns = queue.accepted_ns
        if newest_ns is not None and time_ns < newest_ns - min(queue.keep_ns, self._reset_ns):
            return True
        return released_ns is not None and time_ns < released_ns - queue.timing.max_age_ns

    def _drop_late(self, queue: SensorQueue, time_ns: int, released_ns: int | None) -> Verdict:
        behind = (
            "" if released_ns is None else f", {(released_ns - time_ns) / 1e6:.1f} ms before the last frame"
        )
        text = (
            f"{queue.name}: stamp {time_ns} ns is too old to be used{behind}; raise budget_ms or max_age_ms"
        )
        self._drops.add(queue.name, DropReason.LATE, text)
        return Verdict.DROP

    def _jumped(self, queue: SensorQueue) -> bool:
        """Count one jumped stamp of `queue`; true at the third in a row, when that sensor starts anew."""
        queue.odd_run += 1
        if queue.odd_run < JUMPS_TO_RESET:
            return False
        went_back = queue.went_back
        unused = queue.restart()
        queue.went_back = went_back
        if unused:
            text = f"{queue.name}: {JUMPS_TO_RESET} jumped stamps in a row; this sensor starts anew"
            self._drops.add(queue.name, DropReason.RESET, text, unused)
        return True

    def overdue(self, reference: SensorQueue, now_ns: int, opened_ns: int | None) -> bool:
        """Whether a reference has been missed for so long that the next in the list opens frames.

        opened_ns: time of the last opening message; a reference further behind it than `reset_s` cannot open.
        """
        overdue_at = reference.overdue_at_ns()
        if overdue_at is None or now_ns >= overdue_at or reference.sent_ns is None:
            return True
        return opened_ns is not None and reference.sent_ns < opened_ns - self._reset_ns

    def _everything_went_back(self, now_ns: int) -> bool:
        """Whether the reference in force went back, and with it one more sensor if another is alive."""
        in_force = None
        for reference in self._references:
            if reference.went_back:
                in_force = reference
                break
            if not self.overdue(reference, now_ns, None):
                break
        if in_force is None:
            return False
        others = [queue for queue in self._sensors if queue is not in_force]
        return any(queue.went_back for queue in others) or not any(queue.alive(now_ns) for queue in others)

    def state(self, queue: SensorQueue, now_ns: int) -> SensorState:
        """One sensor for diagnostics at `now_ns`."""
        if not queue.ever_seen:
            return SensorState("never")
        stats = queue.stats
        period_ns = stats.measured_period_ns
        latency = stats.measured_latency_ns
        return SensorState(
            liveness="alive" if queue.alive(now_ns) else "silent",
            period_ms=_ms(period_ns),
            rate_hz=1e9 / period_ns if period_ns else None,
            latency_p50_ms=_ms(latency[0]) if latency else None,
            latency_p90_ms=_ms(latency[1]) if latency else None,
            jitter_ms=_ms(stats.measured_jitter_ns),
            last_time_ns=stats.newest_ns,
            last_receipt_ns=queue.heard_receipt_ns,
            suggested_stamp_offset_ms=self._suggested_offset_ms(queue, now_ns),
        )

    def _suggested_offset_ms(self, queue: SensorQueue, now_ns: int) -> float | None:
        latency = queue.stats.measured_latency_ns
        typical_ns = self.typical_latency_ns(now_ns)
        if latency is None or typical_ns is None or latency[1] - latency[0] > CONSTANT_SPREAD_NS:
            return None
        offset_ns = latency[0] - typical_ns
        if abs(offset_ns) <= CONSTANT_OFFSET_NS:
            return None
        return (queue.timing.stamp_offset_ns + offset_ns) / 1e6


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / 1e6

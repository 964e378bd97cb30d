from __future__ import annotations

import pytest

from mm_fusion.alignment.admission import Admission, Verdict
from mm_fusion.alignment.sensor_state import SensorQueue, SensorTiming, Stamped
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import DropLog

MS = 1_000_000
S = 1_000_000_000


class Gate:
    """Admission over sensors a, b, c with a as reference; each accepted message is queued."""

    def __init__(self) -> None:
        alignment = AlignmentConfig(reference=["a"])
        self.queues = {name: SensorQueue(name, SensorTiming(150 * MS), alignment) for name in "abc"}
        sensors = tuple(self.queues.values())
        self.drops = DropLog()
        self.admission = Admission(sensors, sensors[:1], alignment, self.drops)

    def judge(
        self, name: str, time_ms: float, receipt_ms: float, released_ms: float | None = None
    ) -> Verdict:
        time, receipt = round(time_ms * MS), round(receipt_ms * MS)
        released = None if released_ms is None else round(released_ms * MS)
        latest = self.admission.latest_plausible_ns(receipt, receipt)
        queue = self.queues[name]
        verdict = self.admission.judge(queue, time, receipt, receipt, latest, released)
        if verdict is Verdict.ACCEPT:
            queue.insert(Stamped(time, receipt, None))
        return verdict

    def feed(self, name: str, start_ms: int, end_ms: int, latency_ms: int = 20) -> None:
        for time in range(start_ms, end_ms, 100):
            assert self.judge(name, time, time + latency_ms) is Verdict.ACCEPT


def test_with_nothing_known_everything_is_plausible() -> None:
    gate = Gate()
    assert gate.admission.typical_latency_ns(0) is None
    assert gate.admission.latest_plausible_ns(0, 0) is None
    assert gate.judge("a", -(10**12), 0) is Verdict.ACCEPT


def test_of_two_latencies_the_larger_counts_and_of_three_the_middle() -> None:
    gate = Gate()
    gate.feed("a", 0, 1000, latency_ms=10)
    gate.feed("b", 0, 1000, latency_ms=50)
    assert gate.admission.typical_latency_ns(1000 * MS) == 50 * MS
    gate.feed("c", 0, 1000, latency_ms=20)
    assert gate.admission.typical_latency_ns(1000 * MS) == 20 * MS


def test_only_sensors_heard_of_late_count_while_there_are_any() -> None:
    gate = Gate()
    gate.feed("a", 0, 1000, latency_ms=10)
    gate.feed("b", 0, 3000, latency_ms=50)
    gate.feed("a", 5000, 6000, latency_ms=10)
    assert gate.admission.typical_latency_ns(6000 * MS) == 10 * MS
    assert gate.admission.typical_latency_ns(20_000 * MS) == 50 * MS


@pytest.mark.parametrize(("ahead_ms", "verdict"), [(99, Verdict.ACCEPT), (101, Verdict.DROP)])
def test_future_begins_future_ms_ahead_of_receipt_less_median_latency(
    ahead_ms: int, verdict: Verdict
) -> None:
    gate = Gate()
    gate.feed("a", 0, 1000)
    gate.feed("b", 0, 1000)
    assert gate.judge("b", 1080 + ahead_ms, 1100) is verdict


def test_three_jumps_in_a_row_start_the_sensor_anew_and_two_do_not() -> None:
    gate = Gate()
    gate.feed("a", 0, 4000)
    gate.feed("b", 0, 3000)
    for step in range(2):
        gate.judge("b", 9000 + step * 100, 3020 + step * 100)
    gate.judge("b", 3200, 3220)
    assert gate.queues["b"].odd_run == 0
    for step in range(3):
        gate.judge("b", 9000 + step * 100, 3320 + step * 100)
    assert gate.queues["b"].times == []
    assert gate.drops.counts()["b"] == {"future": 5, "reset": 21}


def test_late_is_what_no_frame_to_come_can_want() -> None:
    gate = Gate()
    gate.feed("b", 0, 1000)
    gate.queues["b"].release(850 * MS, 800 * MS)
    assert gate.judge("b", 799, 1100, released_ms=850) is Verdict.DROP
    assert gate.judge("b", 801, 1100, released_ms=850) is Verdict.ACCEPT
    gate.feed("c", 0, 500)
    assert gate.judge("c", 699, 1100, released_ms=850) is Verdict.DROP
    assert gate.judge("c", 700, 1100, released_ms=850) is Verdict.ACCEPT
    assert gate.drops.counts() == {"b": {"late": 1}, "c": {"late": 1}}


def test_all_is_reset_when_the_reference_and_one_more_go_back() -> None:
    gate = Gate()
    for name in "abc":
        gate.feed(name, 0, 5000)
    assert gate.judge("b", 0, 5020, released_ms=4900) is Verdict.DROP
    assert gate.judge("a", 0, 5021, released_ms=4900) is Verdict.RESET_ALL


def test_one_alone_does_not_reset_all_while_another_is_alive() -> None:
    gate = Gate()
    for name in "ab":
        gate.feed(name, 0, 5000)
    assert gate.judge("a", 0, 5020, released_ms=4900) is Verdict.DROP
    assert gate.judge("a", 100, 9000, released_ms=4900) is Verdict.RESET_ALL


def test_a_constant_lead_is_named_with_its_cure_on_top_of_what_is_set() -> None:
    gate = Gate()
    gate.feed("a", 0, 3000)
    gate.feed("c", 0, 3000)
    for time in range(0, 3000, 100):
        gate.judge("b", time + 37_000, time + 20)
    state = gate.admission.state(gate.queues["b"], 3000 * MS)
    assert state.suggested_stamp_offset_ms == -37_000
    assert gate.admission.state(gate.queues["a"], 3000 * MS).suggested_stamp_offset_ms is None

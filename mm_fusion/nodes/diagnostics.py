"""What stands in /diagnostics: every sensor, every stage, and the drops, as records."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from mm_fusion.alignment.sensor_state import SensorState
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import DropReason
from mm_fusion.messages.encode_status import OK, WARN, DiagnosticStatus
from mm_fusion.nodes.load import Shed
from mm_fusion.nodes.stages import Stages
from mm_fusion.nodes.subscriptions import Topic
from mm_fusion.nodes.threads import Snapshot

UNUSABLE = (
    DropReason.MALFORMED,
    DropReason.UNKNOWN_FRAME,
    DropReason.NO_TRANSFORM,
    DropReason.NO_CALIBRATION,
)
"""Drops that mean something is to be mended, not that a message came at a bad moment."""
Counts = Mapping[str, Mapping[str, int]]
"""{sensor: {reason: count so far}}."""
REPEAT_S = 10.0
"""A drop of one sensor for one reason is said at most so often."""


def sensor_statuses(
    snapshot: Snapshot, vehicle: VehicleConfig, topics: Mapping[str, Topic], node: str, before: Counts
) -> list[DiagnosticStatus]:
    """One status per configured sensor, and one per other source that dropped something.

    before: the drops of the report before; what is unusable of a sensor warns while it grows.
    """
    found = [
        _sensor_status(
            name,
            snapshot,
            f"{vehicle.sensors[name].topic}: {topics[vehicle.sensors[name].topic].described}",
            node,
            before.get(name, {}),
        )
        for name in vehicle.sensors
    ]
    for name, reasons in snapshot.drops.items():
        if name not in vehicle.sensors:
            values = {f"drops.{reason}": str(count) for reason, count in reasons.items()}
            found.append(DiagnosticStatus(f"{node}: {name}", OK, "drops", values, hardware_id=node))
    return found


def _sensor_status(
    name: str, snapshot: Snapshot, source: str, node: str, before: Mapping[str, int]
) -> DiagnosticStatus:
    state, drops = snapshot.states[name], snapshot.drops.get(name, {})
    values = {"source": source, "liveness": state.liveness, **_figures(state, snapshot.now_ns)}
    values.update({f"drops.{reason}": str(count) for reason, count in drops.items()})
    unusable = [reason.value for reason in UNUSABLE if drops.get(reason, 0) > before.get(reason, 0)]
    text, level = _verdict(state, unusable)
    return DiagnosticStatus(f"{node}: sensor {name}", level, text, values, hardware_id=name)


def _verdict(state: SensorState, unusable: list[str]) -> tuple[str, int]:
    if unusable:
        return f"not used: {', '.join(unusable)}", WARN
    if state.liveness == "never":
        return "nothing received yet", WARN
    if state.liveness == "silent":
        return "silent", WARN
    if state.suggested_stamp_offset_ms is not None:
        offset = round(state.suggested_stamp_offset_ms, 1)
        return f"stamps are off by {-offset / 1000:.1f} s; stamp_offset_ms: {offset} cures it", WARN
    return "alive", OK


def _figures(state: SensorState, now_ns: int) -> dict[str, str]:
    age_ms = None if state.last_receipt_ns is None else (now_ns - state.last_receipt_ns) / 1e6
    figures = {
        "rate_hz": state.rate_hz,
        "period_ms": state.period_ms,
        "jitter_ms": state.jitter_ms,
        "latency_p50_ms": state.latency_p50_ms,
        "latency_p90_ms": state.latency_p90_ms,
        "age_ms": age_ms,
        "suggested_stamp_offset_ms": state.suggested_stamp_offset_ms,
    }
    return {name: f"{value:.2f}" for name, value in figures.items() if value is not None}


def stage_status(stages: Stages, counts: Mapping[str, int | str], shed: Shed, node: str) -> DiagnosticStatus:
    """p50, p95 and p99 of every stage in ms, and `counts` (frames, results, detector) beside them.

    Warns while anything is left out for lack of time.
    """
    values = {name: str(value) for name, value in counts.items()}
    values |= {"load_shed": str(shed.level), "load_shed_what": str(shed)}
    for stage, figures in stages.quantiles().items():
        values.update({f"{stage}.{name}_ms": f"{figures[name]:.3f}" for name in ("p50", "p95", "p99")})
    level, text = (WARN, f"overload: without {shed}") if shed.level else (OK, "running")
    return DiagnosticStatus(f"{node}: stages", level, text, values, hardware_id=node)


class DropReporter:
    """Says each kind of drop in one line, at most every `REPEAT_S`, with how many there were since."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._seen: dict[tuple[str, str], int] = {}
        self._next_s: dict[tuple[str, str], float] = {}

    def report(self, drops: Counts, texts: Mapping[tuple[str, DropReason], str]) -> None:
        """Say what has been dropped since it was last said. drops: {sensor: {reason: count so far}}."""
        now_s = time.monotonic()
        for sensor, reasons in drops.items():
            for reason, count in reasons.items():
                key = (sensor, reason)
                new = count - self._seen.get(key, 0)
                if new > 0 and now_s >= self._next_s.get(key, 0.0):
                    self._seen[key], self._next_s[key] = count, now_s + REPEAT_S
                    why = texts.get((sensor, DropReason(reason)), "")
                    self._say(f"{sensor}: {new} dropped ({reason}){': ' + why if why else ''}")

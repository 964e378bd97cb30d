"""The health of sensors, from what they deliver; it lowers coverage and changes no calibration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mm_fusion.alignment.baselines import FrozenWatch
from mm_fusion.alignment.condition import (
    LOOK_EVERY,
    SECTORS,
    CameraCondition,
    LidarCondition,
    RadarCondition,
    fingerprint,
)
from mm_fusion.alignment.sensor_state import SensorState
from mm_fusion.config import SensorConfig, VehicleConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Frame, SensorHealth, decoded
from mm_fusion.measurements import CameraImage, Float64, LidarSweep, Measurement, RadarScan
from mm_fusion.messages.encode_status import OK, WARN, DiagnosticStatus

Condition = LidarCondition | RadarCondition | CameraCondition | None

RESIDUAL_MEMORY = 500
RESIDUAL_MATCHES = 50
RESIDUAL_WARN_M = 0.5
DRIFT_SETTLE_NS = 5_000_000_000
DRIFT_WARN_MS = 20.0


class SensorMatches(Protocol):
    """Objects that two sensors both saw: `offset` (K, 2) m of b's centre from a's, in `base_link` axes."""

    @property
    def a(self) -> str:
        """One sensor's name."""

    @property
    def b(self) -> str:
        """The other sensor's name."""

    @property
    def offset(self) -> Float64:
        """(K, 2) m."""


@dataclass(frozen=True, slots=True, eq=False)
class PairResidual:
    """Mean offset (2,) m of one sensor's boxes from another's over the newest of `matches` matches."""

    offset: Float64
    matches: int


@dataclass(frozen=True, slots=True)
class StampDrift:
    """How receipt minus time has moved since the sensor settled: in all, and per elapsed time."""

    drift_ms: float
    ppm: float


class HealthMonitor:
    """What each sensor's condition is, from frames in order; the same frames give the same answers.

    Sees payloads that freeze, directions that return nothing any more, blurred and saturated images, radars
    that fall quiet, boxes of two sensors that lie apart, and stamps that drift against receipt.
    """

    def __init__(self, vehicle: VehicleConfig) -> None:
        names = list(vehicle.sensors)
        self._frozen = {name: FrozenWatch() for name in names}
        self._conditions = {
            name: _condition(sensor, index) for index, (name, sensor) in enumerate(vehicle.sensors.items())
        }
        self._health: dict[str, SensorHealth] = {}
        self._residuals: dict[tuple[str, str], PairResidual] = {}
        self._settled: dict[str, tuple[int, float | None]] = {}
        self._drifts: dict[str, StampDrift] = {}

    def examine(self, frame: Frame) -> dict[str, SensorHealth]:
        """Health by sensor of those in `frame`; one whose payload cannot be decoded is left out."""
        found: dict[str, SensorHealth] = {}
        for name, item in frame.measurements.items():
            if not self._frozen[name].moved_on(item.stamp_ns) and name in self._health:
                found[name] = self._health[name]
                continue
            try:
                measurement = decoded(item)
            except MeasurementError:
                continue
            found[name] = self._health[name] = self._judge(name, measurement, frame)
        return found

    def known(self, names: Iterable[str]) -> dict[str, SensorHealth]:
        """Health as last examined, of those of `names` that have been."""
        return {name: self._health[name] for name in names if name in self._health}

    def _judge(self, name: str, item: Measurement, frame: Frame) -> SensorHealth:
        frozen = self._frozen[name].observe(item.stamp_ns, fingerprint(item))
        if frozen:
            count = self._frozen[name].repeats
            remark = f"frozen: the same payload came {count} times more while its stamps advanced"
            return SensorHealth(np.zeros(SECTORS, np.float32), (remark,))
        condition = self._conditions[name]
        base_from_sensor = frame.calibration.base_from_sensor.get(name)
        if isinstance(condition, LidarCondition) and isinstance(item, LidarSweep):
            return SensorHealth(*condition.examine(item, base_from_sensor))
        if isinstance(condition, RadarCondition) and isinstance(item, RadarScan):
            return SensorHealth(*condition.examine(item))
        if isinstance(condition, CameraCondition) and isinstance(item, CameraImage):
            model = frame.calibration.camera_models.get(name)
            return SensorHealth(*condition.examine(item, model, base_from_sensor))
        return SensorHealth(np.ones(SECTORS, np.float32))

    def observe_matches(self, matches: Iterable[SensorMatches]) -> None:
        """Take in which objects two sensors both saw in the newest frame."""
        for pair in matches:
            count = len(pair.offset)
            if not count:
                continue
            known = self._residuals.get((pair.a, pair.b), PairResidual(np.zeros(2), 0))
            weight = count / (min(known.matches, RESIDUAL_MEMORY) + count)
            offset = known.offset + weight * (np.mean(pair.offset, axis=0) - known.offset)
            self._residuals[pair.a, pair.b] = PairResidual(offset, known.matches + count)

    def residuals(self) -> dict[tuple[str, str], PairResidual]:
        """Mean residual between sensors' matched boxes, by pair of sensors."""
        return dict(self._residuals)

    def observe_states(self, states: Mapping[str, SensorState]) -> None:
        """Take in the collector's states: how each sensor's stamps move against receipt."""
        for name, state in states.items():
            if state.last_receipt_ns is None or state.latency_p50_ms is None:
                continue
            since_ns, settled_ms = self._settled.get(name, (state.last_receipt_ns, None))
            elapsed_ns = state.last_receipt_ns - since_ns
            if elapsed_ns < 0 or name not in self._settled:
                self._settled[name] = (state.last_receipt_ns, None)
            elif settled_ms is None and elapsed_ns >= DRIFT_SETTLE_NS:
                self._settled[name] = (state.last_receipt_ns, state.latency_p50_ms)
            elif settled_ms is not None and elapsed_ns > 0:
                drift_ms = state.latency_p50_ms - settled_ms
                self._drifts[name] = StampDrift(drift_ms, drift_ms * 1e12 / elapsed_ns)

    def drifts(self) -> dict[str, StampDrift]:
        """Stamp against receipt drift by sensor, of those whose latency has settled."""
        return dict(self._drifts)

    def statuses(self) -> list[DiagnosticStatus]:
        """One status per sensor examined so far and one per pair of sensors that saw the same objects."""
        drifts = self.drifts()
        found = [
            _sensor_status(name, health, drifts.get(name)) for name, health in list(self._health.items())
        ]
        return found + [_pair_status(*pair, residual) for pair, residual in self.residuals().items()]


def _condition(sensor: SensorConfig, index: int) -> Condition:
    match sensor.kind:
        case "lidar":
            return LidarCondition()
        case "radar":
            return RadarCondition()
        case "camera":
            return CameraCondition(first_look=index % LOOK_EVERY)
        case _:
            return None


def _sensor_status(name: str, health: SensorHealth, drift: StampDrift | None) -> DiagnosticStatus:
    remarks = list(health.remarks)
    values = {
        "coverage_mean": f"{health.sector_coverage.mean():.2f}",
        "coverage_min": f"{health.sector_coverage.min():.2f}",
    }
    if drift is not None:
        values |= {"stamp_drift_ms": f"{drift.drift_ms:.2f}", "stamp_drift_ppm": f"{drift.ppm:.1f}"}
        if abs(drift.drift_ms) > DRIFT_WARN_MS:
            remarks.append(f"stamps have drifted by {drift.drift_ms:.1f} ms against receipt")
    text = "; ".join(remarks) or "healthy"
    return DiagnosticStatus(f"health {name}", WARN if remarks else OK, text, values, hardware_id=name)


def _pair_status(a: str, b: str, residual: PairResidual) -> DiagnosticStatus:
    x, y = (float(value) for value in residual.offset)
    apart = residual.matches >= RESIDUAL_MATCHES and float(np.hypot(x, y)) > RESIDUAL_WARN_M
    text = f"boxes of {b} lie {np.hypot(x, y):.2f} m from those of {a}; check their mounts and stamps"
    values = {"offset_x_m": f"{x:.3f}", "offset_y_m": f"{y:.3f}", "matches": str(residual.matches)}
    return DiagnosticStatus(f"residual {a} {b}", WARN if apart else OK, text if apart else "agree", values)

"""What samples of clouds say of a recording: scan times and ground of a LiDAR, Doppler and ego speed of a
radar.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.report import GroundReport, LidarReport, RadarReport
from mm_fusion.config import SensorConfig
from mm_fusion.geometry.ground import Plane, fit_ground
from mm_fusion.geometry.radar_ego import RadarReturns, estimate_doppler_properties, estimate_ego_motion
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.measurements import LidarSweep, RadarScan
from mm_fusion.messages.pointcloud import decode_lidar, decode_radar_cloud
from mm_fusion.messages.radar import decode_radar_scan

NEAREST_M = 2.0
"""Nearer returns are mostly the car itself."""
CENTRED_SHARE = 0.15
"""Point times count as centred on the stamp when their middle is off by less than this share of the scan."""


@dataclass(slots=True)
class LidarSamples:
    """Sampled scans of one LiDAR topic."""

    topic: str
    points: list[int] = field(default_factory=list)
    rings: list[int] = field(default_factory=list)
    spans_ns: list[tuple[int, int]] = field(default_factory=list)
    planes: list[Plane] = field(default_factory=list)

    def add(self, message: Any, receipt_ns: int, base_from_sensor: NDArray[np.float64] | None) -> None:
        """Take a scan in; raises `MeasurementError` where it cannot be read."""
        config = SensorConfig(kind="lidar", topic=self.topic, min_range_m=NEAREST_M)
        sweep: LidarSweep = decode_lidar(message, config, receipt_ns).get()
        self.points.append(len(sweep.xyz))
        if len(sweep.xyz) == 0:
            return
        if sweep.ring is not None and sweep.ring.max() > 0:  # all zero: the driver does not know them
            self.rings.append(int(sweep.ring.max()) + 1)
        self.spans_ns.append((int(sweep.time_offset_ns.min()), int(sweep.time_offset_ns.max())))
        if base_from_sensor is not None:
            plane = fit_ground(transform_points(base_from_sensor, sweep.xyz))
            self.planes += [plane] if plane is not None else []

    def report(self) -> LidarReport:
        """Medians over the scans."""
        low, high = np.median(np.array(self.spans_ns or [(0, 0)]), axis=0)
        duration_ns = float(high - low)
        return LidarReport(
            points=int(np.median(self.points)) if self.points else 0,
            rings=max(self.rings) if self.rings else None,
            stamp_at=_stamp_at(float(low), float(high)) if duration_ns > 0 else None,
            duration_ms=duration_ns / 1e6 if duration_ns > 0 else None,
            ground=self._ground(),
        )

    def _ground(self) -> GroundReport | None:
        if not self.planes:
            return None
        normal = np.median([plane.normal for plane in self.planes], axis=0)
        tilt_deg = float(np.degrees(np.arctan2(np.hypot(normal[0], normal[1]), normal[2])))
        height_m = float(np.median([-plane.offset / plane.normal[2] for plane in self.planes]))
        return GroundReport(tilt_deg, height_m, len(self.planes))


def _stamp_at(low_ns: float, high_ns: float) -> str:
    """Where in the scan its stamp lies, from the times of its points after the stamp."""
    place = -low_ns / (high_ns - low_ns)
    if abs(place - 0.5) < CENTRED_SHARE:
        return "middle"
    return "start" if place < 0.5 else "end"


@dataclass(slots=True)
class RadarSamples:
    """Sampled scans of one radar topic."""

    topic: str
    scans: list[RadarReturns] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    compensated: bool = False

    def add(self, message: Any, receipt_ns: int, base_from_sensor: NDArray[np.float64] | None) -> None:
        """Take a scan in; raises `MeasurementError`. A radar that is not placed is taken to look along
        base's x.
        """
        config = SensorConfig(kind="radar", topic=self.topic, min_range_m=NEAREST_M)
        decode = decode_radar_scan if hasattr(message, "returns") else decode_radar_cloud
        scan: RadarScan = decode(message, config, receipt_ns).get()
        self.counts.append(len(scan.xyz))
        self.compensated |= scan.compensated
        matrix = np.eye(4) if base_from_sensor is None else base_from_sensor
        rays = scan.xyz.astype(np.float64) / np.linalg.norm(scan.xyz, axis=1, keepdims=True).clip(1e-9)
        raw = scan.radial_velocity.astype(np.float64)
        self.scans.append(RadarReturns(rays @ matrix[:3, :3].T, matrix[:3, 3].copy(), raw))

    def report(self) -> RadarReport:
        """Sign and interval of the Doppler, then the ego speed that the scans give with them, one by one."""
        returns = int(np.median(self.counts)) if self.counts else 0
        if self.compensated or not self.scans:
            return RadarReport(
                returns, self.compensated, None, None, 0.0, len(self.scans), 0, None, None, None
            )
        doppler = estimate_doppler_properties(self.scans)
        found = [
            estimate_ego_motion([_signed(scan, doppler.sign or 1, doppler.ambiguity_mps)])
            for scan in self.scans
        ]
        estimates = [estimate for estimate in found if estimate is not None]
        medians = [
            float(np.median([value(estimate) for estimate in estimates])) if estimates else None
            for value in (_share, _residual, _speed)
        ]
        sign, ambiguity = doppler.sign, doppler.ambiguity_mps
        return RadarReport(
            returns,
            False,
            sign,
            ambiguity,
            float(doppler.confidence),
            len(self.scans),
            len(estimates),
            *medians,
        )


def _signed(scan: RadarReturns, sign: int, ambiguity_mps: float | None) -> RadarReturns:
    return RadarReturns(scan.rays_base, scan.sensor_position, scan.radial_velocity * sign, ambiguity_mps)


def _share(estimate: Any) -> float:
    return float(estimate.inlier_share)


def _residual(estimate: Any) -> float:
    return float(estimate.residual_mps)


def _speed(estimate: Any) -> float:
    return float(np.linalg.norm(estimate.linear[:2]))

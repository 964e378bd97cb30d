"""What in a recording will keep it from being fused well, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mm_fusion.bags.report import BagReport, SensorReport

TILT_LIMIT_DEG = 1.0
HEIGHT_LIMIT_M = 0.3
CLOCK_LIMIT_MS = 1000.0
"""A latency further from the others' is a clock of its own (TAI is 37 s ahead)."""
GAP_LIMIT_SHARE = 0.05


def find_warnings(report: BagReport) -> tuple[str, ...]:
    """One sentence for each thing that is missing or odd."""
    found = list(_of_frames(report))
    for sensor in report.sensors:
        found += [*_of_timing(sensor), *_of_kind(sensor)]
    for name, shift_ms in clock_shifts(report).items():
        off = f"{name}: its clock is {-shift_ms / 1e3:+.1f} s off the others'"
        found.append(f"{off}; stamp_offset_ms: {shift_ms:.0f} cures it")
    return tuple(found)


def clock_shifts(report: BagReport) -> dict[str, float]:
    """stamp_offset_ms by sensor whose stamps lie more than a second off the others', by their latency."""
    latencies = {s.name: s.timing.latency_ms for s in report.sensors if s.timing.latency_ms is not None}
    if len(latencies) < 2:
        return {}
    middle = float(np.median(list(latencies.values())))
    return {name: value - middle for name, value in latencies.items() if abs(value - middle) > CLOCK_LIMIT_MS}


def _of_frames(report: BagReport) -> Iterator[str]:
    if not report.sensors:
        yield (
            "no sensor topic is known; expected images, PointCloud2, RadarScan, RadarTracks or "
            "Detection2DArray"
        )
        return
    if report.base_frame is None:
        yield "no base frame: no transform names the vehicle; give each sensor a mount in the vehicle file"
    lost = [sensor.name for sensor in report.sensors if not sensor.placed]
    if lost and report.base_frame:
        yield (
            f"not joined to {report.base_frame}: {', '.join(lost)}; publish their transforms or give "
            f"them a mount"
        )
    if not report.ego:
        yield "no ego motion: nothing moves points to one time; record odometry, a twist, tf or a radar"


def _of_timing(sensor: SensorReport) -> Iterator[str]:
    timing = sensor.timing
    if timing.gaps > GAP_LIMIT_SHARE * timing.count:
        yield (
            f"{sensor.name}: {timing.gaps} gaps of more than three periods, the longest "
            f"{timing.largest_gap_s:.1f} s"
        )
    if timing.backwards:
        yield f"{sensor.name}: {timing.backwards} stamps earlier than the one before"
    if timing.duplicates:
        yield f"{sensor.name}: {timing.duplicates} stamps equal to the one before"
    if not sensor.frame_id:
        yield f"{sensor.name}: its messages name no frame; set `frame` in the vehicle file"


def _of_kind(sensor: SensorReport) -> Iterator[str]:
    if sensor.kind in ("camera", "image_detections") and sensor.model is None:
        yield f"{sensor.name}: no usable CameraInfo; give `camera` in the vehicle file"
    if sensor.lidar and sensor.lidar.ground:
        ground = sensor.lidar.ground
        if ground.tilt_deg > TILT_LIMIT_DEG:
            yield (
                f"{sensor.name}: the ground tilts by {ground.tilt_deg:.1f} deg in the base frame; "
                f"level its transform"
            )
        if abs(ground.height_m) > HEIGHT_LIMIT_M:
            yield (
                f"{sensor.name}: the ground lies at z = {ground.height_m:+.2f} m in the base frame; "
                f"expected 0"
            )
    if sensor.radar and not sensor.radar.compensated and sensor.radar.sign is None:
        yield f"{sensor.name}: the Doppler sign could not be told; set doppler_sign in the vehicle file"

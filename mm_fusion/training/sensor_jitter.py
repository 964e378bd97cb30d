"""Sensors that are a little off: stamps, mounts, and the number of sweeps at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import Float64, SensorKind
from mm_fusion.training.settings import AugmentConfig

SHARE_OF_KIND: dict[SensorKind, float] = {"lidar": 0.3}
"""Mounts of a kind move by this share of the whole: a LiDAR's own error moves the labels themselves."""
STAMP_OF_KIND: dict[SensorKind, float] = {"lidar": 0.2, "radar": 0.2}
"""Stamps of a kind are off by this share: clouds are stamped better than images."""


def jittered(frame: Frame, settings: AugmentConfig, rng: np.random.Generator) -> Frame:
    """The frame with stamps, mounts and sweeps changed, each in its share of the frames."""
    stamps, mounts, sweeps = rng.spawn(3)
    if stamps.random() < settings.time_jitter:
        frame = with_wrong_stamps(frame, settings.time_jitter_ms, stamps)
    if mounts.random() < settings.calibration_jitter:
        frame = with_wrong_mounts(frame, settings.calibration_deg, settings.calibration_m, mounts)
    if sweeps.random() < settings.fewer_sweeps:
        frame = with_fewer_sweeps(frame, sweeps)
    return frame


def with_wrong_stamps(frame: Frame, most_ms: float, rng: np.random.Generator) -> Frame:
    """Each newest measurement says a time that is off by up to `most_ms`, evenly; what it saw stays."""
    measurements, age_ns = dict(frame.measurements), dict(frame.age_ns)
    for name, item in frame.measurements.items():
        share = STAMP_OF_KIND.get(frame.kinds[name], 1.0)
        later_ns = round(rng.uniform(-1, 1) * most_ms * share * 1e6)
        measurements[name] = replace(decoded(item), stamp_ns=item.stamp_ns + later_ns)
        age_ns[name] = frame.age_ns.get(name, 0) - later_ns
    return replace(frame, measurements=measurements, age_ns=age_ns)


def with_wrong_mounts(frame: Frame, sigma_deg: float, sigma: float, rng: np.random.Generator) -> Frame:
    """Each sensor is taken to sit elsewhere: sigma_deg per axis around itself, sigma m per axis."""
    mounts = {}
    for name, base_from_sensor in frame.calibration.base_from_sensor.items():
        share = SHARE_OF_KIND.get(frame.kinds.get(name, "camera"), 1.0)
        turn, shift = rng.normal(0, sigma_deg * share, 3), rng.normal(0, sigma * share, 3)
        mounts[name] = moved_mount(base_from_sensor, turn, shift)
    return replace(frame, calibration=replace(frame.calibration, base_from_sensor=mounts))


def moved_mount(base_from_sensor: Float64, rpy_deg: np.ndarray, shift: np.ndarray) -> Float64:
    """base_from_sensor of a sensor turned around itself about the axes of `base_link` and shifted, m."""
    moved = base_from_sensor.copy()
    moved[:3, :3] = from_rpy_deg(rpy_deg.tolist())[:3, :3] @ base_from_sensor[:3, :3]
    moved[:3, 3] += shift
    return moved


def with_fewer_sweeps(frame: Frame, rng: np.random.Generator) -> Frame:
    """The newest and an even draw of 0 to all of the earlier ones, the same share for all of a kind."""
    shares = {kind: rng.random() for kind in ("lidar", "radar")}
    earlier = {
        name: sweeps[: int(shares.get(frame.kinds[name], 1.0) * (len(sweeps) + 1))]
        for name, sweeps in frame.earlier.items()
    }
    return replace(frame, earlier=earlier)

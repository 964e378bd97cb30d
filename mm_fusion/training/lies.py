"""Sensors that are present and wrong: frozen, shifted, showing another frame, or noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mm_fusion.frame import Frame, decoded
from mm_fusion.measurements import CameraImage, LidarSweep, Measurement, RadarScan
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.changes import Frames, another, file_of
from mm_fusion.training.sensor_jitter import moved_mount

LIES = ("frozen", "shifted", "another", "noise")
RECENT_NS = 3_000_000_000
"""The frame before counts as an earlier moment of the same drive within this."""


class SensorLies:
    """In a share of the frames all sensors of one kind, or one of them, tell what is not so."""

    def __init__(self, frames: Frames, config: LearnedConfig, share: float) -> None:
        self._frames, self._config, self._share = frames, config, share

    def __call__(self, number: int, frame: Frame, rng: np.random.Generator) -> tuple[Frame, frozenset[str]]:
        """The frame, and which sensors lie in it."""
        kinds = sorted({frame.kinds[name] for name in frame.measurements} & {"camera", "lidar", "radar"})
        if rng.random() >= self._share or not kinds:
            return frame, frozenset()
        kind = kinds[rng.integers(len(kinds))]
        names = [name for name in frame.measurements if frame.kinds[name] == kind]
        if rng.random() < 0.5:
            names = [names[rng.integers(len(names))]]
        return self.lying(LIES[rng.integers(len(LIES))], number, frame, names, rng), frozenset(names)

    def lying(
        self, lie: str, number: int, frame: Frame, names: Sequence[str], rng: np.random.Generator
    ) -> Frame:
        """The frame with `names` telling a lie of `LIES`."""
        if lie == "shifted":
            return shifted(frame, names, rng)
        found = dict(frame.measurements)
        older = self._before(number, frame)
        other = self._frames[another(self._frames, number, rng)][0]
        for name in names:
            now = decoded(frame.measurements[name])
            if lie == "frozen" and frame.earlier.get(name):
                shown = decoded(frame.earlier[name][-1])
            elif lie == "frozen" and older is not None and name in older.measurements:
                shown = decoded(older.measurements[name])
            elif lie != "noise" and name in other.measurements:
                shown = decoded(other.measurements[name])
            else:
                shown = noise_like(now, self._config, rng)
            found[name] = replace(shown, stamp_ns=now.stamp_ns)
        earlier = {name: sweeps for name, sweeps in frame.earlier.items() if name not in names}
        return replace(frame, measurements=found, earlier=earlier)

    def _before(self, number: int, frame: Frame) -> Frame | None:
        if number <= file_of(self._frames, number)[0]:
            return None
        older = self._frames[number - 1][0]
        return older if 0 < frame.stamp_ns - older.stamp_ns < RECENT_NS else None


def shifted(frame: Frame, names: Sequence[str], rng: np.random.Generator) -> Frame:
    """The frame with the sensors `names` knocked: 3 to 10 degrees of yaw and 0.5 to 3 m along the ground."""
    mounts = dict(frame.calibration.base_from_sensor)
    for name in names:
        if name in mounts:
            yaw = rng.uniform(3, 10) * rng.choice([-1, 1])
            bearing, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 3)
            shift = far * np.array([np.cos(bearing), np.sin(bearing), 0.0])
            mounts[name] = moved_mount(mounts[name], np.array([0.0, 0.0, yaw]), shift)
    return replace(frame, calibration=replace(frame.calibration, base_from_sensor=mounts))


def noise_like(item: Measurement, config: LearnedConfig, rng: np.random.Generator) -> Measurement:
    """A measurement without meaning: grey noise, or points whose ranges (and velocities) changed places."""
    if isinstance(item, CameraImage):
        shape = (config.camera.height_px, config.camera.width_px, 3)
        return CameraImage(item.stamp_ns, item.frame_id, rng.integers(0, 256, shape).astype(np.uint8))
    if isinstance(item, (LidarSweep, RadarScan)):
        ranges = np.maximum(np.linalg.norm(item.xyz, axis=1, keepdims=True), 1e-3)
        item = replace(item, xyz=(item.xyz / ranges * rng.permutation(ranges)).astype(np.float32))
    if isinstance(item, RadarScan):
        return replace(item, radial_velocity=rng.permutation(item.radial_velocity))
    return item

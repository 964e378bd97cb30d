"""On a few real frames of one camera, one LiDAR and one radar, truth beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mm_fusion.bags.convert.astyx_source import LIDAR, RADAR, AstyxFrame, list_frames
from mm_fusion.bags.convert.levelling import base_from_plane, plane_under
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.measurements import LidarSweep, RadarScan
from test.detectors.scene import STAMP, detector, frame


def real_frame(source: AstyxFrame) -> tuple[Frame, np.ndarray]:
    """The frame on a level base, and the places (N, 2) of little occluded cars within 30 m and the image."""
    scans, poses = source.load(), source.calibration.ref_from_sensor
    plane = plane_under([transform_points(poses[LIDAR], scans.lidar_xyz)])
    assert plane is not None
    base_from_ref = base_from_plane(*plane)
    keep = np.linalg.norm(scans.lidar_xyz, axis=1) > 2.0
    xyz = scans.lidar_xyz[keep].astype(np.float32)
    sweep = LidarSweep(STAMP, "lidar", xyz, np.zeros(len(xyz), np.float32), np.zeros(len(xyz), np.int32))
    x, y, z, velocity, strength = scans.radar.T.astype(np.float32)
    scan = RadarScan(STAMP, "radar", np.column_stack([x, y, z]), -velocity, strength, ambiguity_mps=10.4)
    calibration = Calibration({"lidar": base_from_ref @ poses[LIDAR], "radar": base_from_ref @ poses[RADAR]})
    cars = [o["center3d"] for o in source.objects if o["classname"] == "Car" and o["occlusion"] <= 1]
    places = transform_points(base_from_ref, np.array(cars, np.float64).reshape(-1, 3))
    near = np.hypot(places[:, 0], places[:, 1]) < 30
    return frame({"lidar": sweep, "radar": scan}, None, calibration=calibration), places[near, :2]


@pytest.fixture(scope="module")
def frames(astyx) -> list[tuple[Frame, np.ndarray]]:
    return [real_frame(source) for source in list_frames(astyx / "train")[:40:4]]


@pytest.mark.parametrize(
    ("names", "least"), [(("lidar",), 0.6), (("radar",), 0.5), (("lidar", "radar"), 0.7)]
)
def test_most_near_cars_are_found(frames, names, least):
    found = []
    for real, cars in frames:
        objects = detector().detect(replace(real, measurements={n: real.measurements[n] for n in names}))
        places = objects.center[np.array(objects.class_names()) == "car", :2]
        apart = np.linalg.norm(cars[:, None] - places[None], axis=2)
        found += list(apart.min(axis=1, initial=np.inf) < 2.0)
    assert len(found) > 20
    assert np.mean(found) > least

"""The plain rasters are those of the package."""

from __future__ import annotations

import numpy as np

from mm_fusion.benchmarking.plain_decoding import PlainCloud
from mm_fusion.benchmarking.plain_rasters import plain_lidar_raster, plain_radar_raster
from mm_fusion.inputs.lidar_raster import LidarRaster
from mm_fusion.inputs.radar_raster import RadarRaster
from test.inputs import scene


def lidar_cloud(sweep) -> PlainCloud:
    return PlainCloud(sweep.stamp_ns, sweep.xyz, {"intensity": sweep.intensity, "t": sweep.time_offset_ns})


def radar_cloud(scan) -> PlainCloud:
    columns = {"velocity": scan.radial_velocity, "rcs": scan.strength_db}
    return PlainCloud(scan.stamp_ns, scan.xyz, columns, scan.ambiguity_mps)


def test_nothing_is_empty():
    config, frame = scene.config(), scene.frame({})
    assert not plain_lidar_raster([], frame, config, None).any()
    assert not plain_radar_raster([], frame, config, None).any()


def test_lidar():
    rng = np.random.default_rng(1)
    points = rng.uniform((-6, -18, -1), (30, 18, 3), (3000, 3))
    sweep = scene.sweep(points, offset_s=0.02)
    box = scene.vehicle(ego_box={"min": [-1, -1, 0], "max": [4, 1, 2]}).ego_box
    for speed in (None, 0.0, 12.0):
        frame = scene.frame({"lidar": sweep}, speed)
        ours = LidarRaster(scene.config(), box).build(frame)
        plain = plain_lidar_raster([("lidar", lidar_cloud(sweep))], frame, scene.config(), box)
        apart = (np.abs(ours - plain) > 1e-3).any(axis=0).sum()
        assert ours.any() and apart <= 3  # points on a cell's border may fall to either side


def test_radar():
    rng = np.random.default_rng(2)
    points = np.column_stack([rng.uniform(-4, 28, 400), rng.uniform(-16, 16, 400), np.full(400, 0.5)])
    velocity = rng.uniform(-20, 20, 400)
    for interval in (None, 20.0):
        scan = scene.scan(points, velocity, ambiguity_mps=interval)
        for speed in (None, 5.0):
            frame = scene.frame({"radar": scan}, speed)
            ours = RadarRaster(scene.config()).build(frame)
            plain = plain_radar_raster([("radar", radar_cloud(scan))], frame, scene.config(), None)
            assert ours.any() and (np.abs(ours - plain) > 1e-3).any(axis=0).sum() <= 2

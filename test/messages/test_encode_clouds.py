from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import LidarSweep, RadarScan
from mm_fusion.messages.encode import (
    decode_detections_cloud,
    encode_detections_cloud,
    encode_lidar,
    encode_radar_cloud,
)
from mm_fusion.messages.pointcloud import decode_lidar, decode_radar_cloud

FIELDS = (
    "x y z length width height yaw vx vy score class_id track_id moving pos_xx pos_xy pos_yy "
    "vel_xx vel_xy vel_yy var_z var_l var_w var_h var_yaw "
    "contribution_camera contribution_lidar contribution_radar"
).split()


def sweep(count: int, ring: bool = True) -> LidarSweep:
    rng = np.random.default_rng(1)
    return LidarSweep(
        1_700_000_000_000_000_000,
        "lidar",
        rng.uniform(2, 60, (count, 3)).astype(np.float32),
        rng.random(count).astype(np.float32),
        rng.integers(-50_000_000, 50_000_000, count).astype(np.int32),
        rng.integers(0, 128, count).astype(np.int16) if ring else None,
    )


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_lidar_round_trip(types, on_the_wire, sensor, count):
    sent = sweep(count)
    message = on_the_wire(encode_lidar(sent, types))
    got = decode_lidar(message, sensor(), 0).get()
    assert message.point_step == 22 and [f.name for f in message.fields] == [
        "x",
        "y",
        "z",
        "intensity",
        "ring",
        "t",
    ]
    for name in ("xyz", "time_offset_ns", "ring"):
        assert np.array_equal(getattr(got, name), getattr(sent, name)), name
    assert got.intensity == pytest.approx(sent.intensity) and got.stamp_ns == sent.stamp_ns


@pytest.mark.parametrize("compensated", [False, True])
@pytest.mark.parametrize("kind", ["rcs", "snr", "power"])
def test_radar_round_trip(types, on_the_wire, sensor, compensated, kind):
    xyz, velocity = np.full((3, 3), 7, np.float32), np.array([-5, 0, 5], np.float32)
    sent = RadarScan(9, "radar", xyz, velocity, velocity * 2, kind, compensated)
    got = decode_radar_cloud(on_the_wire(encode_radar_cloud(sent, types)), sensor("radar"), 0).get()
    assert np.array_equal(got.xyz, xyz) and np.array_equal(got.radial_velocity, velocity)
    assert np.array_equal(got.strength_db, sent.strength_db)
    assert (got.strength_kind, got.compensated) == (kind, compensated)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_detections_round_trip(types, on_the_wire, count):
    rng = np.random.default_rng(2)
    arrays = {name: rng.random(a.shape) for name, a in empty_detections(count).arrays().items()}
    sent = make_detections(
        count, **{**arrays, "class_id": np.arange(count), "track_id": np.arange(count) - 1}
    )
    message = on_the_wire(
        encode_detections_cloud(sent, 5, "base_link", types, {"occlusion": np.arange(count)})
    )
    got, extra = decode_detections_cloud(message)
    assert [f.name for f in message.fields] == [*FIELDS, "occlusion"]
    assert {f.datatype for f in message.fields} == {7}
    for name, array in sent.arrays().items():
        if name != "track_id" or (array >= 0).any():
            assert np.array_equal(getattr(got, name), array), name
    assert list(extra) == ["occlusion"] and list(extra["occlusion"]) == list(range(count))


def test_what_is_unknown_stays_so(types):
    got, extra = decode_detections_cloud(encode_detections_cloud(empty_detections(2), 5, "base_link", types))
    assert (
        np.isnan(got.velocity).all() and np.isinf(got.variance).all() and got.track_id is None and not extra
    )


def test_large_track_ids_stay_whole(types):
    sent = make_detections(1, track_id=np.array([2**40 + 5]))
    assert decode_detections_cloud(encode_detections_cloud(sent, 5, "b", types))[0].track_id[0] == 5


def test_a_cloud_of_boxes_alone(cloud):
    points = np.zeros(2, [(name, "f4") for name in FIELDS[:7]])
    got, _ = decode_detections_cloud(cloud(points))
    assert len(got) == 2 and got.class_names() == ["unknown", "unknown"]


def test_odd_values_are_mended(cloud):
    points = np.zeros(3, [(name, "f4") for name in FIELDS])
    points["class_id"], points["track_id"] = (np.nan, 99, 2), (np.nan, 1e30, 3)
    got, _ = decode_detections_cloud(cloud(points))
    assert got.class_names() == ["unknown", "unknown", "bus"] and list(got.track_id) == [-1, -1, 3]


def test_another_cloud_is_said(cloud):
    points = np.zeros(2, [("x", "f4"), ("y", "f4"), ("z", "f4")])
    with pytest.raises(
        MeasurementError, match="cloud of detections, got one without length, width, height, yaw"
    ):
        decode_detections_cloud(cloud(points))

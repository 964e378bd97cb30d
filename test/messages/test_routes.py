from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.config import VehicleConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import (
    CameraModel,
    Deferred,
    EgoMotion,
    LidarSweep,
    RadarScan,
    StampedTransform,
)
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_odometry,
    encode_radar_cloud,
    encode_radar_scan,
    encode_transforms,
)
from mm_fusion.messages.routes import Route, decode, routes


@pytest.fixture
def vehicle() -> VehicleConfig:
    sensors = {
        "top": {"kind": "lidar", "topic": "/points"},
        "front": {"kind": "camera", "topic": "/image", "info_topic": "/info"},
        "boxes": {"kind": "image_detections", "topic": "/boxes", "info_topic": "/info"},
        "radar": {"kind": "radar", "topic": "/radar"},
        "tracks": {"kind": "radar_tracks", "topic": "/tracks"},
    }
    ego = [{"kind": "odometry", "topic": "/odom"}, {"kind": "twist", "topic": "/speed"}, {"kind": "tf"}]
    return VehicleConfig.model_validate(
        {"sensors": sensors, "ego_motion": ego, "alignment": {"reference": ["top"]}}
    )


def test_every_topic(vehicle):
    table = routes(vehicle)
    assert table["/tf"] == (Route("/tf", "tf"),) and table["/tf_static"] == (Route("/tf", "tf_static"),)
    assert table["/info"] == (Route("front", "camera_info"), Route("boxes", "camera_info"))
    assert table["/odom"] == (Route("/odom", "odometry"),) and table["/speed"] == (Route("/speed", "twist"),)
    assert table["/radar"] == (Route("radar", "measurement"),) and len(table) == 10


def test_a_vehicle_without_ego_motion():
    tree = {"sensors": {"top": {"kind": "lidar", "topic": "/p"}}, "alignment": {"reference": ["top"]}}
    assert set(routes(VehicleConfig.model_validate(tree))) == {"/tf", "/tf_static", "/p"}


def test_every_role_gives_its_item(vehicle, types):
    column = np.zeros(2, np.float32)
    xyz = np.full((2, 3), 5, np.float32)
    sweep = LidarSweep(5, "lidar", xyz, column, column.astype(np.int32))
    scan = RadarScan(5, "radar", xyz, column, column)
    model = CameraModel(np.diag([500.0, 500, 1]), np.zeros(0), "plumb_bob", 640, 480)
    ego = EgoMotion(5, np.ones(3), np.zeros(3))
    edge = StampedTransform(5, "base_link", "lidar", np.eye(4))
    cases = {
        Route("top", "measurement"): (encode_lidar(sweep, types), LidarSweep),
        Route("radar", "measurement"): (encode_radar_scan(scan, types), RadarScan),
        Route("front", "camera_info"): (encode_camera_info(model, 5, "camera", types), CameraModel),
        Route("/odom", "odometry"): (encode_odometry(ego, types), EgoMotion),
        Route("/tf", "tf"): (encode_transforms((edge,), types), tuple),
    }
    for route, (message, kind) in cases.items():
        item = decode(route, message, vehicle, 5)
        assert isinstance(item.get() if isinstance(item, Deferred) else item, kind), route
    cloud = decode(Route("radar", "measurement"), encode_radar_cloud(scan, types), vehicle, 5)
    assert isinstance(cloud.get(), RadarScan)


@pytest.mark.parametrize("name", ["top", "front", "boxes", "radar", "tracks"])
def test_a_wrong_message_is_said_with_its_topic(vehicle, types, name):
    message = types("std_msgs/msg/String")(data="")
    with pytest.raises(MeasurementError, match=f"^{vehicle.sensors[name].topic}: expected"):
        decode(Route(name, "measurement"), message, vehicle, 5)


def test_no_image_is_said_with_its_topic(vehicle, types):
    with pytest.raises(MeasurementError, match="^/image: expected the bytes of a JPEG"):
        decode(Route("front", "measurement"), encode_compressed_image(b"x", 5, "camera", types), vehicle, 5)

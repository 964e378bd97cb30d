from __future__ import annotations

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.messages.encode import encode_detections, encode_objects
from mm_fusion.messages.encode_objects import AUTOWARE_LABELS, UNKNOWN_VARIANCE, own_axes

OLD = {
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size",
    "vision_msgs/msg/ObjectHypothesis": "string id\nfloat64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": "string id\nfloat64 score\n"
    "geometry_msgs/PoseWithCovariance pose",
    "vision_msgs/msg/Detection3D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox3D bbox\nsensor_msgs/PointCloud2 source_cloud\nbool is_tracking\n"
    "string tracking_id",
    "vision_msgs/msg/Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections",
}


def objects() -> Detections:
    """A moving car that looks to the left, and a cluster of which little is known."""
    return make_detections(
        2,
        center=[[10, 2, 0.8], [30, -4, 1]],
        size=[[4.5, 1.9, 1.6], [1, 1, 1]],
        yaw=[np.pi / 2, 0],
        velocity=[[0, 5], [np.nan, np.nan]],
        position_cov=[[0.1, 0.02, 0.2], [np.inf, 0, np.inf]],
        velocity_cov=[[0.5, 0, 4], [np.inf, 0, np.inf]],
        variance=[[0.1, 0.1, 0.1, 0.1, 0.01], [np.inf] * 5],
        score=[0.9, 0.3],
        class_id=[CLASSES.index("car"), CLASSES.index("unknown")],
        track_id=[42, -1],
    )


@pytest.mark.parametrize("encode", [encode_detections, encode_objects])
def test_an_empty_array_goes_out(types, on_the_wire, encode):
    message = on_the_wire(encode(empty_detections(), 5, "base_link", types))
    rows = message.detections if encode is encode_detections else message.objects
    assert len(rows) == 0 and message.header.frame_id == "base_link" and message.header.stamp.nanosec == 5


def test_detections(types, on_the_wire):
    car, cluster = on_the_wire(encode_detections(objects(), 5, "base_link", types)).detections
    assert (car.results[0].hypothesis.class_id, cluster.results[0].hypothesis.class_id) == ("car", "unknown")
    assert car.results[0].hypothesis.score == pytest.approx(0.9)
    assert (car.bbox.center.position.x, car.bbox.size.x) == pytest.approx((10, 4.5))
    assert (car.bbox.center.orientation.z, car.bbox.center.orientation.w) == pytest.approx(
        (0.5**0.5, 0.5**0.5)
    )
    assert (car.id, cluster.id) == ("42", "")
    covariance = np.array(car.results[0].pose.covariance).reshape(6, 6)
    assert covariance[:2, :2] == pytest.approx(np.array([[0.1, 0.02], [0.02, 0.2]]))
    assert (covariance[2, 2], covariance[5, 5]) == pytest.approx((0.1, 0.01))
    assert np.array(cluster.results[0].pose.covariance)[0] == UNKNOWN_VARIANCE


def test_detections_in_the_old_layout():
    store = get_typestore(Stores.ROS2_FOXY)
    for name, text in OLD.items():
        store.register(get_types_from_msg(text, name))
    message = encode_detections(objects(), 5, "base_link", store.types.__getitem__)
    data = store.serialize_cdr(message, message.__msgtype__)
    car, cluster = store.deserialize_cdr(data, message.__msgtype__).detections
    assert (car.results[0].id, car.is_tracking, car.tracking_id) == ("car", True, "42")
    assert (cluster.is_tracking, cluster.tracking_id, cluster.source_cloud.width) == (False, "", 0)


def test_objects_for_autoware(types, on_the_wire):
    car, cluster = on_the_wire(encode_objects(objects(), 5, "base_link", types)).objects
    assert (car.classification[0].label, cluster.classification[0].label) == (1, 0)
    twist = car.kinematics.twist_with_covariance
    assert (twist.twist.linear.x, twist.twist.linear.y) == pytest.approx((5, 0), abs=1e-6)
    assert np.array(twist.covariance)[[0, 7]] == pytest.approx([4, 0.5])
    assert car.kinematics.has_twist and car.kinematics.has_twist_covariance
    assert car.kinematics.has_position_covariance and car.kinematics.orientation_availability == 2
    unknown = cluster.kinematics
    assert not (unknown.has_twist or unknown.has_twist_covariance or unknown.has_position_covariance)
    assert (
        unknown.orientation_availability == 1 and np.isfinite(unknown.twist_with_covariance.covariance).all()
    )
    assert car.shape.dimensions.x == pytest.approx(4.5) and car.existence_probability == pytest.approx(0.9)


def test_every_class_has_an_autoware_label():
    assert set(AUTOWARE_LABELS) == set(CLASSES)


def test_own_axes_keep_length_and_trace():
    velocity, cov = own_axes((3, 4), (1, 0.3, 2), 0.7)
    assert np.linalg.norm(velocity) == pytest.approx(5) and np.trace(cov) == pytest.approx(3)
    assert own_axes((1, 0), (1, 0, 1), np.pi / 2)[0] == pytest.approx([0, -1])

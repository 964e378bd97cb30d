from __future__ import annotations

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mm_fusion.detections import CLASSES
from mm_fusion.errors import MeasurementError
from mm_fusion.messages.build import fixed_of, header_of, quaternion_of, vector_of
from mm_fusion.messages.detections2d import class_of_label, decode_image_detections

OLD = {
    "vision_msgs/msg/ObjectHypothesisWithPose": "string id\nfloat64 score\n"
    "geometry_msgs/PoseWithCovariance pose",
    "vision_msgs/msg/BoundingBox2D": "geometry_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "vision_msgs/msg/Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox2D bbox\nbool is_tracking\nstring tracking_id",
    "vision_msgs/msg/Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
}


@pytest.fixture(scope="module")
def old_types():
    """rosbags' classes with the layout of vision_msgs before 4."""
    store = get_typestore(Stores.ROS2_FOXY)
    for name, text in OLD.items():
        store.register(get_types_from_msg(text, name))
    return store.types.__getitem__


def pose(types):
    return types("geometry_msgs/msg/PoseWithCovariance")(
        pose=types("geometry_msgs/msg/Pose")(
            position=vector_of((0, 0, 0), types, "geometry_msgs/msg/Point"),
            orientation=quaternion_of((0, 0, 0, 1), types),
        ),
        covariance=fixed_of(np.zeros(36)),
    )


def new_detection(types, box, *labels):
    """Detection2D of centre x, y, theta and size with (label, score) pairs, as vision_msgs 4 has it."""
    inner, outer = (
        types("vision_msgs/msg/ObjectHypothesis"),
        types("vision_msgs/msg/ObjectHypothesisWithPose"),
    )
    position = types("vision_msgs/msg/Point2D")(x=float(box[0]), y=float(box[1]))
    center = types("vision_msgs/msg/Pose2D")(position=position, theta=float(box[2]))
    bbox = types("vision_msgs/msg/BoundingBox2D")(center=center, size_x=float(box[3]), size_y=float(box[4]))
    results = [outer(hypothesis=inner(class_id=n, score=float(s)), pose=pose(types)) for n, s in labels]
    header = header_of(5, "camera", types)
    return types("vision_msgs/msg/Detection2D")(header=header, results=results, bbox=bbox, id="")


def old_detection(types, box, *labels):
    """The same as vision_msgs before 4 has it."""
    center = types("geometry_msgs/msg/Pose2D")(x=float(box[0]), y=float(box[1]), theta=float(box[2]))
    bbox = types("vision_msgs/msg/BoundingBox2D")(center=center, size_x=float(box[3]), size_y=float(box[4]))
    outer = types("vision_msgs/msg/ObjectHypothesisWithPose")
    results = [outer(id=n, score=float(s), pose=pose(types)) for n, s in labels]
    kind, header = types("vision_msgs/msg/Detection2D"), header_of(5, "camera", types)
    return kind(header=header, results=results, bbox=bbox, is_tracking=False, tracking_id="")


def array_of(types, *detections):
    header = header_of(5, "camera", types)
    return types("vision_msgs/msg/Detection2DArray")(header=header, detections=list(detections))


def test_empty(types, sensor):
    got = decode_image_detections(array_of(types), sensor("image_detections"), 0).get()
    assert got.box_px.shape == (0, 4) and got.frame_id == "camera"


def test_new_layout(types, sensor, on_the_wire):
    message = on_the_wire(
        array_of(types, new_detection(types, (50, 40, 0, 20, 10), ("bus", 0.2), ("car", 0.7)))
    )
    got = decode_image_detections(message, sensor("image_detections"), 0).get()
    assert got.box_px[0] == pytest.approx([40, 35, 60, 45])
    assert CLASSES[got.class_id[0]] == "car" and got.score[0] == pytest.approx(0.7)


def test_old_layout(old_types, sensor):
    message = array_of(old_types, old_detection(old_types, (50, 40, np.pi / 2, 20, 10), ("person", 0.9)))
    got = decode_image_detections(message, sensor("image_detections"), 0).get()
    assert got.box_px[0] == pytest.approx([45, 30, 55, 50])
    assert CLASSES[got.class_id[0]] == "pedestrian"


def test_unusable_boxes_and_scores(types, sensor):
    boxes = [(np.nan, 0, 0, 5, 5), (9, 9, 0, 0, 5), (9, 9, 0, -4, 5), (9, 9, np.inf, 4, 5)]
    bad = [new_detection(types, box, ("car", 1)) for box in boxes]
    odd = [new_detection(types, (9, 9, 0, 4, 4), ("car", s)) for s in (np.nan, -1, 7)]
    none = new_detection(types, (9, 9, 0, 4, 4))
    got = decode_image_detections(array_of(types, *bad, *odd, none), sensor("image_detections"), 0).get()
    assert list(got.score) == [0, 0, 1, 0] and CLASSES[got.class_id[3]] == "unknown"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("car", "car"),
        ("Traffic Cone", "traffic_cone"),
        ("construction-vehicle", "construction_vehicle"),
        ("person", "pedestrian"),
        ("MOTORBIKE", "motorcycle"),
        ("2: car", "car"),
        ("truck_7", "truck"),
        ("2", "unknown"),
        ("", "unknown"),
        ("dog", "unknown"),
    ],
)
def test_labels(label, name):
    assert CLASSES[class_of_label(label)] == name


def test_labels_of_the_vehicle_file(types, sensor):
    assert CLASSES[class_of_label("2", {"2": "car"})] == "car"
    message = array_of(types, new_detection(types, (9, 9, 0, 4, 4), ("2", 1)))
    wrong = sensor("image_detections", fields={"2": "cart"})
    with pytest.raises(MeasurementError, match="expected one of car, .*got 'cart'; correct"):
        decode_image_detections(message, wrong, 0).get()

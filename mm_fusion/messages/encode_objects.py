"""`Detections` as vision_msgs/Detection3DArray and autoware_perception_msgs/DetectedObjects."""

from __future__ import annotations

from typing import Any

import numpy as np

from mm_fusion.detections import CLASSES, Detections
from mm_fusion.measurements import Float64
from mm_fusion.messages.build import Types, field_names, fixed_of, header_of, vector_of, yaw_quaternion
from mm_fusion.messages.encode_clouds import cloud_message

AUTOWARE_LABELS: dict[str, int] = {
    "car": 1,
    "truck": 2,
    "bus": 3,
    "trailer": 4,
    "construction_vehicle": 2,
    "pedestrian": 7,
    "motorcycle": 5,
    "bicycle": 6,
    "traffic_cone": 9,
    "barrier": 9,
    "unknown": 0,
}
"""autoware_perception_msgs/ObjectClassification, the nearest where there is no such class (9: hazard)."""

UNKNOWN_VARIANCE = 1e6
"""What an infinite variance becomes in messages, whose readers invert covariances."""

_SIGN_UNKNOWN, _AVAILABLE = 1, 2
_LEARNED_FRONT = 0.25
"""rad²: a yaw surer than this says where the front is; one from shape alone does not (0.5 rad)."""


def encode_detections(detections: Detections, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """vision_msgs/Detection3DArray with class, score and pose covariance, in the layout that `types` has."""
    header = header_of(stamp_ns, frame_id, types)
    objects = [_detection3d(detections, i, header, types) for i in range(len(detections))]
    return types("vision_msgs/msg/Detection3DArray")(header=header, detections=objects)


def _detection3d(detections: Detections, i: int, header: Any, types: Types) -> Any:
    kind = types("vision_msgs/msg/Detection3D")
    pose = _pose(detections, i, types)
    bbox = types("vision_msgs/msg/BoundingBox3D")(center=pose, size=vector_of(detections.size[i], types))
    name = _track_name(detections, i)
    filled = {
        "header": header,
        "results": [_hypothesis(detections, i, pose, types)],
        "bbox": bbox,
        "id": name,
        "is_tracking": bool(name),
        "tracking_id": name,
    }
    names = field_names(kind)
    if "source_cloud" in names:  # vision_msgs 2
        filled["source_cloud"] = _empty_cloud(header, types)
    return kind(**{name: value for name, value in filled.items() if name in names})


def _track_name(detections: Detections, i: int) -> str:
    """The track's number as text, empty where it has none."""
    known = detections.track_id is not None and detections.track_id[i] >= 0
    return str(int(detections.track_id[i])) if known and detections.track_id is not None else ""


def _empty_cloud(header: Any, types: Types) -> Any:
    return cloud_message(header, np.zeros(0, [("x", "f4")]), types)


def _hypothesis(detections: Detections, i: int, pose: Any, types: Types) -> Any:
    """ObjectHypothesisWithPose: nested since vision_msgs 3, flat before; `class_id` was `id`."""
    with_cov = types("geometry_msgs/msg/PoseWithCovariance")(
        pose=pose, covariance=fixed_of(_pose_cov(detections, i))
    )
    kind = types("vision_msgs/msg/ObjectHypothesisWithPose")
    name, score = CLASSES[detections.class_id[i]], float(detections.score[i])
    if "hypothesis" not in field_names(kind):
        return kind(id=name, score=score, pose=with_cov)
    inner = types("vision_msgs/msg/ObjectHypothesis")
    label = "class_id" if "class_id" in field_names(inner) else "id"
    return kind(hypothesis=inner(**{label: name, "score": score}), pose=with_cov)


def _pose(detections: Detections, i: int, types: Types) -> Any:
    return types("geometry_msgs/msg/Pose")(
        position=vector_of(detections.center[i], types, "geometry_msgs/msg/Point"),
        orientation=yaw_quaternion(float(detections.yaw[i]), types),
    )


def _pose_cov(detections: Detections, i: int) -> Float64:
    """(6, 6) x y z roll pitch yaw; finite, since readers invert it."""
    cov = np.zeros((6, 6))
    xx, xy, yy = detections.position_cov[i]
    cov[:2, :2] = [[xx, xy], [xy, yy]]
    cov[2, 2], cov[5, 5] = detections.variance[i, 0], detections.variance[i, 4]
    return _finite(cov)


def _finite(cov: Float64) -> Float64:
    return np.nan_to_num(cov, nan=0.0, posinf=UNKNOWN_VARIANCE, neginf=-UNKNOWN_VARIANCE)


def encode_objects(detections: Detections, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """autoware_perception_msgs/DetectedObjects: twist in each object's own axes, Autoware's classes."""
    objects = [_object(detections, i, types) for i in range(len(detections))]
    header = header_of(stamp_ns, frame_id, types)
    return types("autoware_perception_msgs/msg/DetectedObjects")(header=header, objects=objects)


def _object(detections: Detections, i: int, types: Types) -> Any:
    package = "autoware_perception_msgs/msg/"
    score = float(detections.score[i])
    label = AUTOWARE_LABELS[CLASSES[detections.class_id[i]]]
    return types(package + "DetectedObject")(
        existence_probability=score,
        classification=[types(package + "ObjectClassification")(label=label, probability=score)],
        kinematics=_kinematics(detections, i, types),
        shape=_shape(detections, i, types),
    )


def _shape(detections: Detections, i: int, types: Types) -> Any:
    return types("autoware_perception_msgs/msg/Shape")(
        type=0,
        footprint=types("geometry_msgs/msg/Polygon")(points=[]),
        dimensions=vector_of(detections.size[i], types),
    )


def _kinematics(detections: Detections, i: int, types: Types) -> Any:
    known = bool(np.isfinite(detections.velocity[i]).all())
    velocity, cov = own_axes(detections.velocity[i], detections.velocity_cov[i], float(detections.yaw[i]))
    pose_cov = fixed_of(_pose_cov(detections, i))
    return types("autoware_perception_msgs/msg/DetectedObjectKinematics")(
        pose_with_covariance=types("geometry_msgs/msg/PoseWithCovariance")(
            pose=_pose(detections, i, types), covariance=pose_cov
        ),
        has_position_covariance=bool(np.isfinite(detections.position_cov[i]).all()),
        orientation_availability=_AVAILABLE if detections.variance[i, 4] < _LEARNED_FRONT else _SIGN_UNKNOWN,
        twist_with_covariance=_twist(velocity if known else np.zeros(2), cov, types),
        has_twist=known,
        has_twist_covariance=known and bool(np.isfinite(detections.velocity_cov[i]).all()),
    )


def own_axes(velocity: Any, cov: Any, yaw: float) -> tuple[Float64, Float64]:
    """Velocity (2,) and finite covariance (2, 2), turned by -yaw into the object's axes. cov: xx xy yy."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    own_from_base = np.array([[cos, sin], [-sin, cos]])
    xx, xy, yy = _finite(np.asarray(cov, np.float64))
    turned: Float64 = own_from_base @ np.array([[xx, xy], [xy, yy]]) @ own_from_base.T
    return own_from_base @ np.asarray(velocity, np.float64), turned


def _twist(velocity: Float64, cov: Float64, types: Types) -> Any:
    full = np.zeros((6, 6))
    full[:2, :2] = cov
    twist = types("geometry_msgs/msg/Twist")(
        linear=vector_of((*velocity, 0.0), types), angular=vector_of((0.0, 0.0, 0.0), types)
    )
    return types("geometry_msgs/msg/TwistWithCovariance")(twist=twist, covariance=fixed_of(full))

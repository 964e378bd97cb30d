"""`Detections` as vision_msgs/Detection3DArray and autoware_perception_msgs/DetectedObjects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import Detections
from mm_fusion.measurements import Float64
from mm_fusion.messages.build import Types, field_names, header_of, light, vector_of
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


class _Geometry:
    """Poses and sizes of all objects as messages; numbers become Python's for all at once."""

    def __init__(self, detections: Detections, types: Types) -> None:
        self._types = types
        self._pose = light(types("geometry_msgs/msg/Pose"))
        self._quaternion = light(types("geometry_msgs/msg/Quaternion"))
        self._with_cov = light(types("geometry_msgs/msg/PoseWithCovariance"))
        half = detections.yaw.astype(np.float64) / 2
        self._center, self._size = detections.center.tolist(), detections.size.tolist()
        self._sin, self._cos = np.sin(half).tolist(), np.cos(half).tolist()
        self._cov = _pose_covs(detections)

    def pose(self, i: int) -> Any:
        """geometry_msgs/Pose of the box."""
        turn = self._quaternion(x=0.0, y=0.0, z=self._sin[i], w=self._cos[i])
        return self._pose(
            position=vector_of(self._center[i], self._types, "geometry_msgs/msg/Point"), orientation=turn
        )

    def with_covariance(self, i: int, pose: Any) -> Any:
        """geometry_msgs/PoseWithCovariance around `pose`."""
        return self._with_cov(pose=pose, covariance=self._cov[i])

    def size(self, i: int) -> Any:
        """geometry_msgs/Vector3 of length, width, height."""
        return vector_of(self._size[i], self._types)


def encode_detections(detections: Detections, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """vision_msgs/Detection3DArray with class, score and pose covariance, in the layout that `types` has."""
    header, geometry = header_of(stamp_ns, frame_id, types), _Geometry(detections, types)
    hypotheses, names = _hypotheses(detections, types), _track_names(detections)
    kind, box = types("vision_msgs/msg/Detection3D"), light(types("vision_msgs/msg/BoundingBox3D"))
    fields = field_names(kind)
    # vision_msgs 2 has the first, its successors the others
    cloud = {"source_cloud": _empty_cloud(header, types)} if "source_cloud" in fields else {}
    objects = []
    for i, name in enumerate(names):
        pose = geometry.pose(i)
        filled = {"id": name, "is_tracking": bool(name), "tracking_id": name}
        objects.append(
            light(kind)(
                header=header,
                results=[hypotheses(i, geometry.with_covariance(i, pose))],
                bbox=box(center=pose, size=geometry.size(i)),
                **{field: value for field, value in filled.items() if field in fields},
                **cloud,
            )
        )
    return types("vision_msgs/msg/Detection3DArray")(header=header, detections=objects)


def _track_names(detections: Detections) -> list[str]:
    """The tracks' numbers as text, empty where there is none."""
    if detections.track_id is None:
        return [""] * len(detections)
    return [str(number) if number >= 0 else "" for number in detections.track_id.tolist()]


def _empty_cloud(header: Any, types: Types) -> Any:
    return cloud_message(header, np.zeros(0, [("x", "f4")]), types)


def _hypotheses(detections: Detections, types: Types) -> Callable[[int, Any], Any]:
    """An object's ObjectHypothesisWithPose: nested since vision_msgs 3, flat before; `class_id` was `id`."""
    kind, scores = types("vision_msgs/msg/ObjectHypothesisWithPose"), detections.score.tolist()
    names, full = detections.class_names(), light(kind)
    if "hypothesis" not in field_names(kind):
        return lambda i, pose: full(id=names[i], score=scores[i], pose=pose)
    inner = types("vision_msgs/msg/ObjectHypothesis")
    label, make = "class_id" if "class_id" in field_names(inner) else "id", light(inner)
    return lambda i, pose: full(hypothesis=make(**{label: names[i], "score": scores[i]}), pose=pose)


def _pose_covs(detections: Detections) -> Float64:
    """(N, 36) rows of x y z roll pitch yaw by the same; finite, since readers invert it."""
    covs = np.zeros((len(detections), 36))
    covs[:, [0, 1, 7]] = detections.position_cov
    covs[:, 6] = covs[:, 1]
    covs[:, [14, 35]] = detections.variance[:, [0, 4]]
    return _finite(covs)


def _finite(cov: Float64) -> Float64:
    return np.nan_to_num(cov, nan=0.0, posinf=UNKNOWN_VARIANCE, neginf=-UNKNOWN_VARIANCE)


def encode_objects(detections: Detections, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """autoware_perception_msgs/DetectedObjects: twist in each object's own axes, Autoware's classes."""
    package = "autoware_perception_msgs/msg/"
    kind, classified = (
        light(types(package + "DetectedObject")),
        light(types(package + "ObjectClassification")),
    )
    geometry = _Geometry(detections, types)
    kinematics, shape = _kinematics(detections, geometry, types), _shapes(geometry, types)
    objects = [
        kind(
            existence_probability=score,
            classification=[classified(label=AUTOWARE_LABELS[name], probability=score)],
            kinematics=kinematics(i),
            shape=shape(i),
        )
        for i, (score, name) in enumerate(zip(detections.score.tolist(), detections.class_names()))
    ]
    header = header_of(stamp_ns, frame_id, types)
    return types(package + "DetectedObjects")(header=header, objects=objects)


def _shapes(geometry: _Geometry, types: Types) -> Callable[[int], Any]:
    make = light(types("autoware_perception_msgs/msg/Shape"))
    nothing = types("geometry_msgs/msg/Polygon")(points=[])
    return lambda i: make(type=0, footprint=nothing, dimensions=geometry.size(i))


def _kinematics(detections: Detections, geometry: _Geometry, types: Types) -> Callable[[int], Any]:
    """Makes DetectedObjectKinematics of an object."""
    make = light(types("autoware_perception_msgs/msg/DetectedObjectKinematics"))
    known = _finite_rows(detections.velocity)
    velocity, cov = own_axes(detections.velocity, detections.velocity_cov, detections.yaw)
    twist = _twists(np.where(known[:, None], velocity, 0.0), cov, types)
    rows = zip(
        _finite_rows(detections.position_cov).tolist(),
        np.where(detections.variance[:, 4] < _LEARNED_FRONT, _AVAILABLE, _SIGN_UNKNOWN).tolist(),
        known.tolist(),
        (known & _finite_rows(detections.velocity_cov)).tolist(),
    )
    names = (
        "has_position_covariance", "orientation_availability", "has_twist", "has_twist_covariance"
    )  # fmt: skip
    flags = [dict(zip(names, row)) for row in rows]
    return lambda i: make(
        pose_with_covariance=geometry.with_covariance(i, geometry.pose(i)),
        twist_with_covariance=twist(i),
        **flags[i],
    )


def _finite_rows(array: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(array).all(axis=1))


def own_axes(velocity: Any, cov: Any, yaw: Any) -> tuple[Float64, Float64]:
    """Velocities (..., 2) and finite covariances (..., 2, 2), turned by -yaw into each object's axes.

    cov: (..., 3) xx xy yy.
    """
    yaw, velocity = np.asarray(yaw, np.float64), np.asarray(velocity, np.float64)
    cos, sin = np.cos(yaw), np.sin(yaw)
    own_from_base = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    full = _finite(np.asarray(cov, np.float64))[..., [0, 1, 1, 2]]
    turned = own_from_base @ full.reshape(*yaw.shape, 2, 2) @ np.swapaxes(own_from_base, -1, -2)
    return (own_from_base @ velocity[..., None])[..., 0], turned


def _twists(velocity: Float64, cov: Float64, types: Types) -> Callable[[int], Any]:
    """Makes TwistWithCovariance of an object from velocities (N, 2) and their covariances (N, 2, 2)."""
    full = np.zeros((len(velocity), 36))
    full[:, [0, 1, 6, 7]] = cov.reshape(-1, 4)
    ahead, left = velocity.T.tolist()
    twist = light(types("geometry_msgs/msg/Twist"))
    make = light(types("geometry_msgs/msg/TwistWithCovariance"))
    still = vector_of((0.0, 0.0, 0.0), types)
    return lambda i: make(
        twist=twist(linear=vector_of((ahead[i], left[i], 0.0), types), angular=still), covariance=full[i]
    )

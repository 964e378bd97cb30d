"""Records as the messages of sensors and vehicle, for recordings and simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from mm_fusion.geometry.transforms import to_quaternion
from mm_fusion.measurements import CameraModel, EgoMotion, Float64, RadarScan, StampedTransform, Transforms
from mm_fusion.messages.build import (
    Types,
    fixed_of,
    header_of,
    quaternion_of,
    sequence_of,
    time_of,
    vector_of,
)


def encode_radar_scan(scan: RadarScan, types: Types) -> Any:
    """radar_msgs/RadarScan: azimuth counter-clockwise, Doppler receding-positive, strength as amplitude."""
    kind = types("radar_msgs/msg/RadarReturn")
    x, y, z = scan.xyz.astype(np.float64).T
    level = np.hypot(x, y)
    columns = (
        np.hypot(level, z),
        np.arctan2(y, x),
        np.arctan2(z, level),
        scan.radial_velocity,
        scan.strength_db,
    )
    names = ("range", "azimuth", "elevation", "doppler_velocity", "amplitude")
    returns = [kind(**dict(zip(names, map(float, row)))) for row in zip(*columns)]
    header = header_of(scan.stamp_ns, scan.frame_id, types)
    return types("radar_msgs/msg/RadarScan")(header=header, returns=returns)


def encode_camera_info(model: CameraModel, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """CameraInfo of an unbinned, unrectified camera."""
    kind = types("sensor_msgs/msg/CameraInfo")
    projection = np.zeros((3, 4))
    projection[:, :3] = model.matrix
    roi = types("sensor_msgs/msg/RegionOfInterest")(
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return kind(
        header=header_of(stamp_ns, frame_id, types),
        height=int(model.height_px),
        width=int(model.width_px),
        distortion_model=model.distortion_model,
        d=sequence_of(model.distortion if len(model.distortion) else np.zeros(5), "f8", kind),
        k=fixed_of(model.matrix),
        r=fixed_of(np.eye(3)),
        p=fixed_of(projection),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def encode_transforms(transforms: Transforms, types: Types) -> Any:
    """tf2_msgs/TFMessage with one TransformStamped for each edge."""
    return types("tf2_msgs/msg/TFMessage")(transforms=[_transform(edge, types) for edge in transforms])


def _transform(edge: StampedTransform, types: Types) -> Any:
    return types("geometry_msgs/msg/TransformStamped")(
        header=header_of(edge.stamp_ns, edge.parent_frame, types),
        child_frame_id=edge.child_frame,
        transform=types("geometry_msgs/msg/Transform")(
            translation=vector_of(edge.parent_from_child[:3, 3], types),
            rotation=quaternion_of(to_quaternion(edge.parent_from_child), types),
        ),
    )


def encode_odometry(
    ego: EgoMotion, types: Types, odom_frame: str = "odom", base_frame: str = "base_link"
) -> Any:
    """nav_msgs/Odometry with the twist in `base_frame`; without a pose its quaternion is zero."""
    return types("nav_msgs/msg/Odometry")(
        header=header_of(ego.stamp_ns, odom_frame, types),
        child_frame_id=base_frame,
        pose=types("geometry_msgs/msg/PoseWithCovariance")(
            pose=_pose(ego.odom_from_base, types), covariance=fixed_of(np.zeros(36))
        ),
        twist=types("geometry_msgs/msg/TwistWithCovariance")(
            twist=types("geometry_msgs/msg/Twist")(
                linear=vector_of(ego.linear_velocity, types), angular=vector_of(ego.angular_velocity, types)
            ),
            covariance=fixed_of(_twist_cov(ego.linear_cov)),
        ),
    )


def _pose(odom_from_base: Float64 | None, types: Types) -> Any:
    position = np.zeros(3) if odom_from_base is None else odom_from_base[:3, 3]
    rotation = np.zeros(4) if odom_from_base is None else to_quaternion(odom_from_base)
    return types("geometry_msgs/msg/Pose")(
        position=vector_of(position, types, "geometry_msgs/msg/Point"),
        orientation=quaternion_of(rotation, types),
    )


def _twist_cov(linear_cov: Float64 | None) -> Float64:
    cov = np.zeros((6, 6))
    if linear_cov is not None:
        cov[:3, :3] = linear_cov
    return cov


def encode_clock(now_ns: int, types: Types) -> Any:
    """rosgraph_msgs/Clock."""
    return types("rosgraph_msgs/msg/Clock")(clock=time_of(now_ns, types))


def encode_compressed_image(jpeg_bytes: Any, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """CompressedImage of the bytes of a JPEG."""
    kind = types("sensor_msgs/msg/CompressedImage")
    data = sequence_of(np.frombuffer(jpeg_bytes, np.uint8), "u1", kind)
    return kind(header=header_of(stamp_ns, frame_id, types), format="jpeg", data=data)

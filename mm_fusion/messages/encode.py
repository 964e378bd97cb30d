"""All that can be sent: `encode_*(record, ..., types)` fills every field of rclpy's or rosbags' classes."""

from __future__ import annotations

from mm_fusion.messages.encode_clouds import (
    decode_detections_cloud,
    encode_detections_cloud,
    encode_lidar,
    encode_radar_cloud,
)
from mm_fusion.messages.encode_markers import encode_markers
from mm_fusion.messages.encode_objects import encode_detections, encode_objects
from mm_fusion.messages.encode_sensors import (
    encode_camera_info,
    encode_clock,
    encode_compressed_image,
    encode_odometry,
    encode_radar_scan,
    encode_transforms,
)
from mm_fusion.messages.encode_status import DiagnosticStatus, encode_diagnostics, encode_mode

__all__ = [
    "DiagnosticStatus",
    "decode_detections_cloud",
    "encode_camera_info",
    "encode_clock",
    "encode_compressed_image",
    "encode_detections",
    "encode_detections_cloud",
    "encode_diagnostics",
    "encode_lidar",
    "encode_markers",
    "encode_mode",
    "encode_objects",
    "encode_odometry",
    "encode_radar_cloud",
    "encode_radar_scan",
    "encode_transforms",
]

"""What a simulated sensor measured as the messages that its driver would send, by the vehicle file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mm_fusion.config import SensorConfig
from mm_fusion.measurements import LidarSweep, RadarScan
from mm_fusion.messages.build import Types
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_radar_cloud,
    encode_radar_scan,
)
from mm_fusion.simulation.rig import Measured, Picture

RADAR_SCAN = "radar_msgs/msg/RadarScan"
IMAGE, INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
CLOUD = "sensor_msgs/msg/PointCloud2"


def info_topic(sensor: SensorConfig) -> str:
    """Where a camera's CameraInfo goes."""
    return sensor.info_topic or f"{sensor.topic}/camera_info"


def message_topics(sensor: SensorConfig) -> dict[str, str]:
    """Type by topic of all that a sensor sends."""
    match sensor.kind:
        case "camera":
            return {info_topic(sensor): INFO, sensor.topic: IMAGE}
        case "radar" if _as_scan(sensor):
            return {sensor.topic: RADAR_SCAN}
    return {sensor.topic: CLOUD}


def header_stamp_ns(middle_ns: int, sensor: SensorConfig, height_px: int) -> int:
    """What a driver writes for a measurement whose middle is `middle_ns`: undoes what readers do."""
    duration_ns = sensor.duration_ms * 1e6 + sensor.row_time_us * 1e3 * max(0, height_px - 1)
    from_middle = {"start": -0.5, "middle": 0.0, "end": 0.5}[sensor.stamp_at]
    return middle_ns - round(sensor.stamp_offset_ms * 1e6) + round(from_middle * duration_ns)


def messages_of(
    measured: Measured, middle_ns: int, frame_id: str, sensor: SensorConfig, types: Types
) -> Iterator[tuple[str, Any]]:
    """(topic, message) of one measurement, CameraInfo before its image."""
    payload = measured.payload
    if isinstance(payload, Picture):
        stamp_ns = header_stamp_ns(middle_ns, sensor, payload.model.height_px)
        yield info_topic(sensor), encode_camera_info(payload.model, stamp_ns, frame_id, types)
        yield sensor.topic, encode_compressed_image(payload.jpeg, stamp_ns, frame_id, types)
        return
    stamp_ns = header_stamp_ns(middle_ns, sensor, 0)
    if isinstance(payload, LidarSweep):
        message = encode_lidar(_as_sent(payload, stamp_ns, middle_ns, sensor), types)
    else:
        message = _radar_message(replace(payload, stamp_ns=stamp_ns), sensor, types)
    yield sensor.topic, _renamed(message, sensor)


def _as_sent(sweep: LidarSweep, stamp_ns: int, middle_ns: int, sensor: SensorConfig) -> LidarSweep:
    """Times from the stamp, whatever instant that means; intensity on the driver's scale."""
    shift = round(sensor.stamp_offset_ms * 1e6) + stamp_ns - middle_ns
    scale = np.float32(sensor.intensity_scale or 1.0)
    times = (sweep.time_offset_ns - shift).astype(np.int32)
    return replace(sweep, stamp_ns=stamp_ns, time_offset_ns=times, intensity=sweep.intensity * scale)


def _radar_message(scan: RadarScan, sensor: SensorConfig, types: Types) -> Any:
    signed = replace(scan, radial_velocity=scan.radial_velocity * np.float32(sensor.doppler_sign))
    return encode_radar_scan(signed, types) if _as_scan(sensor) else encode_radar_cloud(signed, types)


def _as_scan(sensor: SensorConfig) -> bool:
    return sensor.message.endswith("RadarScan")


def _renamed(message: Any, sensor: SensorConfig) -> Any:
    """Columns under the names that the vehicle file gives them."""
    ours = {"time": "t"}
    for meaning, name in sensor.fields.items():
        for field in getattr(message, "fields", ()):
            if field.name == ours.get(meaning, meaning):
                field.name = name.partition(":")[0]
    return message

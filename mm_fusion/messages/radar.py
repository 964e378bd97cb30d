"""radar_msgs to `RadarScan` and `RadarTracks`.

Azimuth is counter-clockwise (radar_msgs since June 2020); the Doppler sign is stated nowhere: it is a
property of the sensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import Deferred, Float32, RadarScan, RadarTracks
from mm_fusion.messages.cloud_fields import MAX_POINTS
from mm_fusion.messages.header import SensorHeader, read_header, reading
from mm_fusion.messages.pointcloud import radar_scan

UNFILLED_VARIANCE = 1.0
"""m² and m²/s²: what a covariance counts as that the sender left at zero or made no sense of."""

_RETURN_BYTES, _TRACK_BYTES = 20, 216
_MOVING = {1: 0.0, 2: 1.0}
"""RadarTrack.STATIC and DYNAMIC; every other classification says nothing of motion."""


def decode_radar_scan(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[RadarScan]:
    """A radar_msgs/RadarScan whose returns are read at first use."""
    with reading("RadarScan", sensor.topic):
        header = read_header(message, sensor, receipt_ns)
        count = _checked_count(message.returns)
    decode = partial(_read_returns, message.returns, header, sensor)
    return Deferred(header.stamp_ns, header.frame_id, count * _RETURN_BYTES, decode)


def _checked_count(rows: Sequence[Any]) -> int:
    if len(rows) > MAX_POINTS:
        raise MeasurementError(
            f"expected at most {MAX_POINTS} rows, got {len(rows)}; thin them in the driver"
        )
    return len(rows)


def _read_returns(returns: Sequence[Any], header: SensorHeader, sensor: SensorConfig) -> RadarScan:
    with reading("RadarScan", sensor.topic), np.errstate(all="ignore"):
        rows = [(r.range, r.azimuth, r.elevation, r.doppler_velocity, r.amplitude) for r in returns]
        distance, azimuth, elevation, doppler, amplitude = np.array(rows, np.float64).reshape(-1, 5).T
        level = distance * np.cos(elevation)
        xyz = np.stack(
            [level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation)], axis=1
        )
        xyz[distance < 0] = np.nan
        kind = sensor.strength_kind or "power"
        return radar_scan(
            header, sensor, xyz, doppler * sensor.doppler_sign, amplitude, kind, compensated=False
        )


def decode_radar_tracks(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[RadarTracks]:
    """A radar_msgs/RadarTracks whose objects are read at first use; velocities are taken as over ground."""
    with reading("RadarTracks", sensor.topic):
        header = read_header(message, sensor, receipt_ns)
        count = _checked_count(message.tracks)
    decode = partial(_read_tracks, message.tracks, header, sensor)
    return Deferred(header.stamp_ns, header.frame_id, count * _TRACK_BYTES, decode)


def _read_tracks(tracks: Sequence[Any], header: SensorHeader, sensor: SensorConfig) -> RadarTracks:
    """All tracks whose position, size and velocity are finite and in range."""
    with reading("RadarTracks", sensor.topic), np.errstate(all="ignore"):
        center = _vectors([track.position for track in tracks])
        size = np.maximum(_vectors([track.size for track in tracks]), 0)
        velocity = _vectors([track.velocity for track in tracks])[:, :2]
        position_cov = _planar_cov([track.position_covariance for track in tracks])
        velocity_cov = _planar_cov([track.velocity_covariance for track in tracks])
        moving = np.array([_MOVING.get(int(track.classification), 0.5) for track in tracks], np.float32)
        track_id = np.array([track_number(track.uuid.uuid) for track in tracks], np.int64)
        distance = np.linalg.norm(center, axis=1)
    keep = (distance >= sensor.min_range_m) & (distance <= sensor.max_range_m)
    keep &= np.isfinite(np.concatenate([center, size, velocity], axis=1)).all(axis=1)
    columns = (center, size, velocity, position_cov, velocity_cov, moving, track_id)
    return RadarTracks(header.stamp_ns, header.frame_id, *(column[keep] for column in columns))


def _vectors(points: Sequence[Any]) -> Float32:
    """(N, 3) of messages with x, y, z."""
    return np.array([(p.x, p.y, p.z) for p in points], np.float32).reshape(-1, 3)


def _planar_cov(upper: Sequence[Any]) -> Float32:
    """(N, 3) xx xy yy of upper triangles xx xy xz yy yz zz; the unfilled or impossible counts as unknown."""
    cov = np.array([np.asarray(row, np.float64) for row in upper], np.float64).reshape(-1, 6)[:, [0, 1, 3]]
    filled = np.isfinite(cov).all(axis=1) & (cov[:, 0] > 0) & (cov[:, 2] > 0)
    cov[~filled] = (UNFILLED_VARIANCE, 0.0, UNFILLED_VARIANCE)
    cov[cov[:, 1] ** 2 > cov[:, 0] * cov[:, 2], 1] = 0.0
    return cov.astype(np.float32)


def track_number(uuid: Any) -> int:
    """A non-negative int64 of a UUID's 16 bytes; ids that fill only some of the bytes stay distinct."""
    halves: NDArray[np.uint64] = np.frombuffer(bytes(np.asarray(uuid, np.uint8)), "<u8")
    return int(halves[0] ^ halves[1]) & (2**63 - 1)

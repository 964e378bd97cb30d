"""Faults in what sensors measured, by the simulator's own functions, on any frame's images and points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import project, scaled
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import CameraImage, Float32, LidarSweep, Measurement, RadarScan
from mm_fusion.messages.header import payload_bytes
from mm_fusion.messages.images import decode_pixels
from mm_fusion.simulation.fault_images import spoil_image
from mm_fusion.simulation.fault_messages import KEPT
from mm_fusion.simulation.fault_points import spoil_lidar, spoil_radar
from mm_fusion.simulation.faults import Fault

CELL_PX = 8
"""Depth for fog is known in cells of this size."""
POINT_REACH_M = 1e4


def spoilt(
    frame: Frame,
    name: str,
    item: Measurement,
    fault: Fault,
    fixed: np.random.Generator,
    rng: np.random.Generator,
) -> Measurement:
    """The measurement with `fault`. fixed: what stays through the drive; rng: what differs each time.

    An image that cannot be decoded, and what is neither image nor points, stays as it is.
    """
    if isinstance(item, LidarSweep):
        return spoil_lidar(item, np.full(len(item.xyz), -1, np.int32), fault, fixed, rng)[0]
    if isinstance(item, RadarScan):
        return spoil_radar(item, np.full(len(item.xyz), -1, np.int32), fault, fixed, rng)[0]
    if not isinstance(item, CameraImage):
        return item
    try:
        pixels = decode_pixels(item)
    except MeasurementError:
        return item
    shape = (pixels.shape[0], pixels.shape[1])
    depth = image_depth(frame, name, shape) if fault.fault == "fog" else np.zeros((1, 1), np.float32)
    return replace(item, pixels=spoil_image(pixels, depth, fault, fixed, rng), encoded=None, format="")


def image_depth(frame: Frame, name: str, shape: tuple[int, int]) -> Float32:
    """(H, W) m: depth of the ground's plane, and of LiDAR points where some fall; infinite above.

    A recorded picture has no depth of its own: what stands above the horizon without a LiDAR point counts as
    sky.
    """
    import cv2

    height, width = shape
    rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
    depth = np.full((rows, columns), np.inf, np.float32)
    model, base_from_camera = _placed(frame, name)
    if model is not None:
        small = scaled(model, columns * CELL_PX, rows * CELL_PX)
        v, u = np.mgrid[:rows, :columns] * CELL_PX + CELL_PX / 2
        rays = np.stack(
            [(u - small.matrix[0, 2]) / small.matrix[0, 0], (v - small.matrix[1, 2]) / small.matrix[1, 1]]
        )
        down = np.einsum(
            "i,ihw->hw", base_from_camera[2, :3], np.concatenate([rays, np.ones((1, rows, columns))])
        )
        meets = down < -1e-3
        depth[meets] = -base_from_camera[2, 3] / down[meets]
        xyz = transform_points(inverse(base_from_camera), _lidar_points(frame))
        pixels, inside = project(small, xyz)
        cells = (pixels[inside] / CELL_PX).astype(np.int64).clip(0, (columns - 1, rows - 1))
        nearest = np.full_like(depth, np.inf)
        np.minimum.at(nearest, (cells[:, 1], cells[:, 0]), xyz[inside, 2].astype(np.float32))
        depth = np.where(np.isfinite(nearest), nearest, depth)
    big = cv2.resize(np.minimum(depth, POINT_REACH_M), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(big, np.float32)


def _placed(frame: Frame, name: str) -> tuple:
    known = frame.calibration
    if name not in known.camera_models or name not in known.base_from_sensor:
        return None, np.eye(4)
    return known.camera_models[name], known.base_from_sensor[name]


def _lidar_points(frame: Frame) -> np.ndarray:
    """(N, 3) in `base_link`, without ego motion between the sensors: enough for how thick the fog is."""
    placed = frame.calibration.base_from_sensor
    clouds = [
        transform_points(placed[name], sweep.xyz.astype(np.float64))
        for name, sweep in frame.of_kind("lidar").items()
        if name in placed and isinstance(sweep, LidarSweep)
    ]
    return np.concatenate([np.empty((0, 3)), *clouds])


def damaged(item: Measurement, rng: np.random.Generator) -> Measurement | None:
    """The measurement cut short or overwritten from somewhere on; None where no decoder would take it.

    A cloud cut short has the wrong size and is refused; one overwritten keeps its first points, and of the
    noise what happens to be finite numbers.
    """
    cut = rng.random() < 0.5
    share = float(rng.uniform(*KEPT))
    if isinstance(item, CameraImage):
        return _damaged_image(item, share, cut, rng)
    if cut:
        return None
    if isinstance(item, LidarSweep):
        xyz, intensity, ok = _noised(np.column_stack([item.xyz, item.intensity]), share, rng)
        return replace(item, xyz=xyz, intensity=np.clip(intensity[:, 0], 0, 1)).select(ok)
    if isinstance(item, RadarScan):
        xyz, rest, ok = _noised(
            np.column_stack([item.xyz, item.radial_velocity, item.strength_db]), share, rng
        )
        columns = {"radial_velocity": rest[:, 0].copy(), "strength_db": rest[:, 1].copy()}
        return replace(item, xyz=xyz, **columns).select(ok)
    return item


def _damaged_image(
    item: CameraImage, share: float, cut: bool, rng: np.random.Generator
) -> CameraImage | None:
    if item.encoded is None:
        return None  # raw images are refused when their size is wrong, and seldom overwritten
    data = np.frombuffer(bytes(payload_bytes(item.encoded)), np.uint8).copy()
    at = round(share * len(data))
    if cut:
        data = data[:at]
    else:
        data[at:] = rng.integers(0, 256, len(data) - at, np.uint8)
    spoilt_image = replace(item, encoded=data.tobytes())
    try:
        pixels = decode_pixels(spoilt_image)
    except MeasurementError:
        return None
    return replace(item, pixels=pixels, encoded=None, format="")


def _noised(rows: np.ndarray, share: float, rng: np.random.Generator) -> tuple[Float32, Float32, np.ndarray]:
    """Rows with random bytes from a share of them on: xyz, the other columns, and which are usable."""
    noisy = np.ascontiguousarray(rows, np.float32)
    at = round(share * len(noisy))
    noise = rng.integers(0, 256, (len(noisy) - at) * noisy.shape[1] * 4, np.uint8)
    noisy[at:] = noise.view(np.float32).reshape(-1, noisy.shape[1])
    usable = np.asarray(np.isfinite(noisy).all(axis=1) & (np.abs(noisy) < POINT_REACH_M).all(axis=1))
    noisy = np.where(usable[:, None], noisy, 0).astype(np.float32)
    return noisy[:, :3].copy(), noisy[:, 3:].copy(), usable

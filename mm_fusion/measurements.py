"""What sensors say: one frozen record per kind, on the sensor's own time and in its own frame.

Units are SI unless a suffix says otherwise; time is `int` nanoseconds. Body axes are x forward, y left,
z up (REP 103); optical axes z forward, x right, y down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import MeasurementError

SensorKind = Literal["camera", "lidar", "radar", "radar_tracks", "image_detections"]
StrengthKind = Literal["rcs", "snr", "power"]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def check_array(owner: str, name: str, array: np.ndarray, shape: tuple[int | None, ...], dtype: type) -> None:
    """Raise `MeasurementError` unless `array` has `shape` (None: any length) and `dtype`."""
    if not isinstance(array, np.ndarray):
        raise MeasurementError(f"{owner}.{name}: expected an array, got {type(array).__name__}")
    fits = array.ndim == len(shape) and all(w is None or w == n for w, n in zip(shape, array.shape))
    if not fits or array.dtype != np.dtype(dtype):
        wanted = tuple("N" if w is None else w for w in shape)
        raise MeasurementError(
            f"{owner}.{name}: expected {wanted} {np.dtype(dtype).name}, got {array.shape} {array.dtype.name}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class CameraImage:
    """One image, decoded or still as JPEG/PNG bytes.

    stamp_ns: middle of the exposure (of the middle row where the shutter rolls). pixels: (H, W, 3) uint8 RGB,
    or None while only `encoded` (the bytes of a JPEG or PNG, `format` names it) is there: such an image is
    decoded late and small (`messages.images.decode_pixels`). row_time_ns: 0 for a global shutter.
    """

    stamp_ns: int
    frame_id: str
    pixels: NDArray[np.uint8] | None = None
    encoded: bytes | memoryview | NDArray[np.uint8] | None = None
    format: str = ""
    row_time_ns: int = 0

    def __post_init__(self) -> None:
        if (self.pixels is None) == (self.encoded is None):
            raise MeasurementError("CameraImage: expected either pixels or encoded bytes")
        if self.pixels is not None:
            check_array("CameraImage", "pixels", self.pixels, (None, None, 3), np.uint8)
            if self.pixels.size == 0:
                raise MeasurementError(
                    f"CameraImage.pixels: expected a non-empty image, got {self.pixels.shape}"
                )


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """How a camera projects: matrix (3, 3) px, distortion (D,) in OpenCV's order, both float64.

    distortion_model: `plumb_bob` (D 0, 4 or 5), `rational_polynomial` (D 8) or `equidistant` (fisheye, D 4);
    the matrix applies to the image as published (binning and region of interest already taken in).
    """

    matrix: Float64
    distortion: Float64
    distortion_model: Literal["plumb_bob", "rational_polynomial", "equidistant"]
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        check_array("CameraModel", "matrix", self.matrix, (3, 3), np.float64)
        check_array("CameraModel", "distortion", self.distortion, (None,), np.float64)
        if not (np.isfinite(self.matrix).all() and self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0):
            raise MeasurementError(
                f"CameraModel.matrix: expected finite values and positive focal lengths, "
                f"got {self.matrix.tolist()}; is the camera calibrated?"
            )
        if not np.isfinite(self.distortion).all():
            raise MeasurementError(
                f"CameraModel.distortion: expected finite values, got {self.distortion.tolist()}"
            )
        if self.width_px <= 0 or self.height_px <= 0:
            raise MeasurementError(
                f"CameraModel: expected a size above 0, got {self.width_px}x{self.height_px} px"
            )


@dataclass(frozen=True, slots=True, eq=False)
class LidarSweep:
    """One scan. stamp_ns: its middle. Points of one row belong together.

    xyz: (N, 3) float32 m, sensor frame. intensity: (N,) float32 0..1. time_offset_ns: (N,) int32 from
    `stamp_ns`, negative before it. ring: (N,) int16 or None.
    """

    stamp_ns: int
    frame_id: str
    xyz: Float32
    intensity: Float32
    time_offset_ns: NDArray[np.int32]
    ring: NDArray[np.int16] | None = None

    def __post_init__(self) -> None:
        count = len(self.xyz)
        check_array("LidarSweep", "xyz", self.xyz, (None, 3), np.float32)
        check_array("LidarSweep", "intensity", self.intensity, (count,), np.float32)
        check_array("LidarSweep", "time_offset_ns", self.time_offset_ns, (count,), np.int32)
        if self.ring is not None:
            check_array("LidarSweep", "ring", self.ring, (count,), np.int16)

    def select(self, keep: np.ndarray) -> LidarSweep:
        """The points that `keep` (mask or indices) names, as a new sweep."""
        ring = None if self.ring is None else self.ring[keep]
        return LidarSweep(
            self.stamp_ns,
            self.frame_id,
            self.xyz[keep],
            self.intensity[keep],
            self.time_offset_ns[keep],
            ring,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RadarScan:
    """One radar cycle. xyz: (N, 3) float32 m, sensor frame. radial_velocity: (N,) float32, receding positive.

    strength_db: (N,) float32 of `strength_kind`. compensated: ego motion was already taken out by the driver.
    ambiguity_mps: the full interval in which velocity is known (Astyx: 10.4), None where it does not wrap.
    """

    stamp_ns: int
    frame_id: str
    xyz: Float32
    radial_velocity: Float32
    strength_db: Float32
    strength_kind: StrengthKind = "power"
    compensated: bool = False
    ambiguity_mps: float | None = None

    def __post_init__(self) -> None:
        count = len(self.xyz)
        check_array("RadarScan", "xyz", self.xyz, (None, 3), np.float32)
        check_array("RadarScan", "radial_velocity", self.radial_velocity, (count,), np.float32)
        check_array("RadarScan", "strength_db", self.strength_db, (count,), np.float32)
        if self.ambiguity_mps is not None and not self.ambiguity_mps > 0:
            raise MeasurementError(f"RadarScan.ambiguity_mps: expected above 0, got {self.ambiguity_mps}")

    def select(self, keep: np.ndarray) -> RadarScan:
        """The returns that `keep` (mask or indices) names, as a new scan."""
        return RadarScan(
            self.stamp_ns,
            self.frame_id,
            self.xyz[keep],
            self.radial_velocity[keep],
            self.strength_db[keep],
            self.strength_kind,
            self.compensated,
            self.ambiguity_mps,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RadarTracks:
    """Objects that a radar or another node has already formed; all arrays float32 in `frame_id`.

    center (N, 3), size (N, 3) length width height (0 where unknown), velocity (N, 2) over ground,
    position_cov and velocity_cov (N, 3) as xx xy yy, track_id (N,) int64, moving (N,) 0..1 (0.5 unknown).
    """

    stamp_ns: int
    frame_id: str
    center: Float32
    size: Float32
    velocity: Float32
    position_cov: Float32
    velocity_cov: Float32
    moving: Float32
    track_id: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.center)
        for name, width in (
            ("center", 3),
            ("size", 3),
            ("velocity", 2),
            ("position_cov", 3),
            ("velocity_cov", 3),
        ):
            check_array("RadarTracks", name, getattr(self, name), (count, width), np.float32)
        check_array("RadarTracks", "moving", self.moving, (count,), np.float32)
        check_array("RadarTracks", "track_id", self.track_id, (count,), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageDetections:
    """2D objects in one camera's image, from any detector.

    box_px: (N, 4) float32 as left, top, right, bottom. score: (N,) float32 0..1. class_id: (N,) int16, index
    into `detections.CLASSES` (`unknown` for a label that is none of them).
    """

    stamp_ns: int
    frame_id: str
    box_px: Float32
    score: Float32
    class_id: NDArray[np.int16]

    def __post_init__(self) -> None:
        count = len(self.box_px)
        check_array("ImageDetections", "box_px", self.box_px, (None, 4), np.float32)
        check_array("ImageDetections", "score", self.score, (count,), np.float32)
        check_array("ImageDetections", "class_id", self.class_id, (count,), np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class EgoMotion:
    """The vehicle's twist in `base_link`: linear_velocity (3,) m/s, angular_velocity (3,) rad/s, float64.

    odom_from_base: (4, 4) pose, None where the source has none. linear_cov: (3, 3) or None.
    """

    stamp_ns: int
    linear_velocity: Float64
    angular_velocity: Float64
    odom_from_base: Float64 | None = None
    linear_cov: Float64 | None = None

    def __post_init__(self) -> None:
        check_array("EgoMotion", "linear_velocity", self.linear_velocity, (3,), np.float64)
        check_array("EgoMotion", "angular_velocity", self.angular_velocity, (3,), np.float64)
        if not (np.isfinite(self.linear_velocity).all() and np.isfinite(self.angular_velocity).all()):
            raise MeasurementError(
                f"EgoMotion: expected finite velocities, got {self.linear_velocity.tolist()}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class StampedTransform:
    """One edge of the transform tree: parent_from_child (4, 4) float64 at `stamp_ns`, ever where static."""

    stamp_ns: int
    parent_frame: str
    child_frame: str
    parent_from_child: Float64
    static: bool = False

    def __post_init__(self) -> None:
        check_array("StampedTransform", "parent_from_child", self.parent_from_child, (4, 4), np.float64)
        if not np.isfinite(self.parent_from_child).all():
            raise MeasurementError(
                f"transform {self.parent_frame} <- {self.child_frame}: expected finite values"
            )


Transforms = tuple[StampedTransform, ...]
Measurement = CameraImage | LidarSweep | RadarScan | RadarTracks | ImageDetections
M = TypeVar("M", bound=Measurement, covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Deferred(Generic[M]):
    """A measurement whose header was read and whose payload is decoded at its first use, once, by any thread.

    stamp_ns: middle of the scan or exposure. size_bytes: of the payload. `decode` raises `MeasurementError`.
    """

    stamp_ns: int
    frame_id: str
    size_bytes: int
    decode: Callable[[], M]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _result: list[M | MeasurementError] = field(default_factory=list, repr=False)

    def get(self) -> M:
        """The decoded measurement; raises `MeasurementError` each time where the payload is unusable."""
        with self._lock:
            if not self._result:
                try:
                    self._result.append(self.decode())
                except MeasurementError as error:
                    self._result.append(error)
            result = self._result[0]
        if isinstance(result, MeasurementError):
            raise result
        return result


Item = Measurement | Deferred | CameraModel | EgoMotion | Transforms

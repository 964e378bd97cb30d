"""What is known of sensors' places, camera models and ego motion at any moment; no thread, clock or file."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from mm_fusion.config import SensorConfig, VehicleConfig
from mm_fusion.errors import DropReason, MeasurementError, TransformError
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraModel, EgoMotion, Float64, Transforms

EGO_HOLD_NS = 200_000_000
"""A twist further from the reference time counts as absent (DESIGN.md section 7)."""

_EGO_HISTORY = 256


class CalibrationStore:
    """Transforms, camera models and ego motion so far, with the vehicle file standing in."""

    def __init__(self, vehicle: VehicleConfig) -> None:
        self._vehicle = vehicle
        self._transforms = TransformBuffer()
        self._models = {name: _model_of(s) for name, s in vehicle.sensors.items() if s.camera is not None}
        self._egos: dict[str, deque[EgoMotion]] = {}

    def add_transforms(self, transforms: Transforms) -> None:
        """Take in edges of the transform tree."""
        self._transforms.add(transforms)

    def add_camera_model(self, sensor: str, model: CameraModel) -> None:
        """Take in the newest model of a camera."""
        self._models[sensor] = model

    def add_ego_motion(self, source: str, ego: EgoMotion) -> None:
        """Take in a twist of the source of that name (its topic)."""
        self._egos.setdefault(source, deque(maxlen=_EGO_HISTORY)).append(ego)

    def forget_the_past(self) -> None:
        """Forget what has a time (a recording that loops); static transforms and camera models stay."""
        self._transforms.clear_moving()
        self._egos.clear()

    def base_from_sensor(self, name: str, frame_id: str, stamp_ns: int) -> Float64:
        """(4, 4) base_from_sensor of a measurement; the file's mount where no transform names its frame.

        Raises `TransformError` where there is neither.
        """
        try:
            return self._transforms.lookup(self._vehicle.base_frame, frame_id, stamp_ns)
        except TransformError as error:
            mount = self._vehicle.sensors[name].mount
            if mount is not None:
                return from_rpy_deg(mount.rpy_deg, mount.xyz)
            raise TransformError(
                f"{error}; or give sensors.{name}.mount in the vehicle file", error.reason
            ) from None

    def camera_model(self, name: str) -> CameraModel:
        """The model of a camera; raises `MeasurementError` (`no_calibration`) where none has come."""
        if name in self._models:
            return self._models[name]
        topic = self._vehicle.sensors[name].info_topic
        where = f"on {topic} yet" if topic else f"(sensors.{name}.info_topic is not set)"
        raise MeasurementError(
            f"{name}: no CameraInfo {where}; publish it or give sensors.{name}.camera in the vehicle file",
            DropReason.NO_CALIBRATION,
        )

    def ego_motion(self, stamp_ns: int, sensors_present: Collection[str]) -> EgoMotion | None:
        """The twist nearest to `stamp_ns` of the first source that is alive; None where none is.

        Also None where `radar` comes first and a radar is present: its scans say it when they are decoded.
        """
        for source in self._vehicle.ego_motion:
            if source.kind == "radar":
                if any(self._vehicle.sensors[name].kind == "radar" for name in sensors_present):
                    return None
                continue
            if source.kind == "tf":
                ego = self._transforms.ego_motion(source.frame, self._vehicle.base_frame, stamp_ns)
            else:
                ego = self._nearest_ego(source.topic or "", stamp_ns)
            if ego is not None and abs(ego.stamp_ns - stamp_ns) <= EGO_HOLD_NS:
                return ego
        return None

    def _nearest_ego(self, topic: str, stamp_ns: int) -> EgoMotion | None:
        return min(self._egos.get(topic, ()), key=lambda ego: abs(ego.stamp_ns - stamp_ns), default=None)


def _model_of(sensor: SensorConfig) -> CameraModel:
    import numpy as np

    camera = sensor.camera
    assert camera is not None
    return CameraModel(
        np.array(camera.matrix, np.float64).reshape(3, 3),
        np.array(camera.distortion, np.float64),
        camera.distortion_model,
        camera.width_px,
        camera.height_px,
    )

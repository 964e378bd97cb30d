"""Every array that the network takes, from one frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import VehicleConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Frame, decoded
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.camera_pixels import calibrated_cameras, camera_pixels
from mm_fusion.inputs.camera_sampling import CameraSampling
from mm_fusion.inputs.coverage import coverage
from mm_fusion.inputs.lidar_raster import LidarRaster
from mm_fusion.inputs.radar_raster import RadarRaster
from mm_fusion.measurements import CameraImage, Float32, Float64, LidarSweep, RadarScan
from mm_fusion.network_config import LearnedConfig


class InputMaker:
    """Makes network inputs of one vehicle for one model; one object belongs to one thread."""

    def __init__(self, config: LearnedConfig, vehicle: VehicleConfig) -> None:
        self._config, self._vehicle = config, vehicle
        self.lidar = LidarRaster(config, vehicle.ego_box)
        self.radar = RadarRaster(config, vehicle.ego_box)
        self.cameras = CameraSampling(config)

    def make(self, frame: Frame, scene_from_base: Float64 | None = None) -> NetworkInputs:
        """The arrays of a frame, of the scene turned, flipped or scaled by `scene_from_base` (4, 4)."""
        images, present, names = self._images(frame)
        table = self.cameras.table(frame, names, scene_from_base)
        return NetworkInputs(
            images=images,
            camera_present=present,
            lidar=self.lidar.build(frame, scene_from_base)[None],
            radar=self.radar.build(frame, scene_from_base)[None],
            lift_index=table.lift_index,
            lift_bin=table.lift_bin,
            lift_weight=table.lift_weight,
            camera_age=table.camera_age,
            coverage=coverage(frame, self._vehicle, self._config, table.coverage, scene_from_base),
            available=available(frame, names),
        )

    def _images(self, frame: Frame) -> tuple[NDArray[np.uint8], Float32, list[str]]:
        """Images (N, 3, h, w) by slot, which slots have one (N,), and the names of those cameras."""
        camera = self._config.camera
        images = np.zeros((camera.max_cameras, 3, camera.height_px, camera.width_px), np.uint8)
        present, names = np.zeros(camera.max_cameras, np.float32), []
        for name, slot in calibrated_cameras(frame, self._config).items():
            image = decoded(frame.measurements[name])
            if not isinstance(image, CameraImage):
                continue
            try:
                images[slot] = camera_pixels(image, frame.calibration.camera_models[name], self._config)
            except MeasurementError:
                continue  # corrupt inside: what was seen only now is absent like what never came
            present[slot] = 1
            names.append(name)
        return images, present, names


def make_inputs(
    frame: Frame, vehicle: VehicleConfig, config: LearnedConfig, scene_from_base: Float64 | None = None
) -> NetworkInputs:
    """The arrays of one frame; for many, keep an `InputMaker`."""
    return InputMaker(config, vehicle).make(frame, scene_from_base)


def available(frame: Frame, cameras: list[str]) -> Float32:
    """(3,) f32 of camera, LiDAR, radar: 1 where a calibrated sensor of the kind delivered something.

    cameras: names of the cameras whose images are there.
    """
    placed = frame.calibration.base_from_sensor
    lidars = [n for n, m in frame.of_kind("lidar").items() if n in placed and isinstance(m, LidarSweep)]
    radars = [n for n, m in frame.of_kind("radar").items() if n in placed and isinstance(m, RadarScan)]
    return np.array([bool(cameras), bool(lidars), bool(radars)], np.float32)

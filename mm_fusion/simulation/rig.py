"""The sensors of a vehicle file as simulators, and what they measure as records with the actors in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import CameraIntrinsics, SensorConfig, VehicleConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.cameras import scaled
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraModel, Float64, LidarSweep, RadarScan
from mm_fusion.simulation.clocks import PERIOD_MS, random_of
from mm_fusion.simulation.fault_images import spoil_image
from mm_fusion.simulation.fault_points import spoil_lidar, spoil_radar
from mm_fusion.simulation.faults import Delivery, Fault

if TYPE_CHECKING:
    from mm_fusion.simulation.world import World

DEFAULT_UNITS = {"lidar": "hdl32", "radar": "ars408"}
JPEG_QUALITY = 85

Actors = NDArray[np.int32]
Spoilt = tuple[tuple[int, Fault], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A camera's message: JPEG bytes, and (N,) how many pixels each actor has that is seen."""

    jpeg: bytes
    model: CameraModel
    pixels: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one sensor measured. actor: (N,) of each point (negative: nobody), or of those in the picture."""

    payload: Picture | LidarSweep | RadarScan
    actor: Actors


@dataclass(frozen=True, slots=True)
class RigOptions:
    """How finely to measure. camera_width_px: wider images are made this wide (0: as in the vehicle file).

    lidar_step: one of so many columns of a sweep is kept; jpeg_quality: 1 to 100.
    """

    camera_width_px: int = 0
    lidar_step: int = 1
    jpeg_quality: int = JPEG_QUALITY


class Rig:
    """The simulated sensors of a vehicle.

    Raises `ConfigurationError` for a vehicle without any, and for a sensor that lacks mount or intrinsics.
    """

    def __init__(self, vehicle: VehicleConfig, seed: int, options: RigOptions) -> None:
        self.vehicle, self._seed, self._options = vehicle, seed, options
        self.sensors = {name: _complete(s) for name, s in vehicle.sensors.items() if s.kind in PERIOD_MS}
        if not self.sensors:
            raise ConfigurationError(
                "the vehicle has no camera, LiDAR or radar; there is nothing to simulate"
            )
        self.mounts = {name: mount_of(name, sensor) for name, sensor in self.sensors.items()}
        self.models = {
            name: model_of(name, sensor.camera, options.camera_width_px)
            for name, sensor in self.sensors.items()
            if sensor.kind == "camera"
        }
        self._simulators: dict[tuple[str, bytes], Callable[..., Measured]] = {}

    def frame_of(self, name: str) -> str:
        """The frame id in a sensor's messages."""
        return self.sensors[name].frame or name

    def measure(self, world: World, delivery: Delivery, stamp_ns: int) -> Measured:
        """What the message of `delivery` carries, stamped `stamp_ns` (the middle of the measurement)."""
        content = delivery.content
        rng = random_of(self._seed, content.sensor, "measurement", content.index)
        measure = self._simulator(content.sensor, delivery.mount_error)
        spoiling = random_of(self._seed, content.sensor, "spoiling", delivery.tick.index)
        return measure(world, content.time_ns / 1e9, stamp_ns, rng, delivery.spoilt, spoiling)

    def _simulator(self, name: str, mount_error: Float64 | None) -> Callable[..., Measured]:
        """Made once for each place of a sensor."""
        place = self.mounts[name] if mount_error is None else self.mounts[name] @ mount_error
        key = (name, place.tobytes())
        if key not in self._simulators:
            make = {"camera": self._camera, "lidar": self._lidar, "radar": self._radar}
            self._simulators[key] = make[self.sensors[name].kind](name, place)
        return self._simulators[key]

    def _fixed(self, name: str, number: int) -> np.random.Generator:
        """What stays the same through the whole of fault `number`."""
        return random_of(self._seed, name, "fault", number)

    def _camera(self, name: str, place: Float64) -> Callable[..., Measured]:
        import cv2

        from mm_fusion.simulation.camera import CameraSimulator

        model = self.models[name]
        simulator = CameraSimulator(name, self.sensors[name], place, model)
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._options.jpeg_quality]

        def measure(
            world: World, t_s: float, stamp_ns: int, rng: np.random.Generator, spoilt: Spoilt,
            spoiling: np.random.Generator,
        ) -> Measured:  # fmt: skip
            pixels, instances, depth = simulator.image(world, t_s, rng)
            for number, fault in spoilt:
                pixels = spoil_image(pixels, depth, fault, self._fixed(name, number), spoiling)
            jpeg = cv2.imencode(".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), quality)[1].tobytes()
            found, counts = np.unique(instances[instances >= 0], return_counts=True)
            return Measured(Picture(jpeg, model, counts), found.astype(np.int32))

        return measure

    def _lidar(self, name: str, place: Float64) -> Callable[..., Measured]:
        from mm_fusion.simulation.lidar import LidarSimulator

        simulator = LidarSimulator(name, self.sensors[name], place)

        def measure(
            world: World, t_s: float, stamp_ns: int, rng: np.random.Generator, spoilt: Spoilt,
            spoiling: np.random.Generator,
        ) -> Measured:  # fmt: skip
            sweep, actor = simulator.sweep(world, t_s, stamp_ns, self.frame_of(name), rng)
            sweep, actor = _thinned(sweep, actor, self._options.lidar_step)
            for number, fault in spoilt:
                sweep, actor = spoil_lidar(sweep, actor, fault, self._fixed(name, number), spoiling)
            return Measured(sweep, actor)

        return measure

    def _radar(self, name: str, place: Float64) -> Callable[..., Measured]:
        from mm_fusion.simulation.radar import RadarSimulator

        simulator = RadarSimulator(name, self.sensors[name], place)

        def measure(
            world: World, t_s: float, stamp_ns: int, rng: np.random.Generator, spoilt: Spoilt,
            spoiling: np.random.Generator,
        ) -> Measured:  # fmt: skip
            scan, actor = simulator.scan(world, t_s, stamp_ns, self.frame_of(name), rng)
            for number, fault in spoilt:
                scan, actor = spoil_radar(scan, actor, fault, self._fixed(name, number), spoiling)
            return Measured(scan, actor)

        return measure


def _complete(sensor: SensorConfig) -> SensorConfig:
    """The sensor with a unit, where its file names none."""
    unit = sensor.unit or DEFAULT_UNITS.get(sensor.kind)
    return sensor if unit == sensor.unit else sensor.model_copy(update={"unit": unit})


def mount_of(name: str, sensor: SensorConfig) -> Float64:
    """base_from_sensor (4, 4); raises `ConfigurationError` where the vehicle file has no mount."""
    if sensor.mount is None:
        raise ConfigurationError(f"sensors.{name}: mount is missing; the simulated sensor must be somewhere")
    return from_rpy_deg(sensor.mount.rpy_deg, sensor.mount.xyz)


def model_of(name: str, camera: CameraIntrinsics | None, width_px: int) -> CameraModel:
    """The camera's model, made at most `width_px` wide (0: as it is)."""
    if camera is None:
        raise ConfigurationError(
            f"sensors.{name}: camera (size and matrix) is missing; the simulator needs it"
        )
    full = CameraModel(
        np.array(camera.matrix, np.float64).reshape(3, 3),
        np.array(camera.distortion, np.float64),
        camera.distortion_model,
        camera.width_px,
        camera.height_px,
    )
    if not 0 < width_px < full.width_px:
        return full
    return scaled(full, width_px, max(1, round(full.height_px * width_px / full.width_px)))


def _thinned(sweep: LidarSweep, actor: Actors, step: int) -> tuple[LidarSweep, Actors]:
    """One of `step` directions, by azimuth, of each ring."""
    if step <= 1 or not len(sweep.xyz):
        return sweep, actor
    azimuth = np.degrees(np.arctan2(sweep.xyz[:, 1], sweep.xyz[:, 0])) + 180
    keep = (azimuth / 0.35).astype(np.int64) % step == 0
    return sweep.select(keep), actor[keep]

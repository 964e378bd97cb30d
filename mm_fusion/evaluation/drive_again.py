"""Other moments of a simulated drive: measured again, exactly as the drive's own were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mm_fusion.config import VehicleConfig
from mm_fusion.measurements import CameraImage, Measurement


class DriveAgain:
    """Measurements of the drives of a data set at times that its shards do not hold.

    The last drive asked for is kept, so ask in order of frames.
    """

    def __init__(
        self,
        vehicle: VehicleConfig,
        split: str,
        drives: Sequence[Mapping[str, Any]],
        options: tuple[int, int],
    ) -> None:
        """drives: seed and frames of each; options: camera_width_px and lidar_step of the data set."""
        self._vehicle, self._split, self._drives, self._options = vehicle, split, drives, options
        self._first = np.concatenate([[0], np.cumsum([drive["frames"] for drive in drives])])
        self._kept: tuple[int, Any] | None = None

    @classmethod
    def of(
        cls, manifest: Mapping[str, Any], split: str, drives: Sequence[Mapping[str, Any]]
    ) -> DriveAgain | None:
        """Those of a data set; None where it was made by another simulator."""
        from mm_fusion.config import parse_config
        from mm_fusion.simulation.dataset import simulator_hash

        settings = manifest["settings"]
        if settings["simulator"] != simulator_hash():
            return None
        vehicle = parse_config(settings["vehicle"], VehicleConfig, "manifest")
        return cls(vehicle, split, drives, (settings["camera_width_px"], settings["lidar_step"]))

    def older(self, number: int, sensor: str, lag_ns: int) -> Measurement:
        """What `sensor` measured nearest to `lag_ns` before its measurement in frame `number`."""
        from mm_fusion.simulation.clocks import nearest_index, tick_at
        from mm_fusion.simulation.samples import FIRST_S, STEP_S

        run = int(np.searchsorted(self._first, number, side="right")) - 1
        simulator = self._simulator(run)
        place = number - int(self._first[run])
        reference = simulator.reference
        index = nearest_index(simulator.clocks[reference], round((FIRST_S + place * STEP_S) * 1e9))
        time_ns = tick_at(reference, simulator.clocks[reference], index, simulator.seed).time_ns
        clock = simulator.clocks[sensor]
        newest = tick_at(sensor, clock, nearest_index(clock, time_ns), simulator.seed)
        wanted = nearest_index(clock, newest.time_ns - lag_ns)
        return _measured(simulator, sensor, wanted)

    def _simulator(self, run: int) -> Any:
        from mm_fusion.simulation.rig import RigOptions
        from mm_fusion.simulation.samples import SPLITS, draw_drive

        if self._kept is None or self._kept[0] != run:
            drive = self._drives[run]
            options = RigOptions(*self._options)
            made, _ = draw_drive(self._vehicle, SPLITS[self._split], drive["seed"], drive["frames"], options)
            self._kept = (run, made)
        return self._kept[1]


def _measured(simulator: Any, sensor: str, index: int) -> Measurement:
    from mm_fusion.simulation.clocks import tick_at
    from mm_fusion.simulation.faults import deliver
    from mm_fusion.simulation.rig import Picture

    clock, config = simulator.clocks[sensor], simulator.rig.sensors[sensor]
    tick = tick_at(sensor, clock, index, simulator.seed)
    delivery = deliver(tick, clock, simulator.faults.get(sensor, ()), simulator.seed)
    stamp_ns = simulator.start_ns + delivery.stamp_ns
    payload = simulator.rig.measure(simulator.world, delivery, stamp_ns).payload
    if isinstance(payload, Picture):
        rows = round(config.row_time_us * 1e3)
        frame_id = simulator.rig.frame_of(sensor)
        return CameraImage(stamp_ns, frame_id, encoded=payload.jpeg, format="jpeg", row_time_ns=rows)
    found: Measurement = payload
    return found

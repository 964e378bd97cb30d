"""How a sensor's points come to the grid: mount, ego motion between and within sweeps, change of scene."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.motion import base_ref_from_base, twist_matrix
from mm_fusion.measurements import EgoMotion, Float64, Measurement, SensorKind

AGE_UNIT_S = 0.1
"""Ages in the network's inputs are multiples of this."""


def sweeps_of(frame: Frame, kind: SensorKind, earlier: int) -> Iterator[tuple[str, Measurement]]:
    """(sensor, measurement) of every calibrated sensor of a kind, the newest and up to `earlier` before it.

    Older ones lie where the car was: without ego motion they would smear the world, and are left out.
    """
    for name, newest in frame.of_kind(kind).items():
        if name not in frame.calibration.base_from_sensor:
            continue
        yield name, newest
        for item in frame.earlier.get(name, ())[:earlier] if frame.ego is not None else ():
            yield name, decoded(item)


def grid_from_base(frame: Frame, stamp_ns: int, scene_from_base: Float64 | None) -> Float64:
    """The (4, 4) that carries what `base_link` saw at `stamp_ns` to the grid at the frame's time.

    scene_from_base: (4, 4) turn, flip or scale of the whole scene, None for none.
    """
    scene = np.eye(4) if scene_from_base is None else scene_from_base
    if frame.ego is None:
        return scene
    return np.asarray(scene @ base_ref_from_base(frame.ego, stamp_ns, frame.stamp_ns))


def motion_series(ego: EgoMotion | None, grid_from_base_then: Float64, base_from_sensor: Float64) -> Float64:
    """(3, 3, 4): A0, A1, A2 that bring a point p of t s after its sweep's stamp to A0 p + t A1 p + t^2 A2 p.

    The series of exp([v, w] t) up to t^2: within 0.05 s of the stamp and at 1 rad/s it is right to 1 mm at
    50 m.
    """
    twist = np.zeros((4, 4)) if ego is None else twist_matrix(ego)
    terms = (np.eye(4), twist, twist @ twist / 2)
    return np.stack([(grid_from_base_then @ term @ base_from_sensor)[:3] for term in terms])

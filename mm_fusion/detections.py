"""Fused 3D objects as parallel arrays, their classes, and the result of one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, check_array

CLASSES: tuple[str, ...] = (
    "car",
    "truck",
    "bus",
    "trailer",
    "construction_vehicle",
    "pedestrian",
    "motorcycle",
    "bicycle",
    "traffic_cone",
    "barrier",
    "unknown",
)
"""The ten classes of nuScenes detection, and `unknown` for what none of them claims."""

UNKNOWN_CLASS_ID = CLASSES.index("unknown")
SENSOR_GROUPS = ("camera", "lidar", "radar")
"""Order of `Detections.contribution` and of the letters of a mode."""

_WIDTHS: dict[str, int | None] = {
    "center": 3,
    "size": 3,
    "yaw": None,
    "velocity": 2,
    "position_cov": 3,
    "velocity_cov": 3,
    "variance": 5,
    "score": None,
    "class_id": None,
    "moving": None,
    "contribution": 3,
    "track_id": None,
}
_DTYPES: dict[str, type] = {"class_id": np.int16, "track_id": np.int64}


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects of one frame in `base_link` axes, float32 unless named; ground truth is the same with score 1.

    center (N, 3) m, the geometric centre; size (N, 3) length width height; yaw (N,) counter-clockwise from +x
    in (-pi, pi]; velocity (N, 2) m/s over ground, NaN with infinite variance where unknown; position_cov and
    velocity_cov (N, 3) as xx xy yy; variance (N, 5) of z l w h yaw; score (N,) 0..1; class_id (N,) int16 into
    `CLASSES`; moving (N,) 0..1, 0.5 where unknown; contribution (N, 3) of camera, LiDAR, radar, sums to one;
    track_id (N,) int64 (-1: none) or None.
    """

    center: Float32
    size: Float32
    yaw: Float32
    velocity: Float32
    position_cov: Float32
    velocity_cov: Float32
    variance: Float32
    score: Float32
    class_id: NDArray[np.int16]
    moving: Float32
    contribution: Float32
    track_id: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count = len(self.center)
        for name, width in _WIDTHS.items():
            array = getattr(self, name)
            if name == "track_id" and array is None:
                continue
            shape = (count,) if width is None else (count, width)
            check_array("Detections", name, array, shape, _DTYPES.get(name, np.float32))

    def __len__(self) -> int:
        return len(self.center)

    def select(self, keep: np.ndarray) -> Detections:
        """The objects that `keep` (mask or indices) names."""
        return replace(self, **{name: array[keep] for name, array in self.arrays().items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by field name, without `track_id` where there is none."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: array for name, array in named.items() if array is not None}

    def class_names(self) -> list[str]:
        """The class of each object by name."""
        return [CLASSES[index] for index in self.class_id]


def empty_detections(count: int = 0) -> Detections:
    """`count` unknown objects: zeros, velocity NaN, covariances infinite, even contribution."""
    arrays: dict[str, np.ndarray] = {}
    for name, width in _WIDTHS.items():
        shape = (count,) if width is None else (count, width)
        arrays[name] = np.zeros(shape, _DTYPES.get(name, np.float32))
    arrays["velocity"][:] = np.nan
    for name in ("position_cov", "velocity_cov"):
        arrays[name][:, (0, 2)] = np.inf
    arrays["variance"][:] = np.inf
    arrays["class_id"][:] = UNKNOWN_CLASS_ID
    arrays["moving"][:] = 0.5
    arrays["contribution"][:] = 1 / 3
    return _build({**arrays, "track_id": None})


def _build(columns: Mapping[str, Any]) -> Detections:
    """Keyword arguments whose types mypy cannot see through a mapping; `Detections` checks them itself."""
    return Detections(**columns)


def make_detections(count: int, **arrays: np.ndarray | None) -> Detections:
    """`empty_detections(count)` with the given fields set, cast to their dtypes."""
    cast: dict[str, np.ndarray | None] = {
        name: None if array is None else np.ascontiguousarray(array, dtype=_DTYPES.get(name, np.float32))
        for name, array in arrays.items()
    }
    return _build({**empty_detections(count).arrays(), "track_id": None, **cast})


def concatenate_detections(parts: Sequence[Detections]) -> Detections:
    """All objects of `parts` in order; `track_id` -1 for parts without ids where any part has them."""
    if not parts:
        return empty_detections()
    with_ids = any(part.track_id is not None for part in parts)
    columns: dict[str, np.ndarray | None] = {"track_id": None}
    for name in _WIDTHS:
        if name == "track_id" and not with_ids:
            continue
        arrays = [getattr(part, name) for part in parts]
        if name == "track_id":
            arrays = [np.full(len(p), -1, np.int64) if a is None else a for p, a in zip(parts, arrays)]
        columns[name] = np.concatenate(arrays)
    return _build(columns)


def mode_of(groups_present: Mapping[str, bool] | Sequence[str]) -> str:
    """The letters of the sensor groups present in the order C L R, `-` for none."""
    if isinstance(groups_present, Mapping):
        groups_present = [name for name, present in groups_present.items() if present]
    letters = "".join(group[0].upper() for group in SENSOR_GROUPS if group in groups_present)
    return letters or "-"


@dataclass(frozen=True, slots=True, eq=False)
class FusionResult:
    """What the pipeline says of one frame.

    stamp_ns: reference time; available and age_ns (reference minus measurement) by sensor name; mode: `CLR`
    ... `R` or `-`; drops: {sensor: {reason: count}} of this frame alone (unusable payloads).
    """

    stamp_ns: int
    frame_id: str
    available: Mapping[str, bool]
    age_ns: Mapping[str, int]
    detections: Detections
    mode: str
    drops: Mapping[str, Mapping[str, int]]

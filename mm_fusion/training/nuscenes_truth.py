"""Annotations of nuScenes as truth: official classes, velocities by differences as the devkit takes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.recording import truth_frame
from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import CLASSES
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import Float64
from mm_fusion.training.nuscenes_tables import Samples, by_token, matrix_of, read_rows

CLASS_OF_CATEGORY = {
    "movable_object.barrier": "barrier",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
}
"""Detection class by category; all others (animals, prams, debris, bicycle racks ...) are `unknown`, which
training takes out. Source: nuscenes-devkit eval/detection/utils.py.
"""
LONGEST_S = 1.5
"""Samples farther apart than this give no velocity; twice as much where both neighbours are there."""


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """Boxes of the samples, sorted by sample: those of sample s are rows starts[s] to starts[s + 1].

    box: (A, 10) global x y z, l w h, quaternion w x y z. velocity: (A, 3) m/s global, NaN where unknown.
    counts: (A, 3) visibility 1 to 4 (0 unknown), LiDAR points, radar returns.
    """

    starts: NDArray[np.int64]
    class_id: NDArray[np.int16]
    box: Float64
    velocity: Float64
    counts: NDArray[np.int32]

    def truth(self, sample: int, stamp_ns: int, global_from_base: Float64) -> TruthFrame:
        """The truth of a sample in `base_link` at its time."""
        rows = slice(int(self.starts[sample]), int(self.starts[sample + 1]))
        box, turn = self.box[rows], global_from_base[:3, :3]
        boxes7 = np.empty((len(box), 7))
        boxes7[:, :3] = transform_points(inverse(global_from_base), np.ascontiguousarray(box[:, :3]))
        boxes7[:, 3:6] = box[:, 3:6]
        forward = _forward(box[:, 6:]) @ turn
        boxes7[:, 6] = np.arctan2(forward[:, 1], forward[:, 0])
        counts = self.counts[rows]
        extra = {
            "occlusion": np.full(len(box), 3.0),  # KITTI's code for unknown
            "truncation": np.full(len(box), np.nan),
            "visibility": counts[:, 0],
            "num_lidar_points": counts[:, 1],
            "num_radar_points": counts[:, 2],
        }
        names = [CLASSES[number] for number in self.class_id[rows]]
        return truth_frame(stamp_ns, boxes7, names, extra, (self.velocity[rows] @ turn)[:, :2])


def _forward(wxyz: Float64) -> Float64:
    """(N, 3) the x axis turned by quaternions (N, 4)."""
    w, x, y, z = wxyz.T
    return np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=1)


def read_annotations(tables: Path, samples: Samples) -> Annotations:
    """The annotations of the samples."""
    class_of = _class_of_instance(tables)
    rows: list[tuple[Any, ...]] = []
    row_of: dict[str, int] = {}
    links: list[tuple[str, str]] = []

    def take(row: dict[str, Any]) -> None:
        sample = samples.number.get(row["sample_token"])
        if sample is None:
            return
        width, length, height = row["size"]
        matrix_of(row["translation"], row["rotation"])  # checks both
        row_of[row["token"]] = len(rows)
        links.append((row["prev"], row["next"]))
        seen = int(row.get("visibility_token") or 0), int(row["num_lidar_pts"]), int(row["num_radar_pts"])
        rows.append(
            (sample, class_of[row["instance_token"]], *seen, *row["translation"], length, width, height,
             *row["rotation"])
        )  # fmt: skip

    read_rows(tables / "sample_annotation.json", take)
    table = np.array(rows, np.float64).reshape(-1, 15)
    sample = table[:, 0].astype(np.int64)
    velocity = _velocities(table[:, 5:8], samples.stamp_ns[sample], row_of, links)
    order = np.argsort(sample, kind="stable")
    return Annotations(
        np.searchsorted(sample[order], np.arange(len(samples.stamp_ns) + 1)),
        table[order, 1].astype(np.int16),
        table[order, 5:],
        velocity[order],
        table[order, 2:5].astype(np.int32),
    )


def _class_of_instance(tables: Path) -> dict[str, int]:
    names = by_token(tables / "category.json", "name")
    classes = {t: CLASSES.index(CLASS_OF_CATEGORY.get(name, "unknown")) for t, name in names.items()}
    instances = by_token(tables / "instance.json", "category_token")
    return {token: classes.get(category, CLASSES.index("unknown")) for token, category in instances.items()}


def _velocities(
    xyz: Float64, stamp_ns: NDArray[np.int64], row_of: dict[str, int], links: list[tuple[str, str]]
) -> Float64:
    """(A, 3): from the annotation before to the one after, at an end of a track from or to the box itself.

    Source: nuscenes-devkit, `NuScenes.box_velocity`.
    """
    here = np.arange(len(xyz))
    first, last = (
        np.array([row_of.get(pair[side], row) for row, pair in enumerate(links)], np.int64).reshape(-1)
        for side in (0, 1)
    )
    seconds = (stamp_ns[last] - stamp_ns[first]) * 1e-9
    longest = np.where((first != here) & (last != here), 2 * LONGEST_S, LONGEST_S)
    known = (seconds > 0) & (seconds <= longest)
    velocity = np.full(xyz.shape, np.nan)
    velocity[known] = (xyz[last] - xyz[first])[known] / seconds[known, None]
    return velocity

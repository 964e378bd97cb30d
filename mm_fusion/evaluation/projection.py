"""Does a calibration put LiDAR edges on image edges? The median pixel distance, beside the same with each
camera turned by one degree about each axis of the car.

An edge point says something of a turn only if the turn moves it across its edge. So besides the median over
all points, each turn is also judged on those that it moves by at least half a degree that way: the same
points with the given and with the turned calibration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import MeasurementError, ResultError
from mm_fusion.evaluation.image_edges import ImageEdges, image_edges, way_across
from mm_fusion.evaluation.range_edges import RangeEdges, range_edges
from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.motion import deskew
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import CameraImage, CameraModel, Float64, LidarSweep
from mm_fusion.messages.images import decode_pixels

TURN_DEG = 1.0
FELT_DEG = 0.5
Vector3 = tuple[float, float, float]
TURNS: dict[str, Vector3] = {
    "roll +1": (TURN_DEG, 0.0, 0.0),
    "roll -1": (-TURN_DEG, 0.0, 0.0),
    "pitch +1": (0.0, TURN_DEG, 0.0),
    "pitch -1": (0.0, -TURN_DEG, 0.0),
    "yaw +1": (0.0, 0.0, TURN_DEG),
    "yaw -1": (0.0, 0.0, -TURN_DEG),
}
"""Roll, pitch and yaw of the camera on the car, degrees about the axes of `base_link`."""


@dataclass(frozen=True, slots=True, eq=False)
class EdgeView:
    """One image beside the LiDAR edges that fall into it, (N,) points.

    at_px (N, 2): with the given calibration; between_rings (N,) as in `RangeEdges`. given_px and
    turned_px[turn] (N,): to the nearest image edge that runs the same way, NaN where the point leaves the
    image. across_px[turn] (N,): how far the turn moves each point across its edge. per_degree_px: of a degree
    in the image's middle.
    """

    camera: str
    stamp_ns: int
    pixels: NDArray[np.uint8]
    edges: ImageEdges
    at_px: Float64
    between_rings: NDArray[np.bool_]
    given_px: Float64
    turned_px: Mapping[str, Float64]
    across_px: Mapping[str, Float64]
    per_degree_px: float


def edge_views(frames: Iterable[Frame]) -> Iterator[EdgeView]:
    """Every image of `frames` into which edges of a LiDAR fall."""
    for frame in frames:
        found = {
            name: range_edges(sweep)
            for name, sweep in frame.of_kind("lidar").items()
            if isinstance(sweep, LidarSweep) and name in frame.calibration.base_from_sensor
        }
        for name, image in frame.of_kind("camera").items():
            view = _edge_view(frame, name, image, found) if isinstance(image, CameraImage) else None
            if view is not None and len(view.given_px):
                yield view


def _edge_view(
    frame: Frame, name: str, image: CameraImage, found: Mapping[str, RangeEdges]
) -> EdgeView | None:
    model = frame.calibration.camera_models.get(name)
    base_from_camera = frame.calibration.base_from_sensor.get(name)
    if model is None or base_from_camera is None or not found:
        return None
    try:
        pixels = decode_pixels(image)
    except MeasurementError:
        return None
    parts = [_in_base(frame, lidar, edges, image.stamp_ns) for lidar, edges in found.items()]
    xyz, along = (np.concatenate(arrays) for arrays in zip(*parts))
    between = np.concatenate([edges.between_rings for edges in found.values()])
    return _measured(_Camera(name, frame.stamp_ns, pixels, model, base_from_camera), xyz, along, between)


def _in_base(frame: Frame, name: str, edges: RangeEdges, stamp_ns: int) -> tuple[Float64, Float64]:
    """Edges and the way along them in `base_link` at the image's time."""
    base_from_lidar = frame.calibration.base_from_sensor[name]
    xyz = transform_points(base_from_lidar, edges.xyz)
    if frame.ego is not None:
        age_ns = np.full(len(xyz), frame.measurements[name].stamp_ns - stamp_ns)
        xyz = deskew(xyz.astype(np.float32), age_ns, frame.ego).astype(np.float64)
    return xyz, edges.along @ base_from_lidar[:3, :3].T


@dataclass(frozen=True, slots=True, eq=False)
class _Camera:
    name: str
    stamp_ns: int
    pixels: NDArray[np.uint8]
    model: CameraModel
    base_from_camera: Float64

    def see(
        self, xyz_base: Float64, rpy_deg: tuple[float, float, float]
    ) -> tuple[Float64, NDArray[np.bool_]]:
        """Pixels (N, 2) and visible (N,) with the camera turned on the spot about the axes of the car."""
        turned = self.base_from_camera.copy()
        turned[:3, :3] = from_rpy_deg(rpy_deg)[:3, :3] @ turned[:3, :3]
        return project(self.model, transform_points(inverse(turned), xyz_base))


def _measured(camera: _Camera, xyz: Float64, along: Float64, between: NDArray[np.bool_]) -> EdgeView:
    edges = image_edges(camera.pixels)
    at, visible = camera.see(xyz, (0.0, 0.0, 0.0))
    beside, _ = camera.see(xyz + 0.05 * along, (0.0, 0.0, 0.0))
    kept = visible & np.isfinite(beside).all(axis=1) & (np.abs(beside - at).max(axis=1) > 0)
    at, between = at[kept], between[kept]
    run = beside[kept] - at
    normal = np.column_stack([-run[:, 1], run[:, 0]]) / np.linalg.norm(run, axis=1, keepdims=True)
    way = way_across(normal)
    moved = {turn: camera.see(xyz[kept], rpy_deg) for turn, rpy_deg in TURNS.items()}
    return EdgeView(
        camera.name,
        camera.stamp_ns,
        camera.pixels,
        edges,
        at,
        between,
        _looked_up(edges, at, np.ones(len(at), bool), way),
        {turn: _looked_up(edges, there, seen, way) for turn, (there, seen) in moved.items()},
        {turn: np.abs(((there - at) * normal).sum(axis=1)) for turn, (there, _) in moved.items()},
        float(np.deg2rad(1.0) * (camera.model.matrix[0, 0] + camera.model.matrix[1, 1]) / 2),
    )


def _looked_up(edges: ImageEdges, at: Float64, seen: NDArray[np.bool_], way: NDArray[np.int64]) -> Float64:
    """(N,) distance to the nearest image edge that runs the same way, NaN where not seen."""
    _, height, width = edges.distance_px.shape
    column, row = np.floor(at[seen] + 0.5).astype(int).T
    distance = np.full(len(at), np.nan)
    distance[seen] = edges.distance_px[way[seen], np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return distance


def projection_tree(views: Sequence[EdgeView]) -> dict[str, Any]:
    """Medians over all images and by camera; raises `ResultError` where no LiDAR edge falls into an image."""
    if not views:
        raise ResultError(
            "no image with LiDAR edges in it; projection needs camera, LiDAR and their calibration"
        )
    cameras = sorted({view.camera for view in views})
    return {
        "unit": "px",
        "turn_deg": TURN_DEG,
        "all": _medians(views),
        "cameras": {name: _medians([view for view in views if view.camera == name]) for name in cameras},
    }


def _medians(views: Sequence[EdgeView]) -> dict[str, Any]:
    """median: with the given calibration. By turn: median with the turned one over all points and over those
    that feel the turn, the given one's on the latter, and by how many percent it is smaller.
    """
    given = np.concatenate([view.given_px for view in views])
    turns = {turn: _judged(given, turn, views) for turn in TURNS}
    return {"images": len(views), "edges": len(given), "median": float(np.median(given)), "turned": turns}


def _judged(given: Float64, turn: str, views: Sequence[EdgeView]) -> dict[str, float | int]:
    turned = np.concatenate([view.turned_px[turn] for view in views])
    felt = np.concatenate([view.across_px[turn] >= FELT_DEG * view.per_degree_px for view in views])
    seen = np.isfinite(turned)
    both = felt & seen
    medians = _median(turned[seen]), _median(given[both]), _median(turned[both])
    return {
        "median": medians[0],
        "smaller_percent": _smaller(_median(given), medians[0]),
        "felt_edges": int(both.sum()),
        "felt_median": medians[2],
        "felt_median_given": medians[1],
        "felt_smaller_percent": _smaller(medians[1], medians[2]),
    }


def _median(values: Float64) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _smaller(given: float, turned: float) -> float:
    return 100.0 * (1.0 - given / turned) if turned > 0 else float("nan")

"""Figures of scenes, and how far the real and the simulated distribution of each lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.geometry.boxes import points_in_boxes
from mm_fusion.geometry.motion import wrap_velocity
from mm_fusion.geometry.radar_ego import RadarReturns, estimate_ego_motion
from mm_fusion.measurements import Float64
from mm_fusion.simulation.compare_scenes import AMBIGUITY_MPS, CompareScene

RANGE_EDGES_M = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0)
BOX_MARGIN_M = 0.3
"""Boxes are grown by this for radar returns, whose errors are of that size."""
RADAR_HEIGHT_M = 4.0
"""Radar elevation says little on such units: returns count for a box by their footprint."""
BY_RANGE = ("lidar_points_per_car", "radar_returns_per_car", "magnitude_db", "magnitude_on_cars_db")


@dataclass
class Figures:
    """Values by name; for those of `BY_RANGE` `distance` says at how many metres each was taken."""

    values: dict[str, list[Float64]] = field(default_factory=dict)
    distance: dict[str, list[Float64]] = field(default_factory=dict)

    def add(self, name: str, values: NDArray, distance: NDArray | None = None) -> None:
        """Append values, and where they were taken."""
        self.values.setdefault(name, []).append(np.atleast_1d(np.asarray(values, np.float64)))
        if distance is not None:
            self.distance.setdefault(name, []).append(np.atleast_1d(np.asarray(distance, np.float64)))

    def of(self, name: str, low_m: float = 0.0, high_m: float = np.inf) -> Float64:
        """All values of a name, or those taken between two ranges."""
        values = np.concatenate(self.values.get(name, [np.zeros(0)]))
        if name not in self.distance or (low_m == 0 and high_m == np.inf):
            return values
        distance = np.concatenate(self.distance[name])
        return values[(distance >= low_m) & (distance < high_m)]


def figures_of(scenes: Iterable[CompareScene]) -> Figures:
    """All figures of `scenes`."""
    found = Figures()
    for scene in scenes:
        add_scene(found, scene)
    return found


def add_scene(found: Figures, scene: CompareScene) -> None:
    """Add one scene's figures."""
    _points_on_cars(found, scene)
    _radar(found, scene)
    _edges(found, scene)


def _points_on_cars(found: Figures, scene: CompareScene) -> None:
    distance = np.hypot(scene.cars[:, 0], scene.cars[:, 1])
    found.add("lidar_points_per_car", per_box(scene.lidar[:, :3], scene.cars), distance)
    owner = owners(scene.radar[:, :3], radar_boxes(scene.cars))
    counts = np.bincount(owner[owner >= 0], minlength=len(scene.cars))
    found.add("radar_returns_per_car", counts, distance)
    on_cars = scene.radar[owner >= 0]
    found.add("magnitude_on_cars_db", on_cars[:, 4], np.hypot(on_cars[:, 0], on_cars[:, 1]))
    found.add("cars_per_scene", np.array([len(scene.cars)]))
    found.add("lidar_points_per_scene", np.array([len(scene.lidar)]))


def radar_boxes(boxes: Float64) -> Float64:
    """Boxes grown in the plane and to any height."""
    grown = boxes.copy()
    grown[:, 3:5] += 2 * BOX_MARGIN_M
    grown[:, 5] = 2 * RADAR_HEIGHT_M
    return grown


def owners(xyz: NDArray, boxes: Float64) -> NDArray[np.int32]:
    """(N,) index of the box that each point lies in, -1 for none."""
    if not len(boxes) or not len(xyz):
        return np.full(len(xyz), -1, np.int32)
    return points_in_boxes(np.ascontiguousarray(xyz, np.float32), boxes)


def per_box(xyz: NDArray, boxes: Float64) -> NDArray[np.int64]:
    """(K,) how many points lie in each box."""
    owner = owners(xyz, boxes)
    return np.bincount(owner[owner >= 0], minlength=len(boxes))


def _radar(found: Figures, scene: CompareScene) -> None:
    distance = np.linalg.norm(scene.radar[:, :3] - scene.radar_position, axis=1)
    found.add("radar_returns_per_scan", np.array([len(distance)]))
    found.add("magnitude_db", scene.radar[:, 4], distance)
    rays = (scene.radar[:, :3] - scene.radar_position) / np.maximum(distance, 1e-6)[:, None]
    returns = RadarReturns(rays, scene.radar_position, scene.radar[:, 3].astype(np.float64), AMBIGUITY_MPS)
    estimate = estimate_ego_motion([returns])
    if estimate is None:
        return
    over_ground = wrap_velocity(scene.radar[:, 3] + rays @ estimate.linear, AMBIGUITY_MPS)
    standing = (owners(scene.radar[:, :3], radar_boxes(scene.cars)) < 0) & (np.abs(over_ground) < 1.0)
    found.add("doppler_residual_mps", over_ground[standing])
    found.add("standing_share", np.array([estimate.inlier_share]))


def _edges(found: Figures, scene: CompareScene) -> None:
    """Of the grey image at half size, upper fifth left out: sky differs by the hour, not by the sensor."""
    grey = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    part = small[len(small) // 5 :].astype(np.float32)
    strength = np.hypot(cv2.Sobel(part, cv2.CV_32F, 1, 0), cv2.Sobel(part, cv2.CV_32F, 0, 1)) / 8
    found.add("edge_mean", np.array([strength.mean()]))
    found.add("edge_strong_share", np.array([(strength > 12).mean()]))
    found.add("edge_flat_share", np.array([(strength < 1.5).mean()]))
    found.add("edge_grain", np.array([np.median(np.abs(cv2.Laplacian(part, cv2.CV_32F)))]))
    found.add("brightness", np.array([part.mean()]))


@dataclass(frozen=True)
class Row:
    """One line of the table. distance: Wasserstein over the real interquartile range; ks: 0 the same."""

    name: str
    range_m: str
    real_count: int
    simulated_count: int
    real_median: float
    simulated_median: float
    ratio: float
    distance: float
    ks: float


def rows_of(real: Figures, simulated: Figures) -> list[Row]:
    """The table: each figure, those of `BY_RANGE` range by range."""
    rows = []
    for name in real.values:
        bands = [(0.0, float("inf"))]
        if name in BY_RANGE:
            bands = list(zip(RANGE_EDGES_M[:-1], RANGE_EDGES_M[1:]))
        for low, high in bands:
            text = f"{low:g}-{high:g}" if name in BY_RANGE else ""
            rows.append(_row(name, text, real.of(name, low, high), simulated.of(name, low, high)))
    return rows


def _row(name: str, range_m: str, real: Float64, simulated: Float64) -> Row:
    from scipy.stats import ks_2samp, wasserstein_distance

    if not len(real) or not len(simulated):
        nan = float("nan")
        return Row(name, range_m, len(real), len(simulated), nan, nan, nan, nan, nan)
    medians = float(np.median(real)), float(np.median(simulated))
    spread = float(np.subtract(*np.quantile(real, (0.75, 0.25)))) or 1.0
    if name == "doppler_residual_mps":
        medians = float(np.median(np.abs(real))), float(np.median(np.abs(simulated)))
    return Row(
        name, range_m, len(real), len(simulated), *medians,
        medians[1] / medians[0] if medians[0] else float("nan"),
        float(wasserstein_distance(real, simulated)) / spread,
        float(ks_2samp(real, simulated).statistic),
    )  # fmt: skip


def table_of(rows: Iterable[Row], aucs: Mapping[str, Mapping[str, tuple[float, int]]]) -> str:
    """The figures as a table in Markdown."""
    lines = [
        "| figure | range m | real n | sim n | real median | sim median | sim/real | distance/IQR | KS |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.range_m} | {r.real_count} | {r.simulated_count} | {r.real_median:.3g} "
        f"| {r.simulated_median:.3g} | {r.ratio:.2f} | {r.distance:.2f} | {r.ks:.2f} |"
        for r in rows
    ]
    lines += ["", "| sensor | range m | AUC real against simulated | crops |", "|---|---|---|---|"]
    for sensor, bands in aucs.items():
        lines += [f"| {sensor} | {band} | {auc:.2f} | {count} |" for band, (auc, count) in bands.items()]
    return "\n".join(lines) + "\n"

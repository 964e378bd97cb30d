"""The comparison on scenes whose difference is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import BagError
from mm_fusion.measurements import CameraModel
from mm_fusion.simulation.compare_crops import Crops, add_crops, auc_between, auc_of, aucs_of
from mm_fusion.simulation.compare_figures import Figures, figures_of, rows_of, table_of
from mm_fusion.simulation.compare_plots import write_plots
from mm_fusion.simulation.compare_scenes import CompareScene, count_real, real_scenes

OPTICAL = np.array([[0.0, -1, 0, 0], [0, 0, -1, 1.5], [1, 0, 0, 0], [0, 0, 0, 1]])


def scene(seed: int, points: int = 60, speed: float = 6.0, shade: int = 120) -> CompareScene:
    """Two cars with `points` LiDAR points each, and standing radar returns seen from a car at `speed`."""
    rng = np.random.default_rng(seed)
    cars = np.array([[12.0, 2, 0.75, 4.4, 1.8, 1.5, 0], [25.0, -3, 0.75, 4.4, 1.8, 1.5, 0.1]])
    on_cars = [car[:3] + rng.uniform(-0.7, 0.7, (points, 3)) * [2, 0.8, 0.6] for car in cars]
    lidar = np.column_stack([np.concatenate(on_cars), rng.uniform(0, 0.4, 2 * points)])
    bearing, distance = rng.uniform(-1, 1, 300), rng.uniform(6, 50, 300)
    xyz = np.column_stack([distance * np.cos(bearing), distance * np.sin(bearing), np.full(300, 1.5)])
    doppler = -speed * np.cos(bearing) + rng.normal(0, 0.05, 300)
    near = [car[:3] + rng.uniform(-0.5, 0.5, (12, 3)) for car in cars]
    returns = np.column_stack([np.concatenate([xyz, *near]), np.zeros(324), rng.normal(52, 3, 324)])
    returns[:300, 3] = (doppler + 5.2) % 10.4 - 5.2
    image = np.clip(shade + rng.normal(0, 20, (120, 400, 3)), 0, 255).astype(np.uint8)
    model = CameraModel(
        np.array([[350.0, 0, 200], [0, 350, 60], [0, 0, 1]]), np.zeros(5), "plumb_bob", 400, 120
    )
    return CompareScene(
        lidar.astype(np.float32),
        returns.astype(np.float32),
        np.array([0, 0, 1.5]),
        image,
        cars,
        model,
        OPTICAL,
    )


def test_nothing_against_nothing_is_an_empty_table() -> None:
    assert rows_of(Figures(), Figures()) == [] and aucs_of(Crops(), Crops()) == {}


def test_known_counts_and_ratio_are_found() -> None:
    rows = rows_of(figures_of([scene(1)]), figures_of([scene(2, points=90)]))
    by_name = {(row.name, row.range_m): row for row in rows}
    near = by_name["lidar_points_per_car", "10-20"]
    assert (near.real_median, near.simulated_median, near.ratio) == (60, 90, 1.5)
    assert by_name["doppler_residual_mps", ""].ratio == pytest.approx(1, abs=0.2)
    assert by_name["doppler_residual_mps", ""].real_median == pytest.approx(0.05 * 0.674, abs=0.01)
    assert by_name["magnitude_db", "10-20"].ks < 0.3
    assert by_name["lidar_points_per_car", "40-50"].real_count == 0
    assert "| lidar_points_per_car | 10-20 | 1 | 1 | 60 | 90 | 1.50 |" in table_of(rows, {})


def test_the_same_crops_are_not_told_apart_and_different_ones_are() -> None:
    sets = []
    for seed, shade in ((0, 120), (100, 120), (200, 200)):
        crops = Crops()
        for number in range(30):
            add_crops(crops, scene(seed + number, shade=shade), number)
        sets.append(crops)
    same, other = aucs_of(sets[0], sets[1]), aucs_of(sets[0], sets[2])
    assert set(same) == {"camera", "lidar", "radar"}
    assert all(auc < 0.8 for bands in same.values() for auc, _ in bands.values())
    assert other["camera"]["5-15"][0] > 0.95 and other["camera"]["5-15"][1] == 30


def test_auc_of_known_scores() -> None:
    label = np.array([0.0, 0, 1, 1])
    assert auc_of(np.array([1.0, 2, 3, 4]), label) == 1.0
    assert auc_of(np.array([1.0, 1, 1, 1]), label) == 0.5
    assert np.isnan(auc_of(np.zeros(2), np.zeros(2)))


def test_the_classifier_is_judged_on_scenes_it_has_not_seen() -> None:
    rng = np.random.default_rng(0)
    scenes = np.arange(40)
    auc = auc_between(rng.normal(size=(40, 60)), scenes, rng.normal(size=(40, 60)), scenes)
    assert 0.25 < auc < 0.75, "60 features of 80 crops of noise fit anything that is seen"


def test_plots_are_written(tmp_path: Path) -> None:
    paths = write_plots(tmp_path, figures_of([scene(1)]), figures_of([scene(2)]))
    assert [path.stat().st_size > 10_000 for path in paths] == [True, True]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no such folder"):
        count_real(tmp_path / "nothing", 5)


def test_real_scenes_have_cars_that_sensors_see(astyx: Path) -> None:
    found = figures_of(real_scenes(astyx, 6))
    assert np.median(found.of("lidar_points_per_car", 5, 20)) > 10
    assert np.median(found.of("radar_returns_per_car", 5, 20)) > 5
    assert np.median(np.abs(found.of("doppler_residual_mps"))) < 0.15

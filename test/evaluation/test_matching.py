"""Truth and outputs joined in time, moved, and cut to the region."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.detections import CLASSES, Detections, make_detections
from mm_fusion.evaluation.detections_file import ResultFrame
from mm_fusion.evaluation.matching import (
    REGIONS,
    heights_px,
    moved,
    nearest_partners,
    pair_frames,
    region_of_recording,
    runs_of,
)
from mm_fusion.evaluation.scenes import Camera, Scene
from mm_fusion.measurements import CameraModel, EgoMotion

MS = 1_000_000
OPTICAL_FROM_BODY = np.array([[0, -1.0, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


def at(x: float, y: float = 0.0, velocity: tuple[float, float] = (0.0, 0.0)) -> Detections:
    """One car."""
    return make_detections(
        1,
        center=np.array([[x, y, 0.0]]),
        size=np.array([[4.0, 2, 1.5]]),
        velocity=np.array([velocity]),
        class_id=np.array([CLASSES.index("car")]),
    )


def camera() -> Camera:
    """Looks ahead from the origin, f 1000 px, 1000 x 500 px."""
    matrix = np.array([[1000.0, 0, 499.5], [0, 1000, 249.5], [0, 0, 1]])
    return Camera(CameraModel(matrix, np.zeros(0), "plumb_bob", 1000, 500), OPTICAL_FROM_BODY)


def test_no_truth_gives_no_pairs() -> None:
    assert pair_frames([], [ResultFrame(0, "L", {}, at(1))], REGIONS["everywhere"]) == []
    assert runs_of(np.zeros(0, np.int64)).tolist() == []


def test_a_truth_frame_without_output_is_missed_and_keeps_its_objects() -> None:
    (pair,) = pair_frames(
        [Scene(0, "base_link", at(10))], [ResultFrame(51 * MS, "L", {}, at(10))], REGIONS["everywhere"]
    )
    assert pair.missed and len(pair.detections) == 0 and len(pair.truth) == 1


def test_truth_moves_by_its_velocity_to_the_outputs_stamp() -> None:
    scene = Scene(0, "base_link", at(10, velocity=(20.0, -10.0)))
    (pair,) = pair_frames([scene], [ResultFrame(50 * MS, "L", {}, at(10))], REGIONS["everywhere"])
    np.testing.assert_allclose(pair.truth.center, [[11.0, -0.5, 0.0]], atol=1e-6)
    assert not pair.missed and pair.stamp_ns == 50 * MS


def test_unknown_velocity_stands_and_the_cars_own_motion_is_taken_out() -> None:
    ego = EgoMotion(0, np.array([10.0, 0, 0]), np.zeros(3))
    still = moved(at(20, velocity=(np.nan, np.nan)), 0, 100 * MS, ego)
    np.testing.assert_allclose(still.center, [[19.0, 0, 0]], atol=1e-6)
    turning = EgoMotion(0, np.zeros(3), np.array([0, 0, 1.0]))
    turned = moved(at(20), 0, 100 * MS, turning)
    np.testing.assert_allclose(turned.center[0, :2], [20 * np.cos(0.1), -20 * np.sin(0.1)], atol=1e-5)
    assert turned.yaw[0] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("truth", "output", "partners"),
    [
        ([], [5], []),
        ([0], [], [-1]),
        ([0], [40, 30], [1]),
        ([0, 40], [30], [-1, 0]),
        ([0, 40], [30, 60], [-1, 0]),
        ([0, 40], [10, 60], [0, 1]),
        ([0], [50], [0]),
        ([0], [51], [-1]),
    ],
)
def test_nearest_pairs_first(truth: list[int], output: list[int], partners: list[int]) -> None:
    stamps = [np.array(times, np.int64) * MS for times in (truth, output)]
    assert nearest_partners(*stamps).tolist() == partners


@given(st.lists(st.integers(0, 500), unique=True), st.lists(st.integers(0, 500), unique=True))
def test_each_output_is_used_once_and_within_tolerance(truth: list[int], output: list[int]) -> None:
    a, b = (np.array(times, np.int64) * MS for times in (truth, output))
    partners = nearest_partners(a, b)
    used = partners[partners >= 0]
    assert len(set(used.tolist())) == len(used)
    assert (np.abs(a[partners >= 0] - b[used]) <= 50 * MS).all()


def test_runs_part_at_gaps_above_15_s() -> None:
    seconds = np.array([0, 10, 25, 40.001, 41], np.float64)
    assert runs_of((seconds * 1e9).astype(np.int64)).tolist() == [0, 0, 0, 1, 1]


def test_the_astyx_region_is_in_front_and_inside_the_image() -> None:
    assert region_of_recording(frozenset({"radar_6455", "base_link"})) is REGIONS["astyx"]
    assert region_of_recording(frozenset({"base_link"})) is REGIONS["everywhere"]
    region, cameras = REGIONS["astyx"], {"camera": camera()}
    seen = [
        bool(region.contains(at(x, y), cameras)[0])
        for x, y in ((50, 0), (78, 0), (-1, 0), (70, 33), (20, 15))
    ]
    assert seen == [True, False, False, False, False]
    assert region.contains(at(20, 9.9), cameras)[0] and region.contains(at(20, 15), {})[0]
    assert "inside the image" in region.words() and "77" in region.words()


def test_the_nuscenes_region_ends_by_class() -> None:
    region = REGIONS["nuscenes"]
    assert region.contains(at(-49), {})[0] and not region.contains(at(51), {})[0]
    assert region.words() == "within 30 to 50 m by class"


def test_height_in_the_image_is_that_of_the_nearest_face() -> None:
    """A car 1.5 m high whose rear is at 20 m: 1000 * 1.5 / 20 = 75 px."""
    np.testing.assert_allclose(heights_px(at(22), {"camera": camera()}), [75.0], atol=1e-6)


def test_height_is_cut_at_the_image_and_zero_behind_and_infinite_without_camera() -> None:
    cameras = {"camera": camera()}
    assert heights_px(at(2.5), cameras)[0] == 499
    assert heights_px(at(-20), cameras)[0] == 0
    assert np.isinf(heights_px(at(20), {})[0])

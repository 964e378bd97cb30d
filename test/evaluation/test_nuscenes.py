"""The nuScenes metrics against cases counted by hand and against nuscenes-devkit's own functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, Detections, empty_detections
from mm_fusion.evaluation.matching import Pair
from mm_fusion.evaluation.nuscenes import (
    DISTANCES,
    ERRORS,
    average_precision,
    match,
    nuscenes_statistics,
    true_error,
)
from test.evaluation.hand_made import objects, pair

ONCE = np.ones(1, np.int64)


def value(pairs: list[Pair], *key: str) -> float:
    return nuscenes_statistics(pairs)[("nuscenes", *key)].value(ONCE)


def test_nothing_at_all_has_no_score() -> None:
    assert nuscenes_statistics([]) == {}
    assert nuscenes_statistics([pair(empty_detections(), objects([[1, 0, 0]]))]) == {}


def test_truth_without_output_scores_zero_and_errors_of_one() -> None:
    lost = [pair(objects([[10, 0, 0]]), empty_detections())]
    assert value(lost, "car", "ap", "0.5") == 0
    assert [value(lost, "car", error) for error in ERRORS] == [1, 1, 1, 1]
    assert value(lost, "sum_without_attributes") == 0


def test_everything_found_exactly() -> None:
    centers = [[10.0 * k, 0, 0] for k in range(1, 11)]
    exact = [pair(objects(centers), objects(centers, np.linspace(0.9, 0.1, 10)))]
    assert value(exact, "car", "ap_mean") == pytest.approx(100)
    assert [value(exact, "car", error) for error in ERRORS] == pytest.approx([0, 0, 0, 0], abs=1e-6)
    assert value(exact, "sum_without_attributes") == pytest.approx(100)


def test_shifted_by_one_and_a_half_metres_is_found_from_two_metres_on() -> None:
    shifted = [pair(objects([[10, 0, 0]]), objects([[10, 1.5, 0]]))]
    assert [value(shifted, "car", "ap", f"{d:.1f}") for d in DISTANCES] == pytest.approx([0, 0, 100, 100])
    assert value(shifted, "map") == pytest.approx(50)
    assert value(shifted, "car", "ate") == pytest.approx(1.5)


def test_half_found_counts_recalls_from_eleven_to_fifty_percent() -> None:
    """Precision 1 at recalls 0.11 to 0.50: 40 of 90 positions."""
    centers = [[10.0 * k, 0, 0] for k in range(1, 11)]
    half = [pair(objects(centers), objects(centers[:5], np.linspace(0.9, 0.5, 5)))]
    assert value(half, "car", "ap", "2.0") == pytest.approx(100 * 40 / 90)


def test_errors_of_one_match_are_its_own() -> None:
    truth = objects([[10, 0, 0]], yaw=np.array([3.1]), velocity=np.array([[5.0, 0]]))
    found = objects(
        [[10, 0.3, 0]], yaw=np.array([-3.1]), velocity=np.array([[5.0, 2]]), size=np.array([[2.0, 2, 1.5]])
    )
    one = [pair(truth, found)]
    expected = [0.3, 0.5, 2 * np.pi - 6.2, 2.0]
    assert [value(one, "car", error) for error in ERRORS] == pytest.approx(expected, abs=1e-5)


def test_unknown_velocity_counts_as_standing_and_unknown_truth_says_nothing() -> None:
    truth = objects([[10, 0, 0]], velocity=np.array([[3.0, 4.0]]))
    silent = objects([[10, 0, 0]], velocity=np.full((1, 2), np.nan))
    assert value([pair(truth, silent)], "car", "ave") == pytest.approx(5)
    assert np.isnan(value([pair(silent, truth)], "car", "ave"))
    assert value([pair(silent, truth)], "sum_without_attributes") == pytest.approx(100)


def test_barriers_turn_by_half_and_have_no_velocity() -> None:
    barrier = CLASSES.index("barrier")
    truth, found = (
        objects([[10, 0, 0]], class_id=barrier, yaw=np.array([yaw])) for yaw in (0.1, 0.1 - np.pi)
    )
    table = nuscenes_statistics([pair(truth, found)])
    assert table[("nuscenes", "barrier", "aoe")].value(ONCE) == pytest.approx(0, abs=1e-5)
    assert ("nuscenes", "barrier", "ave") not in table


def test_truth_that_no_point_touched_does_not_count() -> None:
    truth = objects([[10, 0, 0], [20, 0, 0]])
    extra = {"num_lidar_points": np.array([3.0, 0]), "num_radar_points": np.array([0.0, 0])}
    assert value([pair(truth, objects([[10, 0, 0]]), extra)], "car", "ap", "2.0") == pytest.approx(100)
    assert value([pair(truth, objects([[10, 0, 0]]))], "car", "ap", "2.0") < 50


def test_a_run_drawn_twice_counts_twice() -> None:
    """Run 0 is found, run 1 is not: with run 1 drawn never AP is 100, with it alone 0."""
    pairs = [
        pair(objects([[10, 0, 0]]), objects([[10, 0, 0]])),
        pair(objects([[10, 0, 0]]), empty_detections(), run=1),
    ]
    statistic = nuscenes_statistics(pairs)[("nuscenes", "car", "ap", "2.0")]
    assert statistic.value(np.array([2, 0])) == pytest.approx(100)
    assert statistic.value(np.array([0, 2])) == 0
    assert statistic.value(np.array([1, 1])) == pytest.approx(100 * 40 / 90)


def noisy_frames(seed: int, class_id: int) -> list[Pair]:
    """Frames with misses, false alarms, doubles and errors of every kind."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(12):
        n, extra = int(rng.integers(0, 9)), int(rng.integers(0, 5))
        truth = objects(
            rng.uniform(-40, 40, (n, 3)),
            class_id=class_id,
            yaw=rng.uniform(-3, 3, n),
            velocity=np.where(rng.random((n, 1)) < 0.2, np.nan, rng.normal(0, 5, (n, 2))),
        )
        picked = rng.permutation(n)[: max(0, n - int(rng.integers(0, 3)))]
        center = np.concatenate(
            [truth.center[picked] + rng.normal(0, 0.8, (len(picked), 3)), rng.uniform(-40, 40, (extra, 3))]
        )
        count = len(center)
        found = objects(
            center,
            rng.random(count),
            class_id,
            yaw=rng.uniform(-3, 3, count),
            velocity=rng.normal(0, 5, (count, 2)),
            size=rng.uniform(1, 5, (count, 3)),
        )
        pairs.append(pair(truth, found))
    return pairs


def devkit_boxes(kit: Any, pairs: list[Pair], side: str) -> Any:
    """One side of the pairs as the devkit's EvalBoxes."""
    boxes = kit.EvalBoxes()
    for index, one in enumerate(pairs):
        found: Detections = getattr(one, side)
        boxes.add_boxes(
            f"sample{index}", [devkit_box(kit, f"sample{index}", found, i) for i in range(len(found))]
        )
    return boxes


def devkit_box(kit: Any, token: str, found: Detections, i: int) -> Any:
    length, width, height = found.size[i].tolist()
    yaw = float(found.yaw[i])
    return kit.DetectionBox(
        sample_token=token,
        translation=tuple(found.center[i].tolist()),
        size=(width, length, height),
        rotation=(np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)),
        velocity=tuple(found.velocity[i].tolist()),
        detection_name=CLASSES[found.class_id[i]],
        detection_score=float(found.score[i]),
        attribute_name="",
    )


@pytest.fixture(scope="module")
def kit() -> Any:
    """The devkit's functions under one name."""
    reason = "nuscenes-devkit, or what its eval.detection imports, is not installed"
    algo = pytest.importorskip("nuscenes.eval.detection.algo", reason=reason)
    from types import SimpleNamespace

    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.common.utils import center_distance
    from nuscenes.eval.detection.data_classes import DetectionBox

    return SimpleNamespace(
        algo=algo, EvalBoxes=EvalBoxes, DetectionBox=DetectionBox, center_distance=center_distance
    )


@pytest.mark.parametrize("name", ["car", "pedestrian", "barrier"])
@pytest.mark.parametrize("seed", range(4))
def test_every_number_is_the_devkits(kit: Any, seed: int, name: str) -> None:
    pairs = noisy_frames(seed, CLASSES.index(name))
    truth, found = (devkit_boxes(kit, pairs, side) for side in ("truth", "detections"))
    names = {"ate": "trans_err", "ase": "scale_err", "aoe": "orient_err", "ave": "vel_err"}
    for distance in DISTANCES:
        theirs = kit.algo.accumulate(truth, found, name, kit.center_distance, distance)
        ours = match(pairs, CLASSES.index(name), distance)
        assert average_precision(ours) == pytest.approx(kit.algo.calc_ap(theirs, 0.1, 0.1), abs=1e-9)
        for error in ERRORS:
            expected = kit.algo.calc_tp(theirs, 0.1, names[error])
            assert true_error(ours, error) == pytest.approx(expected, abs=1e-5), (distance, error)

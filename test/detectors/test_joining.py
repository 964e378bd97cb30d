"""Late and hybrid joining on answers that are known."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.detectors.joining import FLOOR, alone, confirmed, joined
from mm_fusion.model_config import LateFusionConfig
from mm_fusion.runtime.protocol import Arrays
from test.network.scene import small_config


def cars(*rows: tuple[float, float, float]) -> Detections:
    """Cars at x, y with a score."""
    if not rows:
        return empty_detections()
    x, y, score = (np.array(column) for column in zip(*rows))
    count = len(rows)
    return make_detections(
        count,
        center=np.column_stack([x, y, np.full(count, 0.8)]),
        size=np.tile([4.5, 1.9, 1.6], (count, 1)),
        yaw=np.zeros(count),
        velocity=np.zeros((count, 2)),
        position_cov=np.tile([0.1, 0.0, 0.1], (count, 1)),
        velocity_cov=np.tile([1.0, 0.0, 1.0], (count, 1)),
        variance=np.full((count, 5), 0.05),
        score=score,
        class_id=np.full(count, CLASSES.index("car")),
        moving=np.zeros(count),
        contribution=np.tile([0.0, 1.0, 0.0], (count, 1)),
    )


def cover(*sensors: int) -> np.ndarray:
    found = np.zeros((1, 3, *small_config().grid.shape), np.float32)
    found[:, list(sensors)] = 1
    return found


class Finder:
    """Answers by which sensors it is asked with, and remembers how often."""

    def __init__(self, answers: dict[tuple[int, ...], Detections]) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, given: Arrays) -> Detections:
        self.asked.append(tuple(int(i) for i in np.flatnonzero(given["coverage"][0].any((1, 2)))))
        return self.answers[self.asked[-1]]


def test_feature_and_a_lone_sensor_ask_once() -> None:
    for joining, sensors in (("feature", (0, 1)), ("early", (0, 1)), ("late", (1,)), ("hybrid", (2,))):
        finder = Finder({sensors: cars((5.0, 0.0, 0.7))})
        found = joined(finder, {"coverage": cover(*sensors)}, small_config(joining=joining))
        assert finder.asked == [sensors]
        np.testing.assert_allclose(found.score, [0.7], rtol=1e-6)


def test_alone_leaves_one_sensor() -> None:
    assert alone(cover(0, 1, 2), 1)[0].any((1, 2)).tolist() == [False, True, False]


def test_late_joins_what_two_sensors_see_and_believes_it_more() -> None:
    answers = {(0,): cars((5.2, 0.0, 0.6)), (1,): cars((5.0, 0.0, 0.6), (9.0, 3.0, 0.6))}
    found = joined(Finder(answers), {"coverage": cover(0, 1)}, small_config(joining="late"))
    assert len(found) == 2
    assert 5.0 < found.center[0, 0] < 5.2
    assert found.score[0] > 0.6 > found.score[1]
    assert found.contribution[0, 0] > 0 and found.contribution[0, 1] > 0


def test_nothing_seen_is_nothing_found() -> None:
    answers = {(0,): cars(), (1,): cars(), (0, 1): cars()}
    for joining in ("late", "hybrid"):
        found = joined(Finder(answers), {"coverage": cover(0, 1)}, small_config(joining=joining))
        assert len(found) == 0


def test_hybrid_keeps_boxes_and_trusts_what_sensors_confirm() -> None:
    fused = cars((5.0, 0.0, 0.6), (9.0, 3.0, 0.65))
    found = confirmed(fused, [cars((5.1, 0.1, 0.8)), cars((5.0, 0.0, 0.5))], LateFusionConfig())
    np.testing.assert_allclose(found.center[0], [5.0, 0.0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(found.score[0], 0.6**0.7 * 0.9**0.3, rtol=1e-5)
    np.testing.assert_allclose(found.score[1], 0.65**0.7 * FLOOR**0.3, rtol=1e-5)

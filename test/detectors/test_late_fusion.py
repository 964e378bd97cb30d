from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.detectors.late_fusion import SensorObjects, fuse, join, widened
from mm_fusion.model_config import LateFusionConfig

CONFIG = LateFusionConfig(calibration_sigma=0, calibration_sigma_deg=0, timing_sigma_s=0, prior_existence=0.2)
CAR = CLASSES.index("car")


def car(x=10.0, y=0.0, **changes):
    fields = {
        "center": [(x, y, 0.8)],
        "size": [(4.0, 1.8, 1.6)],
        "yaw": [0.0],
        "position_cov": [(0.25, 0.0, 0.25)],
        "variance": [(0.1, 0.2, 0.1, 0.1, 0.05)],
        "score": [0.6],
        "class_id": [CAR],
    }
    return make_detections(1, **{**fields, **changes})


def part(group, detections, independent=True):
    return SensorObjects(group, group if independent else f"{group}_tracks", detections, independent)


def logit(p):
    return np.log(p / (1 - p))


def test_no_sensor_gives_no_object():
    fused, matches = fuse([], {}, CONFIG)
    assert len(fused) == 0 and matches == ()


def test_sensors_that_see_nothing():
    fused, matches = fuse([part("lidar", empty_detections()), part("radar", empty_detections())], {}, CONFIG)
    assert len(fused) == 0 and matches == ()


def test_one_sensor_alone_keeps_its_score_and_has_all_the_share():
    fused, _ = fuse([part("radar", car())], {}, CONFIG)
    assert fused.score[0] == pytest.approx(0.6, abs=1e-6)
    np.testing.assert_allclose(fused.contribution, [[0, 0, 1]])


def test_two_that_agree_are_believed_more_than_either():
    """Log-odds over the prior add: logit(.2) + 2 (logit(.6) - logit(.2))."""
    fused, matches = fuse([part("lidar", car()), part("radar", car(10.4))], {}, CONFIG)
    assert len(fused) == 1
    expected = logit(0.2) + 2 * (logit(0.6) - logit(0.2))
    assert logit(float(fused.score[0])) == pytest.approx(expected, abs=1e-4)
    assert fused.contribution[0].sum() == pytest.approx(1) and fused.contribution[0, 0] == 0
    assert fused.contribution[0, 1] == pytest.approx(fused.contribution[0, 2])
    assert (matches[0].a, matches[0].b) == ("lidar", "radar")
    np.testing.assert_allclose(matches[0].offset, [[0.4, 0.0]], atol=1e-6)


def test_position_by_information():
    fused, _ = fuse(
        [
            part("lidar", car(10.0, position_cov=[(0.1, 0, 0.1)])),
            part("radar", car(10.4, position_cov=[(0.3, 0, 0.3)])),
        ],
        {},
        CONFIG,
    )
    np.testing.assert_allclose(fused.center[0], [10.1, 0.0, 0.8], atol=1e-5)
    np.testing.assert_allclose(fused.position_cov[0], [0.075, 0.0, 0.075], atol=1e-5)


def test_yaw_of_one_that_saw_the_other_end():
    a, b = car(yaw=[0.1]), car(yaw=[-np.pi + 0.3])
    joined = join(a, b, (1.0, 1.0))
    assert joined.yaw[0] == pytest.approx(0.2, abs=1e-5)
    assert joined.variance[0, 4] == pytest.approx(0.025, abs=1e-6)


def test_velocity_comes_from_the_one_that_knows():
    radar = car(velocity=[(5.0, 0.0)], velocity_cov=[(0.1, 0, 900.0)], moving=[0.99])
    fused, _ = fuse([part("lidar", car()), part("radar", radar)], {}, CONFIG)
    np.testing.assert_allclose(fused.velocity, [[5.0, 0.0]], atol=1e-4)
    np.testing.assert_allclose(fused.velocity_cov, [[0.1, 0.0, 900.0]], rtol=1e-4)
    assert fused.moving[0] == pytest.approx(0.99, abs=1e-3)


def test_velocity_that_nobody_knows_stays_unknown():
    fused, _ = fuse([part("lidar", car()), part("radar", car())], {}, CONFIG)
    assert np.isnan(fused.velocity).all()
    np.testing.assert_array_equal(fused.velocity_cov, [[np.inf, 0, np.inf]])


def test_tracks_make_nothing_surer_and_pass_their_ids_on():
    track = car(track_id=[42])
    fused, _ = fuse([part("radar", car()), part("radar", track, independent=False)], {}, CONFIG)
    np.testing.assert_allclose(fused.position_cov, [[0.25, 0, 0.25]], atol=1e-6)
    assert fused.score[0] == pytest.approx(0.6, abs=1e-6)
    assert fused.track_id.tolist() == [42]


def test_silence_counts_only_where_the_sensor_should_have_seen():
    radar = car()

    def score_with(chance):
        fused, _ = fuse(
            [part("lidar", empty_detections()), part("radar", radar)],
            {"lidar": lambda d: np.full(len(d), chance)},
            CONFIG,
        )
        return logit(float(fused.score[0]))

    assert score_with(0.0) == pytest.approx(logit(0.6), abs=1e-4)
    assert score_with(0.8) == pytest.approx(logit(0.6) + np.log(0.2), abs=1e-4)


def test_an_absent_sensor_lowers_nothing():
    """Coverage of a sensor that is no part of the frame is not asked."""
    fused, _ = fuse([part("radar", car())], {"lidar": lambda d: np.ones(len(d))}, CONFIG)
    assert fused.score[0] == pytest.approx(0.6, abs=1e-6)


def test_the_camera_names_what_others_found():
    unknown = car(class_id=[CLASSES.index("unknown")])
    truck = car(class_id=[CLASSES.index("truck")], score=[0.9])
    for other in (unknown, car()):
        fused, _ = fuse([part("lidar", other), part("camera", truck)], {}, CONFIG)
        assert fused.class_names() == ["truck"]


def test_calibration_and_timing_widen_positions():
    config = LateFusionConfig(
        calibration_sigma=0.1, calibration_sigma_deg=1.0, timing_sigma_s=0.1, unknown_speed=10.0
    )
    wide = widened(car(moving=[1.0]), config)
    expected = 0.25 + 0.01 + np.radians(1) ** 2 * 100 + 1.0
    np.testing.assert_allclose(wide.position_cov, [[expected, 0, expected]], rtol=1e-5)


@pytest.mark.parametrize(
    ("speed", "moving", "yaw"), [(-5.0, 0.9, np.pi), (5.0, 0.9, 0.0), (-0.5, 0.9, 0.0), (-5.0, 0.1, 0.0)]
)
def test_motion_says_where_the_front_is(speed, moving, yaw):
    moved = car(velocity=[(speed, 0.0)], velocity_cov=[(0.1, 0, 900.0)], moving=[moving])
    fused, _ = fuse([part("radar", moved)], {}, CONFIG)
    assert abs(fused.yaw[0]) == pytest.approx(yaw, abs=1e-6)


def test_doubles_of_one_sensor_are_removed():
    both = make_detections(2, **{name: np.repeat(array, 2, axis=0) for name, array in car().arrays().items()})
    fused, _ = fuse([part("lidar", both)], {}, CONFIG)
    assert len(fused) == 1


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 1000))
def test_the_order_of_parts_does_not_matter(order, seed):
    draw = np.random.default_rng(seed)

    def some(count):
        many = [car(*draw.uniform(0, 20, 2), score=[draw.uniform(0.1, 0.9)]) for _ in range(count)]
        names = many[0].arrays()
        return make_detections(count, **{n: np.concatenate([getattr(m, n) for m in many]) for n in names})

    parts = [
        part("camera", some(2)),
        part("lidar", some(3)),
        part("radar", some(3)),
        part("radar", some(1), False),
    ]
    coverage = {"lidar": lambda d: np.full(len(d), 0.3)}
    first, _ = fuse(parts, coverage, CONFIG)
    again, _ = fuse([parts[k] for k in order], coverage, CONFIG)
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(array, getattr(again, name))


@pytest.mark.parametrize(
    "groups", [c for n in range(4) for c in itertools.combinations(("camera", "lidar", "radar"), n)]
)
def test_every_subset_gives_shares_that_sum_to_one(groups):
    fused, _ = fuse([part(group, car()) for group in groups], {}, CONFIG)
    assert len(fused) == (1 if groups else 0)
    np.testing.assert_allclose(fused.contribution.sum(axis=1), 1.0, rtol=1e-6)

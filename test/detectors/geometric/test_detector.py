from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Calibration, SensorHealth
from mm_fusion.geometry.boxes import boxes_of, iou_bev
from mm_fusion.measurements import Deferred, LidarSweep, RadarScan
from test.detectors.scene import CARS, STAMP, detector, frame, image_detections, scan, sweep, tracks

SPEEDS = [(8.0, 0.0), (0.0, 0.0), (0.0, 5.0)]
ALL = {
    "lidar": sweep(CARS),
    "radar": scan(CARS, SPEEDS, ego_speed=5.0),
    "seen": image_detections(CARS[[0, 2]], ["car", "car"]),
    "tracks": tracks(CARS[0], (8.0, 0.0), 7),
}
SUBSETS = [names for count in range(5) for names in itertools.combinations(ALL, count)]


def detect(names, ego_speed=5.0, **changes):
    return detector().detect(frame({name: ALL[name] for name in names}, ego_speed, **changes))


def check(objects):
    """What holds for any output: finite but for velocity, scores and shares in range, strongest first."""
    for name, array in objects.arrays().items():
        if name not in ("velocity", "velocity_cov"):
            assert np.isfinite(array).all(), name
    assert not np.isnan(objects.velocity_cov).any()
    unknown = np.isnan(objects.velocity).any(axis=1)
    assert np.isinf(objects.velocity_cov[unknown][:, [0, 2]]).all()
    assert ((objects.score >= 0) & (objects.score <= 1)).all() and (np.diff(objects.score) <= 0).all()
    assert ((objects.moving >= 0) & (objects.moving <= 1)).all()
    np.testing.assert_allclose(objects.contribution.sum(axis=1), 1.0, rtol=1e-5)
    assert (objects.size > 0).all() and (np.abs(objects.yaw) <= np.pi + 1e-6).all()


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
@pytest.mark.parametrize("ego_speed", [5.0, None])
def test_every_subset_of_sensors(names, ego_speed):
    objects = detect(names, ego_speed)
    check(objects)
    groups = [[("seen",), ("lidar",), ("radar", "tracks")][k] for k in range(3)]
    for column, group in enumerate(groups):
        if not set(group) & set(names):
            assert (objects.contribution[:, column] == 0).all()
    if not names:
        assert len(objects) == 0
    elif names != ("tracks",) and names != ("seen",):
        nearest = np.hypot(*(objects.center[:, None, :2] - CARS[None, :1, :2]).T).min()
        assert nearest < 1.5


def test_all_sensors_find_each_car_once_and_its_velocity():
    objects = detect(ALL)
    cars = objects.select(np.array(objects.class_names()) == "car")
    overlap = iou_bev(CARS, boxes_of(cars))
    assert (overlap.max(axis=1) > 0.5).all() and len(cars) == len(CARS)
    ahead = int(overlap[0].argmax())
    np.testing.assert_allclose(cars.velocity[ahead], [8, 0], atol=0.6)
    assert cars.moving[ahead] > 0.9 and cars.track_id[ahead] == 7
    assert (cars.contribution[ahead] > 0).all()


def test_more_sensors_make_surer():
    alone, both = detect(["lidar"]), detect(["lidar", "radar"])
    first, second = (
        o.select([int(np.hypot(*(o.center[:, :2] - CARS[0, :2]).T).argmin())]) for o in (alone, both)
    )
    assert second.score[0] > first.score[0]
    assert (second.position_cov[0, [0, 2]] < first.position_cov[0, [0, 2]]).all()


def test_matches_are_kept_for_health():
    geometric = detector()
    geometric.detect(frame(ALL, 5.0))
    pairs = {(m.a, m.b): m.offset for m in geometric.last_matches}
    assert len(pairs["lidar", "radar"]) >= 2 and np.abs(pairs["lidar", "radar"]).max() < 2
    geometric.detect(frame({}))
    assert geometric.last_matches == ()


def test_two_runs_are_byte_identical():
    first, again = detect(ALL), detect(ALL)
    for name, array in first.arrays().items():
        assert array.tobytes() == getattr(again, name).tobytes(), name


def test_prepare_changes_nothing():
    def deferred(name):
        item = ALL[name]
        return Deferred(item.stamp_ns, item.frame_id, 0, lambda: item)

    early, late = detector(), detector()
    items = {name: deferred(name) for name in ALL}
    for name, item in items.items():
        early.prepare(name, item)
    a, b = early.detect(frame(items, 5.0)), late.detect(frame(ALL, 5.0))
    for name, array in a.arrays().items():
        assert array.tobytes() == getattr(b, name).tobytes(), name


def test_prepare_of_what_cannot_be_decoded():
    def fail():
        raise MeasurementError("no points")

    detector().prepare("lidar", Deferred(STAMP, "lidar", 0, fail))
    detector().prepare("nobody", Deferred(STAMP, "lidar", 0, fail))


def test_the_lidar_talks_a_ghost_down_unless_it_is_blind_there():
    """A radar cluster where the LiDAR sees open road; then with the LiDAR's view blocked by dirt."""
    ghost = scan([[10.0, -6.0, 0.8, 4.2, 1.8, 1.6, 0.0]], [(8.0, 0.0)])
    blind = {"lidar": SensorHealth(np.zeros(1, np.float32))}

    def score(measurements, **changes):
        objects = detector().detect(frame(measurements, **changes))
        near = np.hypot(*(objects.center[:, :2] - [10, -6]).T) < 2
        return float(objects.score[near].max(initial=0))

    alone = score({"radar": ghost})
    seen_through = score({"radar": ghost, "lidar": sweep(CARS[:1])})
    blocked = score({"radar": ghost, "lidar": sweep(CARS[:1])}, health=blind)
    assert seen_through < 0.6 * alone
    assert blocked == pytest.approx(alone, abs=1e-4)


def test_without_calibration_a_sensor_is_absent():
    assert len(detect(ALL, calibration=Calibration())) == 0


def cloud(xyz):
    xyz = np.ascontiguousarray(xyz, np.float32)
    return LidarSweep(STAMP, "lidar", xyz, np.zeros(len(xyz), np.float32), np.zeros(len(xyz), np.int32))


def returns(xyz, velocity):
    xyz = np.ascontiguousarray(xyz, np.float32)
    speeds = np.ascontiguousarray(velocity, np.float32)
    return RadarScan(STAMP, "radar", xyz, speeds, np.zeros(len(xyz), np.float32), ambiguity_mps=10.4)


@pytest.mark.parametrize(
    "xyz",
    [
        np.zeros((0, 3)),
        np.zeros((1, 3)),
        np.full((1, 3), 7.0),
        np.full((500, 3), 7.0),
        np.zeros((500, 3)),
        np.full((10, 3), np.nan),
        np.full((10, 3), np.inf),
        np.full((10, 3), 1e30),
        np.linspace([1, 0, 0], [60, 0, 0], 300),
    ],
    ids=["none", "origin", "one", "all alike", "all at origin", "nan", "inf", "huge", "line"],
)
def test_degenerate_clouds(xyz):
    for measurements in (
        {"lidar": cloud(xyz)},
        {"radar": returns(xyz, np.zeros(len(xyz)))},
        {"lidar": cloud(xyz), "radar": returns(xyz, np.full(len(xyz), np.nan))},
    ):
        check(detector().detect(frame(measurements)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 400), st.floats(0.01, 200))
def test_any_cloud_is_answered(seed, count, spread):
    draw = np.random.default_rng(seed)
    xyz = draw.normal(0, spread, (count, 3))
    xyz[draw.random(count) < 0.05] = np.nan
    objects = detector().detect(
        frame({"lidar": cloud(xyz), "radar": returns(xyz, draw.normal(0, 4, count))}, 3.0)
    )
    check(objects)


@settings(max_examples=6, deadline=None)
@given(st.permutations(list(ALL)))
def test_the_order_of_measurements_does_not_matter(order):
    usual, turned = detect(ALL), detect(order)
    for name, array in usual.arrays().items():
        assert array.tobytes() == getattr(turned, name).tobytes(), name


def test_a_swapped_configuration_order_finds_the_same():
    kinds = dict(reversed(list(frame({}).kinds.items())))
    usual, turned = detect(ALL), detect(ALL, kinds=kinds)
    np.testing.assert_allclose(usual.center, turned.center, atol=1e-5)


def test_an_old_camera_frame_is_projected_from_where_it_was_taken():
    """The camera saw the car 0.1 s ago, when it was 1 m behind where it is now."""
    stale = replace(image_detections(CARS[:1], ["car"]), stamp_ns=STAMP - 100_000_000)
    now, then = (
        detector().detect(frame({"seen": seen}, 10.0))
        for seen in (image_detections(CARS[:1], ["car"]), stale)
    )
    np.testing.assert_allclose(now.center[0, 0] - then.center[0, 0], 1.0, atol=0.05)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mm_fusion.detectors.geometric.class_claims import PriorTable
from mm_fusion.detectors.geometric.points import RadarReturns, radar_returns
from mm_fusion.detectors.geometric.radar_objects import (
    find_clusters,
    inner_extents,
    radar_objects,
    velocities_of,
)
from mm_fusion.model_config import load_geometric
from test.detectors.scene import CARS, frame, scan

CONFIG = load_geometric()
PRIORS = PriorTable.of(CONFIG.classes)


def flat(xy):
    return np.zeros(len(xy))


def found(measured, ego_speed=0.0):
    returns = radar_returns(frame({"radar": measured}, ego_speed), None)
    return radar_objects(returns, flat, PRIORS, CONFIG.radar)


def returns_at(xy, velocity, ambiguity=10.4, origin=(0.0, 0.0)):
    xy = np.array(xy, np.float32).reshape(-1, 2)
    ray = xy - np.float32(origin)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    count = len(xy)
    return RadarReturns(
        np.column_stack([xy, np.full(count, 0.5, np.float32)]).astype(np.float32),
        ray.astype(np.float32),
        np.broadcast_to(np.float32(velocity), (count,)),
        np.full(count, ambiguity, np.float32),
        np.zeros(count, np.float32),
        np.tile(np.float32(origin), (count, 1)),
    )


def clusters_of(returns):
    order, starts = find_clusters(returns, CONFIG.radar)
    return sorted(sorted(order[a:b].tolist()) for a, b in zip(starts[:-1], starts[1:]))


def test_no_returns():
    assert len(found(scan(np.zeros((0, 7)), []))) == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_returns_are_noise(count):
    assert len(found(scan(CARS[:1], [(0, 0)], returns=count))) == 0


def test_a_moving_car_has_velocity_along_its_ray_alone():
    objects = found(scan(CARS[:1], [(8.0, 0.0)], ego_speed=5.0), ego_speed=5.0)
    assert len(objects) == 1 and objects.class_names() == ["car"]
    np.testing.assert_allclose(objects.center[0, :2], CARS[0, :2], atol=1.0)
    np.testing.assert_allclose(objects.velocity[0], [8.0, 0.0], atol=0.5)
    assert objects.velocity_cov[0, 0] < 0.2 and objects.velocity_cov[0, 2] > 500
    assert objects.moving[0] > 0.9
    np.testing.assert_array_equal(objects.contribution, [[0, 0, 1]])


def test_velocity_across_the_ray_is_not_seen():
    """A car crossing straight ahead looks as if it stood."""
    objects = found(scan([[20, 0, 0.8, 4.2, 1.8, 1.6, np.pi / 2]], [(0.0, 8.0)]))
    assert abs(objects.velocity[0, 0]) < 0.5 and objects.velocity_cov[0, 2] > 500
    assert objects.moving[0] < 0.5


def test_without_ego_motion_position_stays_velocity_goes():
    objects = found(scan(CARS[:1], [(8.0, 0.0)]), ego_speed=None)
    assert len(objects) == 1
    assert np.isnan(objects.velocity).all() and objects.moving.tolist() == [0.5]
    assert np.isinf(objects.velocity_cov[0, [0, 2]]).all()


def test_doppler_parts_what_position_does_not():
    near = np.random.default_rng(1).uniform(-0.5, 0.5, (20, 2)) + [20, 0]
    one = returns_at(near, 0.0)
    assert len(clusters_of(one)) == 1
    two = replace(one, velocity=np.where(np.arange(20) < 10, 0.0, 4.0).astype(np.float32))
    assert clusters_of(two) == [list(range(10)), list(range(10, 20))]


def test_doppler_wraps():
    """+5.1 and -5.1 of an interval of 10.4 are 0.2 m/s apart."""
    near = np.random.default_rng(1).uniform(-0.5, 0.5, (20, 2)) + [20, 0]
    velocity = np.where(np.arange(20) % 2 == 0, 5.1, -5.1).astype(np.float32)
    seam = replace(returns_at(near, 0.0), velocity=velocity)
    assert clusters_of(seam) == [list(range(20))]
    assert len(clusters_of(replace(seam, ambiguity=np.full(20, np.inf, np.float32)))) == 2
    out = velocities_of(seam, np.array([0, 20]), CONFIG.radar)
    assert abs(abs(out.velocity[0, 0]) - 5.2) < 0.1


def test_two_radars_settle_both_components():
    """Seen from the left and from the right, no wrap: velocity (6, 2) from two rays."""
    xy = np.random.default_rng(2).uniform(-0.5, 0.5, (20, 2)) + [15, 0]
    parts = []
    for origin in ((0.0, 10.0), (0.0, -10.0)):
        part = returns_at(xy, 0.0, np.inf, origin)
        parts.append(replace(part, velocity=(part.ray @ np.float32([6, 2])).astype(np.float32)))
    both = RadarReturns(*(np.concatenate([getattr(p, n) for p in parts]) for n in RadarReturns.__slots__))
    out = velocities_of(both, np.array([0, 40]), CONFIG.radar)
    np.testing.assert_allclose(out.velocity[0], [6, 2], atol=0.1)
    assert out.covariance[0, [0, 2]].max() < 1


def test_objects_stand_on_the_ground_given():
    returns = radar_returns(frame({"radar": scan(CARS[:1], [(0, 0)])}), None)
    low, high = (
        radar_objects(returns, lambda xy, z=z: np.full(len(xy), z), PRIORS, CONFIG.radar) for z in (0, 2)
    )
    np.testing.assert_allclose(high.center - low.center, [[0, 0, 2]], atol=1e-5)


def test_extents_leave_outliers_out():
    xy = np.concatenate([np.linspace([0, 0], [1, 2], 98), [[50, 50], [-50, -50]]])
    low, high = inner_extents(xy, np.array([0, 100]), 0.05)
    assert (low > -0.01).all() and (high <= [1.01, 2.01]).all()
    low, high = inner_extents(xy, np.array([0, 100]), 0.0)
    np.testing.assert_array_equal(high, [[50, 50]])


def test_more_returns_and_motion_are_believed_more():
    few, many = (found(scan(CARS[:1], [(0, 0)], returns=n)).score[0] for n in (8, 60))
    moving = found(scan(CARS[:1], [(8, 0)], returns=8)).score[0]
    assert many > few and moving > few

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detectors.geometric.doppler import ray_velocities
from mm_fusion.model_config import RadarObjectsConfig

CONFIG = RadarObjectsConfig(velocity_sigma=0.2, across_sigma=30.0, speed_spread=8.0, moving_prior=0.3)
AHEAD = np.array([[[1.0, 0.0]]])


def seen(rays, speeds, interval=np.inf):
    speeds = np.atleast_2d(np.asarray(speeds, float))
    return ray_velocities(np.asarray(rays, float), speeds, np.full(speeds.shape, interval), CONFIG)


def test_no_objects():
    out = ray_velocities(np.zeros((0, 1, 2)), np.zeros((0, 1)), np.zeros((0, 1)), CONFIG)
    assert out.velocity.shape == (0, 2) and out.covariance.shape == (0, 3) and out.moving.shape == (0,)


def test_one_ray_tells_nothing_across():
    out = seen(AHEAD, 7.0)
    np.testing.assert_allclose(out.velocity, [[7.0, 0.0]], atol=1e-3)
    np.testing.assert_allclose(out.covariance, [[0.04, 0.0, 900.0]], rtol=1e-3)


def test_covariance_turns_with_the_ray():
    ray = np.array([[[np.sqrt(0.5), np.sqrt(0.5)]]])
    xx, xy, yy = seen(ray, 7.0).covariance[0]
    matrix = np.array([[xx, xy], [xy, yy]])
    assert ray[0, 0] @ matrix @ ray[0, 0] == pytest.approx(0.04, rel=1e-3)
    assert np.array([1, -1]) @ matrix @ np.array([1, -1]) / 2 == pytest.approx(900, rel=1e-3)
    assert xy < -400


def test_two_rays_settle_both_components():
    out = seen([[[1.0, 0.0], [0.0, 1.0]]], [5.0, -3.0])
    np.testing.assert_allclose(out.velocity, [[5.0, -3.0]], atol=1e-2)
    assert out.covariance[0, 0] < 0.05 and out.covariance[0, 2] < 0.05


def test_the_interval_stands_in_the_covariance():
    """Of v = 4 modulo 10.4, -6.4 is nearly as likely: both must be allowed."""
    out = seen(AHEAD, 4.0, 10.4)
    np.testing.assert_allclose(out.velocity, [[4.0, 0.0]], atol=0.05)
    assert 3.0 < np.sqrt(out.covariance[0, 0]) < 10.4


def test_two_intervals_settle_the_multiple():
    """12 m/s, wrapped by 10.4 and by 14: only 12 fits both along nearly one ray."""
    rays = np.array([[[1.0, 0.0], [0.9998, 0.02]]])
    wrapped = np.array([[1.6, -2.0]])
    out = ray_velocities(rays, wrapped, np.array([[10.4, 14.0]]), CONFIG)
    assert out.velocity[0, 0] == pytest.approx(12.0, abs=0.3)


def test_doppler_proves_moving_never_standing():
    moving = [seen(AHEAD, v, 10.4).moving[0] for v in (0.0, 0.3, 1.0, 4.0)]
    assert moving[-1] > 0.99 and 0 < moving[0] < 0.1
    assert moving == sorted(moving)


def test_without_ego_motion_nothing_is_known():
    out = seen(AHEAD, np.nan, 10.4)
    assert np.isnan(out.velocity).all() and out.moving.tolist() == [0.5]
    np.testing.assert_array_equal(out.covariance, [[np.inf, 0, np.inf]])

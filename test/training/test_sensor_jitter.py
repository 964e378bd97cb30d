"""Stamps, mounts and sweeps that are a little off."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.geometry.transforms import transform_points
from mm_fusion.training.sensor_jitter import (
    jittered,
    moved_mount,
    with_fewer_sweeps,
    with_wrong_mounts,
    with_wrong_stamps,
)
from mm_fusion.training.settings import AugmentConfig
from test.inputs import scene


def full_frame(earlier: int = 4):
    measured = {
        "camera": scene.image(0.05),
        "lidar": scene.sweep([[5, 0, 1]]),
        "radar": scene.scan([[9, 0, 1]], [1.0]),
    }
    sweeps = tuple(
        scene.scan([[9, 0, 1]], [1.0], stamp=scene.STAMP - n * 10**8) for n in range(1, earlier + 1)
    )
    return scene.frame(measured, earlier={"radar": sweeps})


def test_an_empty_frame_stays_empty():
    frame = jittered(scene.frame({}), AugmentConfig(), np.random.default_rng(0))
    assert not frame.measurements and not frame.earlier


def test_stamps_and_ages_move_against_each_other_and_pixels_stay():
    frame = full_frame()
    late = with_wrong_stamps(frame, 50, np.random.default_rng(0))
    for name, most_ms in (("camera", 50), ("lidar", 10), ("radar", 10)):
        shift_ns = late.measurements[name].stamp_ns - frame.measurements[name].stamp_ns
        assert 0 < abs(shift_ns) <= most_ms * 10**6
        assert late.stamp_ns - late.measurements[name].stamp_ns == late.age_ns[name]
    assert late.measurements["camera"].pixels is frame.measurements["camera"].pixels


def test_a_sensor_turns_around_itself():
    mount = moved_mount(scene.PLACES["radar"], np.array([0.0, 0.0, 90.0]), np.array([0.0, 1.0, 0.0]))
    places = transform_points(mount, np.array([[0.0, 0, 0], [10, 0, 0]]))
    np.testing.assert_allclose(places, [[2, 1, 0.5], [2, 11, 0.5]], atol=1e-9)


def test_mounts_scatter_as_much_as_said():
    rng = np.random.default_rng(0)
    drawn = [with_wrong_mounts(full_frame(), 0.3, 0.03, rng).calibration.base_from_sensor for _ in range(300)]
    for name, share in (("camera", 1.0), ("radar", 1.0), ("lidar", 0.3)):
        moved = np.array([each[name] @ np.linalg.inv(scene.PLACES[name]) for each in drawn])
        shift = np.array([each[name][:3, 3] - scene.PLACES[name][:3, 3] for each in drawn])
        assert shift.std() == pytest.approx(0.03 * share, rel=0.15)
        assert np.degrees(moved[:, 1, 0]).std() == pytest.approx(0.3 * share, rel=0.15)


def test_sweeps_go_from_none_to_all_and_the_newest_are_kept():
    frame, rng = full_frame(), np.random.default_rng(0)
    kept = [with_fewer_sweeps(frame, rng) for _ in range(200)]
    assert {len(each.earlier["radar"]) for each in kept} == {0, 1, 2, 3, 4}
    assert all(each.earlier["radar"] == frame.earlier["radar"][: len(each.earlier["radar"])] for each in kept)
    assert all(each.measurements is frame.measurements for each in kept)


def test_shares_of_zero_change_nothing():
    off = AugmentConfig(time_jitter=0, calibration_jitter=0, fewer_sweeps=0)
    frame = full_frame()
    assert jittered(frame, off, np.random.default_rng(0)) is frame

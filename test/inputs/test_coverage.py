from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.frame import Calibration, SensorHealth
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.inputs.coverage import coverage
from test.inputs.scene import PLACES, STAMP, cell_of, config, frame, scan, sweep, vehicle

NONE = np.zeros((32, 32), np.float32)


def ring(count: int = 360, arc_deg: float = 360.0) -> np.ndarray:
    angle = np.radians(np.linspace(-arc_deg / 2, arc_deg / 2, count, endpoint=False))
    return np.column_stack([10 * np.cos(angle), 10 * np.sin(angle), np.full(count, 0.5)])


def test_nobody_sees_anything():
    out = coverage(frame({}), vehicle(), config(), NONE)
    assert out.shape == (1, 3, 32, 32) and out.dtype == np.float32 and not out.any()


def test_the_camera_is_what_the_table_says():
    given = np.random.default_rng(0).uniform(0, 1, (32, 32)).astype(np.float32)
    assert np.array_equal(coverage(frame({}), vehicle(), config(), given)[0, 0], given)


def test_a_lidar_sees_where_it_has_returns():
    whole = coverage(frame({"lidar": sweep(ring())}), vehicle(), config(), NONE)[0, 1]
    assert (whole == 1).all()
    ahead = coverage(frame({"lidar": sweep(ring(arc_deg=120))}), vehicle(), config(), NONE)[0, 1]
    assert ahead[cell_of(20.5, 0.5)] == 1 and ahead[cell_of(-3.5, 0.5)] == 0
    assert not coverage(frame({"lidar": sweep(np.zeros((0, 3)))}), vehicle(), config(), NONE).any()


def test_a_radar_sees_its_sector():
    out = coverage(frame({"radar": scan(np.zeros((0, 3)), [])}), vehicle(), config(), NONE)[0, 2]
    assert out[cell_of(20.5, 0.5)] == 1 and out[cell_of(6.5, 12.5)] == 0 and out[cell_of(-3.5, 0.5)] == 0
    near = coverage(frame({"radar": scan([], [])}), vehicle(), config(radar={"reach": 10}), NONE)[0, 2]
    assert near[cell_of(20.5, 0.5)] == 0 and near[cell_of(11.5, 0.5)] == 1


def test_age_and_health_are_in_it():
    old = frame({"radar": scan([], [], stamp=STAMP - 200_000_000)})
    assert coverage(old, vehicle(), config(), NONE)[0, 2].max() == pytest.approx(0.5)
    health = {"lidar": SensorHealth(np.array([0.25, 1], np.float32))}  # the right half is dirty
    out = coverage(frame({"lidar": sweep(ring())}, health=health), vehicle(), config(), NONE)[0, 1]
    assert out[cell_of(10.5, -5.5)] == 0.25 and out[cell_of(10.5, 5.5)] == 1


def test_a_turned_scene_turns_coverage():
    given = frame({"radar": scan([], [])})
    plain = coverage(given, vehicle(), config(), NONE)[0, 2]
    flipped = coverage(given, vehicle(), config(), NONE, np.diag([1.0, -1, 1, 1]))[0, 2]
    assert np.array_equal(flipped, plain[:, ::-1])


@pytest.mark.parametrize("reach", [10.0, 100.0])
def test_what_is_kept_of_a_mount_is_not_used_for_another(reach: float):
    measured = {"radar": scan([], []), "lidar": sweep(ring(arc_deg=120))}
    seen = []
    for yaw_deg, x in ((0, 2.0), (90, 2.0), (0, 9.0), (0, 2.0)):
        pose = from_rpy_deg((0, 0, yaw_deg), (x, 0.0, 0.5))
        given = frame(measured, calibration=Calibration({**PLACES, "radar": pose, "lidar": pose}, {}))
        small = config(radar={"reach": reach})
        seen.append(coverage(given, vehicle(), small, NONE))
        assert np.array_equal(seen[-1], coverage(given, vehicle(), small, NONE, np.eye(4)))  # keeps nothing
    assert np.array_equal(seen[0], seen[3])
    assert all((one != other).any() for one, other in zip(seen, seen[1:]))

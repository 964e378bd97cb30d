"""Beam tables: every unit fires where and when its manual says."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.simulation.beam_tables import LIDAR_UNITS, lidar_unit, shots_of


def test_an_unknown_unit_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(ConfigurationError, match="vlp16, hdl32"):
        lidar_unit(None)


@pytest.mark.parametrize(
    ("name", "beams", "lowest", "highest", "columns"),
    [
        ("vlp16", 16, -15.0, 15.0, 1808),
        ("hdl32", 32, -30.67, 10.67, 2170),
        ("hdl64", 64, -24.33, 2.0, 2083),
        ("beams128", 128, -25.0, 15.0, 1876),
        ("solid_state", 80, -12.5, 12.5, 599),
    ],
)
def test_each_table_has_its_beams(name: str, beams: int, lowest: float, highest: float, columns: int) -> None:
    shots = shots_of(lidar_unit(name), 0.1)
    elevation = np.degrees(np.arcsin(shots.direction[..., 2]))
    assert shots.direction.shape == (columns, beams, 3)
    assert elevation.min() == pytest.approx(lowest, abs=0.01)
    assert elevation.max() == pytest.approx(highest, abs=0.01)
    assert np.all(np.diff(elevation[0]) > 0), "rings count from below"


@pytest.mark.parametrize("name", LIDAR_UNITS)
def test_directions_are_units_and_times_lie_in_the_scan(name: str) -> None:
    shots = shots_of(lidar_unit(name), 0.05)
    assert np.allclose(np.linalg.norm(shots.direction, axis=2), 1, atol=1e-6)
    assert shots.time_s.min() == pytest.approx(-0.025)
    assert shots.time_s.max() < 0.025
    assert np.all(np.diff(shots.time_s[:, 0]) > 0)


def test_a_turn_goes_clockwise_once_around_with_no_gap() -> None:
    shots = shots_of(lidar_unit("vlp16"), 0.1)
    azimuth = np.unwrap(np.arctan2(shots.direction[:, 0, 1], shots.direction[:, 0, 0]))
    assert np.all(np.diff(azimuth) < 0)
    assert azimuth[0] - azimuth[-1] == pytest.approx(2 * np.pi, abs=0.004)
    assert shots.direction[0, 0, 0] < -0.9, "starts straight behind"


def test_a_solid_state_unit_looks_ahead_only() -> None:
    shots = shots_of(lidar_unit("solid_state"), 0.1)
    azimuth = np.degrees(np.arctan2(shots.direction[..., 1], shots.direction[..., 0]))
    assert azimuth.max() == pytest.approx(60, abs=0.01)
    assert azimuth.min() == pytest.approx(-60, abs=0.3)

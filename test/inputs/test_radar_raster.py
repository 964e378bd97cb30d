from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.config import EgoBox
from mm_fusion.inputs.radar_raster import RadarRaster
from mm_fusion.network_config import RADAR_CHANNELS, StrengthNorm
from test.inputs.scene import STAMP, cell_of, config, frame, scan

AMBIGUITY = 10.4


def column(raster: np.ndarray, x: float, y: float) -> dict[str, float]:
    return dict(zip(RADAR_CHANNELS, raster[(slice(None), *cell_of(x, y))].tolist()))


def test_the_channels_are_these():
    assert RADAR_CHANNELS == (
        "count", "strength", "strongest", "velocity", "doppler_cos", "doppler_sin", "velocity_valid",
        "velocity_spread", "interval", "age", "height",
    )  # fmt: skip


def test_no_radar_and_no_returns_give_zeros():
    raster = RadarRaster(config())
    for each in (frame({}), frame({"radar": scan(np.zeros((0, 3)), [])})):
        assert raster.build(each).shape == (11, 32, 32) and not raster.build(each).any()


def test_a_return_in_a_known_cell():
    # what stands is approached at our 8 m/s: over ground it has no speed
    out = RadarRaster(config()).build(frame({"radar": scan([[12.5, 0.0, 0.5]], [-8.0])}, speed=8.0))
    assert np.argwhere(out.any(axis=0)).tolist() == [list(cell_of(12.5, 0.0))]
    cell = column(out, 12.5, 0.0)
    assert cell["count"] == pytest.approx(np.log(2) / np.log(32), rel=1e-5)
    assert cell["velocity"] == pytest.approx(0, abs=1e-5) and cell["velocity_valid"] == 1
    assert cell["doppler_cos"] == pytest.approx(1) and cell["doppler_sin"] == pytest.approx(0, abs=1e-5)
    assert cell["velocity_spread"] == pytest.approx(0, abs=1e-5)
    assert cell["interval"] == pytest.approx(0.1) and cell["age"] == 0


def test_doppler_is_a_place_in_the_interval():
    # 2.6 m/s is a quarter of the interval; 7.8 is three quarters, known as -2.6
    for raw, wrapped in ((2.6, 2.6), (7.8, -2.6)):
        given = scan([[12.5, 0, 0.5]], [raw], ambiguity_mps=AMBIGUITY)
        cell = column(RadarRaster(config()).build(frame({"radar": given})), 12.5, 0)
        angle = 2 * np.pi * wrapped / AMBIGUITY
        assert cell["velocity"] == pytest.approx(wrapped / 10, abs=1e-4)
        assert cell["doppler_cos"] == pytest.approx(np.cos(angle), abs=1e-4)
        assert cell["doppler_sin"] == pytest.approx(np.sin(angle), abs=1e-4)
        assert cell["interval"] == pytest.approx(10 / AMBIGUITY, rel=1e-4)


def test_velocities_on_both_sides_of_the_wrap_are_near_each_other():
    given = scan([[12.3, 0.5, 0.5], [12.6, 0.5, 0.5]], [5.1, -5.1], ambiguity_mps=AMBIGUITY)
    near = column(RadarRaster(config()).build(frame({"radar": given})), 12.5, 0.5)
    assert near["velocity_spread"] < 0.02 and near["doppler_cos"] < -0.99
    given = scan([[12.3, 0.5, 0.5], [12.6, 0.5, 0.5]], [2.6, -2.6], ambiguity_mps=AMBIGUITY)
    apart = column(RadarRaster(config()).build(frame({"radar": given})), 12.5, 0.5)
    assert apart["velocity_spread"] > 0.3


def test_unknown_ego_motion_makes_velocity_invalid_unless_the_driver_knew():
    cell = column(
        RadarRaster(config()).build(frame({"radar": scan([[12.5, 0, 1]], [3.0])}, speed=None)), 12.5, 0
    )
    assert cell["velocity_valid"] == cell["velocity"] == cell["doppler_cos"] == cell["interval"] == 0
    assert cell["count"] > 0
    known = scan([[12.5, 0, 1]], [3.0], compensated=True)
    cell = column(RadarRaster(config()).build(frame({"radar": known}, speed=None)), 12.5, 0)
    assert cell["velocity_valid"] == 1 and cell["velocity"] == pytest.approx(0.3)


def test_strength_is_normalised_by_kind_and_range():
    norm = StrengthNorm(mean_db=10, spread_db=5, per_decade_db=20)
    strength = {"rcs": norm, "snr": norm, "power": StrengthNorm(mean_db=0, spread_db=1)}
    raster = RadarRaster(config(radar={"strength": strength}))
    near = column(raster.build(frame({"radar": scan([[4.0, 0, 0.5]], [0], 30.0)})), 4, 0)
    far = column(raster.build(frame({"radar": scan([[22.0, 0, 0.5]], [0], 10.0)})), 22, 0)
    assert near["strength"] == pytest.approx(0, abs=1e-4) == far["strength"]
    loud = column(raster.build(frame({"radar": scan([[22.0, 0, 0.5]], [0], 99.0)})), 22, 0)
    assert loud["strongest"] == 3.0
    other = scan([[22.0, 0, 0.5]], [0], 2.0, strength_kind="power")
    assert column(raster.build(frame({"radar": other})), 22, 0)["strength"] == pytest.approx(2.0)


def test_the_strongest_return_gives_the_velocity():
    given = scan([[12.3, 0.5, 0.5], [12.6, 0.5, 0.5]], [4.0, 1.0])
    given.strength_db[:] = [0.0, 12.0]
    norm = StrengthNorm(mean_db=5, spread_db=10)
    sizes = config(radar={"strength": dict.fromkeys(("rcs", "snr", "power"), norm)})
    cell = column(RadarRaster(sizes).build(frame({"radar": given})), 12.5, 0.5)
    assert cell["velocity"] == pytest.approx(0.1) and cell["strongest"] == pytest.approx(0.7)
    assert cell["strength"] == pytest.approx(0.1)


def test_ghosts_do_not_make_a_flat_radar_tell_heights():
    given = scan([[12.5, 0.5, 0.5], [12.6, 0.5, 0.5], [12.7, 0.5, 3.0]], [0.0] * 3)
    cell = column(RadarRaster(config()).build(frame({"radar": given})), 12.5, 0.5)
    assert cell["height"] == 0


def test_elevation_does_not_move_a_return_and_height_is_weak():
    given = scan([[12.5, 0.5, 5.5]], [0.0])
    cell = column(RadarRaster(config()).build(frame({"radar": given})), 12.5, 0.5)
    assert cell["height"] == pytest.approx(0.55)
    flat = scan([[12.5, 0.5, 0.5]], [0.0])
    assert column(RadarRaster(config()).build(frame({"radar": flat})), 12.5, 0.5)["height"] == 0


def test_earlier_scans_move_with_us():
    older = scan([[20.5, 0.5, 0.5]], [-10.0], stamp=STAMP - 200_000_000)
    given = {"measurements": {"radar": scan([[5.5, 0.5, 0.5]], [-10.0])}, "earlier": {"radar": (older,)}}
    out = RadarRaster(config()).build(frame(**given, speed=10.0))
    cell = column(out, 18.5, 0.5)
    assert cell["age"] == pytest.approx(2.0, rel=1e-5) and cell["velocity"] == pytest.approx(0, abs=1e-2)
    assert (RadarRaster(config()).build(frame(**given, speed=None))[0] > 0).sum() == 1
    assert (RadarRaster(config(radar={"sweeps": 0})).build(frame(**given, speed=10.0))[0] > 0).sum() == 1


def test_the_scene_grows_with_its_speeds():
    given = frame({"radar": scan([[10.0, 0.5, 0.5]], [2.6], ambiguity_mps=AMBIGUITY)})
    plain = column(RadarRaster(config()).build(given), 10.0, 0.5)
    grown = column(RadarRaster(config()).build(given, np.diag([1.1, 1.1, 1.1, 1])), 11.0, 0.5)
    assert grown["velocity"] == pytest.approx(1.1 * plain["velocity"], rel=1e-4)
    assert grown["doppler_sin"] == pytest.approx(plain["doppler_sin"], abs=1e-5)


def test_what_is_no_number_or_the_car_itself_is_left():
    box = EgoBox(min=(-1, -1, 0), max=(3, 1, 2))
    given = scan([[np.nan, 0, 0.5], [2.5, 0, 0.5], [12.5, 0.5, 0.5]], [0, 0, np.nan])
    out = RadarRaster(config(), box).build(frame({"radar": given}))
    assert np.isfinite(out).all() and (out[0] > 0).sum() == 1
    assert column(out, 12.5, 0.5)["velocity_valid"] == 0

"""What air does to laser pulses: nothing when it is clear, more with fog and rain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mm_fusion.simulation.lidar_weather import Air, air_of, soft_returns, spray_returns
from mm_fusion.simulation.weather import Weather


def weather(visibility_m: float, rain_mm_h: float) -> Weather:
    return Weather("test", visibility_m, rain_mm_h, None, 0.7)


def test_clear_air_gives_no_echo() -> None:
    distance, _ = soft_returns(Air(0.0, 0.0), np.full(1000, np.inf), np.random.default_rng(0))
    assert np.isinf(distance).all()


@pytest.mark.parametrize(("visibility", "extinction"), [(30000.0, 0.0), (300.0, 0.01), (60.0, 0.05)])
def test_extinction_follows_visibility(visibility: float, extinction: float) -> None:
    assert air_of(weather(visibility, 0.0)).extinction == pytest.approx(extinction, abs=1e-4)


def test_thicker_fog_gives_more_echoes_and_never_behind_a_surface() -> None:
    reach = np.full(20000, 12.0)
    shares = []
    for visibility in (300.0, 100.0, 40.0):
        air = air_of(weather(visibility, 0.0))
        distance, brightness = soft_returns(air, reach, np.random.default_rng(0))
        shares.append(float(np.isfinite(distance).mean()))
        assert distance[np.isfinite(distance)].max() < 12.0
        assert (brightness >= 0).all() and brightness.mean() < 0.05
    assert shares[0] < shares[1] < shares[2] < 0.9


def test_spray_needs_rain_and_a_moving_car(world_of: Callable) -> None:
    time_s, dry, wet = 2.0, world_of("clear"), world_of("rain")
    fast = int(np.argmax(np.linalg.norm(wet.actor_velocities(time_s), axis=1)))
    pose = wet.actor_pose(fast, time_s)
    # From 10 m to the left, right through where the water hangs 3 m behind its tail.
    target = pose[:3, 3] + pose[:3, :3] @ (-wet.sizes[fast, 0] / 2 - 1.0, 0, 0.4)
    origin = target + 10 * pose[:3, 1]
    rays = np.tile((-pose[:3, 1]).astype(np.float32), (4000, 1))
    origins = np.tile(origin.astype(np.float32), (4000, 1))
    assert np.isinf(spray_returns(dry, time_s, origins, rays, np.random.default_rng(0))[0]).all()
    distance, _ = spray_returns(wet, time_s, origins, rays, np.random.default_rng(0))
    seen = distance[np.isfinite(distance)]
    assert len(seen) > 20
    assert np.all((seen > 7) & (seen < 13))
    up = np.tile(np.float32([0, 0, 1]), (4000, 1))
    assert np.isinf(spray_returns(wet, time_s, origins, up, np.random.default_rng(0))[0]).all()

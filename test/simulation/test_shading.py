"""Light on surfaces: one pixel at a time, with answers that can be said beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.simulation.shading import SKY, Eye, Light, light_of, shade
from mm_fusion.simulation.weather import Weather

HIGH_SUN = np.array([0.0, 0.0, 1.0])


def light(
    name: str = "clear", visibility: float = 1e6, sun: np.ndarray | None = HIGH_SUN, ambient: float = 1.0
) -> Light:
    return light_of(Weather(name, visibility, 10.0 if name == "rain" else 0.0, sun, ambient))


def radiance(
    light: Light,
    distance: float = 10.0,
    lit: float = 1.0,
    colour: int = 128,
    roughness: float = 0.9,
    glow: float = 0.0,
) -> np.ndarray:
    # Looking down and ahead at level ground, at many places of its texture.
    count = 400
    return shade(
        np.tile(np.array([0.8, 0.0, -0.6], np.float32), (count, 1)),
        np.full(count, distance, np.float32),
        np.tile(np.array([0, 0, 1], np.float32), (count, 1)),
        np.full((count, 3), colour, np.uint8),
        np.random.default_rng(0).uniform(-9, 9, (count, 3)).astype(np.float32),
        np.tile(np.array([0.2, 0.1, roughness, glow], np.float32), (count, 1)),
        np.full(count, lit, np.float32),
        Eye(np.array([1.7, 0.0, 6.0]), np.eye(3), 0.001),
        light,
    ).mean(axis=0)


def test_no_rays_give_no_light() -> None:
    nothing = np.zeros((0, 3), np.float32)
    eye, empty = Eye(np.zeros(3), np.eye(3), 0.001), np.zeros(0, np.float32)
    out = shade(
        nothing,
        empty,
        nothing,
        np.zeros((0, 3), np.uint8),
        nothing,
        np.zeros((0, 4), np.float32),
        empty,
        eye,
        light(),
    )
    assert out.shape == (0, 3)


def test_shadow_is_darker_and_bluer() -> None:
    bright, shadow = radiance(light()), radiance(light(), lit=0.0)
    assert shadow.sum() < 0.6 * bright.sum()
    assert shadow[2] / shadow[0] > bright[2] / bright[0]


def test_fog_leaves_of_a_thing_what_the_visibility_says() -> None:
    # 5 % of the contrast between black and white is left at the visibility.
    foggy = light("fog", 50.0, None, 0.7)
    contrast = [radiance(foggy, d, colour=255) - radiance(foggy, d, colour=0) for d in (0.01, 50.0)]
    assert contrast[1].mean() / contrast[0].mean() == pytest.approx(0.05, abs=0.02)


def test_the_sky_of_a_night_is_dark_and_lamps_shine() -> None:
    night = light("night", 1e5, None, 0.02)
    assert night.lamps > 0 and light().lamps == 0
    assert radiance(night, 2 * SKY).mean() < 0.05 * radiance(light(), 2 * SKY).mean()
    assert radiance(night, glow=1.0).mean() > 3 * radiance(night).mean()


def test_headlights_reach_the_near_road_only() -> None:
    night = light("night", 1e5, None, 0.02)
    assert radiance(night, 9.0).mean() > 3 * radiance(night, 0.5).mean(), "behind the lamps it is dark"


def test_a_wet_road_mirrors_the_sky_and_is_darker_itself() -> None:
    wet, dry = light("rain", 1e6, None, 0.7), light("fog", 1e6, None, 0.7)
    assert radiance(wet, colour=255).mean() < radiance(dry, colour=255).mean()
    assert radiance(wet, colour=0).mean() > radiance(dry, colour=0).mean()

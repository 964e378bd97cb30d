"""Lens and chip: what they add is of the right size, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.simulation.optics import GAIN_LIMITS, Lens, developed, exposure_gain, smeared


def flat(level: float, size: tuple[int, int] = (60, 100)) -> np.ndarray:
    return np.full((*size, 3), level, np.float32)


def test_nothing_moves_without_flow() -> None:
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    assert np.allclose(smeared(image, np.zeros((20, 30, 2), np.float32), 4), image, atol=1e-6)


def test_a_bright_line_is_smeared_along_its_flow() -> None:
    image = flat(0.0, (9, 40))
    image[:, 20] = 1.0
    flow = np.zeros((9, 40, 2), np.float32)
    flow[..., 0] = 6.0
    out = smeared(image, flow, 6)
    assert out[4, 20, 0] < 0.5
    assert out[4, 18, 0] > 0.1 and out[4, 22, 0] > 0.1
    assert out[4, 30, 0] == 0


def test_exposure_brings_any_day_to_one_level_and_leaves_the_dark_dark() -> None:
    rng = np.random.default_rng(0)
    dim, bright = flat(0.15), flat(0.6)
    levels = [exposure_gain(light, rng) * light.mean() for light in (dim, bright)]
    assert levels[0] == pytest.approx(levels[1], rel=0.3)
    night = flat(0.002)
    assert exposure_gain(night, rng) <= GAIN_LIMITS[1] * 1.2
    assert exposure_gain(night, rng) * night.mean() < 0.2 * levels[0]


def test_more_gain_means_more_noise() -> None:
    quiet = developed(flat(0.2), 1.0, np.random.default_rng(0))
    loud = developed(flat(0.02), 10.0, np.random.default_rng(0))
    assert abs(float(quiet.mean()) - float(loud.mean())) < 3
    assert loud.std() > 2 * quiet.std() > 0


def test_a_clear_lens_is_darker_at_its_corners_only() -> None:
    out = Lens("front", 100, 60).through(flat(0.5), 0.0, 0.0, np.random.default_rng(0))
    assert out[0, 0, 0] < 0.85 * out[30, 50, 0]
    assert out.max() <= 0.5 + 1e-5


def test_each_camera_has_its_own_dust_and_keeps_it() -> None:
    one, same, other = (
        Lens(name, 100, 60).through(flat(0.5), 0.0, 0.0, np.random.default_rng(0))
        for name in ("front", "front", "back")
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_rain_on_the_lens_shows_the_scene_upside_down_in_places() -> None:
    scene = flat(0.1)
    scene[:30] = 0.9
    lens = Lens("front", 100, 60)
    dry = lens.through(scene, 1.0, 0.0, np.random.default_rng(0))
    wet = lens.through(scene, 1.0, 20.0, np.random.default_rng(0))
    changed = np.abs(wet - dry).max(axis=2) > 0.1
    assert 0.002 < changed.mean() < 0.4

"""Light and lens of a camera."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.training.photometric import Photometric, blurred, level_tables, noisy


def test_no_change_changes_nothing_and_brightness_adds():
    same = level_tables(0.0, 0.0, np.zeros(3))
    assert (same == np.arange(256)).all()
    assert level_tables(0.5, 0.0, np.zeros(3))[0, [0, 100, 250]].tolist() == [20, 120, 255]
    assert level_tables(0.0, 1.0, np.zeros(3))[1, [28, 128, 228]].tolist() == [0, 128, 255]
    assert level_tables(0.0, 0.0, np.array([1.0, 0, 0]))[:, 228].tolist() == [240, 228, 228]


def test_blur_spreads_a_point_and_keeps_its_light():
    image = np.zeros((3, 9, 9), np.uint8)
    image[:, 4, 4] = 240
    blurred(image)
    assert image[0, 4, 4] == 60 and image[0, 4, 3] == 30 and image[0, 3, 3] == 15


def test_noise_is_around_the_image():
    image = np.full((3, 200, 200), 128, np.uint8)
    noisy(image, np.random.default_rng(0))
    assert image.mean() == pytest.approx(128, abs=1) and 1 < image.std() < 11


def test_all_images_change_empty_slots_do_not():
    images = np.full((3, 3, 8, 8), 90, np.uint8)
    images[1] = 0
    Photometric(1.0, np.random.default_rng(3))(images)
    assert not images[1].any() and (images[0] != 90).any() and (images[2] != 90).any()
    again = np.full((3, 3, 8, 8), 90, np.uint8)
    Photometric(0.0, np.random.default_rng(3))(again)
    assert (again == 90).all()

"""Patches in depth order."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.training.pasted_images import Camera, Patch
from test.inputs import scene


def patch(nearer=(), taken=(10.0, 10, 29, 29), laid=(40.0, 20, 59, 39)):
    source = np.zeros((3, 64, 128), np.uint8)
    source[:, 10:30, 10:30] = 200
    boxes = np.array(nearer, np.float64).reshape(-1, 4)
    return Patch(1, source, np.array(taken), np.array(laid), boxes, 128, 64)


def test_a_patch_lands_in_its_place_and_nowhere_else():
    images = np.zeros((2, 3, 64, 128), np.uint8)
    patch()(images)
    assert (images[1, :, 22:38, 42:58] == 200).all()
    assert images[1, 0, 20, 50] == 50 and not images[0].any()
    images[1, :, 20:40, 40:60] = 0
    assert not images.any()


def test_what_is_nearer_stays():
    images = np.zeros((2, 3, 64, 128), np.uint8)
    patch(nearer=[(45, 0, 50, 63)])(images)
    assert not images[1, :, :, 45:51].any() and images[1, 0, 30, 44] == 200 == images[1, 0, 30, 51]


def test_a_patch_is_stretched_and_cut_at_the_edge():
    images = np.zeros((2, 3, 64, 128), np.uint8)
    patch(laid=(108.0, 40, 147, 79))(images)
    assert (images[1, :, 44:, 112:] == 200).all() and not images[1, :, :, :108].any()
    patch(laid=(200.0, 100, 220, 120))(images)


def test_the_rectangle_of_a_box_is_where_the_camera_sees_it():
    frame = scene.frame({"camera": scene.image(0.1)})
    camera = Camera(frame, "camera", scene.config())
    box = np.array([11.0, 0, 1.5, 0.001, 2, 1, 0])
    found = camera.rectangle(box, np.zeros(2, np.float32))
    assert found == pytest.approx([64 - 10.8, 32 - 5.4, 64 + 10.8, 32 + 5.4], abs=0.01)
    nearer = camera.rectangle(box, np.array([50.0, 0], np.float32))  # it was 5 m nearer 0.1 s ago
    assert nearer == pytest.approx([64 - 21.6, 32 - 10.8, 64 + 21.6, 32 + 10.8], abs=0.02)
    assert camera.rectangle(np.array([1.0, 0, 1.5, 4, 2, 1, 0]), np.zeros(2, np.float32)) is None
    assert camera.seen_share(np.array([-10.0, 0, 10, 20])) == pytest.approx(0.5)

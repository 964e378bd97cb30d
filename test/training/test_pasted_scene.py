"""Ground, room and sight in a frame."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import empty_detections
from mm_fusion.training.pasted_points import clouds_of, cut_out
from mm_fusion.training.pasted_scene import PastingScene
from test.inputs import scene
from test.training.test_pasted_points import BOX, car


def pasting_scene(points=(), objects=None, **frame):
    measured = {"lidar": scene.sweep(points)}
    return PastingScene(scene.frame(measured, **frame), objects or empty_detections(), scene.config())


def test_the_ground_is_beside_the_box():
    road = [[x, y, 0.3] for x in range(6, 15) for y in (-2.5, 2.5)]
    assert abs(pasting_scene([*road, [10, 0, 0.1], [10, 0, 0.1]]).ground_near(BOX) - 0.3) < 1e-5
    assert pasting_scene(road[:4]).ground_near(BOX) is None
    assert pasting_scene().ground_near(BOX) is None


def test_room_is_what_no_object_takes_or_hides():
    assert pasting_scene().has_room(car())
    assert not pasting_scene(objects=car(14.3)).has_room(car()), "bumper to bumper"
    assert not pasting_scene(objects=car(20.0)).has_room(car()), "would be hidden"
    assert not pasting_scene(objects=car(4.0)).has_room(car()), "would hide"
    assert pasting_scene(objects=car(20.0, 6.0)).has_room(car())


def test_a_place_with_a_wall_is_not_empty():
    wall = [[10.0, 0.1 * n, 1.0] for n in range(8)]
    assert not pasting_scene(wall).is_empty(BOX)
    assert pasting_scene(wall[:4]).is_empty(BOX)
    assert pasting_scene([[x, y, 0.1] for x, y, _ in wall]).is_empty(BOX), "the road is no wall"


def test_a_return_hides_what_is_behind_it():
    frame = scene.frame({"lidar": scene.sweep([[9, 0, 1.5], [9, 0.7, 1.5]])})
    cut = cut_out(frame, clouds_of(frame), BOX, np.zeros(2, np.float32))[0]
    assert pasting_scene([[5, 0, 1.63]]).in_sight(cut).tolist() == [False, True]
    assert pasting_scene([[8.9, 0, 1.5]]).in_sight(cut).tolist() == [True, True], "a metre before is the same"
    assert pasting_scene().in_sight(cut).tolist() == [True, True]


def test_a_pole_before_an_object_stays_in_the_image():
    found = pasting_scene([[5, 0.0, 1.5]])
    found.frame.measurements["camera"] = scene.image()
    before = found.rectangles_before("camera", car())
    assert before.shape == (1, 4) and before[0, 0] < 64 < before[0, 2] and before[0, 2] - before[0, 0] < 3

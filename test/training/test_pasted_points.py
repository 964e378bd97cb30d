"""Points taken out of one frame and laid into another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.geometry.boxes import boxes_of
from mm_fusion.measurements import EgoMotion
from mm_fusion.training.pasted_points import as_seen, clouds_of, cut_out, hidden, laid_in, on_ground
from test.inputs import scene

BOX = np.array([10.0, 0, 1, 4, 2, 2, 0])


def car(x: float = 10.0, y: float = 0.0, speed: float = 0.0):
    return make_detections(
        1,
        center=np.array([[x, y, 1.0]]),
        size=np.array([[4.0, 2.0, 2.0]]),
        yaw=np.zeros(1),
        velocity=np.array([[speed, 0.0]]),
    )


def cuts_of(frame, objects):
    velocity = np.nan_to_num(objects.velocity[0])
    return cut_out(frame, clouds_of(frame), boxes_of(objects)[0], velocity)


def pasted(frame, objects, cuts, others=None):
    return laid_in(frame, clouds_of(frame), objects, [cuts], others or empty_detections())


def test_what_is_in_or_behind_a_box_is_hidden():
    xyz = np.array([[5, 0, 1], [10, 0, 1], [20, 0, 1], [20, 5, 1], [20, 0, 4.5], [np.nan, 0, 0]], np.float32)
    origin = np.array([0.0, 0, 1])
    assert hidden(xyz, origin, BOX[None]).tolist() == [False, True, True, False, False, False]
    assert not hidden(xyz, origin, np.zeros((0, 7))).any()
    assert hidden(np.zeros((0, 3), np.float32), origin, BOX[None]).tolist() == []


@settings(deadline=None, max_examples=40)
@given(st.floats(-20, 20), st.floats(-1, 1), st.floats(-0.2, 0.2))
def test_to_the_ground_and_back(speed: float, turn: float, offset_s: float):
    ego = EgoMotion(scene.STAMP, np.array([speed, 0.5, 0]), np.array([0, 0, turn]))
    sweep = scene.sweep([[5, 1, 1], [30, -4, 2]], offset_s=offset_s, stamp=scene.STAMP - 10**8)
    frame = scene.frame({"lidar": sweep}, ego=ego)
    back = as_seen(frame, "lidar", sweep, on_ground(frame, "lidar", sweep))
    np.testing.assert_allclose(back, sweep.xyz, atol=1e-4)


def test_an_object_takes_its_points_and_no_others():
    measured = {
        "lidar": scene.sweep([[10, 0, 1], [8.5, 0.5, 1.5], [13, 0, 1]]),
        "radar": scene.scan([[11, 0, 4.0], [16, 0, 1]], [1.0, 2.0]),
    }
    cuts = cuts_of(scene.frame(measured), car())
    assert [(cut.sensor, cut.sweep, len(cut.xyz)) for cut in cuts] == [("lidar", 0, 2), ("radar", 0, 1)]
    assert cuts_of(scene.frame({}), car()) == []


def test_a_moving_object_is_found_where_it_was_in_each_sweep():
    old = scene.scan([[9.0, 0, 1]], [0.0], stamp=scene.STAMP - 2 * 10**8)
    frame = scene.frame({"radar": scene.scan([[11, 0, 1]], [0.0])}, earlier={"radar": (old,)})
    cuts = cuts_of(frame, car(11.0, speed=10.0))
    assert [cut.sweep for cut in cuts] == [0, 1]
    np.testing.assert_allclose(cuts[1].xyz[0], [11, 0, 1], atol=1e-5)
    again = pasted(
        scene.frame({"radar": scene.scan([], [])}, earlier={"radar": (old.select([]),)}),
        car(11.0, speed=10.0),
        cuts,
    )
    np.testing.assert_allclose(again.earlier["radar"][0].xyz, old.xyz, atol=1e-5)


@pytest.mark.parametrize(("over_ground", "ambiguity"), [(0.0, None), (3.0, None), (3.0, 10.4), (-4.0, 10.4)])
def test_doppler_is_that_of_the_new_speed_and_wraps(over_ground, ambiguity):
    there = scene.scan([[10, 0, 0.5]], [over_ground - 5.0], ambiguity_mps=ambiguity)
    cuts = cuts_of(scene.frame({"radar": there}, speed=5.0), car())
    empty = scene.scan([], [], ambiguity_mps=ambiguity)
    laid = pasted(scene.frame({"radar": empty}, speed=12.0), car(), cuts).measurements["radar"]
    raw = over_ground - 12.0
    expected = raw if ambiguity is None else (raw + 5.2) % 10.4 - 5.2
    assert laid.radial_velocity.tolist() == pytest.approx([expected], abs=1e-4)
    np.testing.assert_allclose(laid.xyz, there.xyz, atol=1e-5)


def test_what_a_driver_compensated_stays():
    there = scene.scan([[10, 0, 0.5]], [3.0], compensated=True)
    cuts = cuts_of(scene.frame({"radar": there}, speed=5.0), car())
    here = scene.frame({"radar": scene.scan([], [], compensated=True)}, speed=12.0)
    assert pasted(here, car(), cuts).measurements["radar"].radial_velocity.tolist() == [3.0]


def test_the_scene_gives_way_and_nearer_objects_hide():
    cuts = cuts_of(scene.frame({"lidar": scene.sweep([[9, 0, 1], [9, 0.5, 1]], 0.9)}), car())
    here = scene.frame(
        {
            "lidar": scene.sweep([[5, 0, 1], [10, 0, 1], [20, 0, 0.5], [20, 9, 1]], 0.1),
            "radar": scene.scan([[10, 0, 1], [20, 0, 1]], [0.0, 0.0]),
        }
    )
    laid = pasted(here, car(), cuts)
    assert laid.measurements["lidar"].intensity.tolist() == pytest.approx([0.1, 0.1, 0.9, 0.9])
    assert len(laid.measurements["radar"].xyz) == 1, "a radar looks past and under"
    before = pasted(here, car(), cuts, car(5.0, 0.0))
    assert before.measurements["lidar"].intensity.tolist() == pytest.approx([0.1, 0.1])

"""Objects of other frames in a frame: truth, points and image alike."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import CLASSES, concatenate_detections, empty_detections, make_detections
from mm_fusion.training.pasting import ObjectPasting, class_weights, is_seen_well
from mm_fusion.training.settings import PasteConfig
from test.inputs import scene
from test.training.frames_of import ListedFrames


def car(x: float, y: float):
    return make_detections(
        1,
        center=np.array([[x, y, 1.0]]),
        size=np.array([[4.0, 2.0, 2.0]]),
        velocity=np.zeros((1, 2)),
        class_id=np.array([CLASSES.index("car")]),
        score=np.ones(1),
    )


def frame_with(cars, value: int, road: float = 0.0, speed: float = 0.0):
    points = [[x, y, road] for x in range(5, 28) for y in (-14, -8, -4, 4, 8, 14)]
    for one in cars:
        x, y = one.center[0, :2]
        points += [[x - 1.9, y + 0.2 * n, 1.0 + road] for n in range(-4, 5)]
    returns = [[*one.center[0, :2], 0.5] for one in cars]
    measured = {
        "lidar": scene.sweep(points),
        "radar": scene.scan(returns, [-speed] * len(returns)),
        "camera": scene.image(value=value),
    }
    return scene.frame(measured, speed=speed)


def listed(here=(), there=(), **more) -> ListedFrames:
    frames = [frame_with(here, 50, **more), frame_with(there, 200)]
    truths = [concatenate_detections(list(each)) if each else empty_detections() for each in (here, there)]
    return ListedFrames(frames, truths)


def pasted(frames, progress: float = 0.0, **settings):
    config = PasteConfig(**{"share": 1.0, **settings})
    pasting = ObjectPasting(frames, scene.config(), config)
    frame, truth = frames[0]
    return pasting(0, frame, truth, np.random.default_rng(0), progress)


def test_a_car_comes_with_truth_points_and_patch():
    found = pasted(listed(there=[car(16, 0)]))
    assert len(found.truth.objects) == 1 and found.truth.extra["occlusion"].tolist() == [0]
    assert found.truth.objects.center[0].tolist() == [16, 0, 1]
    assert len(found.frame.measurements["radar"].xyz) == 1
    xyz = found.frame.measurements["lidar"].xyz + [0, 0, 1.8]
    assert np.count_nonzero((abs(xyz[:, 0] - 14.1) < 0.01) & (abs(xyz[:, 1]) < 0.9)) == 9
    images = np.full((2, 3, 64, 128), 50, np.uint8)
    (patch,) = found.patches
    patch(images)
    assert images[0, 0, 34, 64] == 200 and images[0, 0, 34, 20] == 50


def test_nothing_is_pasted_without_a_donor_a_share_or_after_the_end():
    frames = listed(there=[car(16, 0)])
    for found in (
        pasted(listed()),
        pasted(ListedFrames([frames[0][0]])),
        pasted(frames, share=0.0),
        pasted(frames, progress=0.8),
    ):
        assert not len(found.truth.objects) and found.patches == ()
    assert len(pasted(frames, progress=0.79).truth.objects) == 1


def test_nothing_is_pasted_where_something_stands():
    assert len(pasted(listed(here=[car(16, 0.5)], there=[car(16, 0)])).truth.objects) == 1
    assert len(pasted(listed(here=[car(8, 0)], there=[car(16, 0)])).truth.objects) == 1
    assert len(pasted(listed(here=[car(16, 9)], there=[car(16, 0)])).truth.objects) == 2


def test_no_more_than_wanted():
    cars = [car(10 + 2.5 * abs(n), 3.5 * n) for n in (-3, -2, -1, 0, 1, 2, 3)]
    assert len(pasted(listed(there=cars), at_most=1).truth.objects) == 1
    assert len(pasted(listed(there=cars), at_most=7).truth.objects) > 2


def test_a_car_stands_on_the_ground_that_is_there():
    found = pasted(listed(there=[car(16, 0)], road=0.2))
    assert found.truth.objects.center[0, 2] == pytest.approx(1.2)
    assert np.median(found.frame.measurements["lidar"].xyz[-9:, 2]) == pytest.approx(1.2 - 1.8, abs=1e-4)


def test_without_ego_motion_doppler_cannot_be_told_and_nothing_is_pasted():
    frames = listed(there=[car(16, 0)])
    object.__setattr__(frames[0][0], "ego", None)
    assert not len(pasted(frames).truth.objects)


def test_what_was_hidden_is_not_taken():
    extra = {"occlusion": np.array([0.0, 1, 2, 3, 3]), "visibility": np.array([0.0, 1, 4, 4, 2])}
    truth = TruthFrame(0, "base_link", empty_detections(5), extra)
    assert [is_seen_well(truth, row) for row in range(5)] == [True, True, False, True, False]
    assert is_seen_well(TruthFrame(0, "base_link", empty_detections(1), {}), 0)


def test_rare_classes_are_taken_more_often():
    frames = listed(there=[car(16, 0)])
    assert class_weights(frames)[CLASSES.index("unknown")] == 0
    frames.class_ids = lambda: [np.zeros(100, int), np.ones(4, int)]
    weights = class_weights(frames)
    assert weights[1] / weights[0] == pytest.approx(5)

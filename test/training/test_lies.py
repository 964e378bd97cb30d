"""Sensors that are present and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.training.lies import SensorLies
from test.inputs import scene
from test.training.frames_of import ListedFrames

LATER = 10**8


def listed(count: int = 3) -> ListedFrames:
    frames = []
    for n in range(count):
        stamp = scene.STAMP + n * LATER
        measured = {
            "camera": scene.image(value=50 + n),
            "lidar": scene.sweep([[5 + n, 0, 1], [2, 3 + n, 1]], stamp=stamp),
            "radar": scene.scan([[9 + n, 0, 1], [1, 4, 1]], [1.0, 2.0], stamp=stamp),
        }
        frames.append(scene.frame(measured, stamp_ns=stamp, age_ns=dict.fromkeys(measured, 0)))
    return ListedFrames(frames)


def told(lie: str, name: str, frames: ListedFrames, number: int = 1):
    lies = SensorLies(frames, scene.config(), 1.0)
    frame = frames[number][0]
    return frame, lies.lying(lie, number, frame, [name], np.random.default_rng(1))


def test_nothing_to_lie_with_and_a_share_of_zero():
    rng = np.random.default_rng(0)
    empty = ListedFrames([scene.frame({})])
    frame = empty[0][0]
    assert SensorLies(empty, scene.config(), 1.0)(0, frame, rng) == (frame, frozenset())
    frames = listed()
    assert SensorLies(frames, scene.config(), 0.0)(0, frames[0][0], rng) == (frames[0][0], frozenset())


def test_all_of_a_kind_lie_and_the_others_are_untouched():
    frames = listed()
    lies, rng = SensorLies(frames, scene.config(), 1.0), np.random.default_rng(0)
    liars = set()
    for _ in range(60):
        frame, names = lies(1, frames[1][0], rng)
        liars |= names
        for name in set(frame.measurements) - names:
            assert frame.measurements[name] is frames[1][0].measurements[name]
    assert liars == {"camera", "lidar", "radar"}


@pytest.mark.parametrize("name", ["lidar", "radar"])
def test_frozen_is_the_moment_before_with_the_stamp_of_now(name):
    frames = listed()
    frame, lying = told("frozen", name, frames)
    item = lying.measurements[name]
    assert np.array_equal(item.xyz, frames[0][0].measurements[name].xyz)
    assert item.stamp_ns == frame.measurements[name].stamp_ns and lying.age_ns == frame.age_ns


def test_frozen_takes_the_oldest_sweep_where_there_are_some():
    frames = listed()
    frame = frames[1][0]
    old = scene.sweep([[7, 7, 1]], stamp=frame.stamp_ns - 3 * LATER)
    object.__setattr__(frame, "earlier", {"lidar": (frames[0][0].measurements["lidar"], old)})
    _, lying = told("frozen", "lidar", frames)
    assert np.array_equal(lying.measurements["lidar"].xyz, old.xyz) and "lidar" not in lying.earlier


def test_another_frame_shows_another_image():
    frames = listed(2)
    _, lying = told("another", "camera", frames, 0)
    assert lying.measurements["camera"].pixels[0, 0, 0] == 51


def test_a_shifted_sensor_is_knocked_by_degrees_and_metres():
    frame, lying = told("shifted", "radar", listed())
    one, other = (each.calibration.base_from_sensor["radar"] for each in (frame, lying))
    assert 0.5 <= np.linalg.norm(other[:3, 3] - one[:3, 3]) <= 3
    assert 3 <= abs(np.degrees(np.arctan2(other[1, 0], other[0, 0]))) <= 10
    assert lying.measurements is frame.measurements


def test_noise_keeps_directions_and_loses_ranges():
    frames = listed()
    frame, lying = told("noise", "lidar", frames)
    one, other = frame.measurements["lidar"].xyz, lying.measurements["lidar"].xyz
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, other)]
    np.testing.assert_allclose(*units, atol=1e-6)
    _, lying = told("noise", "camera", frames)
    assert lying.measurements["camera"].pixels.std() > 60

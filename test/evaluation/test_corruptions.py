"""Conditions on frames whose every value is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import empty_detections
from mm_fusion.evaluation.conditions import parse_conditions
from mm_fusion.evaluation.corrupted_payloads import damaged, image_depth
from mm_fusion.evaluation.corruptions import Corruptor
from mm_fusion.evaluation.labelled_data import LabelledData
from mm_fusion.evaluation.matching import REGIONS
from mm_fusion.frame import Frame
from mm_fusion.geometry.motion import log_twist
from test.inputs import scene

SECOND = 10**9


def frame_at(number: int, stamp: int, earlier: bool = True) -> Frame:
    """Frame `number`: its LiDAR point at 10 + number m, an earlier sweep 0.1 s before at 9.9 + number."""
    xyz = [[10.0 + number, 0, 1], [0, 10.0, 1], [-9.0, 3, 0.5]]
    items = {
        "lidar": scene.sweep(xyz, stamp=stamp),
        "radar": scene.scan([[20.0 + number, 0, 1], [30, 3, 1]], [number, 0], stamp=stamp),
        "camera": scene.image(age_s=(scene.STAMP - stamp) * 1e-9, value=10 * number),
    }
    older = (scene.sweep([[9.9 + number, 0, 1]], stamp=stamp - SECOND // 10),)
    ages = dict.fromkeys(items, 0)
    return scene.frame(items, stamp_ns=stamp, age_ns=ages, earlier={"lidar": older} if earlier else {})


class Kept:
    """Frames in memory."""

    vehicle = scene.vehicle()

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        frame = self._frames[number]
        return frame, TruthFrame(frame.stamp_ns, "base_link", empty_detections(), {})


def data(earlier: bool = True) -> LabelledData:
    """Two drives of three frames, a second apart."""
    frames = [frame_at(n, scene.STAMP + n * SECOND + 100 * SECOND * (n // 3), earlier) for n in range(6)]
    run = np.array([0, 0, 0, 1, 1, 1])
    return LabelledData(Path("kept"), Kept(frames), REGIONS["everywhere"], run, "digest")


def applied(name: str, number: int = 1, where: LabelledData | None = None) -> tuple[Frame, int, int]:
    return Corruptor(where or data(), parse_conditions(name)[0]).apply(number)


def first_x(frame: Frame, name: str = "lidar") -> float:
    """x of a sensor's first point in its own frame."""
    return float(frame.measurements[name].xyz[0, 0])


def test_a_lost_kind_is_absent() -> None:
    frame, done, wanted = applied("cameras_lost")
    assert not frame.available["camera"] and frame.available["lidar"] and (done, wanted) == (1, 1)


def test_a_wrong_sensor_shows_another_drive_under_its_own_stamp() -> None:
    frame, done, _ = applied("lidar_wrong", 1)
    assert done == 1 and first_x(frame) == pytest.approx(14) and frame.age_ns["lidar"] == 0
    assert frame.earlier["lidar"][0].stamp_ns == frame.stamp_ns - SECOND // 10
    assert first_x(frame, "radar") == pytest.approx(19)


@pytest.mark.parametrize(
    ("name", "degrees", "metres"), [("turned", 1, 0), ("shifted", 0, 0.1), ("decalibrated", 1, 0.1)]
)
def test_decalibration_has_its_stated_size_through_a_drive(name: str, degrees: float, metres: float) -> None:
    errors = []
    for number in (0, 1):
        frame, _, _ = applied(f"{name}_camera", number)
        errors.append(np.linalg.inv(scene.BASE_FROM_CAMERA) @ frame.calibration.base_from_sensor["camera"])
    assert np.allclose(errors[0], errors[1])
    shift, turn = log_twist(errors[0], 1.0)
    assert np.degrees(np.linalg.norm(turn)) == pytest.approx(degrees, abs=1e-6)
    assert np.linalg.norm(errors[0][:3, 3]) == pytest.approx(metres, abs=1e-3)
    assert np.isfinite(shift).all()


def test_rotation_by_severity_is_the_simulators() -> None:
    frame, _, _ = applied("rotation@radar:3")
    error = np.linalg.inv(scene.PLACES["radar"]) @ frame.calibration.base_from_sensor["radar"]
    assert np.degrees(np.linalg.norm(log_twist(error, 1.0)[1])) == pytest.approx(4)


def test_a_delay_shows_the_sweep_of_before_rightly_stamped() -> None:
    frame, done, _ = applied("delay@lidar:1")  # 80 ms; the earlier sweep is 100 ms old
    assert done == 1 and first_x(frame) == pytest.approx(10.9) and frame.age_ns["lidar"] == SECOND // 10


def test_what_is_too_late_is_absent_or_told_as_not_struck() -> None:
    frame, done, wanted = applied("delay@camera:1")
    assert (done, wanted) == (0, 1) and frame.available["camera"]
    frame, done, _ = applied("delay@lidar:3")  # 600 ms: the frame of a second before is near nothing
    assert done == 0


def test_a_clock_offset_is_old_content_with_a_late_stamp() -> None:
    frame, _, _ = applied("clock_offset@lidar:2")  # 100 ms
    assert first_x(frame) == pytest.approx(10.9) and frame.age_ns["lidar"] == 0
    frame, _, _ = applied("clock_offset@radar:2")  # nothing older is known: the stamp alone
    assert first_x(frame, "radar") == pytest.approx(19) and frame.age_ns["radar"] == -SECOND // 10


def test_a_clock_jump_and_a_full_drop_leave_nothing() -> None:
    for name in ("clock_jump@radar:1", "drop@radar:3"):
        frame, done, _ = applied(name)
        assert not frame.available["radar"] and done == 1, name


def test_a_dropped_sweep_leaves_the_one_before() -> None:
    shown = [
        first_x(applied("drop@lidar:2", n)[0]) - n
        for n in range(6)
        if "lidar" in applied("drop@lidar:2", n)[0].measurements
    ]
    assert set(np.round(shown, 1)) <= {10.0, 9.9} and len(shown) < 6


def test_a_frozen_sensor_keeps_the_drives_first_payload() -> None:
    frame, done, _ = applied("freeze@lidar:3", 5)
    assert done == 1 and first_x(frame) == pytest.approx(13) and frame.age_ns["lidar"] == 0


def test_another_frame_is_of_the_same_drive() -> None:
    frame, done, _ = applied("other_frame@lidar:3", 4)
    assert done == 1 and round(first_x(frame)) in (13, 15) and frame.age_ns["lidar"] == 0


def test_payload_faults_are_the_simulators_and_repeat() -> None:
    for kind, value in (
        ("lidar", lambda f: f.measurements["lidar"].xyz),
        ("camera", lambda f: f.measurements["camera"].pixels),
    ):
        one, again = (applied(f"noise@{kind}:2")[0] for _ in range(2))
        assert np.array_equal(value(one), value(again)), kind
        assert not np.array_equal(value(one), value(data().frames[1][0])), kind
        assert not np.array_equal(value(one)[:1], value(applied(f"noise@{kind}:2", 2)[0])[:1]), kind


def test_without_a_kind_each_drive_has_its_own() -> None:
    struck = [applied("clock_jump", number)[0].available for number in (0, 3)]
    gone = [[name for name, there in available.items() if not there] for available in struck]
    assert [len(names) for names in gone] == [1, 1] and gone[0] != gone[1]


def test_fog_hides_what_is_far_and_strikes_every_sensor() -> None:
    where = data()
    depth = image_depth(where.frames[0][0], "camera", (64, 128))
    assert depth[60, 64] < 6 and depth[2, 2] > 1000  # the ground below, the sky above
    assert depth[34:38, 62:66].min() == pytest.approx(9, abs=0.5)  # the point 10 m ahead, 9 m from the camera
    frame, done, wanted = applied("fog:3")
    grey = frame.measurements["camera"].pixels
    assert done == wanted == 3 and abs(int(grey[2, 2, 0]) - 205) < 3 and grey[62, 64, 0] < 120


def test_damaged_clouds_are_refused_or_partly_noise() -> None:
    sweep = scene.sweep(np.tile([[10.0, 0, 1]], (200, 1)))
    found = [damaged(sweep, np.random.default_rng(seed)) for seed in range(12)]
    kept = [item for item in found if item is not None]
    assert 0 < len(kept) < 12
    for item in kept:
        assert np.isfinite(item.xyz).all() and len(item.xyz) <= 200
        assert (item.xyz[0] == sweep.xyz[0]).all()


def test_every_condition_can_be_applied_to_every_frame() -> None:
    where = data(earlier=False)
    for condition in parse_conditions("all"):
        frame, done, wanted = Corruptor(where, condition).apply(2)
        assert 0 <= done <= wanted and set(frame.measurements) <= set(frame.kinds), condition
        assert all(frame.available[name] == (name in frame.measurements) for name in frame.kinds), condition

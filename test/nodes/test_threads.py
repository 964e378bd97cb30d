"""The thread that detects: newest wins, what is left out is counted, errors cost frames, never the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

from mm_fusion.detections import FusionResult, empty_detections
from mm_fusion.errors import BackendError, DropLog
from mm_fusion.frame import Calibration, Frame
from mm_fusion.nodes.load import Load
from mm_fusion.nodes.stages import Stages
from mm_fusion.nodes.threads import FRAMES, GIVE_UP, SHED_FRAMES, DetectThread, Handover
from mm_fusion.pipeline import Pipeline


class OnePlace(Pipeline):
    """A pipeline of which only detection is asked for; `gate` holds it up, `fails` makes it raise."""

    def __init__(self) -> None:
        self.drops = DropLog()
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.without: list[tuple[str, ...]] = []
        self.examined = self.fails = 0
        self.error: Exception = BackendError("the device is gone")

    def detect(self, frame: Frame, without: Collection[str] = ()) -> FusionResult:
        self.began.set()
        assert self.gate.wait(5.0)
        self.without.append(tuple(without))
        if self.fails:
            self.fails -= 1
            raise self.error
        return FusionResult(frame.stamp_ns, "base_link", {}, {}, empty_detections(), "-", {})

    def examine(self) -> None:
        self.examined += 1


class Rig:
    """A thread at work on frames with stamps 1, 2, 3 ..."""

    def __init__(self) -> None:
        self.pipeline, self.load = OnePlace(), Load(1e4, ("left", "right"))
        self.results: list[int] = []
        self.errors: list[Exception] = []
        self.idle = 0
        self.thread = DetectThread(
            self.pipeline, Stages(), self.load, self.keep, self.count, self.errors.append
        )
        self.thread.start()

    def keep(self, handover: Handover, result: FusionResult) -> None:
        self.results.append(result.stamp_ns)

    def count(self) -> None:
        self.idle += 1

    def offer(self, stamp_ns: int) -> None:
        frame = Frame(stamp_ns, {}, {}, {}, {}, Calibration())
        self.thread.offer(Handover(frame, time.perf_counter_ns(), time.perf_counter_ns()))

    def one_by_one(self, *stamps_ns: int) -> None:
        for stamp_ns in stamps_ns:
            before = len(self.pipeline.without)
            self.offer(stamp_ns)
            until(lambda n=before: len(self.pipeline.without) > n)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def rig():
    made = Rig()
    yield made
    made.pipeline.gate.set()
    made.thread.stop()


def test_without_frames_nothing_happens(rig: Rig) -> None:
    time.sleep(0.02)
    assert rig.results == [] and rig.pipeline.drops.counts() == {}


def test_what_can_wait_is_done_after_the_result(rig: Rig) -> None:
    rig.one_by_one(1)
    until(lambda: rig.idle == 1)
    assert rig.results == [1] and rig.pipeline.examined == 1


def test_the_newest_frame_wins_and_the_others_are_counted(rig: Rig) -> None:
    rig.pipeline.gate.clear()
    rig.offer(1)
    assert rig.pipeline.began.wait(5.0)
    for stamp_ns in (2, 3, 4):
        rig.offer(stamp_ns)
    rig.pipeline.gate.set()
    until(lambda: rig.results == [1, 4])
    assert rig.pipeline.drops.counts() == {FRAMES: {"superseded": 2}}


def test_what_load_leaves_out_is_left_out_and_counted(rig: Rig) -> None:
    rig.load.shed = replace(rig.load.shed, level=4, cameras=("right",), keep_every=2)
    for stamp_ns in (1, 2, 3, 4):
        rig.offer(stamp_ns)
        time.sleep(0.05)
    until(lambda: len(rig.results) == 2)
    assert rig.results == [2, 4] and rig.pipeline.without == [("right",)] * 2
    assert rig.pipeline.drops.counts() == {SHED_FRAMES: {"superseded": 2}}


def test_what_messages_cause_costs_frames_alone(rig: Rig) -> None:
    rig.pipeline.fails, rig.pipeline.error = 3 * GIVE_UP, ValueError("a strange cloud")
    rig.one_by_one(*range(1, 3 * GIVE_UP + 2))
    until(lambda: rig.results == [3 * GIVE_UP + 1])
    assert len(rig.errors) == 3 * GIVE_UP and rig.thread.broken == ""


def test_errors_cost_their_frames_and_many_in_a_row_are_said(rig: Rig) -> None:
    rig.pipeline.fails = GIVE_UP - 1
    rig.one_by_one(*range(1, GIVE_UP + 1))
    until(lambda: rig.results == [GIVE_UP])
    assert len(rig.errors) == GIVE_UP - 1 and rig.thread.broken == ""
    rig.pipeline.fails = GIVE_UP
    rig.one_by_one(*range(11, 11 + GIVE_UP))
    until(lambda: rig.thread.broken != "")
    assert "the device is gone" in rig.thread.broken

"""The collector on small sequences with known frames: opening, waiting and content."""

from __future__ import annotations

import random

import pytest

from mm_fusion.alignment.collector import Collector
from mm_fusion.alignment.sensor_state import SensorTiming
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import ConfigurationError, DropLog
from test.alignment.scene import MS, S, Scene, periodic


def test_nothing_comes_of_nothing() -> None:
    scene = Scene()
    assert scene.collector.next_due_ns() is None
    assert scene.collector.poll(5 * S) == []
    assert scene.finish() == []
    assert {state.liveness for state in scene.collector.states().values()} == {"never"}


def test_a_reference_that_is_no_sensor_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match="'sonar'"):
        Scene(reference=["sonar"])


def test_one_instant_is_one_frame_even_with_equal_stamps() -> None:
    scene = Scene()
    for sensor in ("camera", "lidar", "radar"):
        scene.add(sensor, 1000, 1010)
    assert scene.frames == []
    assert scene.collector.poll(1010 * MS) == []
    assert scene.collector.next_due_ns() == 1010 * MS + 1
    scene.until(1011)
    assert scene.taken() == [{"lidar": 1000, "camera": 1000, "radar": 1000}]
    assert scene.frames[0].reason == "complete"


def test_a_frame_takes_the_nearest_and_the_earlier_of_two() -> None:
    scene = Scene("lidar camera")
    scene.play([("camera", 960, 965), ("camera", 1040, 1041), ("lidar", 1000, 1042)])
    assert scene.finish() == [{"lidar": 1000, "camera": 960}]


def test_what_is_older_than_max_age_is_absent() -> None:
    scene = Scene("lidar camera")
    scene.play([("camera", 840, 850), ("lidar", 1000, 1010)])
    assert scene.finish() == [{"lidar": 1000}]


def test_reference_offset_moves_the_frame_but_not_the_opening_message() -> None:
    scene = Scene("lidar camera", reference_offset_ms=50)
    scene.play([("camera", 1000, 1001), ("camera", 1050, 1051), ("lidar", 1000, 1052), ("lidar", 1040, 1060)])
    assert scene.finish() == [{"lidar": 1000, "camera": 1050}]
    assert scene.stamps_ms == [1050]


@pytest.mark.parametrize(("hz", "wanted"), [(10, 50), (20, 50), (12, 60), (5, 25)])
def test_opening_keeps_to_the_rate(hz: float, wanted: int) -> None:
    scene = Scene("lidar", given_ms=1000 / hz)
    scene.play(periodic("lidar", 0, 5000, 1000 / hz))
    scene.finish()
    assert len(scene.frames) == pytest.approx(wanted, abs=1)


def test_ten_hertz_with_jitter_loses_none() -> None:
    draw = random.Random(3)
    times = [k * 100 + draw.uniform(-22, 22) for k in range(100)]
    scene = Scene("lidar")
    scene.play([("lidar", time, time + 20) for time in times])
    assert len(scene.finish()) == 100


def test_a_frame_waits_for_what_is_alive_and_goes_when_it_came() -> None:
    scene = Scene("lidar camera")
    scene.play(periodic("lidar", 0, 3000) + periodic("camera", 10, 3000, latency=50))
    assert scene.finish()[5:-1] == [{"lidar": k * 100, "camera": k * 100 + 10} for k in range(5, 29)]
    assert scene.delays_ms[10] == pytest.approx(40, abs=0.01)


def test_the_budget_ends_the_wait() -> None:
    scene = Scene("lidar camera", budget_ms=30)
    calls = periodic("lidar", 0, 3000) + periodic("camera", 0, 2950, latency=20)
    calls.remove(("camera", 2000, 2020))
    scene.play(calls)
    frame = scene.stamps_ms.index(2000)
    assert scene.frames[frame].reason == "deadline"
    assert scene.delays_ms[frame] == 30
    assert scene.taken()[frame] == {"lidar": 2000, "camera": 1900}


def test_what_is_expected_after_the_deadline_is_not_waited_for() -> None:
    scene = Scene("lidar radar", budget_ms=60)
    scene.play(periodic("lidar", 0, 5000) + periodic("radar", 0, 5000, 500))
    scene.until(5010)
    index = scene.stamps_ms.index(3100)
    assert scene.delays_ms[index] < 0.01
    assert scene.taken()[index] == {"lidar": 3100, "radar": 3000}


def test_a_sensor_that_never_sent_is_not_waited_for() -> None:
    scene = Scene("lidar camera")
    scene.play(periodic("lidar", 0, 1000))
    scene.until(1000)
    assert len(scene.frames) == 10
    assert max(scene.delays_ms) < 0.01


def test_a_silent_sensor_costs_nothing_and_one_message_wakes_it() -> None:
    scene = Scene("lidar camera", budget_ms=90)
    away = [call for call in periodic("camera", 5, 6000, latency=40) if not 2000 < call[1] < 4000]
    scene.play(periodic("lidar", 0, 6000) + away)
    scene.until(6100)
    frames = dict(zip(scene.stamps_ms, zip(scene.delays_ms, scene.taken())))
    assert len(frames) == 60
    for stamp in range(2400, 4000, 100):
        delay, taken = frames[stamp]
        assert delay < 0.01 and set(taken) == {"lidar"}
    assert frames[4100][1] == {"lidar": 4100, "camera": 4105}
    assert scene.collector.states()["camera"].liveness == "alive"


def test_the_next_reference_opens_before_silence_is_declared_and_the_first_comes_back() -> None:
    scene = Scene("lidar camera", reference=["lidar", "camera"])
    lidar = [call for call in periodic("lidar", 0, 4000) if not 1000 <= call[1] < 2000]
    scene.play(lidar + periodic("camera", 30, 4000))
    scene.until(4000)
    steps = [b - a for a, b in zip(scene.stamps_ms, scene.stamps_ms[1:])]
    assert max(steps) <= 230
    assert scene.stamps_ms[-1] % 100 == 0
    assert {s % 100 for s in scene.stamps_ms if 1200 < s < 2000} == {30}


def test_with_no_reference_nothing_is_released_and_with_none_alive_all_are_silent() -> None:
    scene = Scene("lidar camera")
    scene.play(periodic("camera", 0, 1000))
    assert scene.finish() == []
    scene.until(5000)
    assert scene.collector.states()["camera"].liveness == "silent"
    assert scene.collector.states()["lidar"].liveness == "never"


def test_a_host_that_stalls_gets_the_same_frames_later() -> None:
    calls = periodic("lidar", 0, 5000) + periodic("camera", 33, 5000) + periodic("radar", 40, 5000, 70)
    polled, stalled = Scene(), Scene()
    polled.play(calls)
    for sensor, time, receipt in sorted(calls, key=lambda call: call[2]):
        stalled.frames += stalled.collector.add(sensor, time * MS, round(receipt * MS), None)
    assert stalled.finish() == polled.finish()


def test_sweeps_come_newest_first_and_only_recent_ones() -> None:
    timings = {"lidar": SensorTiming(150 * MS, sweeps=3)}
    collector = Collector(timings, AlignmentConfig(reference=["lidar"]), DropLog())
    frames = []
    for time in (0, 2000, 2100, 2200, 2300):
        frames += collector.add("lidar", time * MS, (time + 10) * MS, None)
    frames += collector.flush()
    ages = [[(r.stamp_ns - item.time_ns) // MS for item in r.earlier.get("lidar", ())] for r in frames]
    assert ages == [[], [], [100], [200 - 100, 200], [100, 200, 300]]


ASTYX_GAPS_MS = [
    99.4,
    600,
    100,
    2500,
    300,
    20_000,
    20_000,
    99.4,
    15_000,
    650,
    99.4,
    99.4,
    1200,
    20_000,
    100.1,
    700,
]


@pytest.mark.parametrize("given_ms", [None, 100, 250, 600, 20_000])
@pytest.mark.parametrize(
    "reference", [["lidar"], ["camera"], ["radar", "lidar", "camera"], ["lidar", "camera"]]
)
@pytest.mark.parametrize("seed", range(4))
def test_irregular_frames_of_one_stamp_and_receipt_come_out_whole(
    given_ms: float | None, reference: list[str], seed: int
) -> None:
    draw = random.Random(seed)
    gaps = draw.choices(ASTYX_GAPS_MS, k=60)
    sensors = ["camera", "lidar", "radar"]
    scene = Scene(given_ms=given_ms, reference=reference)
    stamp, stamps = 1e7, []
    for gap in gaps:
        stamp = round(stamp + gap, 1)
        stamps.append(stamp)
        draw.shuffle(sensors)
        for sensor in sensors:
            scene.add(sensor, stamp, stamp + 51)
    assert scene.finish() == [pytest.approx(dict.fromkeys(("lidar", "camera", "radar"), s)) for s in stamps]
    assert scene.drops.counts() == {}


@pytest.mark.parametrize("reference", [["lidar"], ["lidar", "radar", "camera"]])
@pytest.mark.parametrize("seed", range(6))
def test_irregular_frames_that_trickle_in_come_out_whole_with_a_long_given_period(
    reference: list[str], seed: int
) -> None:
    """What a vehicle file says for a recording of single frames: any interval, nobody silent for 25 s."""
    timing = SensorTiming(50 * MS, period_ns=250 * MS, jitter_ns=250 * MS)
    alignment = AlignmentConfig(reference=reference, budget_ms=400, silent_periods=100)
    drops = DropLog()
    sensors = ["camera", "lidar", "radar"]
    collector = Collector(dict.fromkeys(sensors, timing), alignment, drops)
    draw = random.Random(seed)
    stamp, wanted, latest = 0.0, [], 0
    frames = [release for name in sensors for release in collector.add(name, 0, 30 * MS, None)]
    for gap in draw.choices(ASTYX_GAPS_MS, k=80):
        stamp += gap
        wanted.append(round(stamp * MS))
        draw.shuffle(sensors)
        for latency in sorted(draw.uniform(5, 90) for _ in sensors):
            latest = max(latest, round((stamp + latency) * MS))
            frames += collector.add(sensors.pop(), wanted[-1], latest, None)
        sensors = ["camera", "lidar", "radar"]
    frames += collector.flush()
    assert [release.stamp_ns for release in frames] == [0, *wanted]
    assert all(len(release.chosen) == 3 for release in frames)
    assert drops.counts() == {}


def test_a_logged_list_of_calls_replays_to_the_same_frames() -> None:
    draw = random.Random(11)
    calls = periodic("lidar", 0, 8000) + periodic("camera", 33, 8000, 66) + periodic("radar", 5, 8000, 77)
    jittered = [(s, t, r + draw.uniform(0, 40)) for s, t, r in calls]
    log: list[tuple[str, int, int]] = []
    live = Scene(reference=["lidar", "camera"])
    for sensor, time, receipt in sorted(jittered, key=lambda call: call[2]):
        if not 3000 < time < 4000 or sensor != "lidar":
            live.add(sensor, time, receipt)
            log.append((sensor, round(time * MS), round(receipt * MS)))
    live.finish()
    replayed = Scene(reference=["lidar", "camera"])
    for sensor, time_ns, receipt_ns in log:
        replayed.frames += replayed.collector.add(sensor, time_ns, receipt_ns, (sensor, time_ns / MS))
    replayed.finish()
    assert [(r.stamp_ns, r.reason) for r in replayed.frames] == [(r.stamp_ns, r.reason) for r in live.frames]
    assert replayed.taken() == live.taken()
    assert replayed.drops.counts() == live.drops.counts()

"""The collector under odd stamps, jumping clocks, loops and stalled hosts."""

from __future__ import annotations

import pytest

from test.alignment.scene import MS, S, Scene, periodic


def test_out_of_order_but_not_late_is_sorted_in() -> None:
    scene = Scene("lidar camera", budget_ms=30)
    scene.play([("camera", 990, 991), ("camera", 1005, 1006), ("camera", 1001, 1007), ("lidar", 1000, 1020)])
    assert scene.finish() == [{"lidar": 1000, "camera": 1001}]
    assert scene.drops.counts() == {}


def test_a_duplicate_is_dropped_and_counted() -> None:
    scene = Scene("lidar")
    scene.play([("lidar", 1000, 1010), ("lidar", 1000, 1011), ("lidar", 1100, 1110), ("lidar", 1000, 1111)])
    assert len(scene.finish()) == 2
    assert scene.drops.counts() == {"lidar": {"duplicate": 1, "late": 1}}


def test_late_is_dropped_and_counted() -> None:
    scene = Scene("lidar camera")
    scene.play(
        periodic("lidar", 0, 2000) + [("camera", 0, 20), ("camera", 1000, 1500), ("camera", 1520, 1525)]
    )
    scene.finish()
    assert scene.drops.counts() == {"camera": {"late": 1}}


def test_a_sensor_that_always_comes_too_late_costs_nothing() -> None:
    scene = Scene("lidar camera", budget_ms=90, future_ms=2000)
    scene.play(periodic("lidar", 0, 4000) + periodic("camera", 0, 4000, latency=600))
    scene.until(4000)
    assert len(scene.frames) == 40
    assert max(scene.delays_ms[15:]) < 0.01
    assert scene.drops.counts()["camera"]["late"] > 25
    assert scene.collector.states()["camera"].latency_p50_ms == 600


@pytest.mark.parametrize("sensors", ["lidar camera", "lidar camera radar c2 c3 c4 c5"])
def test_slow_cameras_do_not_turn_a_quick_lidar_into_one_from_the_future(sensors: str) -> None:
    scene = Scene(sensors, budget_ms=300)
    latency = {sensor: 20.0 if sensor in ("lidar", "radar") else 260.0 for sensor in sensors.split()}
    scene.play([call for sensor in latency for call in periodic(sensor, 0, 4000, latency=latency[sensor])])
    assert len(scene.finish()) == 40
    assert all(set(frame) == set(sensors.split()) for frame in scene.taken()[4:])
    assert all(drops == {"late": 1} for drops in scene.drops.counts().values())


def test_a_lagging_preferred_reference_gets_its_place_back() -> None:
    scene = Scene("lidar camera", reference=["lidar", "camera"])
    lidar = [call for call in periodic("lidar", 0, 6000, latency=300) if not 2000 < call[1] < 3000]
    scene.play(lidar + periodic("camera", 30, 6000))
    scene.finish()
    assert {s % 100 for s in scene.stamps_ms if 1000 < s < 2000 or 4000 < s} == {0}
    assert {s % 100 for s in scene.stamps_ms if 2400 < s < 3000} == {30}


def test_future_is_dropped_and_counted() -> None:
    scene = Scene("lidar camera")
    scene.play(periodic("lidar", 0, 2000) + periodic("camera", 0, 1900) + [("camera", 2200, 1950)])
    scene.finish()
    assert scene.drops.counts() == {"camera": {"future": 1}}
    assert "stamp_offset_ms" in next(iter(scene.drops.texts().values()))


@pytest.mark.parametrize("jump_s", [10, -10, 37, -0.6, 1e9])
def test_one_jumping_sensor_resets_alone(jump_s: float) -> None:
    scene = Scene()
    camera = [
        (s, t + (jump_s * 1000 if 2000 <= t < 4000 else 0), r) for s, t, r in periodic("camera", 0, 6000)
    ]
    scene.play(periodic("lidar", 0, 6000) + periodic("radar", 0, 6000) + camera)
    taken = scene.finish()
    assert scene.collector.resets == 0
    assert len(taken) == 60
    assert all({"lidar", "radar"} <= set(frame) for frame in taken)
    assert taken[-1] == {"lidar": 5900, "camera": 5900, "radar": 5900}
    assert sum("camera" in frame for frame in taken) >= 35


@pytest.mark.parametrize("jump_s", [10, -10, 37])
def test_a_jumping_reference_resets_alone_and_the_next_takes_over(jump_s: float) -> None:
    scene = Scene(reference=["lidar", "camera"])
    lidar = [(s, t + (jump_s * 1000 if 2000 <= t < 4000 else 0), r) for s, t, r in periodic("lidar", 0, 6000)]
    scene.play(lidar + periodic("camera", 10, 6000) + periodic("radar", 20, 6000))
    scene.finish()
    assert scene.collector.resets == 0
    steps = [b - a for a, b in zip(scene.stamps_ms, scene.stamps_ms[1:])]
    assert 0 < min(steps) and max(steps) <= 310
    assert {s % 100 for s in scene.stamps_ms if 2300 < s < 4000} == {10}
    assert scene.stamps_ms[-1] % 100 == 0


def test_a_first_sensor_far_ahead_does_not_hold_up_the_others() -> None:
    scene = Scene(reference=["lidar", "camera"])
    ahead = [(s, t + 37_000, r) for s, t, r in periodic("lidar", 0, 4000)]
    scene.play(ahead + periodic("camera", 10, 4000) + periodic("radar", 20, 4000))
    scene.finish()
    assert len([s for s in scene.stamps_ms if s < 5000]) >= 35


def test_a_clock_on_tai_is_named_with_the_offset_that_cures_it() -> None:
    scene = Scene()
    ahead = [(s, t + 37_000, r) for s, t, r in periodic("camera", 0, 3000)]
    scene.play(periodic("lidar", 0, 3000) + ahead + periodic("radar", 0, 3000))
    scene.finish()
    states = scene.collector.states()
    assert states["camera"].suggested_stamp_offset_ms == -37_000
    assert states["lidar"].suggested_stamp_offset_ms is None
    assert set(scene.drops.counts()) == {"camera"}


def test_all_on_another_clock_is_no_offset() -> None:
    scene = Scene("lidar camera")
    old = [(s, t, r + 1e9) for s, t, r in periodic("lidar", 0, 3000) + periodic("camera", 0, 3000)]
    scene.play(old)
    assert len(scene.finish()) == 30
    assert scene.drops.counts() == {}
    assert all(state.suggested_stamp_offset_ms is None for state in scene.collector.states().values())


def test_a_bag_that_loops_resets_everything_once_per_loop() -> None:
    scene = Scene()
    once = periodic("lidar", 0, 5000) + periodic("camera", 10, 5000) + periodic("radar", 20, 5000, 80)
    for loop in range(3):
        scene.play([(s, t, r + loop * 5000) for s, t, r in once])
    scene.finish()
    assert scene.collector.resets == 2
    assert len(scene.frames) >= 3 * 50 - 2


def test_a_single_sensor_that_loops_resets_everything() -> None:
    scene = Scene("lidar")
    for loop in range(2):
        scene.play([(s, t, r + loop * 5000) for s, t, r in periodic("lidar", 0, 5000)])
    assert len(scene.finish()) == 100
    assert scene.collector.resets == 1


def test_receipt_time_that_goes_back_resets_everything_and_loses_no_frame() -> None:
    scene = Scene()
    once = periodic("lidar", 0, 5000) + periodic("camera", 10, 5000) + periodic("radar", 20, 5000)
    for _ in range(3):
        for call in sorted(once, key=lambda call: call[2]):
            scene.frames += scene.collector.add(call[0], call[1] * MS, round(call[2] * MS), None)
    scene.finish()
    assert scene.collector.resets == 2
    assert len(scene.frames) == 150


def test_advance_makes_an_instant_and_resets_like_a_measurement() -> None:
    scene = Scene("lidar")
    scene.add("lidar", 1000, 1010)
    assert scene.collector.advance(1010 * MS) == []
    assert len(scene.collector.advance(1020 * MS)) == 1
    assert scene.collector.next_due_ns() == 1020 * MS + 1
    scene.collector.advance(0)
    assert scene.collector.resets == 1


def test_a_forward_jump_of_all_is_followed_within_a_second() -> None:
    scene = Scene()
    once = periodic("lidar", 0, 3000) + periodic("camera", 10, 3000) + periodic("radar", 20, 3000)
    later = [(s, t + 100_000, r + 3000) for s, t, r in once]
    scene.play(once + later)
    scene.finish()
    assert len([stamp for stamp in scene.stamps_ms if stamp >= 100_000]) >= 20
    assert scene.stamps_ms == sorted(scene.stamps_ms)


@pytest.mark.parametrize("stamp_ns", [-5 * S, -(2**62), 2**62, 0])
def test_a_first_stamp_out_of_this_world_is_survived(stamp_ns: int) -> None:
    scene = Scene(reference=["lidar", "camera"])
    start = 1_700_000_000_000
    scene.frames += scene.collector.add("lidar", stamp_ns, start * MS, None)
    scene.play(
        [(s, t + start, r + start) for s, t, r in periodic("lidar", 5, 3000) + periodic("camera", 10, 3000)]
    )
    scene.finish()
    assert len([s for s in scene.stamps_ms if start <= s < start + 3000]) >= 20


def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    scene = Scene("lidar camera", queue=8)
    scene.play(periodic("camera", 0, 2000, 50))
    assert scene.drops.counts() == {"camera": {"queue_full": 32}}


def test_coarse_simulated_time_gives_the_frames_of_fine_receipt_times() -> None:
    calls = periodic("lidar", 0, 5000) + periodic("camera", 33, 5000, 66) + periodic("radar", 5, 5000, 77)
    coarse = [(s, t, 10.0 * -(-r // 10)) for s, t, r in calls]
    fine, simulated = Scene(budget_ms=200), Scene(budget_ms=200)
    fine.play(calls)
    simulated.play(coarse)
    assert simulated.finish()[1:] == fine.finish()[1:]


def test_receipt_times_of_zero_before_the_first_clock_are_survived() -> None:
    scene = Scene(reference=["lidar", "camera"])
    start = 1_700_000_000_000
    for sensor in ("camera", "lidar", "radar"):
        scene.frames += scene.collector.add(sensor, start * MS, 0, None)
    calls = periodic("lidar", 100, 3000) + periodic("camera", 110, 3000) + periodic("radar", 120, 3000)
    scene.play([(s, t + start, r + start) for s, t, r in calls])
    assert sum(len(frame) == 3 for frame in scene.finish()) >= 25
    assert scene.drops.counts() == {}


def test_memory_is_bounded_while_the_clock_stands() -> None:
    scene = Scene(queue=10)
    for time in range(1000):
        for sensor in ("lidar", "camera"):
            scene.frames += scene.collector.add(sensor, time * 100 * MS, 0, None)
    assert scene.frames == []
    assert sum(len(queue.items) for queue in scene.collector._all) <= 20
    assert len(scene.collector._instant) <= 10

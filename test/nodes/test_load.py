"""What is left out under load: in order, not too early back, and never for ever."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.nodes.load import CALM, LATE, RATES, Load, Shed

CAMERAS = ("front", "left", "back")
DEADLINE_MS = 100.0
MOST = 2 + 2 + len(RATES)


def after(load: Load, *took_ms: float) -> Shed:
    for each in took_ms:
        load.observe(each)
    return load.shed


def test_at_first_nothing_is_left_out() -> None:
    assert str(Load(DEADLINE_MS, CAMERAS).shed) == "nothing"
    assert after(Load(DEADLINE_MS, CAMERAS), *[99.0] * 500) == Shed()


def test_one_late_frame_is_no_overload() -> None:
    assert after(Load(DEADLINE_MS, CAMERAS), *[120.0, 50.0, 120.0, 50.0, 50.0, 50.0] * 20).level == 0


def test_everything_goes_in_the_stated_order_and_comes_back_the_same_way() -> None:
    load, states = Load(DEADLINE_MS, CAMERAS), []
    for _ in range(10 * LATE):
        if load.observe(150.0, shares={"front": 2.0, "left": 0.5, "back": 1.0}):
            states.append(load.shed)
    assert [str(shed) for shed in states] == [
        "overlays",
        "overlays, markers",
        "overlays, markers, left",
        "overlays, markers, left, back",
        "overlays, markers, left, back, 1 of 2 frames",
        "overlays, markers, left, back, 2 of 3 frames",
    ]
    back = []
    for _ in range(20 * CALM):
        if load.observe(20.0):
            back.append(load.shed)
    assert back == [*reversed(states[:-1]), Shed()]


def test_frames_that_found_no_time_are_late_too() -> None:
    load = Load(DEADLINE_MS, ())
    assert [load.observe(10.0, skipped=1) for _ in range(LATE)] == [False, False, True]


def test_of_cameras_alike_the_last_goes_first_and_one_stays() -> None:
    assert after(Load(DEADLINE_MS, CAMERAS), *[200.0] * 100).cameras == ("back", "left")
    assert after(Load(DEADLINE_MS, ("only",)), *[200.0] * 100).cameras == ()
    assert after(Load(DEADLINE_MS, ()), *[200.0] * 100).keep_every == RATES[-1]


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, 2)), max_size=400))
def test_whatever_comes_the_order_holds(frames: Sequence[tuple[float, int]]) -> None:
    load = Load(DEADLINE_MS, CAMERAS)
    level = 0
    for took_ms, skipped in frames:
        changed = load.observe(took_ms, skipped)
        shed = load.shed
        assert changed == (shed.level != level) and abs(shed.level - level) <= 1
        level = shed.level
        assert 0 <= level <= MOST
        assert (shed.overlays, shed.markers) == (level >= 1, level >= 2)
        assert len(shed.cameras) == max(0, min(level - 2, 2)) == len(set(shed.cameras))
        assert shed.keep_every == (1 if level <= 4 else RATES[level - 5])


@given(st.integers(0, MOST), st.floats(101, 1000), st.floats(0, 60))
def test_a_machine_that_is_fast_enough_from_some_level_on_settles_there(
    enough: int, slow_ms: float, fast_ms: float
) -> None:
    """Taking back what proves too much happens ever more seldom."""
    load, levels = Load(DEADLINE_MS, CAMERAS), []
    for _ in range(6000):
        load.observe(fast_ms if load.shed.level >= enough else slow_ms)
        levels.append(load.shed.level)
    assert max(levels) <= max(enough, 0)
    assert levels.count(enough) >= 0.97 * len(levels) - 60
    changes = sum(a != b for a, b in zip(levels, levels[1:]))
    assert changes <= enough + 20


@given(st.lists(st.floats(0, 1000), max_size=200))
def test_after_any_past_calm_takes_everything_back(past: Sequence[float]) -> None:
    load = Load(DEADLINE_MS, CAMERAS)
    after(load, *past)
    assert after(load, *[1.0] * 20 * 1600) == Shed()

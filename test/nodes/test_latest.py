from __future__ import annotations

import threading

from mm_fusion.errors import MeasurementError
from mm_fusion.nodes.latest import Latest, LatestPool


def test_empty_place_gives_nothing() -> None:
    assert Latest[int]().take(0.0) is None


def test_newest_wins_and_the_lost_one_is_named() -> None:
    place = Latest[int]()
    assert [place.put(number) for number in (1, 2, 3)] == [None, 1, 2]
    assert place.take(0.0) == 3
    assert place.take(0.0) is None


def test_pool_works_on_the_newest_of_each_key_and_survives_errors() -> None:
    errors: list[Exception] = []
    pool = LatestPool(1, errors.append)
    gate, done, began = threading.Event(), [], threading.Event()

    def block() -> None:
        began.set()
        gate.wait(5.0)
        raise MeasurementError("bad payload")

    def fail() -> None:
        raise ValueError("a bug")

    assert pool.submit("camera", block) is False
    assert began.wait(5.0)
    assert pool.submit("camera", lambda: done.append("old")) is False
    assert pool.submit("camera", lambda: done.append("new")) is True
    pool.submit("lidar", fail)
    last = threading.Event()
    pool.submit("radar", last.set)
    gate.set()
    assert last.wait(5.0)
    pool.close()
    assert done == ["new"]
    assert [str(error) for error in errors] == ["a bug"]

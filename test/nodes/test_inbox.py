from __future__ import annotations

import threading

from mm_fusion.errors import DropReason
from mm_fusion.nodes.inbox import Inbox


class Clock:
    """A time that a test sets."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_empty_inbox_gives_the_time_and_no_message() -> None:
    inbox = Inbox(Clock(7))
    assert inbox.take(0.0) is None
    assert inbox.idle_ns() == 7


def test_messages_come_out_in_order_of_receipt() -> None:
    clock = Clock(1)
    inbox = Inbox(clock)
    for clock.now_ns, topic in ((1, "/a"), (2, "/b"), (3, "/a")):
        inbox.put(topic, "t", b"")
    assert inbox.idle_ns() is None
    taken = [inbox.take(0.0) for _ in range(3)]
    assert [(entry.topic, entry.receipt_ns) for entry in taken if entry] == [("/a", 1), ("/b", 2), ("/a", 3)]


def test_of_an_image_topic_only_the_newest_waits() -> None:
    drops: list[tuple[str, DropReason]] = []
    inbox = Inbox(Clock(1), frozenset({"/camera"}), lambda topic, reason: drops.append((topic, reason)))
    for payload in (b"1", b"2"):
        inbox.put("/camera", "t", payload)
        inbox.put("/lidar", "t", payload)
    left = [inbox.take(0.0) for _ in range(3)]
    assert [(entry.topic, entry.data) for entry in left if entry] == [
        ("/lidar", b"1"),
        ("/camera", b"2"),
        ("/lidar", b"2"),
    ]
    assert drops == [("/camera", DropReason.SUPERSEDED)]


def test_a_stalled_reader_keeps_memory_bounded() -> None:
    drops: list[tuple[str, DropReason]] = []
    inbox = Inbox(Clock(1), on_drop=lambda topic, reason: drops.append((topic, reason)), limit=3)
    for number in range(5):
        inbox.put("/lidar", "t", bytes([number]))
    assert drops == [("/lidar", DropReason.QUEUE_FULL)] * 2
    first = inbox.take(0.0)
    assert first is not None and first.data == b"\x02"


def test_what_comes_before_simulated_time_waits_for_it() -> None:
    clock = Clock(0)
    inbox = Inbox(clock)
    inbox.put("/tf_static", "t", b"")
    assert inbox.take(0.0) is None
    clock.now_ns = 50
    inbox.put("/lidar", "t", b"")
    clock.now_ns = 60
    taken = [inbox.take(0.0) for _ in range(2)]
    assert [entry.receipt_ns for entry in taken if entry] == [50, 50]


def test_a_waiting_reader_wakes_with_the_message() -> None:
    inbox = Inbox(Clock(1))
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(inbox.take(10.0)))
    thread.start()
    inbox.put("/a", "t", b"x")
    thread.join(5.0)
    assert taken and taken[0] is not None

"""Every task ends once, a failed one is tried once more, and nothing stops the others."""

from __future__ import annotations

from pathlib import Path

from mm_fusion.config import load_vehicle
from mm_fusion.many_bags.conductor import Share, outcomes
from mm_fusion.many_bags.tasks import BagOutcome, BagTask


class Scripted:
    """An engine whose tasks end as a table says, attempt by attempt."""

    def __init__(self, ends: dict[str, list[str | None]]) -> None:
        self.ends = ends
        self.queue: list[BagTask] = []

    def submit(self, task: BagTask) -> None:
        self.queue.append(task)

    def wait(self) -> list[Share | BagOutcome]:
        task = self.queue.pop(0)
        return [Share(task.name, 0.5), BagOutcome(task.name, error=self.ends[task.name].pop(0))]

    def close(self) -> None:
        return


def tasks(*names: str) -> list[BagTask]:
    vehicle = load_vehicle("minimal")
    return [BagTask(name, Path(name), vehicle, "geometric") for name in names]


def test_no_tasks_are_no_outcomes() -> None:
    assert list(outcomes([], Scripted({}), lambda *_: None)) == []


def test_a_failed_one_is_tried_once_more_and_the_others_go_on() -> None:
    engine = Scripted({"a": [None], "b": ["lost", "lost again", "never asked"], "c": ["lost", None]})
    shares: list[tuple[str, float]] = []
    ended = list(outcomes(tasks("a", "b", "c"), engine, lambda *each: shares.append(each)))
    assert {each.name: (each.error, each.attempts) for each in ended} == {
        "a": (None, 1),
        "b": ("lost again", 2),
        "c": (None, 2),
    }
    assert [share for name, share in shares if name == "c"] == [0.5, 0.0, 0.5, 1.0]

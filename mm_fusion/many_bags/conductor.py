"""All tasks on one engine: each failed one is tried once more, and none stops the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mm_fusion.many_bags.tasks import BagOutcome, BagTask

ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a task's recording is done, 0..1."""

    name: str
    share: float


class Engine(Protocol):
    """What runs tasks beside each other."""

    def submit(self, task: BagTask) -> None:
        """Take a task in; it runs when there is room."""
        ...

    def wait(self) -> list[Share | BagOutcome]:
        """What happened, after a fraction of a second at the latest."""
        ...

    def close(self) -> None:
        """End what still runs."""
        ...


def outcomes(
    tasks: Sequence[BagTask], engine: Engine, progress: Callable[[str, float], None]
) -> Iterator[BagOutcome]:
    """The last outcome of every task, as they end; `progress` takes name and share 0..1."""
    left = {task.name: task for task in tasks}
    attempts = Counter(left.keys())
    for task in tasks:
        engine.submit(task)
    while left:
        for event in engine.wait():
            if isinstance(event, Share):
                progress(event.name, event.share)
            elif event.error is not None and attempts[event.name] < ATTEMPTS:
                attempts[event.name] += 1
                progress(event.name, 0.0)
                engine.submit(left[event.name])
            else:
                del left[event.name]
                progress(event.name, 1.0)
                yield replace(event, attempts=attempts[event.name])

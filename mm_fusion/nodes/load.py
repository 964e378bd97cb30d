"""What is left out while frames miss their deadline, in a stated order, and when it is taken back.

A pure state machine, told of each frame: no clock, thread or ROS. Order: overlays; markers; cameras one after
the other, those first that contribute least (one stays); every second frame; two of three frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LATE, OF = 3, 5
"""So many late ones of the newest so many frames: one thing more is left out."""
EASY = 0.7
"""Share of the deadline below which a frame was easy."""
CALM, MOST_CALM = 50, 1600
"""So many easy frames in a row: one thing is taken back. Doubled each time that proves too early."""
RATES = (2, 3)
"""At last only one of so many frames is detected."""


@dataclass(frozen=True)
class Shed:
    """What is left out. level: 0 is nothing; cameras: in the order in which they went; one of `keep_every`
    frames is detected.
    """

    level: int = 0
    overlays: bool = False
    markers: bool = False
    cameras: tuple[str, ...] = ()
    keep_every: int = 1

    def __str__(self) -> str:
        words = ["overlays"] * self.overlays + ["markers"] * self.markers + list(self.cameras)
        words += [f"{self.keep_every - 1} of {self.keep_every} frames"] * (self.keep_every > 1)
        return ", ".join(words) or "nothing"


class Load:
    """Keeps `shed` fitting to how frames meet their deadline; `observe` belongs to one thread.

    deadline_ms: from the release of a frame to the end of publication. cameras: in order of configuration.
    """

    def __init__(self, deadline_ms: float, cameras: Sequence[str]) -> None:
        self.shed = Shed()
        self._deadline_ms, self._cameras = deadline_ms, tuple(cameras)
        self._most = 2 + max(0, len(self._cameras) - 1) + len(RATES)
        self._late: deque[bool] = deque(maxlen=OF)
        self._easy = 0
        self._calm = CALM
        self._since_taken_back: int | None = None

    def observe(self, took_ms: float, skipped: int = 0, shares: Mapping[str, float] | None = None) -> bool:
        """Take in one frame; True where `shed` has changed.

        skipped: frames that found no time since the one before. shares: what each camera contributes.
        """
        late = took_ms > self._deadline_ms or skipped > 0
        self._late.append(late)
        self._easy = 0 if late or took_ms > EASY * self._deadline_ms else self._easy + 1
        self._trust_again()
        if sum(self._late) >= LATE:
            return self._leave_out(shares or {})
        return self._take_back() if self._easy >= self._calm else False

    def _trust_again(self) -> None:
        """What was taken back has held for long: the next may come back as soon as the first."""
        if self._since_taken_back is not None:
            self._since_taken_back += 1
            if self._since_taken_back > self._calm:
                self._since_taken_back, self._calm = None, CALM

    def _leave_out(self, shares: Mapping[str, float]) -> bool:
        if self._since_taken_back is not None:  # too early
            self._calm = min(2 * self._calm, MOST_CALM)
        self._begin_anew()
        if self.shed.level == self._most:
            return False
        self.shed = self._at(self.shed.level + 1, self._with_next(shares))
        return True

    def _take_back(self) -> bool:
        self._begin_anew()
        if self.shed.level == 0:
            return False
        self._since_taken_back = 0
        level = self.shed.level - 1
        self.shed = self._at(level, self.shed.cameras[: max(0, level - 2)])
        return True

    def _begin_anew(self) -> None:
        self._late.clear()
        self._easy = 0
        self._since_taken_back = None

    def _with_next(self, shares: Mapping[str, float]) -> tuple[str, ...]:
        """The cameras that are out, and at a camera's level the next: of equal ones the last configured."""
        out = self.shed.cameras
        left = [name for name in self._cameras if name not in out]
        if not 2 <= self.shed.level < 2 + len(self._cameras) - 1:
            return out
        return (*out, min(reversed(left), key=lambda name: shares.get(name, 0.0)))

    def _at(self, level: int, cameras: tuple[str, ...]) -> Shed:
        slower = level - (self._most - len(RATES))
        return Shed(level, level >= 1, level >= 2, cameras, RATES[slower - 1] if slower > 0 else 1)

"""Measurements of other moments: earlier sweeps, neighbouring frames, the drive made again, another drive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mm_fusion.evaluation.frame_edits import restamped
from mm_fusion.evaluation.labelled_data import LabelledData
from mm_fusion.frame import Frame, decoded
from mm_fusion.measurements import Measurement

FRAMES_KEPT = 8
NEAR_ENOUGH = 0.3
"""A measurement stands in for one of a wanted age if it is off by less than this share of it ..."""
LEAST_OFF_NS = 60_000_000
"""... or by less than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """A measurement in the place of another, with those before it."""

    item: Measurement
    earlier: tuple[Measurement, ...] = ()

    def restamped(self, stamp_ns: int) -> Replaced:
        """The same under another stamp, what is earlier moved along with it."""
        shift = stamp_ns - self.item.stamp_ns
        moved = tuple(restamped(item, item.stamp_ns + shift) for item in self.earlier)
        return Replaced(restamped(self.item, stamp_ns), moved)


class Moments:
    """Frames of one folder, and what their sensors measured at other times."""

    def __init__(self, data: LabelledData) -> None:
        self._data = data
        self._kept: OrderedDict[int, Frame] = OrderedDict()

    def frame(self, number: int) -> Frame:
        """Frame `number` as it is."""
        if number not in self._kept:
            self._kept[number] = self._data.frames[number][0]
            if len(self._kept) > FRAMES_KEPT:
                self._kept.popitem(last=False)
        return self._kept[number]

    def older(self, number: int, name: str, lag_s: float) -> Replaced | None:
        """What a sensor measured about `lag_s` earlier; None where nothing of about that age is known."""
        lag_ns = round(lag_s * 1e9)
        if self._data.again is not None and name in self.frame(number).measurements:
            return Replaced(self._data.again.older(number, name, lag_ns))
        wanted = decoded(self.frame(number).measurements[name]).stamp_ns - lag_ns
        found = min(
            self._before(number, name), key=lambda each: abs(each.item.stamp_ns - wanted), default=None
        )
        if found is None or abs(found.item.stamp_ns - wanted) > max(LEAST_OFF_NS, NEAR_ENOUGH * lag_ns):
            return None
        return found

    def first_of_drive(self, number: int, name: str) -> Replaced | None:
        """What a sensor measured in the first frame of the drive that has it."""
        for other in np.flatnonzero(self._data.run == self._data.run[number]):
            if (found := self._of(int(other), name)) is not None:
                return found
        return None

    def neighbour(self, number: int, name: str, within_s: float, rng: np.random.Generator) -> Replaced | None:
        """A measurement of another frame of the drive, drawn from those within `within_s`."""
        stamp_ns = self.frame(number).stamp_ns
        near = [
            found
            for other in self._around(number)
            if abs(self.frame(other).stamp_ns - stamp_ns) <= within_s * 1e9
            and (found := self._of(other, name)) is not None
        ]
        return near[int(rng.integers(len(near)))] if near else None

    def foreign(self, number: int, name: str) -> Replaced | None:
        """What the sensor measured half a data set away: of another drive, where there are several."""
        count = len(self._data)
        run = self._data.run
        away = [(number + count // 2 + step) % count for step in range(count)]
        for other in sorted(away[:64], key=lambda each: bool(run[each] == run[number])):
            if other != number and (found := self._of(other, name)) is not None:
                return found
        return None

    def _around(self, number: int) -> Iterator[int]:
        """The two frames before and after in the same drive."""
        for other in (number - 2, number - 1, number + 1, number + 2):
            if 0 <= other < len(self._data) and self._data.run[other] == self._data.run[number]:
                yield other

    def _before(self, number: int, name: str) -> Iterator[Replaced]:
        newest = self._of(number, name)
        if newest is None:
            return
        items = (newest.item, *newest.earlier)
        for index in range(len(items)):
            yield Replaced(items[index], items[index + 1 :])
        for other in self._around(number):
            if other < number and (found := self._of(other, name)) is not None:
                yield found

    def _of(self, number: int, name: str) -> Replaced | None:
        frame = self.frame(number)
        if name not in frame.measurements:
            return None
        earlier = tuple(decoded(item) for item in frame.earlier.get(name, ()))
        return Replaced(decoded(frame.measurements[name]), earlier)

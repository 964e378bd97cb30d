"""What every detector offers."""

from __future__ import annotations

from typing import Protocol

from mm_fusion.detections import Detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, Measurement


class Detector(Protocol):
    """Objects from frames; one instance serves one vehicle, frame after frame, from one thread."""

    def detect(self, frame: Frame) -> Detections:
        """The objects at `frame.stamp_ns` in `base_link`, strongest first; none without sensors."""
        ...

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Do early what needs no frame, such as decoding, on any thread; never changes a result."""
        ...

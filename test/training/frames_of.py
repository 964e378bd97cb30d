"""A few frames at hand as `Frames`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.frame import Frame
from mm_fusion.training.labelled import EVERYWHERE
from test.inputs import scene


class ListedFrames:
    """Frames of the vehicle of `test.inputs.scene` with their truth."""

    region = EVERYWHERE

    def __init__(self, frames: Sequence[Frame], objects: Sequence[Detections] | None = None) -> None:
        self.vehicle = scene.vehicle()
        listed = objects or [empty_detections()] * len(frames)
        self._pairs = [
            (frame, TruthFrame(frame.stamp_ns, "base_link", each, {"occlusion": np.zeros(len(each))}))
            for frame, each in zip(frames, listed)
        ]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        return self._pairs[number]

"""What augmentation makes of a frame, and where it finds other frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig
from mm_fusion.frame import Frame
from mm_fusion.measurements import Float64
from mm_fusion.training.labelled import LabelledRegion

ImageEdit = Callable[[NDArray[np.uint8]], None]
"""Changes the network's images (N, 3, h, w) in place."""


class Frames(Protocol):
    """Labelled frames of one vehicle, by number.

    Where they lie in several files, `shard_ends` says where each ends; where the truth can be read alone,
    `class_ids()` gives the classes of each frame.
    """

    vehicle: VehicleConfig
    region: LabelledRegion

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        """Frame and truth; raises `BagError` where its file is broken."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """A frame after augmentation.

    frame: what the sensors say. truth: in the changed scene. whole: what they would say without lies and
    jitter; labels that hang on sensors come from it. scene_from_base: (4, 4) or None; measurements stay in
    their own scene. images: edits of the network's images, in order.
    """

    frame: Frame
    truth: TruthFrame
    whole: Frame
    scene_from_base: Float64 | None = None
    images: tuple[ImageEdit, ...] = ()


class Augment(Protocol):
    """Changes frames; can be sent to another process."""

    def __call__(
        self, number: int, frame: Frame, truth: TruthFrame, rng: np.random.Generator, progress: float
    ) -> Changed:
        """The changed frame `number`; all that is random comes from `rng`; progress: 0..1 of the run."""
        ...


def file_of(frames: Frames, number: int) -> tuple[int, int]:
    """First frame, and one past the last, of the file that holds a frame: reading these costs little."""
    ends = np.asarray(getattr(frames, "shard_ends", [len(frames)]))
    at = int(np.searchsorted(ends, number, side="right"))
    return (int(ends[at - 1]) if at else 0), int(ends[at])


def class_ids_of(frames: Frames) -> list[NDArray[Any]]:
    """Class ids of each frame's objects; reads truth alone where the frames can."""
    quick = getattr(frames, "class_ids", None)
    if quick is not None:
        return list(quick())
    return [frames[number][1].objects.class_id for number in range(len(frames))]


def another(frames: Frames, number: int, rng: np.random.Generator) -> int:
    """Another frame of the same file, by chance; the same where it is alone."""
    first, end = file_of(frames, number)
    step = int(rng.integers(1, end - first)) if end - first > 1 else 0
    return first + (number - first + step) % (end - first)

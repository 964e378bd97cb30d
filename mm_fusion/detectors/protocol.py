"""What every detector offers, and what some offer beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

from mm_fusion.detections import Detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import CameraModel, Deferred, Measurement

Measure = Callable[[str], AbstractContextManager[None]]
"""Takes the name of a stage and gives a block whose duration the host may take; any thread may enter one."""


def unmeasured(stage: str) -> AbstractContextManager[None]:
    """A block that nobody times."""
    return nullcontext()


class Detector(Protocol):
    """Objects from frames; one instance serves one vehicle, frame after frame, from one thread."""

    def detect(self, frame: Frame) -> Detections:
        """The objects at `frame.stamp_ns` in `base_link`, strongest first; none without sensors."""
        ...

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Do early what needs no frame, such as decoding, on any thread; never changes a result."""
        ...


@runtime_checkable
class EncodesImages(Protocol):
    """A detector whose work on an image needs only the image and its camera's model."""

    def prepare_image(self, sensor: str, item: Measurement | Deferred, model: CameraModel) -> None:
        """As `prepare`, with the model that is known now; where a frame has another the work is redone."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A detector that tells a host how long its stages take; times never enter a result."""

    measure: Measure


@runtime_checkable
class RunsOnBackend(Protocol):
    """A detector that runs graphs: which library does so, and why that one."""

    @property
    def backend(self) -> str:
        """Its name, as `backend` of the node and `--backend` take it."""
        ...

    @property
    def backend_reason(self) -> str:
        """Why it was taken, in words; '' where it was asked for by name."""
        ...

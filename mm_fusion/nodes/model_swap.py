"""A detector built and warmed up beside the one at work, so that it can take over between two frames."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

from mm_fusion.config import VehicleConfig
from mm_fusion.detectors.choice import make_detector
from mm_fusion.detectors.protocol import Detector, RunsOnBackend
from mm_fusion.errors import FusionError
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.warm_up import warm_up


@dataclass(frozen=True)
class Choice:
    """What the node is to detect with, as its parameters say."""

    model: str
    backend: str = "auto"
    threads: int = 1

    def build(self, vehicle: VehicleConfig, report: Callable[[str], None]) -> Detector:
        """The detector, whose compiled loops and buffers exist; raises `FusionError`.

        report: takes progress in words, which for an engine can take minutes.
        """
        detector = make_detector(
            self.model, vehicle, backend=self.backend, threads=self.threads, report=report
        )
        report("compiling and warming up")
        warm_up(vehicle, detector, message_class)
        return detector

    def describe(self, detector: Detector) -> dict[str, str]:
        """Model and backend for diagnostics, and why that backend."""
        found = {"detector": self.model}
        if isinstance(detector, RunsOnBackend):
            found |= {"backend": detector.backend, "backend_reason": detector.backend_reason}
        return found


class ModelSwap(threading.Thread):
    """Builds what `choice` names; when it has ended either `detector` is there or `error` says why not."""

    def __init__(self, vehicle: VehicleConfig, choice: Choice, report: Callable[[str], None]) -> None:
        super().__init__(name="model swap", daemon=True)
        self.vehicle = vehicle.model_copy(update={"model": choice.model})
        self.choice = choice
        self._report = report
        self.detector: Detector | None = None
        self.error = ""
        self.took_s = 0.0

    def run(self) -> None:
        """Build and warm up."""
        began_s = time.monotonic()
        try:
            self.detector = self.choice.build(self.vehicle, self._report)
        except FusionError as error:
            self.error = str(error)
        except Exception:
            self.error = traceback.format_exc()
        self.took_s = time.monotonic() - began_s


def changed(choice: Choice, values: dict[str, object]) -> Choice:
    """`choice` with the parameters in `values` that belong to it."""
    own = {name: value for name, value in values.items() if name in Choice.__dataclass_fields__}
    return replace(choice, **own)  # type: ignore[arg-type]

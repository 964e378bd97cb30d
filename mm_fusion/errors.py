"""The one family of errors, and the reasons for which a measurement is dropped."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from enum import Enum


class DropReason(str, Enum):
    """Why something that arrived was not used; what diagnostics, `summary.json` and tests speak."""

    LATE = "late"
    DUPLICATE = "duplicate"
    FUTURE = "future"
    MALFORMED = "malformed"
    UNKNOWN_FRAME = "unknown_frame"
    NO_TRANSFORM = "no_transform"
    NO_CALIBRATION = "no_calibration"
    QUEUE_FULL = "queue_full"
    SUPERSEDED = "superseded"
    RESET = "reset"

    def __str__(self) -> str:
        return self.value


class FusionError(Exception):
    """Base of all errors of the package; says what was expected, what came, where, and what to do."""


class ConfigurationError(FusionError):
    """A vehicle, model or fault file that cannot be used, or a name that no choice has."""


class BackendError(FusionError):
    """A library or device that cannot run a model, or stopped doing so; another backend may."""


class BagError(FusionError):
    """A recording or data set that cannot be opened, read or written."""


class ResultError(FusionError):
    """A result or score file that cannot be read or does not fit its truth."""


class MeasurementError(FusionError):
    """A single message that cannot be used; `reason` is what is counted."""

    def __init__(self, text: str, reason: DropReason = DropReason.MALFORMED) -> None:
        super().__init__(text)
        self.reason = reason


class TransformError(MeasurementError):
    """No way between two frames at a time; `reason` is `unknown_frame` or `no_transform`."""

    def __init__(self, text: str, reason: DropReason = DropReason.NO_TRANSFORM) -> None:
        super().__init__(text, reason)


class DropLog:
    """Counts of drops by sensor and reason, with the newest text of each; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, DropReason]] = Counter()
        self._texts: dict[tuple[str, DropReason], str] = {}

    def add(self, sensor: str, reason: DropReason, text: str = "", count: int = 1) -> None:
        """Count `count` drops of `sensor` for `reason`; `text` says what was wrong and what to do."""
        with self._lock:
            self._counts[sensor, reason] += count
            if text:
                self._texts[sensor, reason] = text

    def counts(self) -> dict[str, dict[str, int]]:
        """Drops so far as {sensor: {reason: count}}, sorted by name."""
        table: dict[str, dict[str, int]] = {}
        for (sensor, reason), count in sorted(self._copy().items()):
            table.setdefault(sensor, {})[reason.value] = count
        return table

    def texts(self) -> Mapping[tuple[str, DropReason], str]:
        """The newest explanation by sensor and reason."""
        with self._lock:
            return dict(self._texts)

    def total(self) -> int:
        """Number of drops of all sensors and reasons."""
        return sum(self._copy().values())

    def _copy(self) -> dict[tuple[str, DropReason], int]:
        with self._lock:
            return dict(self._counts)

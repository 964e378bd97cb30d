"""What every message begins with: stamp, frame and payload bytes, checked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.alignment.stamps import measurement_time_ns
from mm_fusion.config import SensorConfig
from mm_fusion.errors import DropReason, MeasurementError

SECOND_NS = 1_000_000_000
_WRONG_SHAPE = (AttributeError, TypeError, ValueError, OverflowError, IndexError)
"""What reading a message of another type, or one filled with nonsense, raises."""


@dataclass(frozen=True, slots=True)
class SensorHeader:
    """header_ns: the stamp as sent; stamp_ns: the middle of the scan or exposure; frame_id: never empty."""

    header_ns: int
    stamp_ns: int
    frame_id: str


@contextmanager
def reading(what: str, where: str) -> Iterator[None]:
    """Inside, whatever a message lacks becomes a `MeasurementError` that begins with `where` (the topic)."""
    try:
        yield
    except MeasurementError as error:
        if str(error).startswith(where):
            raise
        raise MeasurementError(f"{where}: {error}", error.reason) from error
    except _WRONG_SHAPE as error:
        raise MeasurementError(
            f"{where}: expected a readable {what}, got {error}; check the topic's message type and its sender"
        ) from error


def header_ns(message: Any) -> int:
    """The header's stamp in ns; raises `MeasurementError` where it is negative or no time at all."""
    stamp = message.header.stamp
    second, nanosecond = int(stamp.sec), int(stamp.nanosec)
    if not (0 <= second < 2**32 and 0 <= nanosecond < SECOND_NS):
        raise MeasurementError(
            f"expected a stamp from 0 s on with nanoseconds below 1e9, got {second} s {nanosecond} ns; "
            "set the sender's clock, or `stamp_source: receipt` in the vehicle file"
        )
    return second * SECOND_NS + nanosecond


def frame_name(name: str) -> str:
    """A frame's name without the leading slash that old senders put there."""
    return str(name).lstrip("/")


def read_header(message: Any, sensor: SensorConfig, receipt_ns: int, height_px: int = 0) -> SensorHeader:
    """Stamp and frame of a sensor's message; raises `MeasurementError` (`unknown_frame` without a frame).

    height_px: rows of an image, whose middle one counts where the shutter rolls.
    """
    frame_id = sensor.frame or frame_name(message.header.frame_id)
    if not frame_id:
        raise MeasurementError(
            "expected a frame in the header, got none; set it in the driver, or `frame` in the vehicle file",
            DropReason.UNKNOWN_FRAME,
        )
    stamped = receipt_ns if sensor.stamp_source == "receipt" else header_ns(message)
    middle_ns = measurement_time_ns(stamped, receipt_ns, sensor, height_px)
    return SensorHeader(stamped, middle_ns, frame_id)


def payload_bytes(data: Any) -> NDArray[np.uint8]:
    """The bytes of a message's `data` without a copy, read-only: bytes, array('B') or uint8 ndarray."""
    raw: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
    raw.flags.writeable = False
    return raw

"""What the node says of itself: mode and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mm_fusion.messages.build import Types, header_of, is_rclpy

OK, WARN, ERROR, STALE = 0, 1, 2, 3
"""Levels of diagnostic_msgs/DiagnosticStatus."""


@dataclass(frozen=True, slots=True)
class DiagnosticStatus:
    """One part's state. level: 0 ok, 1 warn, 2 error, 3 stale; values: what a person may want to read."""

    name: str
    level: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    hardware_id: str = ""


def encode_mode(mode: str, types: Types) -> Any:
    """std_msgs/String: `CLR` ... `R` or `-`."""
    return types("std_msgs/msg/String")(data=mode)


def encode_diagnostics(statuses: Sequence[DiagnosticStatus], stamp_ns: int, types: Types) -> Any:
    """diagnostic_msgs/DiagnosticArray of all statuses."""
    return types("diagnostic_msgs/msg/DiagnosticArray")(
        header=header_of(stamp_ns, "", types), status=[_status(status, types) for status in statuses]
    )


def _status(status: DiagnosticStatus, types: Types) -> Any:
    kind, key_value = types("diagnostic_msgs/msg/DiagnosticStatus"), types("diagnostic_msgs/msg/KeyValue")
    return kind(
        level=bytes([status.level]) if is_rclpy(kind) else status.level,
        name=status.name,
        message=status.message,
        hardware_id=status.hardware_id,
        values=[key_value(key=str(key), value=str(value)) for key, value in status.values.items()],
    )

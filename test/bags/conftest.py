"""Tiny recordings with known content."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter


def text(data: str) -> Any:
    """A std_msgs/String."""
    return message_type("std_msgs/msg/String")(data=data)


def header(stamp_ns: int, frame_id: str = "camera") -> Any:
    """A std_msgs/Header."""
    time = message_type("builtin_interfaces/msg/Time")(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return message_type("std_msgs/msg/Header")(stamp=time, frame_id=frame_id)


def jpeg(value: int = 7) -> np.ndarray:
    """The bytes of a small grey JPEG."""
    return cv2.imencode(".jpg", np.full((8, 8), value, np.uint8))[1].ravel()


def image(stamp_ns: int, value: int = 7) -> Any:
    """A sensor_msgs/CompressedImage: a JPEG of 8x8 pixels of one grey `value`."""
    kind = message_type("sensor_msgs/msg/CompressedImage")
    return kind(header=header(stamp_ns), format="jpeg", data=jpeg(value))


@pytest.fixture
def make() -> SimpleNamespace:
    """Makers of small messages: jpeg(value), text(data), header(stamp_ns, frame_id), image(stamp_ns)."""
    return SimpleNamespace(jpeg=jpeg, text=text, header=header, image=image)


@pytest.fixture(params=["mcap", "sqlite3"])
def storage(request: pytest.FixtureRequest) -> str:
    """Either storage."""
    return str(request.param)


@pytest.fixture
def three_messages(tmp_path: Path, storage: str) -> Path:
    """A bag with /a at 1000 and 3000 ns and /b at 2000 ns."""
    path = tmp_path / "three"
    with BagWriter(path, storage) as writer:  # type: ignore[arg-type]
        writer.write("/a", text("first"), 1000)
        writer.write("/b", image(5), 2000)
        writer.write("/a", text("third"), 3000)
    return path

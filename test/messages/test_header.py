from __future__ import annotations

from types import SimpleNamespace as Message

import numpy as np
import pytest

from mm_fusion.errors import DropReason, MeasurementError
from mm_fusion.messages.build import header_of
from mm_fusion.messages.header import frame_name, payload_bytes, read_header, reading


def stamped(sec: int, nanosec: int = 0, frame: str = "lidar") -> Message:
    return Message(header=Message(stamp=Message(sec=sec, nanosec=nanosec), frame_id=frame))


def test_stamp_and_frame(types, sensor):
    message = Message(header=header_of(3_000_000_005, "lidar", types))
    header = read_header(message, sensor(stamp_at="start", duration_ms=100.0, stamp_offset_ms=1.0), 0)
    assert (header.header_ns, header.stamp_ns, header.frame_id) == (3_000_000_005, 3_051_000_005, "lidar")


def test_receipt_and_frame_of_the_vehicle_file_go_before_the_header(sensor):
    header = read_header(stamped(-5, frame=""), sensor(stamp_source="receipt", frame="top"), 77)
    assert (header.stamp_ns, header.frame_id) == (77, "top")


@pytest.mark.parametrize(("sec", "nanosec"), [(-1, 0), (0, 10**9), (2**40, 0)])
def test_impossible_stamps_are_said(sensor, sec, nanosec):
    with pytest.raises(MeasurementError, match="stamp"):
        read_header(stamped(sec, nanosec), sensor(), 0)


def test_no_frame(sensor):
    with pytest.raises(MeasurementError, match="expected a frame") as caught:
        read_header(stamped(1, frame=""), sensor(), 0)
    assert caught.value.reason is DropReason.UNKNOWN_FRAME


def test_old_slash():
    assert frame_name("/base_link") == "base_link"


def test_reading_names_topic_and_keeps_the_reason():
    with pytest.raises(MeasurementError, match="^/top: expected a readable Image, got .*check") as caught:
        with reading("Image", "/top"):
            Message().width  # noqa: B018
    assert caught.value.reason is DropReason.MALFORMED
    with pytest.raises(MeasurementError, match="^/top: no frame$") as caught, reading("Image", "/top"):
        raise MeasurementError("no frame", DropReason.UNKNOWN_FRAME)
    assert caught.value.reason is DropReason.UNKNOWN_FRAME


def test_payload_is_not_copied_and_cannot_be_written():
    data = np.arange(4, dtype=np.uint8)
    raw = payload_bytes(data)
    assert np.shares_memory(raw, data) and not raw.flags.writeable and data.flags.writeable

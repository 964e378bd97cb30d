from __future__ import annotations

from mm_fusion.messages.encode import encode_clock, encode_compressed_image


def test_clock(types, on_the_wire):
    clock = on_the_wire(encode_clock(3_000_000_007, types)).clock
    assert (clock.sec, clock.nanosec) == (3, 7)


def test_compressed_image(types, on_the_wire):
    for data in (b"", b"\xff\xd8\xff\xe0"):
        message = on_the_wire(encode_compressed_image(data, 5, "camera", types))
        assert (
            bytes(message.data) == data and message.format == "jpeg" and message.header.frame_id == "camera"
        )

"""Image and CompressedImage to `CameraImage`, and a camera image's pixels at full or reduced size."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import CameraImage, Deferred
from mm_fusion.messages.camera_info import decode_camera_info
from mm_fusion.messages.header import SensorHeader, payload_bytes, read_header, reading
from mm_fusion.messages.image_encodings import (
    Encoding,
    bits_of,
    eight_bits,
    find_encoding,
    stored_pixels,
    stored_rows,
    to_rgb,
)

__all__ = ["decode_camera_info", "decode_image", "decode_pixels", "encoded_size"]

MAX_PIXELS = 100_000_000
"""Largest image that is decoded; a larger one is a broken header before it is a camera."""

REDUCTIONS = (1, 2, 4, 8)
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_TAIL_BYTES = 1024
"""Where the end mark of a JPEG is looked for: some drivers pad their buffers."""


def decode_image(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[CameraImage]:
    """An Image or CompressedImage; raw pixels become RGB at first use, encoded bytes stay as they are.

    Raises `MeasurementError` at once for a size, step or encoding that cannot be; for corrupt or cut bytes at
    the latest in `decode_pixels`.
    """
    with reading("Image or CompressedImage", sensor.topic):
        if hasattr(message, "encoding"):
            return _raw_image(message, sensor, receipt_ns)
        return _compressed_image(message, sensor, receipt_ns)


def _raw_image(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[CameraImage]:
    width, height, step = int(message.width), int(message.height), int(message.step)
    _check_size(width, height)
    header = read_header(message, sensor, receipt_ns, height)
    encoding = find_encoding(str(message.encoding), width, height)
    raw = payload_bytes(message.data)
    rows, row_bytes = stored_rows(encoding, height), width * encoding.channels * encoding.bytes_per_channel
    if step < row_bytes or len(raw) < step * (rows - 1) + row_bytes:
        raise MeasurementError(
            f"expected {rows} rows of at least {row_bytes} bytes for {width}x{height} px of "
            f"{message.encoding}, got "
            f"step {step} and {len(raw)} bytes; the message was cut or the driver fills the sizes wrongly"
        )
    decode = partial(
        _read_raw, raw, encoding, (height, width), step, bool(message.is_bigendian), header, sensor
    )
    return Deferred(header.stamp_ns, header.frame_id, len(raw), decode)


def _check_size(width: int, height: int) -> None:
    if width <= 0 or height <= 0 or width * height > MAX_PIXELS:
        raise MeasurementError(
            f"expected an image of 1 to {MAX_PIXELS} pixels, got {width}x{height} px; check the camera driver"
        )


def _read_raw(
    raw: NDArray[np.uint8],
    encoding: Encoding,
    shape: tuple[int, int],
    step: int,
    bigendian: bool,
    header: SensorHeader,
    sensor: SensorConfig,
) -> CameraImage:
    with reading("Image", sensor.topic):
        stored = stored_pixels(raw, encoding, shape, step, bigendian)
        narrow = eight_bits(stored, bits_of(sensor.fields)) if stored.dtype == np.uint16 else stored
        pixels = to_rgb(narrow.astype(np.uint8, copy=False), encoding)
    return CameraImage(header.stamp_ns, header.frame_id, pixels, row_time_ns=_row_time_ns(sensor))


def _row_time_ns(sensor: SensorConfig) -> int:
    return round(sensor.row_time_us * 1000)


def _compressed_image(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[CameraImage]:
    """The bytes as they came; their beginning says what they are, `format` has too many spellings."""
    spelled = str(message.format)
    raw = payload_bytes(message.data)
    kind = _kind_of(raw, spelled)
    width, height = encoded_size(raw)
    _check_size(width, height)
    header = read_header(message, sensor, receipt_ns, height)
    image = CameraImage(header.stamp_ns, header.frame_id, None, raw, kind, _row_time_ns(sensor))
    return Deferred(
        header.stamp_ns, header.frame_id, len(raw), partial(_whole_image, image, raw, sensor.topic)
    )


def _whole_image(image: CameraImage, raw: NDArray[np.uint8], topic: str) -> CameraImage:
    with reading("CompressedImage", topic):
        _check_whole(raw, image.format)
    return image


def _kind_of(raw: NDArray[np.uint8], spelled: str) -> Literal["jpeg", "png"]:
    start = raw[:8].tobytes()
    if start.startswith(_JPEG):
        return "jpeg"
    if start == _PNG:
        return "png"
    raise MeasurementError(
        f"expected the bytes of a JPEG or PNG, got {len(raw)} bytes that begin with "
        f"{start.hex(' ') or 'nothing'} "
        f"(format {spelled!r}); set the image transport to jpeg or png (depth images are not read)"
    )


def encoded_size(raw: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height in the header of a JPEG or PNG; raises `MeasurementError` where there is none."""
    if raw[:8].tobytes() == _PNG:
        data = raw[16:24].tobytes()
        if len(data) == 8:
            return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")
        raise _truncated(raw)
    at = 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:
        marker = int(raw[at + 1])
        if 0xC0 <= marker <= 0xCF and marker not in (
            0xC4,
            0xC8,
            0xCC,
        ):  # start of frame: ITU-T T.81, table B.1
            height, width = raw[at + 5 : at + 9].reshape(2, 2) @ (256, 1)
            return int(width), int(height)
        alone = (
            marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8
        )  # fill byte, or a marker without length
        at += 1 if marker == 0xFF else 2 if alone else 2 + int(raw[at + 2]) * 256 + int(raw[at + 3])
    raise _truncated(raw)


def _truncated(raw: NDArray[np.uint8]) -> MeasurementError:
    return MeasurementError(
        f"expected a whole JPEG or PNG, got {len(raw)} bytes that are corrupt or cut; check the camera "
        "driver and "
        "the transport for loss"
    )


def decode_pixels(image: CameraImage, reduction: int = 1) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a camera image, its sides divided by `reduction` (1, 2, 4 or 8), rounded up.

    A JPEG is reduced by its decoder, at less cost. Raises `MeasurementError` for corrupt bytes.
    """
    import cv2

    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction: expected one of {REDUCTIONS}, got {reduction}")
    if image.pixels is not None:
        return _shrunk(image.pixels, reduction)
    raw = payload_bytes(image.encoded)
    _check_whole(raw, image.format)
    try:
        pixels = cv2.imdecode(raw, _read_flags(reduction))
    except cv2.error as error:
        raise _truncated(raw) from error
    if pixels is None:
        raise _truncated(raw)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), np.uint8)


def _read_flags(reduction: int) -> int:
    """cv2's flags: colour at this size, and never turned by what EXIF says, for the calibration is not."""
    import cv2

    size = cv2.IMREAD_COLOR if reduction == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{reduction}")
    return int(size | cv2.IMREAD_IGNORE_ORIENTATION)


def _check_whole(raw: NDArray[np.uint8], kind: str) -> None:
    """Raise where the end is missing: OpenCV decodes a cut JPEG into a picture with a grey rest."""
    end = b"\xff\xd9" if kind == "jpeg" else b"IEND"
    if end not in raw[-_TAIL_BYTES:].tobytes():
        raise _truncated(raw)


def _shrunk(pixels: NDArray[np.uint8], reduction: int) -> NDArray[np.uint8]:
    import cv2

    if reduction == 1:
        return pixels
    height, width = (-(-side // reduction) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

"""The pixel encodings of sensor_msgs/Image: bytes a pixel, and the way to RGB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import MeasurementError


@dataclass(frozen=True, slots=True)
class Encoding:
    """channels and bytes of one channel of a stored pixel; conversion: cv2's name (None: none is needed).

    rows_per_two: stored rows for two rows of the image (3 where colour follows at half size, as in nv12).
    """

    channels: int
    bytes_per_channel: int
    conversion: str | None
    rows_per_two: int = 2


_RGB, _GRAY = None, "COLOR_GRAY2RGB"
ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding(3, 1, _RGB),
    "bgr8": Encoding(3, 1, "COLOR_BGR2RGB"),
    "8uc3": Encoding(3, 1, "COLOR_BGR2RGB"),
    "rgba8": Encoding(4, 1, "COLOR_RGBA2RGB"),
    "bgra8": Encoding(4, 1, "COLOR_BGRA2RGB"),
    "8uc4": Encoding(4, 1, "COLOR_BGRA2RGB"),
    "mono8": Encoding(1, 1, _GRAY),
    "8uc1": Encoding(1, 1, _GRAY),
    "mono16": Encoding(1, 2, _GRAY),
    "16uc1": Encoding(1, 2, _GRAY),
    "rgb16": Encoding(3, 2, _RGB),
    "bgr16": Encoding(3, 2, "COLOR_BGR2RGB"),
    # OpenCV names a Bayer pattern by its second row and column
    "bayer_rggb8": Encoding(1, 1, "COLOR_BayerBG2RGB"),
    "bayer_bggr8": Encoding(1, 1, "COLOR_BayerRG2RGB"),
    "bayer_gbrg8": Encoding(1, 1, "COLOR_BayerGR2RGB"),
    "bayer_grbg8": Encoding(1, 1, "COLOR_BayerGB2RGB"),
    "bayer_rggb16": Encoding(1, 2, "COLOR_BayerBG2RGB"),
    "bayer_bggr16": Encoding(1, 2, "COLOR_BayerRG2RGB"),
    "bayer_gbrg16": Encoding(1, 2, "COLOR_BayerGR2RGB"),
    "bayer_grbg16": Encoding(1, 2, "COLOR_BayerGB2RGB"),
    "yuv422": Encoding(2, 1, "COLOR_YUV2RGB_UYVY"),
    "uyvy": Encoding(2, 1, "COLOR_YUV2RGB_UYVY"),
    "yuv422_yuy2": Encoding(2, 1, "COLOR_YUV2RGB_YUY2"),
    "yuyv": Encoding(2, 1, "COLOR_YUV2RGB_YUY2"),
    "nv12": Encoding(1, 1, "COLOR_YUV2RGB_NV12", rows_per_two=3),
    "nv21": Encoding(1, 1, "COLOR_YUV2RGB_NV21", rows_per_two=3),
}
"""By the name in lower case, as in sensor_msgs/image_encodings."""


def find_encoding(name: str, width: int, height: int) -> Encoding:
    """The encoding of this name; raises `MeasurementError` for an unknown one, or an impossible size."""
    encoding = ENCODINGS.get(name.lower())
    if encoding is None:
        raise MeasurementError(
            f"expected an encoding among {', '.join(ENCODINGS)}, got {name!r}; set the camera driver's "
            "encoding"
        )
    pairs = encoding.conversion or ""
    odd = (
        (width % 2, height % 2)
        if encoding.rows_per_two == 3
        else (width % 2 if "_UYVY" in pairs or "_YUY2" in pairs else 0, 0)
    )
    if any(odd) or ("Bayer" in pairs and min(width, height) < 2):
        raise MeasurementError(
            f"expected an even size for {name}, got {width}x{height} px; check the camera driver"
        )
    return encoding


def stored_rows(encoding: Encoding, height: int) -> int:
    """Rows of bytes in the message for `height` rows of image."""
    return height * encoding.rows_per_two // 2


def stored_pixels(
    raw: NDArray[np.uint8], encoding: Encoding, shape: tuple[int, int], step: int, bigendian: bool
) -> NDArray[Any]:
    """(rows, W) or (rows, W, channels) pixels as sent, padding left out, in the machine's byte order."""
    height, width = shape
    rows = stored_rows(encoding, height)
    row_bytes = width * encoding.channels * encoding.bytes_per_channel
    packed: NDArray[Any] = np.ndarray((rows, row_bytes), np.uint8, raw, 0, (step, 1))
    if encoding.bytes_per_channel == 2:
        wide = np.ascontiguousarray(packed).view(">u2" if bigendian else "<u2").astype(np.uint16)
        return wide if encoding.channels == 1 else wide.reshape(rows, width, encoding.channels)
    return packed if encoding.channels == 1 else packed.reshape(rows, width, encoding.channels)


def to_rgb(pixels: NDArray[np.uint8], encoding: Encoding) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of 8-bit pixels as stored."""
    import cv2  # a vehicle without raw images need not load it early

    if encoding.conversion is None:
        return np.ascontiguousarray(pixels)
    conversion = getattr(cv2, encoding.conversion)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)


def eight_bits(pixels: NDArray[np.uint16], bits: int | None) -> NDArray[np.uint8]:
    """16-bit pixels as 8 bits. bits: of the sensor; None: the fewest of 8, 10 ... 16 for the brightest."""
    if bits is None:
        brightest = int(pixels.max(initial=0))
        bits = next(b for b in (8, 10, 12, 14, 16) if brightest < 2**b)
    narrow: NDArray[np.uint8] = np.minimum(pixels >> (bits - 8), 255).astype(np.uint8)
    return narrow


def bits_of(fields: Mapping[str, str]) -> int | None:
    """The sensor's bits a pixel from the vehicle's `fields: {bits: "12"}`; None where it is not given."""
    given = fields.get("bits")
    if given is None:
        return None
    if not (given.isdigit() and 8 <= int(given) <= 16):
        raise MeasurementError(f"expected 8..16 for `fields: bits`, got {given!r}; correct the vehicle file")
    return int(given)

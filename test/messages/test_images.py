from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import CameraImage
from mm_fusion.messages.build import header_of, sequence_of
from mm_fusion.messages.encode import encode_compressed_image
from mm_fusion.messages.image_encodings import ENCODINGS, bits_of, eight_bits
from mm_fusion.messages.images import decode_image, decode_pixels, encoded_size

cv2 = pytest.importorskip("cv2")
RED, GREEN, BLUE = 200, 120, 40
"""One colour everywhere, so that every encoding can carry it."""


def colour_image(height: int = 8, width: int = 12) -> np.ndarray:
    return np.full((height, width, 3), (RED, GREEN, BLUE), np.uint8)


@pytest.fixture
def image(types, stamp_ns):
    """sensor_msgs/Image of rows of bytes, each padded to `step`."""

    def build(rows: np.ndarray, spelled: str, shape, padding=0, bigendian=False, **changed):
        kind = types("sensor_msgs/msg/Image")
        packed = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
        padded = np.pad(packed, ((0, 0), (0, padding)), constant_values=0xAA)
        given = {
            "header": header_of(stamp_ns, "camera", types),
            "height": shape[0],
            "width": shape[1],
            "encoding": spelled,
            "is_bigendian": int(bigendian),
            "step": padded.shape[1],
            "data": sequence_of(padded, "u1", kind),
        }
        return kind(**{**given, **changed})

    return build


def stored(encoding: str, pixels: np.ndarray) -> np.ndarray:
    """Rows of bytes that a camera would send of RGB pixels in one colour."""
    name = encoding.lower()
    if name in ("rgb8", "rgba8", "bgr8", "bgra8", "8uc3", "8uc4", "rgb16", "bgr16"):
        ordered = pixels if name.startswith("rgb") else pixels[..., ::-1]
        channels = [ordered, np.full_like(ordered[..., :1], 7)] if name.endswith(("a8", "4")) else [ordered]
        wide = np.concatenate(channels, axis=2)
        return wide.astype("<u2") * 256 if name.endswith("16") else wide
    if name.startswith("bayer"):
        letters, place = name.split("_")[1][:4], {"r": 0, "g": 1, "b": 2}
        mosaic = np.empty(pixels.shape[:2], np.uint8)
        for i, letter in enumerate(letters):
            mosaic[i // 2 :: 2, i % 2 :: 2] = pixels[i // 2 :: 2, i % 2 :: 2, place[letter]]
        return mosaic.astype("<u2") * 256 if name.endswith("16") else mosaic
    yuv = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420)[:, 0] if name.startswith("nv") else None
    if yuv is not None:
        height, width = pixels.shape[:2]
        planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420).reshape(-1)
        count = height * width
        u, v = planes[count : count + count // 4], planes[count + count // 4 :]
        chroma = np.stack([u, v] if name == "nv12" else [v, u], axis=1).reshape(height // 2, width)
        return np.concatenate([planes[:count].reshape(height, width), chroma])
    if name in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv"):
        planes = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420).reshape(-1)
        count = pixels.shape[0] * pixels.shape[1]
        y, u, v = planes[0], planes[count], planes[-1]
        pair = [u, y, v, y] if name in ("yuv422", "uyvy") else [y, u, y, v]
        return np.tile(np.array(pair, np.uint8), (pixels.shape[0], pixels.shape[1] // 2))
    gray = pixels[..., 0]
    return gray.astype("<u2") * 256 if name.endswith(("mono16", "16uc1")) else gray


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_every_encoding_with_and_without_padding(image, sensor, encoding, padding):
    pixels = colour_image()
    message = image(stored(encoding, pixels), encoding, pixels.shape, padding)
    decoded = decode_image(message, sensor("camera"), 0).get()
    expected = pixels if "mono" not in encoding and "uc1" not in encoding else pixels[..., :1].repeat(3, 2)
    near = 3 if "yuv" in encoding or "nv" in encoding or "uyv" in encoding else 0
    assert decoded.pixels.shape == pixels.shape and decoded.pixels.dtype == np.uint8
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= near


def test_bayer_places_are_told_apart(image, sensor):
    """A lone lit red site must come out red where it stands, whatever the pattern."""
    for letters in ("rggb", "bggr", "gbrg", "grbg"):
        at = letters.index("r")
        mosaic = np.zeros((8, 8), np.uint8)
        mosaic[4 + at // 2, 4 + at % 2] = 255
        got = decode_image(image(mosaic, f"bayer_{letters}8", (8, 8)), sensor("camera"), 0).get().pixels
        assert tuple(got[4 + at // 2, 4 + at % 2]) == (255, 0, 0), letters


def test_big_endian_and_bits(image, sensor):
    values = np.full((4, 4), 0x0ABC, ">u2")
    message = image(values.view(np.uint8), "mono16", (4, 4), bigendian=True)
    assert (decode_image(message, sensor("camera"), 0).get().pixels == 0x0ABC >> 4).all()
    given = sensor("camera", fields={"bits": "16"})
    assert (decode_image(message, given, 0).get().pixels == 0x0A).all()


def test_bits():
    assert eight_bits(np.array([[1023, 4]], np.uint16), None).tolist() == [[255, 1]]
    assert eight_bits(np.array([[0]], np.uint16), None).tolist() == [[0]]
    assert eight_bits(np.array([[65535]], np.uint16), 12).tolist() == [[255]]
    with pytest.raises(MeasurementError, match="8..16"):
        bits_of({"bits": "20"})


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"width": 0}, "image of 1 to .* pixels, got 0x8"),
        ({"encoding": "8UC7"}, "expected an encoding among rgb8.*got '8UC7'"),
        ({"step": 11}, "8 rows of at least 36 bytes for 12x8 px of rgb8, got step 11"),
        ({"height": 9}, "got step 36 and 288 bytes"),
        ({"width": 60_000, "height": 60_000}, "got 60000x60000 px"),
        ({"encoding": "nv12", "height": 7}, "even size for nv12, got 12x7"),
    ],
)
def test_impossible_images_are_said_at_once(image, sensor, changed, text):
    with pytest.raises(MeasurementError, match=text):
        decode_image(image(colour_image(), "rgb8", (8, 12), **changed), sensor("camera"), 0)


def jpeg(height: int = 33, width: int = 47) -> bytes:
    return cv2.imencode(".jpg", colour_image(height, width)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[
        1
    ].tobytes()


def png() -> bytes:
    return cv2.imencode(".png", colour_image(33, 47)[..., ::-1])[1].tobytes()


@pytest.mark.parametrize(
    "spelling", ["jpeg", "jpg", "JPEG", "bgr8; jpeg compressed bgr8", "rgb8; png compressed", "png", ""]
)
@pytest.mark.parametrize("data", [jpeg(), png()])
@pytest.mark.parametrize(("reduction", "size"), [(1, (33, 47)), (2, (17, 24)), (4, (9, 12)), (8, (5, 6))])
def test_compressed_at_every_size(types, sensor, stamp_ns, spelling, data, reduction, size):
    message = encode_compressed_image(data, stamp_ns, "camera", types)
    message.format = spelling
    image = decode_image(message, sensor("camera", row_time_us=20.0), 0).get()
    pixels = decode_pixels(image, reduction)
    assert image.pixels is None and image.row_time_ns == 20_000
    assert abs(pixels.shape[0] - size[0]) <= 1 and abs(pixels.shape[1] - size[1]) <= 1
    assert np.abs(pixels.astype(int) - (RED, GREEN, BLUE)).max() <= 4


def test_sizes_of_reduced_jpegs():
    image = CameraImage(0, "camera", None, jpeg(), "jpeg")
    assert [decode_pixels(image, n).shape[:2] for n in (1, 2, 4, 8)] == [(33, 47), (17, 24), (9, 12), (5, 6)]


def test_raw_pixels_are_reduced_too():
    image = CameraImage(0, "camera", colour_image(9, 12))
    assert decode_pixels(image) is image.pixels
    assert decode_pixels(image, 2).shape == (5, 6, 3)


def test_rolling_shutter_stamps_the_middle_row(image, types, sensor, stamp_ns):
    rolling = sensor("camera", stamp_at="start", row_time_us=10.0)
    raw = decode_image(image(colour_image(9, 12), "rgb8", (9, 12)), rolling, 0)
    compressed = decode_image(encode_compressed_image(jpeg(), stamp_ns, "camera", types), rolling, 0)
    assert (raw.stamp_ns, compressed.stamp_ns) == (stamp_ns + 40_000, stamp_ns + 160_000)


@pytest.mark.parametrize("data", [b"", b"hello there", b"\xff\xd8\xff", png()[:20], jpeg()[:100]])
def test_what_is_no_image_is_said_at_once(types, sensor, data):
    with pytest.raises(MeasurementError, match="expected (the bytes of|a whole) .*JPEG .*got"):
        decode_image(encode_compressed_image(data, 0, "camera", types), sensor("camera"), 0)


@pytest.mark.parametrize("data", [jpeg(200, 300)[:-40], png()[:-30], png()[:60] + bytes(40) + png()[100:]])
def test_corrupt_payloads_are_said_when_decoded(types, sensor, data):
    deferred = decode_image(encode_compressed_image(data, 0, "camera", types), sensor("camera"), 0)
    with pytest.raises(MeasurementError, match="corrupt or cut"):
        decode_pixels(deferred.get())


def test_a_cut_image_makes_its_camera_absent(types, sensor):
    """Seen without decoding the pixels, so that the drop is counted even where nobody looks at them."""
    message = encode_compressed_image(jpeg(200, 300)[:-40], 0, "camera", types)
    with pytest.raises(MeasurementError, match="^/sensor: expected a whole JPEG"):
        decode_image(message, sensor("camera"), 0).get()


def test_bombs_are_not_decoded(types, sensor):
    data = bytearray(png())
    data[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    with pytest.raises(MeasurementError, match="got 2147483647x2147483647 px"):
        decode_image(encode_compressed_image(bytes(data), 0, "camera", types), sensor("camera"), 0)


def test_encoded_size_reads_past_other_segments():
    plain = jpeg()
    with_comment = plain[:2] + b"\xff\xff\xfe\x00\x06abcd" + plain[2:]
    assert encoded_size(np.frombuffer(with_comment, np.uint8)) == (47, 33)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="reduction"):
        decode_pixels(CameraImage(0, "camera", colour_image()), 3)

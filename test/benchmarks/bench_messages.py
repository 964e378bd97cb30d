"""Times of cloud and JPEG decoding beside plain code: `python -m test.benchmarks.bench_messages [RUNS]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from mm_fusion.bags.types import message_type
from mm_fusion.config import SensorConfig
from mm_fusion.measurements import LidarSweep
from mm_fusion.messages.encode import encode_compressed_image, encode_lidar
from mm_fusion.messages.images import decode_image, decode_pixels
from mm_fusion.messages.pointcloud import decode_lidar
from test.benchmarks.harness import Ratio, print_table, side_by_side
from test.benchmarks.plain import plain_copy, plain_decode_cloud, plain_decode_jpeg, plain_decode_jpeg_half


def cloud(count: int, unusable: float = 0.0):
    """A LiDAR message of `count` points of 22 bytes; a share `unusable` of them NaN."""
    rng = np.random.default_rng(7)
    xyz = rng.normal(0, 20, (count, 3)).astype(np.float32)
    xyz[rng.random(count) < unusable] = np.nan
    time = np.linspace(-5e7, 5e7, count).astype(np.int32)
    ring = rng.integers(0, 32, count).astype(np.int16)
    return encode_lidar(
        LidarSweep(10**18, "lidar", xyz, rng.random(count, np.float32), time, ring), message_type
    )


def jpeg(width: int = 1600, height: int = 900):
    """A CompressedImage with smooth shapes and grain, of the size that street scenes have."""
    import cv2

    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 255, (height // 20, width // 20, 3), np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = cv2.add(pixels, rng.integers(0, 12, pixels.shape, np.uint8))
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return encode_compressed_image(data.tobytes(), 10**18, "camera", message_type)


def cases(runs: int, sizes: tuple[int, ...] = (35_000, 150_000)) -> Iterator[Ratio]:
    """Every case of this file."""
    lidar = SensorConfig(kind="lidar", topic="/lidar", min_range_m=0.5)
    for size in sizes:
        for unusable in (0.0, 0.05):
            message = cloud(size, unusable)
            name = f"cloud {size} points" + (f", {unusable:.0%} NaN" if unusable else "")
            ours = lambda: decode_lidar(message, lidar, 0).get()  # noqa: B023, E731
            yield side_by_side(ours, lambda: plain_copy(message), runs, f"{name}: one copy", "<= 1.5")  # noqa: B023
            yield side_by_side(ours, lambda: plain_decode_cloud(message), runs, f"{name}: NumPy")  # noqa: B023
    yield from jpeg_cases(max(3, runs // 5))


def jpeg_cases(runs: int) -> Iterator[Ratio]:
    """JPEG decoding at full and half size."""
    camera, message = SensorConfig(kind="camera", topic="/camera"), jpeg()
    for reduction, plain in ((1, plain_decode_jpeg), (2, plain_decode_jpeg_half)):
        name = f"jpeg 1600x900 ({len(message.data) // 1000} kB) at 1/{reduction}"

        def ours(reduction: int = reduction) -> None:
            decode_pixels(decode_image(message, camera, 0).get(), reduction)

        yield side_by_side(ours, lambda plain=plain: plain(message.data), runs, name)


if __name__ == "__main__":
    print_table(cases(int(sys.argv[1]) if len(sys.argv) > 1 else 201))

"""Times of projection, deskew and look-ups: `python -m test.benchmarks.bench_geometry [RUNS]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from mm_fusion.geometry.cameras import project_many
from mm_fusion.geometry.motion import deskew
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, to_quaternion
from mm_fusion.measurements import CameraModel, EgoMotion, StampedTransform
from test.benchmarks.harness import Ratio, print_table, side_by_side
from test.benchmarks.plain import plain_deskew, plain_lookup, plain_project

OPTICAL_FROM_BODY = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
LOOKUPS = 100


def cloud(count: int) -> np.ndarray:
    """Points (N, 3) f32 all round the car as a 32-beam LiDAR spreads them: by angle, dense near by."""
    rng = np.random.default_rng(7)
    azimuth, elevation = rng.uniform(-np.pi, np.pi, count), rng.uniform(-0.5, 0.15, count)
    reach = np.minimum(rng.uniform(4, 70, count), 1.8 / np.maximum(-np.tan(elevation), 0.02))
    xyz = [reach * np.cos(azimuth), reach * np.sin(azimuth), 1.8 + reach * np.tan(elevation)]
    return np.column_stack(xyz).astype(np.float32)


def cameras() -> tuple[list[CameraModel], np.ndarray]:
    """Six distorted 1600x900 cameras around the car as on nuScenes, 70 degrees wide each."""
    matrix = np.array([[1266.0, 0, 816], [0, 1266, 491], [0, 0, 1]])
    distortion = np.array([-0.3, 0.12, 0.001, -0.0008, -0.02])
    poses = [from_rpy_deg((0, 0, yaw), (1.5, 0, 1.5)) for yaw in (0, 55, 110, 180, -110, -55)]
    models = [CameraModel(matrix, distortion, "plumb_bob", 1600, 900)] * 6
    return models, np.array([OPTICAL_FROM_BODY @ inverse(pose) for pose in poses])


def tree() -> tuple[TransformBuffer, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """odom -> base_link at 100 Hz for 10 s, then two static edges; the same as arrays for the plain side."""
    moving = [from_rpy_deg((0, 0, 0.3 * k), (0.1 * k, 0, 0)) for k in range(1001)]
    fixed = [from_rpy_deg((1, 2, 3), (1, 0, 2)), from_rpy_deg((-90, 0, -90), (0.2, 0, -0.1))]
    stamps = np.arange(1001) * 10_000_000
    buffer = TransformBuffer(history_s=20.0)
    buffer.add(tuple(StampedTransform(int(t), "odom", "base_link", m) for t, m in zip(stamps, moving)))
    frames = ("base_link", "lidar", "camera")
    buffer.add(tuple(StampedTransform(0, *frames[k : k + 2], m, True) for k, m in enumerate(fixed)))
    chain = [_arrays(stamps, moving), *(_arrays(np.zeros(1), [m]) for m in fixed)]
    return buffer, chain


def _arrays(stamps: np.ndarray, matrices: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return stamps, np.array([to_quaternion(m) for m in matrices]), np.array([m[:3, 3] for m in matrices])


def cases(runs: int, points: int = 35_000) -> Iterator[Ratio]:
    """Every case of this file."""
    yield from _projection_cases(runs, cloud(points))
    yield _deskew_case(runs, cloud(points))
    yield from _lookup_cases(runs)


def _projection_cases(runs: int, xyz: np.ndarray) -> Iterator[Ratio]:
    import cv2

    cv2.setNumThreads(1)  # ours takes one thread
    models, camera_from_base = cameras()
    ours = lambda: project_many(xyz, models, camera_from_base)  # noqa: E731
    for in_front, name in ((True, "points in front"), (False, "all points")):
        plain = lambda: plain_project(xyz, models, camera_from_base, in_front)  # noqa: E731, B023
        aim = "plain/ours >= 30"
        yield side_by_side(ours, plain, runs, f"{len(xyz)} points, 6 cameras: cv2, {name}", aim)


def _deskew_case(runs: int, xyz: np.ndarray) -> Ratio:
    ego = EgoMotion(0, np.array([15.0, 0.2, 0]), np.array([0.01, 0.02, 0.3]))
    times_ns = np.linspace(-5e7, 5e7, len(xyz)).astype(np.int32)
    return side_by_side(
        lambda: deskew(xyz, times_ns, ego),
        lambda: plain_deskew(xyz, times_ns, ego.linear_velocity, ego.angular_velocity),
        runs,
        f"deskew of {len(xyz)} points: NumPy and scipy",
    )


def _lookup_cases(runs: int) -> Iterator[Ratio]:
    buffer, chain = tree()
    for target, source, edges in (("odom", "camera", chain), ("base_link", "camera", chain[1:])):
        yield side_by_side(
            lambda: [buffer.lookup(target, source, 5_000_000_000 + 7_000_000 * k) for k in range(LOOKUPS)],  # noqa: B023
            lambda: [plain_lookup(edges, 5_000_000_000 + 7_000_000 * k) for k in range(LOOKUPS)],  # noqa: B023
            max(2, runs // 2),
            f"{LOOKUPS} look-ups {target} <- {source}: scipy",
            "microseconds each",
        )


if __name__ == "__main__":
    print_table(cases(int(sys.argv[1]) if len(sys.argv) > 1 else 31))

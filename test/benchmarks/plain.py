"""What a competent user would write without this package: the other side of each benchmark."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mm_fusion.benchmarking.plain_decoding import plain_decode_cloud, plain_decode_jpeg
from mm_fusion.benchmarking.plain_lift import plain_project
from mm_fusion.benchmarking.plain_rasters import plain_deskew
from mm_fusion.measurements import LidarSweep
from mm_fusion.network_config import LearnedConfig

__all__ = [
    "PlainApproximateTime",
    "PlainRosApproximateTime",
    "plain_copy",
    "plain_decode_cloud",
    "plain_decode_jpeg",
    "plain_decode_jpeg_half",
    "plain_deskew",
    "plain_lookup",
    "plain_project",
    "plain_raster",
]


def plain_copy(message: Any) -> np.ndarray:
    """One plain copy of a cloud's bytes."""
    return np.frombuffer(message.data, np.uint8).copy()


def plain_decode_jpeg_half(data: np.ndarray) -> np.ndarray:
    """RGB pixels at half size: decoded whole, then resized."""
    import cv2

    pixels = plain_decode_jpeg(data)
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


class PlainApproximateTime:
    """Sets of messages within `slop_ns`, one of each topic, in the manner of message_filters' Python class.

    Emits when a message completes a set; with a topic silent it emits nothing, ever.
    """

    def __init__(self, topics: Sequence[str], queue_size: int, slop_ns: int) -> None:
        self.queues: dict[str, dict[int, Any]] = {topic: {} for topic in topics}
        self.queue_size = queue_size
        self.slop_ns = slop_ns
        self.sets: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def add(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Take in one message; a whole set of the nearest stamps goes to `sets`."""
        with self.lock:
            queue = self.queues[topic]
            queue[stamp_ns] = message
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            near = self._near(topic, stamp_ns)
            if near is not None:
                self._emit(topic, stamp_ns, near)

    def _near(self, topic: str, stamp_ns: int) -> list[list[int]] | None:
        near = []
        for other, queue in self.queues.items():
            if other == topic:
                continue
            stamps = [stamp for stamp in queue if abs(stamp - stamp_ns) <= self.slop_ns]
            if not stamps:
                return None
            near.append(sorted(stamps, key=lambda stamp: abs(stamp - stamp_ns)))
        return near

    def _emit(self, topic: str, stamp_ns: int, near: list[list[int]]) -> None:
        others = [other for other in self.queues if other != topic]
        for stamps in itertools.product(*near):
            if max(*stamps, stamp_ns) - min(*stamps, stamp_ns) > self.slop_ns:
                continue
            chosen = {topic: stamp_ns, **dict(zip(others, stamps))}
            self.sets.append({name: self.queues[name].pop(stamp) for name, stamp in chosen.items()})
            return


class PlainRosApproximateTime(PlainApproximateTime):
    """The same on rclpy's Time and Duration, as message_filters counts; needs rclpy."""

    def __init__(self, topics: Sequence[str], queue_size: int, slop_ns: int) -> None:
        super().__init__(topics, queue_size, slop_ns)
        from rclpy.duration import Duration
        from rclpy.time import Time

        self.time, self.duration = Time, Duration
        self.slop = Duration(nanoseconds=slop_ns)

    def _near(self, topic: str, stamp_ns: int) -> list[list[int]] | None:
        near = []
        for other, queue in self.queues.items():
            if other == topic:
                continue
            deltas = ((stamp, self.duration(nanoseconds=abs(stamp - stamp_ns))) for stamp in queue)
            stamps = [(self.time(nanoseconds=stamp), delta) for stamp, delta in deltas if delta <= self.slop]
            if not stamps:
                return None
            near.append([stamp for stamp, _ in sorted(stamps, key=lambda pair: pair[1])])
        return near

    def _emit(self, topic: str, stamp_ns: int, near: list[list[Any]]) -> None:
        others = [other for other in self.queues if other != topic]
        stamp = self.time(nanoseconds=stamp_ns)
        for stamps in itertools.product(*near):
            if max(*stamps, stamp) - min(*stamps, stamp) > self.slop:
                continue
            chosen = {topic: stamp, **dict(zip(others, stamps))}
            self.sets.append({name: self.queues[name].pop(at.nanoseconds) for name, at in chosen.items()})
            return


def plain_lookup(chain: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], stamp_ns: int) -> np.ndarray:
    """One transform through a chain of edges (stamps, rotations as x y z w, translations), slerp by scipy."""
    from scipy.spatial.transform import Rotation, Slerp

    total = np.eye(4)
    for stamps, quaternions, translations in chain:
        matrix = np.eye(4)
        if len(stamps) == 1:
            matrix[:3, :3], matrix[:3, 3] = Rotation.from_quat(quaternions[0]).as_matrix(), translations[0]
        else:
            after = int(np.searchsorted(stamps, stamp_ns))
            pair = slice(after - 1, after + 1)
            fraction = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
            rotation = Slerp([0, 1], Rotation.from_quat(quaternions[pair]))(fraction)
            matrix[:3, :3] = rotation.as_matrix()
            matrix[:3, 3] = translations[after - 1] * (1 - fraction) + translations[after] * fraction
        total = total @ matrix
    return total


def plain_raster(sweep: LidarSweep, config: LearnedConfig) -> np.ndarray:
    """Counts and mean intensities by height slice and the mean height, by bincount, without ego motion."""
    channels, size_x, size_y = config.lidar_shape
    per_metre, edges = config.lidar.scale / config.grid.cell, np.array(config.lidar.slice_edges)
    place = np.floor((sweep.xyz[:, :2] - [config.grid.x_min, config.grid.y_min]) * per_metre).astype(int)
    z = sweep.xyz[:, 2] + 1.8
    keep = ((place >= 0) & (place < [size_x, size_y])).all(axis=1) & (z >= edges[0]) & (z < edges[-1])
    cell, slices = place[keep, 0] * size_y + place[keep, 1], np.searchsorted(edges, z[keep], side="right") - 1
    out, total = np.zeros((channels, size_x * size_y), np.float32), size_x * size_y
    for number in range(len(edges) - 1):
        inside = slices == number
        count = np.bincount(cell[inside], minlength=total)
        out[number] = np.log1p(count)
        sums = np.bincount(cell[inside], sweep.intensity[keep][inside], minlength=total)
        out[len(edges) - 1 + number] = sums / np.maximum(count, 1)
    out[-1] = np.bincount(cell, z[keep], minlength=total) / np.maximum(np.bincount(cell, minlength=total), 1)
    return out.reshape(channels, size_x, size_y)

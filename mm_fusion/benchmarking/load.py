"""The frames that a benchmark runs on: what the pipeline collects, and the messages behind it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.bags.read import open_bag
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.errors import BagError, MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.measurements import CameraImage, Deferred, Measurement
from mm_fusion.messages.routes import Route, decode, routes
from mm_fusion.pipeline import Pipeline

Change = Callable[[Route, Any], Any]
"""Takes a message and its use; gives the message that takes its place."""
SETTLE_FRAMES = 3
"""Frames at the beginning that are not taken: radars have no earlier scans yet."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadFrame:
    """One frame as it leaves the collector.

    frame: newest payloads undecoded, older ones decoded. decoded: everything, as a detector gets it.
    messages: by sensor. earlier: older messages with their stamps by sensor, newest first.
    """

    frame: Frame
    decoded: Frame
    messages: dict[str, Any]
    earlier: dict[str, tuple[tuple[Any, int], ...]]

    def fresh(self) -> Frame:
        """The frame again, none of its newest payloads decoded yet."""
        renewed = {name: _undecoded(item) for name, item in self.frame.measurements.items()}
        return replace(self.frame, measurements=renewed)

    def payload_bytes(self) -> int:
        """Bytes of its messages' payloads."""
        return sum(len(message.data) for message in self.messages.values() if hasattr(message, "data"))


def load_frames(
    path: Path, vehicle: VehicleConfig, count: int, change: Change | None = None
) -> list[LoadFrame]:
    """Up to `count` frames of a recording, those in which every sensor is there where there are any.

    Raises `BagError` where the recording has none.
    """
    frames = list(itertools.islice(_frames(path, vehicle, change), SETTLE_FRAMES + 2 * count))
    later = frames[SETTLE_FRAMES:] or frames
    whole = [each for each in later if all(each.frame.available.values())] or later
    if not whole:
        raise BagError(f"{path}: expected frames to run on, found none with a sensor of this vehicle")
    return whole[:count]


def data_hash(frames: Sequence[LoadFrame]) -> str:
    """The sha256 of all payloads, in order."""
    digest = hashlib.sha256()
    for each in frames:
        for name in sorted(each.messages):
            digest.update(bytes(getattr(each.messages[name], "data", b"")))
    return digest.hexdigest()


class _Keeper:
    """A detector that finds nothing and keeps the frame it was shown."""

    shown: Frame | None = None

    def detect(self, frame: Frame) -> Detections:
        self.shown = frame
        return empty_detections()

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        return


def _frames(path: Path, vehicle: VehicleConfig, change: Change | None) -> Iterator[LoadFrame]:
    keeper = _Keeper()
    pipeline, table = Pipeline(vehicle, keeper), routes(vehicle)
    kept: dict[tuple[str, int], Any] = {}
    with open_bag(path) as reader:
        for topic, _, message, receipt_ns in reader.messages(set(table) & set(reader.topics)):
            for route in table[topic]:
                given = message if change is None else change(route, message)
                try:
                    item = decode(route, given, vehicle, receipt_ns)
                except MeasurementError:
                    continue
                if isinstance(item, Deferred):
                    kept[route.sensor, item.stamp_ns] = given
                for frame in pipeline.add(route.sensor, item, receipt_ns):
                    yield _load_frame(frame, pipeline, keeper, kept)
        for frame in pipeline.flush():
            yield _load_frame(frame, pipeline, keeper, kept)


def _load_frame(
    frame: Frame, pipeline: Pipeline, keeper: _Keeper, kept: dict[tuple[str, int], Any]
) -> LoadFrame:
    pipeline.detect(frame)
    decoded = keeper.shown or frame
    return LoadFrame(
        replace(frame, earlier=decoded.earlier),
        decoded,
        {name: kept[name, item.stamp_ns] for name, item in frame.measurements.items()},
        {
            name: tuple((kept[name, item.stamp_ns], item.stamp_ns) for item in older)
            for name, older in frame.earlier.items()
        },
    )


def _undecoded(item: Measurement | Deferred) -> Measurement | Deferred:
    if not isinstance(item, Deferred):
        return item

    def decode() -> Measurement:
        found = item.decode()
        # an image is known again by being the same object: what was made of it before must not help
        return replace(found) if isinstance(found, CameraImage) else found

    return Deferred(item.stamp_ns, item.frame_id, item.size_bytes, decode)


@dataclass(frozen=True, slots=True)
class Enlarged:
    """The small sample recording brought to the size of a real car's data, message by message.

    Images are scaled up and get noise of `grey_noise` levels before they are encoded again, so that a JPEG
    is as large as a real one's; clouds are repeated with 2 cm of noise.
    """

    width_px: int = 1600
    height_px: int = 900
    points: int = 35_000
    quality: int = 85
    grey_noise: float = 6.0

    def __call__(self, route: Route, message: Any) -> Any:
        """The message that takes the place of one of the sample's."""
        kind = message.__msgtype__
        if route.role == "camera_info":
            return self._camera_info(message)
        if kind.endswith("CompressedImage"):
            return self._image(message)
        if kind.endswith("PointCloud2") and any(field.name == "ring" for field in message.fields):
            return self._cloud(message)
        return message

    def words(self) -> str:
        """What was done, for the report."""
        return (
            f"the sample's images scaled up to {self.width_px}x{self.height_px} px with noise and encoded "
            f"again (JPEG {self.quality}), its clouds repeated to {self.points} points"
        )

    def _camera_info(self, message: Any) -> Any:
        across, down = self.width_px / message.width, self.height_px / message.height
        scale = np.array([[across, 0, 0.5 * across - 0.5], [0, down, 0.5 * down - 0.5], [0, 0, 1]])
        k = (scale @ np.reshape(message.k, (3, 3))).reshape(-1)
        p = (scale @ np.reshape(message.p, (3, 4))).reshape(-1)
        return replace(message, k=k, p=p, width=self.width_px, height=self.height_px)

    def _image(self, message: Any) -> Any:
        import cv2

        pixels = np.asarray(cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR))
        large = cv2.resize(pixels, (self.width_px, self.height_px), interpolation=cv2.INTER_CUBIC)
        noise = np.zeros(large.shape, np.int16)
        cv2.setRNGSeed(message.header.stamp.nanosec % 2**31)
        cv2.randn(noise, np.zeros(3), np.full(3, self.grey_noise))
        noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        return replace(message, data=np.asarray(data, np.uint8).reshape(-1))

    def _cloud(self, message: Any) -> Any:
        from mm_fusion.benchmarking.plain_decoding import plain_points

        points = plain_points(message)
        times = -(-self.points // max(1, len(points)))
        many = np.tile(points, times)[: self.points].copy()
        rng = np.random.default_rng(message.header.stamp.nanosec)
        for axis in "xyz":
            many[axis] += rng.normal(0, 0.02, len(many)).astype(np.float32)
        data = np.frombuffer(many.tobytes(), np.uint8)
        return replace(message, width=len(many), row_step=len(data), data=data)

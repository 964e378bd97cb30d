"""Measurements: checked when built, decoded once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mm_fusion.errors import DropLog, DropReason, MeasurementError
from mm_fusion.measurements import CameraImage, CameraModel, Deferred, LidarSweep

NO_POINTS = LidarSweep(
    0, "lidar", np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
)


def test_a_scan_without_points_is_a_scan() -> None:
    assert len(NO_POINTS.select(np.zeros(0, bool)).xyz) == 0


@pytest.mark.parametrize(
    "arrays",
    [
        {"xyz": np.zeros((2, 3))},
        {"intensity": np.zeros(3, np.float32)},
        {"time_offset_ns": np.zeros(0, np.int64)},
        {"ring": np.zeros(1, np.int16)},
    ],
)
def test_columns_of_another_length_or_type_are_refused(arrays: dict) -> None:
    whole = {
        "xyz": NO_POINTS.xyz,
        "intensity": NO_POINTS.intensity,
        "time_offset_ns": NO_POINTS.time_offset_ns,
    }
    with pytest.raises(MeasurementError, match="expected"):
        LidarSweep(0, "lidar", **{**whole, **arrays})


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_a_degenerate_camera_matrix_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(MeasurementError, match="positive focal lengths"):
        CameraModel(matrix, np.zeros(0), "plumb_bob", 10, 10)


def test_an_image_has_pixels_or_bytes() -> None:
    with pytest.raises(MeasurementError, match="either pixels or encoded"):
        CameraImage(0, "camera")


def test_a_payload_is_decoded_once_whoever_asks() -> None:
    calls: list[int] = []

    def decode() -> LidarSweep:
        calls.append(1)
        return NO_POINTS

    item = Deferred(0, "lidar", 0, decode)
    threads = [threading.Thread(target=item.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert item.get() is NO_POINTS and len(calls) == 1


def test_a_broken_payload_stays_broken() -> None:
    calls: list[int] = []

    def decode() -> LidarSweep:
        calls.append(1)
        raise MeasurementError("cut")

    item = Deferred(0, "lidar", 0, decode)
    for _ in range(2):
        with pytest.raises(MeasurementError, match="cut"):
            item.get()
    assert len(calls) == 1


def test_drops_are_counted_by_sensor_and_reason() -> None:
    log = DropLog()
    assert log.counts() == {} and log.total() == 0
    log.add("b", DropReason.LATE, "older than the last frame")
    log.add("a", DropReason.MALFORMED, count=3)
    log.add("b", DropReason.LATE)
    assert log.counts() == {"a": {"malformed": 3}, "b": {"late": 2}} and log.total() == 5
    assert log.texts()["b", DropReason.LATE] == "older than the last frame"

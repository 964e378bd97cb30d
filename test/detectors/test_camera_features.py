"""Images are encoded once, by whoever comes first, and what is found never depends on who that was."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mm_fusion.detectors.camera_features import KEPT, CameraFeatures
from mm_fusion.measurements import CameraImage, CameraModel
from test.network.scene import small_config

MODEL = CameraModel(np.array([[60.0, 0, 32], [0, 60, 16], [0, 0, 1]]), np.zeros(0), "plumb_bob", 64, 32)
WIDER = CameraModel(MODEL.matrix, np.zeros(0), "plumb_bob", 64, 24)


class Graph:
    """Gives the mean of an image, counts its runs, and waits or fails where told."""

    input_names = ("image",)
    model_hash = ""

    def __init__(self) -> None:
        self.runs = 0
        self.gate: threading.Event | None = None
        self.began = threading.Event()
        self.fails = 0

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.runs += 1
        self.began.set()
        if self.gate is not None:
            assert self.gate.wait(5.0)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the device is gone")
        return {"rows": np.asarray(inputs["image"].mean(), np.float32)}


def image(grey: int) -> CameraImage:
    return CameraImage(10, "camera", np.full((32, 64, 3), grey, np.uint8))


def corrupt() -> CameraImage:
    return CameraImage(10, "camera", None, np.frombuffer(b"\xff\xd8\xff\xff\xd9", np.uint8), "jpeg")


def test_nothing_wanted_is_nothing_found() -> None:
    assert CameraFeatures(small_config(), Graph()).rows({}) == {}


def test_an_image_is_encoded_once_however_often_it_is_asked_for() -> None:
    graph, picture = Graph(), image(50)
    features = CameraFeatures(small_config(), graph)
    features.prepare("left", picture, MODEL)
    features.start({"left": (picture, MODEL)})
    assert float(features.rows({"left": (picture, MODEL)})["left"]["rows"]) == 50
    assert graph.runs == 1


def test_another_image_with_the_same_stamp_or_another_size_is_another_one() -> None:
    graph = Graph()
    features = CameraFeatures(small_config(), graph)
    features.prepare("left", image(50), MODEL)
    picture = image(70)
    assert float(features.rows({"left": (picture, MODEL)})["left"]["rows"]) == 70
    features.rows({"left": (picture, WIDER)})
    assert graph.runs == 3


def test_a_corrupt_image_is_left_out_and_not_tried_again() -> None:
    features, broken = CameraFeatures(small_config(), Graph()), corrupt()
    features.prepare("left", broken, MODEL)
    assert features.rows({"left": (broken, MODEL), "right": (image(9), MODEL)}).keys() == {"right"}


def test_what_another_thread_is_at_is_waited_for_and_not_begun_anew() -> None:
    graph, picture = Graph(), image(50)
    graph.gate = threading.Event()
    features = CameraFeatures(small_config(), graph)
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(features.prepare, "left", picture, MODEL)
        assert graph.began.wait(5.0)
        features.start({"left": (picture, MODEL)})  # returns at once
        graph.gate.set()
        assert features.rows({"left": (picture, MODEL)}).keys() == {"left"}
        early.result(5.0)
    assert graph.runs == 1


def test_a_graph_that_failed_is_tried_again_by_the_next() -> None:
    graph, picture = Graph(), image(50)
    graph.fails = 1
    features = CameraFeatures(small_config(), graph)
    with pytest.raises(RuntimeError):
        features.prepare("left", picture, MODEL)
    assert features.rows({"left": (picture, MODEL)}).keys() == {"left"}


def test_old_images_are_forgotten() -> None:
    graph = Graph()
    features = CameraFeatures(small_config(), graph)
    pictures = [image(grey) for grey in range(KEPT + 1)]
    for picture in pictures:
        features.prepare("left", picture, MODEL)
    features.rows({"left": (pictures[-1], MODEL)})
    assert graph.runs == KEPT + 1
    features.rows({"left": (pictures[0], MODEL)})
    assert graph.runs == KEPT + 2


class DeviceGraph(Graph):
    """Its outputs lie in memory that the next run overwrites, until they are copied."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = np.zeros((), np.float32)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.memory = np.asarray(inputs["image"].mean(), np.float32)
        graph = self

        class Lent:
            def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
                time.sleep(0.001)
                return graph.memory

        return {"rows": Lent()}  # type: ignore[dict-item]


def test_outputs_on_a_device_are_fetched_before_the_next_run() -> None:
    features = CameraFeatures(small_config(), DeviceGraph())
    pictures = [image(grey) for grey in (10, 20, 30, 40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda picture: features.prepare("left", picture, MODEL), pictures))
    found = [float(features.rows({"left": (each, MODEL)})["left"]["rows"]) for each in pictures]
    assert found == [10, 20, 30, 40]

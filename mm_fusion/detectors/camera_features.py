"""Feature rows of camera images, each made once, by whichever thread comes to it first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mm_fusion.detectors.protocol import Measure, unmeasured
from mm_fusion.errors import MeasurementError
from mm_fusion.inputs.camera_pixels import camera_pixels
from mm_fusion.measurements import CameraImage, CameraModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Arrays, Backend

Wanted = Mapping[str, tuple[CameraImage, CameraModel]]
"""Image and camera model by camera."""
KEPT = 4
"""Images per camera: a frame takes the nearest of the newest few."""


@dataclass(eq=False)
class _Encoding:
    """Work on one image, done or not; `lock` is held by who is at it."""

    image: CameraImage
    model: CameraModel
    lock: threading.Lock = field(default_factory=threading.Lock)
    found: Arrays | MeasurementError | None = None


class CameraFeatures:
    """What the camera graph gives of images, kept for the newest `KEPT` of each camera.

    An image is known again by being the same object, a model by its size: of a model nothing else enters the
    pixels. So what is found never depends on who asked first, or whether anybody asked early.
    """

    def __init__(self, config: LearnedConfig, graph: Backend) -> None:
        self.measure: Measure = unmeasured
        self._config, self._graph = config, graph
        self._lock, self._running = threading.Lock(), threading.Lock()
        self._on_device = True  # until the first run shows that outputs come to the host by themselves
        self._kept: dict[str, deque[_Encoding]] = {}

    def prepare(self, camera: str, image: CameraImage, model: CameraModel) -> None:
        """Make the rows of an image, unless another thread is at it."""
        self._begin(self._encoding(camera, image, model))

    def start(self, wanted: Wanted) -> None:
        """Make the rows of all images that no other thread has made or is at."""
        for camera, (image, model) in wanted.items():
            self._begin(self._encoding(camera, image, model))

    def rows(self, wanted: Wanted) -> dict[str, Arrays]:
        """Outputs of the camera graph by camera, waited for; cameras with corrupt images are left out."""
        found: dict[str, Arrays] = {}
        for camera, (image, model) in wanted.items():
            encoding = self._encoding(camera, image, model)
            with encoding.lock:
                self._encode(encoding)
            if isinstance(encoding.found, dict):
                found[camera] = encoding.found
        return found

    def _encoding(self, camera: str, image: CameraImage, model: CameraModel) -> _Encoding:
        with self._lock:
            kept = self._kept.setdefault(camera, deque(maxlen=KEPT))
            for encoding in kept:
                if encoding.image is image and _size_px(encoding.model) == _size_px(model):
                    return encoding
            kept.append(_Encoding(image, model))
            return kept[-1]

    def _begin(self, encoding: _Encoding) -> None:
        if encoding.lock.acquire(blocking=False):
            try:
                self._encode(encoding)
            finally:
                encoding.lock.release()

    def _encode(self, encoding: _Encoding) -> None:
        """Fill in what is not there yet; a backend that fails leaves it so, for the next to try again."""
        if encoding.found is not None:
            return
        try:
            with self.measure("decode"):
                pixels = camera_pixels(encoding.image, encoding.model, self._config)
        except MeasurementError as error:
            encoding.found = error
            return
        with self.measure("camera_encoder"):
            encoding.found = self._run({"image": pixels[None]})

    def _run(self, inputs: Arrays) -> Arrays:
        """Outputs on the host. On a device the next run overwrites them: then one thread at a time runs."""
        if not self._on_device:
            return self._graph.run(inputs)
        with self._running:
            outputs = self._graph.run(inputs)
            self._on_device = not all(isinstance(array, np.ndarray) for array in outputs.values())
            return {name: np.asarray(array) for name, array in outputs.items()}


def _size_px(model: CameraModel) -> tuple[int, int]:
    return model.width_px, model.height_px

"""vision_msgs/Detection2DArray, in its old and new layouts, to `ImageDetections`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mm_fusion.config import SensorConfig
from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import Deferred, ImageDetections
from mm_fusion.messages.header import SensorHeader, read_header, reading

MAX_DETECTIONS = 10_000
_DETECTION_BYTES = 64
_SYNONYMS: dict[str, str] = {
    "person": "pedestrian",
    "people": "pedestrian",
    "human": "pedestrian",
    "vehicle": "car",
    "automobile": "car",
    "van": "car",
    "motorbike": "motorcycle",
    "bike": "bicycle",
    "cyclist": "bicycle",
    "lorry": "truck",
    "cone": "traffic_cone",
}
"""Labels of COCO, KITTI and Autoware that mean one of our classes."""


def decode_image_detections(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[ImageDetections]:
    """2D objects of one image, read at first use. `fields: {"2": car}` in the vehicle file names a label."""
    with reading("Detection2DArray", sensor.topic):
        header = read_header(message, sensor, receipt_ns)
        count = len(message.detections)
        if count > MAX_DETECTIONS:
            raise MeasurementError(
                f"expected at most {MAX_DETECTIONS} objects, got {count}; raise the score threshold"
            )
    decode = partial(_read_detections, message.detections, header, sensor)
    return Deferred(header.stamp_ns, header.frame_id, count * _DETECTION_BYTES, decode)


def _read_detections(
    detections: Sequence[Any], header: SensorHeader, sensor: SensorConfig
) -> ImageDetections:
    """All objects whose box is finite and not empty."""
    with reading("Detection2DArray", sensor.topic), np.errstate(all="ignore"):
        box = (
            np.array([_box(detection.bbox) for detection in detections], np.float64)
            .reshape(-1, 4)
            .astype(np.float32)
        )
        best = [_best_hypothesis(detection.results) for detection in detections]
        score = np.nan_to_num(np.clip(np.array([score for _, score in best], np.float32), 0, 1))
        class_id = np.array([class_of_label(label, sensor.fields) for label, _ in best], np.int16)
        keep = np.isfinite(box).all(axis=1) & (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])
    return ImageDetections(header.stamp_ns, header.frame_id, box[keep], score[keep], class_id[keep])


def _box(bbox: Any) -> tuple[float, float, float, float]:
    """left, top, right, bottom around a box, turned or not; its centre is `position` since vision_msgs 4."""
    center = getattr(bbox.center, "position", bbox.center)
    cos, sin = abs(np.cos(bbox.center.theta)), abs(np.sin(bbox.center.theta))
    half_x = (bbox.size_x * cos + bbox.size_y * sin) / 2
    half_y = (bbox.size_x * sin + bbox.size_y * cos) / 2
    return center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y


def _best_hypothesis(results: Sequence[Any]) -> tuple[str, float]:
    """Label and score of the most likely hypothesis; none: no label and score 0."""
    pairs = [_label_and_score(getattr(result, "hypothesis", result)) for result in results]
    return max(pairs, key=lambda pair: pair[1], default=("", 0.0))


def _label_and_score(hypothesis: Any) -> tuple[str, float]:
    label = getattr(hypothesis, "class_id", None)  # `id`, a string or a number, before vision_msgs 4
    score = float(hypothesis.score)
    return str(hypothesis.id if label is None else label), score if np.isfinite(score) else 0.0


def class_of_label(label: str, named: Mapping[str, str] | None = None) -> int:
    """Index into `CLASSES` of a detector's label, in any case and with its number beside it (`2: car`).

    named: label -> class, from the vehicle file. A bare number is `unknown` without it: COCO of 80 and of 91
    classes, nuScenes and KITTI all count differently.
    """
    if named and label in named:
        return _class_by_name(named[label])
    name = re.sub(r"^\d+\s*[:_\- ]\s*|\s*[:_\- ]\s*\d+$", "", label.strip().lower())
    name = re.sub(r"[\s\-.]+", "_", name)
    name = _SYNONYMS.get(name, name)
    return CLASSES.index(name) if name in CLASSES else UNKNOWN_CLASS_ID


def _class_by_name(name: str) -> int:
    if name not in CLASSES:
        raise MeasurementError(
            f"expected one of {', '.join(CLASSES)} in `fields` of the vehicle file, got {name!r}; correct it"
        )
    return CLASSES.index(name)

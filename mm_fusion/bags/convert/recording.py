"""What every converter needs: its report, cameras, static transforms, and boxes turned into truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID, Detections, make_detections
from mm_fusion.errors import BagError
from mm_fusion.geometry.boxes import corners, points_in_boxes
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import CameraModel, StampedTransform
from mm_fusion.messages.encode import encode_transforms

BASE_FRAME = "base_link"
RECEIPT_DELAY_NS = 50_000_000
"""What a recording would have seen: a scan is delivered when it ends, half a scan after its middle."""
STATIC_LEAD_NS = 1_000_000
"""Transforms are received this much before the measurements that need them."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """What was written. frames: of the source; objects: truth by class; notes: what a user should know."""

    path: Path
    frames: int
    runs: int
    messages: Mapping[str, int]
    objects: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Recorder:
    """A bag under writing that counts what goes in, for the report."""

    writer: BagWriter
    messages: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)

    def write(self, topic: str, message: object, receipt_ns: int) -> None:
        """Append a message."""
        self.writer.write(topic, message, receipt_ns)
        self.messages[topic] = self.messages.get(topic, 0) + 1

    def write_static(
        self, base_from_sensor: Mapping[str, NDArray[np.float64]], stamp_ns: int, receipt_ns: int
    ) -> None:
        """Append one message on /tf_static with every frame's place in `base_link`."""
        edges = tuple(
            StampedTransform(stamp_ns, BASE_FRAME, frame, np.asarray(matrix, np.float64), static=True)
            for frame, matrix in base_from_sensor.items()
        )
        self.write("/tf_static", encode_transforms(edges, message_type), receipt_ns)

    def count_truth(self, objects: Detections) -> None:
        """Add truth to the counts of the report."""
        for name in objects.class_names():
            self.objects[name] = self.objects.get(name, 0) + 1


@contextmanager
def reading_source(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong inside while a data set is read into a `BagError` that names the file."""
    try:
        yield
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        EOFError,
        StopIteration,
        BadZipFile,
    ) as error:
        named = getattr(error, "filename", None) or path
        raise BagError(f"{named}: cannot be read as part of the data set: {error!r}") from error


def no_progress(done: int, total: int) -> None:
    """Says nothing: the progress of a caller that shows none."""


def truth_frame(
    stamp_ns: int, boxes7: NDArray[np.float64], class_names: Sequence[str], extra: Mapping[str, NDArray],
    velocity: NDArray | None = None,
) -> TruthFrame:  # fmt: skip
    """Truth in `base_link` from boxes (N, 7) `x y z l w h yaw`, names of `CLASSES` (others become
    `unknown`).
    """
    count = len(boxes7)
    objects = make_detections(
        count,
        center=boxes7[:, :3],
        size=boxes7[:, 3:6],
        yaw=wrap_angle(boxes7[:, 6]),
        score=np.ones(count),
        class_id=np.array(
            [CLASSES.index(name) if name in CLASSES else UNKNOWN_CLASS_ID for name in class_names]
        ),
        position_cov=np.zeros((count, 3)),
        variance=np.zeros((count, 5)),
        **({} if velocity is None else _known_velocity(velocity)),
    )
    return TruthFrame(
        stamp_ns, BASE_FRAME, objects, {name: np.asarray(c, np.float32) for name, c in extra.items()}
    )


def _known_velocity(velocity: NDArray) -> dict[str, NDArray]:
    """Velocity over ground with its covariance, and whether it moves, where the source gives one."""
    known = np.isfinite(velocity).all(axis=1)
    covariance = np.zeros((len(velocity), 3))
    covariance[~known] = (np.inf, 0, np.inf)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    moving = np.where(known, np.where(speed > 0.5, 1.0, 0.0), 0.5)
    return {"velocity": velocity, "velocity_cov": covariance, "moving": moving}


def points_per_box(xyz_base: NDArray, boxes7: NDArray[np.float64]) -> NDArray[np.float32]:
    """(N,) how many points lie in each box, each point counted once."""
    if len(boxes7) == 0 or len(xyz_base) == 0:
        return np.zeros(len(boxes7), np.float32)
    owner = points_in_boxes(np.ascontiguousarray(xyz_base, np.float32), boxes7)
    return np.bincount(owner[owner >= 0], minlength=len(boxes7)).astype(np.float32)


def truncation(
    boxes7: NDArray[np.float64], model: CameraModel, camera_from_base: NDArray
) -> NDArray[np.float32]:
    """(N,) share 0..1 of each box's image rectangle that lies outside the image, as KITTI's truncation.

    For an undistorted camera; corners behind it are moved to 0.1 m in front, and a box wholly behind counts
    as 1.
    """
    shares = np.ones(len(boxes7), np.float32)
    for index, box in enumerate(corners(boxes7) if len(boxes7) else ()):
        xyz = box @ camera_from_base[:3, :3].T + camera_from_base[:3, 3]
        if (xyz[:, 2] <= 0.1).all():
            continue
        uvw = np.column_stack([xyz[:, :2], np.maximum(xyz[:, 2], 0.1)]) @ model.matrix.T
        low, high = (uvw[:, :2] / uvw[:, 2:]).min(0), (uvw[:, :2] / uvw[:, 2:]).max(0)
        inside = np.clip(high, 0, (model.width_px, model.height_px)) - np.clip(
            low, 0, (model.width_px, model.height_px)
        )
        shares[index] = 1 - inside.prod() / max((high - low).prod(), 1e-9)
    return shares

"""Image patches of objects moved from one frame's images into another's, in depth order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.boxes import corners
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.inputs.camera_pixels import camera_pixels, fitted_model
from mm_fusion.inputs.camera_sampling import camera_from_cells
from mm_fusion.measurements import CameraImage, CameraModel, Float32, Float64
from mm_fusion.network_config import LearnedConfig

NEAREST = 0.5
"""Corners nearer than this to the image plane make no rectangle, m."""
BORDER = 0.04
"""What is taken around a box's rectangle, as a share of its sides."""
FEATHER_PX = 2.0
"""Width over which a patch fades into the image."""
Rectangle = Float64
"""(4,): left, top, right, bottom in pixels of the network's image, maybe beyond its edges."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A rectangle of another image, laid into the image of `slot`.

    source: the other frame's network image (3, h, w). taken, laid: rectangles there and here. nearer:
    rectangles (N, 4) of what stands before it here and stays as it is. width_px, height_px: of the part of
    the image that shows the world.
    """

    slot: int
    source: NDArray[np.uint8]
    taken: Rectangle
    laid: Rectangle
    nearer: Float64
    width_px: int
    height_px: int

    def __call__(self, images: NDArray[np.uint8]) -> None:
        """Lay the patch into images (N, 3, h, w), in place."""
        columns, rows = self._span(0, self.width_px), self._span(1, self.height_px)
        if columns.size == 0 or rows.size == 0:
            return
        here = (self.slot, slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        share = self._share(columns, rows)
        mixed = images[here] + share * (self._sampled(columns, rows) - images[here].astype(np.float32))
        images[here] = np.round(mixed).astype(np.uint8)

    def _span(self, axis: int, size: int) -> NDArray[np.int64]:
        """Whole pixels of the rectangle along an axis, within the image."""
        first, last = max(0, int(np.ceil(self.laid[axis]))), min(size - 1, int(self.laid[axis + 2]))
        return np.arange(first, last + 1)

    def _sampled(self, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> Float32:
        import cv2

        x, y = (self._there(axis, at) for axis, at in enumerate((columns, rows)))
        x, y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        source = np.ascontiguousarray(self.source.transpose(1, 2, 0))
        found = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32).transpose(2, 0, 1)

    def _there(self, axis: int, at: NDArray[np.int64]) -> Float64:
        """Where pixels of this image come from."""
        (low, high), (first, last) = self.laid[axis::2], self.taken[axis::2]
        return first + (at - low) * (last - first) / max(high - low, 1e-6)

    def _share(self, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> Float32:
        """(h, w): 1 inside, fading at the patch's own edges, 0 where something nearer stands."""
        edges = []
        for axis, at in enumerate((columns, rows)):
            away = np.minimum(at - self.laid[axis], self.laid[axis + 2] - at)
            edges.append(np.clip((away + 0.5) / FEATHER_PX, 0, 1))
        share = np.minimum(*np.meshgrid(*edges)).astype(np.float32)
        for left, top, right, bottom in self.nearer:
            inside = (columns >= left) & (columns <= right)
            share[np.ix_((rows >= top) & (rows <= bottom), inside)] = 0
        return share


class Camera:
    """A camera of one frame as the network sees it."""

    def __init__(self, frame: Frame, name: str, config: LearnedConfig) -> None:
        self._frame, self._name, self._config = frame, name, config
        self.model: CameraModel = fitted_model(frame.calibration.camera_models[name], config.camera)
        self.from_base = camera_from_cells(frame, name)
        self._seconds = -frame.age_ns.get(name, 0) * 1e-9
        self._pixels: NDArray[np.uint8] | None = None

    def pixels(self) -> NDArray[np.uint8]:
        """The network's image (3, h, w), decoded once; raises `MeasurementError` for corrupt bytes."""
        if self._pixels is None:
            image = decoded(self._frame.measurements[self._name])
            assert isinstance(image, CameraImage)
            model = self._frame.calibration.camera_models[self._name]
            self._pixels = camera_pixels(image, model, self._config)
        return self._pixels

    def rectangle(self, box7: Float64, velocity: Float32) -> Rectangle | None:
        """The rectangle of a box at the frame's time; None where it is not wholly before the camera."""
        box = box7.copy()
        box[:2] += velocity * self._seconds
        xyz = transform_points(self.from_base, corners(box[None])[0])
        if xyz[:, 2].min() < NEAREST:
            return None
        # far outside the lens's valid cone pixels are NaN: such a box reaches beyond the image anyway
        pixels = project(self.model, xyz)[0]
        if not np.isfinite(pixels).all():
            return None
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        border = BORDER * (high - low)
        return np.concatenate([low - border, high + border])

    @property
    def focal_px(self) -> Float64:
        """Pixels per radian at the image's middle, along its width and height."""
        return np.diag(self.model.matrix)[:2]

    def pixels_of(self, xyz: Float32) -> Float64:
        """Pixels (N, 2) of points at the frame's time, NaN where they are not seen."""
        pixels, visible = project(self.model, transform_points(self.from_base, xyz))
        pixels[~visible] = np.nan
        return pixels

    def seen_share(self, rectangle: Rectangle) -> float:
        """Which share of a rectangle lies in the image."""
        size = np.array([self.model.width_px, self.model.height_px])
        low, high = np.clip(rectangle[:2], 0, size), np.clip(rectangle[2:], 0, size)
        area = float(np.prod(rectangle[2:] - rectangle[:2]))
        return float(np.prod(high - low)) / max(area, 1e-6)

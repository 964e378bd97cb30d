"""All pictures of a recording and its results: from above, and one overlay per camera, for each frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from mm_fusion.detections import Detections, empty_detections
from mm_fusion.errors import MeasurementError
from mm_fusion.evaluation.detections_file import DetectionsFile, ResultFrame
from mm_fusion.geometry.cameras import scaled
from mm_fusion.messages.images import decode_pixels
from mm_fusion.viewing.birds_eye import Extent, draw_birds_eye, extent_for
from mm_fusion.viewing.drawing import Picture
from mm_fusion.viewing.overlay import draw_overlay
from mm_fusion.viewing.recording import TOLERANCE_NS, CameraView, Sight
from mm_fusion.viewing.video import Film

OVERLAY_WIDTH_PX = 1280
SMALL_WIDTH_PX = 960
"""Narrower images are enlarged to this before anything is drawn: lines and labels would hide them."""


def sights_of_results(file: DetectionsFile) -> Iterator[Sight]:
    """Empty surroundings for each result, where there is no recording to draw them from."""
    for frame in file.frames:
        yield Sight(frame.stamp_ns)


def draw_album(
    out: Path,
    shown: Iterable[Sight],
    results: DetectionsFile | None,
    video: bool = False,
    least_score: float = 0.0,
    rate_hz: float = 10.0,
) -> dict[str, Path]:
    """Draw each sight with its result (the nearest within 50 ms) into `out`; returns what was written by
    name.

    video: MP4 files where OpenCV can write them, else folders of PNG files. least_score: weaker detections
    are not drawn.
    """
    by_stamp = {frame.stamp_ns: frame for frame in results.frames} if results else {}
    films: dict[str, Film] = {}
    extent: Extent | None = None
    with ExitStack() as stack:
        for number, sight in enumerate(shown):
            result = _nearest(by_stamp, sight.stamp_ns)
            found = _strong(result, least_score)
            extent = extent or extent_for(sight.points_base, sight.radar_base)
            pictures = {"birds_eye": _from_above(sight, result, found, extent, number)}
            pictures |= dict(_overlays(sight, found))
            for name, picture in pictures.items():
                if name not in films:
                    path = out / (f"{name}.mp4" if video else name)
                    films[name] = stack.enter_context(Film(path, rate_hz))
                films[name].add(picture)
    return {name: film.path for name, film in films.items()}


def _strong(result: ResultFrame | None, least_score: float) -> Detections:
    if result is None:
        return empty_detections()
    return result.detections.select(result.detections.score >= least_score)


def _from_above(
    sight: Sight, result: ResultFrame | None, found: Detections, extent: Extent, number: int
) -> Picture:
    title = f"frame {number}\n{sight.stamp_ns * 1e-9:.3f} s"
    if result is not None:
        title += f"\nsensors {result.mode}"
    return draw_birds_eye(found, sight.points_base, sight.radar_base, sight.truth, extent, title)


def _overlays(sight: Sight, found: Detections) -> Iterator[tuple[str, Picture]]:
    for name, view in sight.cameras.items():
        try:
            pixels = decode_pixels(view.image)
        except MeasurementError:
            continue  # a broken image is counted by `run`; here it leaves a gap
        yield f"overlay_{name}", overlay_picture(pixels, view, found, sight.points_base, sight.truth)


def overlay_picture(
    pixels: Picture, view: CameraView, found: Detections, points_base: np.ndarray, truth: Detections | None
) -> Picture:
    """The overlay of one camera, 960 to 1280 px wide."""
    model = view.model
    if pixels.shape[1] < SMALL_WIDTH_PX:
        pixels = _resized(pixels, SMALL_WIDTH_PX)
        model = scaled(model, pixels.shape[1], pixels.shape[0])
    drawn = draw_overlay(pixels, model, view.camera_from_base, found, points_base, truth)
    return _resized(drawn, min(OVERLAY_WIDTH_PX, drawn.shape[1]))


def _resized(picture: Picture, width: int) -> Picture:
    height = round(picture.shape[0] * width / picture.shape[1])
    way = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def _nearest(by_stamp: Mapping[int, ResultFrame], stamp_ns: int) -> ResultFrame | None:
    stamp = min(by_stamp, key=lambda one: abs(one - stamp_ns), default=None)
    return None if stamp is None or abs(stamp - stamp_ns) > TOLERANCE_NS else by_stamp[stamp]

"""All pictures and figures of one explained recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.detections import Detections
from mm_fusion.errors import MeasurementError
from mm_fusion.evaluation.json_file import write_json
from mm_fusion.frame import Frame
from mm_fusion.messages.images import decode_pixels
from mm_fusion.network_config import GridConfig
from mm_fusion.viewing.album import overlay_picture
from mm_fusion.viewing.drawing import Picture
from mm_fusion.viewing.explain import SENSORS, Explanation
from mm_fusion.viewing.explain_picture import explanation_picture, summary_picture
from mm_fusion.viewing.explain_ranks import Agreement, agreements, mean_by_sensor
from mm_fusion.viewing.recording import CameraView, Sight, sight_of
from mm_fusion.viewing.video import Film, write_picture

VERSION = 1


def explain_album(
    out: Path,
    explained: Iterable[tuple[int, Frame, Explanation]],
    grid: GridConfig,
    least_score: float,
    video: bool = False,
    rate_hz: float = 10.0,
) -> tuple[dict[str, Path], dict[str, Agreement]]:
    """Draw each frame, then the summary; what was written by name, and how well ranks agree.

    Written even where an interrupt ends the frames: what is there is whole.
    """
    frames: list[Explanation] = []
    numbers: list[int] = []
    film = Film(out / ("explain.mp4" if video else "explain"), rate_hz)
    try:
        with ExitStack() as stack:
            stack.enter_context(film)
            for number, frame, whole in explained:
                strong = whole.select(whole.detections.score >= least_score)
                film.add(_picture(number, frame, strong, grid))
                frames.append(strong)
                numbers.append(number)
    finally:
        agreed = agreements(frames)
        written = {"explain": film.path, **_summary(out, numbers, frames, agreed)} if frames else {}
    return written, agreed


def _summary(
    out: Path, numbers: Sequence[int], frames: Sequence[Explanation], agreed: dict[str, Agreement]
) -> dict[str, Path]:
    picture = write_picture(out / "explain_summary.png", summary_picture(frames, agreed))
    path = out / "explain.json"
    tree = {
        "version": VERSION,
        "sensors": list(SENSORS),
        "agreement_with_removal": {method: each.tree() for method, each in agreed.items()},
        "means": mean_by_sensor(frames),
        "frames": [_frame_tree(number, each) for number, each in zip(numbers, frames)],
    }
    write_json(path, tree)
    return {"summary": picture, "figures": path}


def _frame_tree(number: int, explained: Explanation) -> dict[str, Any]:
    names = ("stated", "gate", "removed", "shapley")
    found = explained.detections
    columns = {name: np.round(getattr(explained, name), 5).tolist() for name in names}
    columns["present"] = explained.present.tolist()
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    heads = zip(found.class_names(), found.score.tolist(), found.center.tolist())
    return {
        "frame": number,
        "detections": [
            {"class": name, "score": round(score, 5), "center": np.round(center, 3).tolist(), **row}
            for (name, score, center), row in zip(heads, rows)
        ],
    }


def _picture(number: int, frame: Frame, explained: Explanation, grid: GridConfig) -> Picture:
    sight = sight_of(frame)
    title = f"Frame {number}  ·  {frame.stamp_ns * 1e-9:.3f} s"
    return explanation_picture(sight, explained, grid, title, _camera(sight, explained.detections))


def _camera(sight: Sight, found: Detections) -> Picture | None:
    """The image of the camera with the most detections in front of it, boxes drawn; None without any."""
    views = sorted(sight.cameras.values(), key=lambda view: -_seen(view, found))
    for view in views:
        try:
            pixels = decode_pixels(view.image)
        except MeasurementError:
            continue
        return overlay_picture(pixels, view, found, np.zeros((0, 3), np.float32), None)
    return None


def _seen(view: CameraView, found: Detections) -> int:
    centres = found.center @ view.camera_from_base[:3, :3].T + view.camera_from_base[:3, 3]
    half = view.model.width_px / (2 * view.model.matrix[0, 0])
    return int(((centres[:, 2] > 1) & (np.abs(centres[:, 0]) < half * centres[:, 2])).sum())

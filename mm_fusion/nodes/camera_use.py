"""What each camera contributes to what is found, for leaving out those first that are missed least."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import SENSOR_GROUPS, FusionResult
from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transforms import inverse, transform_points

MEMORY = 0.9
"""Share of the past in the mean."""
_CAMERA = SENSOR_GROUPS.index("camera")


class CameraUse:
    """Mean over the newest frames of what the objects in each camera's image owe to cameras."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}

    def observe(self, frame: Frame, result: FusionResult) -> None:
        """Take in one frame; a camera that is not in it keeps what it had."""
        for name, share in contributions(frame, result).items():
            self.shares[name] = MEMORY * self.shares.get(name, share) + (1 - MEMORY) * share


def contributions(frame: Frame, result: FusionResult) -> dict[str, float]:
    """Sum of score times the cameras' contribution over the objects in each camera's image, by camera."""
    found = result.detections
    worth = found.score * found.contribution[:, _CAMERA]
    shares: dict[str, float] = {}
    for name, model in frame.calibration.camera_models.items():
        if frame.kinds[name] == "camera" and result.available.get(name):
            camera_from_base = inverse(frame.calibration.base_from_sensor[name])
            _, inside = project(model, transform_points(camera_from_base, found.center))
            shares[name] = float(np.sum(worth, where=inside))
    return shares

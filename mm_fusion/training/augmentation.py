"""A scene flipped, turned and scaled as a whole: every sensor, the lift table and the truth follow alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import Detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import Float64


@dataclass(frozen=True)
class SceneAugmentation:
    """Draws `scene_from_base` for each frame: flip of y, turn around z, size.

    flip: chance; turn: largest angle to either side, rad; scale: largest share to either side.
    """

    flip: float = 0.5
    turn: float = 0.4
    scale: float = 0.05

    def __call__(
        self, frame: Frame, truth: TruthFrame, rng: np.random.Generator
    ) -> tuple[Frame, TruthFrame, Float64]:
        """The frame as it is, the truth in the changed scene, and scene_from_base (4, 4)."""
        scene_from_base = self.draw(rng)
        return frame, replace(truth, objects=moved_objects(truth.objects, scene_from_base)), scene_from_base

    def draw(self, rng: np.random.Generator) -> Float64:
        """One scene_from_base (4, 4)."""
        angle, scale = rng.uniform(-self.turn, self.turn), 1 + rng.uniform(-self.scale, self.scale)
        cosine, sine = np.cos(angle), np.sin(angle)
        matrix = np.eye(4)
        matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
        matrix[:3, :3] *= scale
        if rng.random() < self.flip:
            matrix[:, 1] *= -1
        return matrix


def moved_objects(objects: Detections, scene_from_base: Float64) -> Detections:
    """Objects in the changed scene: velocities turn and scale with it."""
    linear, shift = scene_from_base[:3, :3], scene_from_base[:3, 3]
    scale = np.cbrt(abs(np.linalg.det(linear)))
    heading = np.stack([np.cos(objects.yaw), np.sin(objects.yaw)], 1) @ linear[:2, :2].T
    return replace(
        objects,
        center=(objects.center @ linear.T + shift).astype(np.float32),
        size=(objects.size * scale).astype(np.float32),
        yaw=np.arctan2(heading[:, 1], heading[:, 0]).astype(np.float32),
        velocity=(objects.velocity @ linear[:2, :2].T).astype(np.float32),
    )

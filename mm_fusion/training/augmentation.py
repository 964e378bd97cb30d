"""Frames changed as a whole: the scene flipped, turned, scaled; sensors a little off, or lying; other light.

Every sensor, the lift table and the truth follow alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import Detections
from mm_fusion.frame import Frame
from mm_fusion.inputs.camera_pixels import camera_slots
from mm_fusion.measurements import Float64
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.changes import Changed, Frames, ImageEdit
from mm_fusion.training.lies import SensorLies
from mm_fusion.training.pasting import ObjectPasting
from mm_fusion.training.photometric import Photometric
from mm_fusion.training.sensor_jitter import jittered
from mm_fusion.training.settings import AugmentConfig


class Augmentation:
    """All that `AugmentConfig` names; each has draws of its own, so that one more changes no other."""

    def __init__(self, frames: Frames, config: LearnedConfig, settings: AugmentConfig) -> None:
        self._settings = settings
        self._config = config
        self._pasting = ObjectPasting(frames, config, settings.paste)
        self._lies = SensorLies(frames, config, settings.lies)

    def __call__(
        self, number: int, frame: Frame, truth: TruthFrame, rng: np.random.Generator, progress: float
    ) -> Changed:
        """The changed frame; what lies is what it shows, what is labelled is what it would have shown."""
        scene, jitter, lies, light, paste = rng.spawn(5)
        pasted = self._pasting(number, frame, truth, paste, progress)
        frame, liars = self._lies(number, pasted.frame, lies)
        frame = jittered(frame, self._settings, jitter)
        scene_from_base = drawn_scene(self._settings, scene)
        truth = replace(pasted.truth, objects=moved_objects(pasted.truth.objects, scene_from_base))
        blind = {slot for name, slot in camera_slots(frame, self._config).items() if name in liars}
        patches = [patch for patch in pasted.patches if patch.slot not in blind]
        images: tuple[ImageEdit, ...] = (*patches, Photometric(self._settings.photometric, light))
        return Changed(frame, truth, pasted.frame, scene_from_base, images)


def drawn_scene(settings: AugmentConfig, rng: np.random.Generator) -> Float64:
    """scene_from_base (4, 4): a flip of y, a turn around z, a size."""
    turn = np.radians(settings.turn_deg)
    angle, scale = rng.uniform(-turn, turn), 1 + rng.uniform(-settings.scale, settings.scale)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.eye(4)
    matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    matrix[:3, :3] *= scale
    if rng.random() < settings.flip:
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

"""Frames by which backends are compared and timed: stored with a model, else made from its configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mm_fusion.errors import ConfigurationError, ResultError
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.samples import read_samples
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.array_checks import is_finite

SAMPLES = "samples.npz"
"""Frames that `export` stores beside the graphs (`inputs.samples`)."""
_MADE = 2
"""Frames made where none are stored."""


def load_samples(folder: Path, config: LearnedConfig) -> list[NetworkInputs]:
    """The frames stored in a model's folder, or a few made ones where it has none.

    Raises `ConfigurationError` naming the array that does not fit the configuration.
    """
    path = folder / SAMPLES
    if not path.is_file():
        return made_samples(config)
    try:
        frames = read_samples(path)
    except ResultError as error:
        raise ConfigurationError(str(error)) from error
    if not frames:
        raise ConfigurationError(f"{path}: expected stored frames, got none")
    like = made_samples(config, 1)[0]
    for frame in frames:
        for name, array in _arrays(like).items():
            found = _arrays(frame)[name]
            if found.shape != array.shape or found.dtype != array.dtype or not is_finite(found):
                raise ConfigurationError(
                    f"{path}: expected {name} as {array.shape} {array.dtype} of finite numbers, got "
                    f"{found.shape} {found.dtype}; export the model again"
                )
    return frames


def _arrays(frame: NetworkInputs) -> dict[str, np.ndarray]:
    return {name: array for name, array in frame.items() if isinstance(array, np.ndarray)}


def made_samples(config: LearnedConfig, count: int = _MADE) -> list[NetworkInputs]:
    """Frames with every sensor present, the same for the same sizes: smooth images and thin rasters."""
    random = np.random.default_rng(0)
    return [_made(config, random) for _ in range(count)]


def _made(config: LearnedConfig, random: np.random.Generator) -> NetworkInputs:
    camera, grid = config.camera, config.grid.shape
    lift = config.lift_shape
    row = random.integers(0, camera.rows_per_camera * camera.max_cameras, lift, dtype=np.int32)
    bins = row * camera.depth_bins + random.integers(0, camera.depth_bins, lift, dtype=np.int32)
    used = random.random(lift) < 0.7
    weight = np.where(used, np.float32(1 / camera.slots), np.float32(0))
    return NetworkInputs(
        images=_images(config, random),
        camera_present=np.ones(camera.max_cameras, np.float32),
        lidar=_raster(config.lidar_shape, random),
        radar=_raster(config.radar_shape, random),
        lift_index=np.where(used, row, 0).astype(np.int32),
        lift_bin=np.where(used, bins, 0).astype(np.int32),
        lift_weight=weight.astype(np.float32),
        camera_age=random.random((1, 1, *grid), np.float32),
        coverage=np.ones((1, 3, *grid), np.float32),
        available=np.ones(3, np.float32),
    )


def _images(config: LearnedConfig, random: np.random.Generator) -> np.ndarray:
    """(N, 3, h, w) uint8: coarse noise enlarged, so that neighbouring pixels are alike."""
    camera, block = config.camera, 8
    coarse = (-(-camera.height_px // block), -(-camera.width_px // block))
    noise = random.integers(0, 256, (camera.max_cameras, 3, *coarse), dtype=np.uint8)
    large = noise.repeat(block, 2).repeat(block, 3)
    return np.ascontiguousarray(large[:, :, : camera.height_px, : camera.width_px])


def _raster(shape: tuple[int, int, int], random: np.random.Generator) -> np.ndarray:
    """(1, C, X, Y) float32 with one cell in ten filled."""
    filled = random.random((1, 1, *shape[1:])) < 0.1
    return np.where(filled, random.random((1, *shape), np.float32), np.float32(0)).astype(np.float32)

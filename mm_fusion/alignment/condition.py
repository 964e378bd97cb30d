"""How well one sensor of each kind sees, by direction, from what it delivers compared with its own past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.alignment.baselines import Baseline, fingerprint_of, ramp
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import (
    CameraImage,
    CameraModel,
    Float32,
    Float64,
    ImageDetections,
    LidarSweep,
    Measurement,
    RadarScan,
    RadarTracks,
)
from mm_fusion.messages.images import decode_pixels

SECTORS = 36
BANDS = 8
LOOK_EVERY = 30
"""A camera is looked at once in so many images: decoding even an eighth of one costs a millisecond or two."""
STRIDES = (1, 3, 7, 13, 29, 61, 127, 251)
"""Points are sampled by primes, which share no factor with the number of rings."""
SAMPLED_POINTS = 4096
DARK, BRIGHT = 3, 252


def fingerprint(item: Measurement) -> int | None:
    """A checksum by which the same payload is known again; None where an empty one says nothing."""
    match item:
        case LidarSweep():
            return fingerprint_of(item.xyz, item.intensity)
        case RadarScan():
            return fingerprint_of(item.xyz, item.radial_velocity)
        case RadarTracks():
            return fingerprint_of(item.center, item.velocity)
        case ImageDetections():
            return fingerprint_of(item.box_px, item.score)
        case CameraImage():
            return _image_fingerprint(item)


def _image_fingerprint(image: CameraImage) -> int | None:
    if image.pixels is not None:
        return fingerprint_of(image.pixels[::8, ::8].reshape(-1, 3), samples=4096)
    encoded = b"" if image.encoded is None else image.encoded
    return fingerprint_of(np.frombuffer(encoded, np.uint8), samples=4096)


class LidarCondition:
    """Returns by azimuth sector beside how many there used to be: dirt and covers take them away."""

    def __init__(self) -> None:
        self._baseline = Baseline(SECTORS, warm_up=10, least=8.0, low=0.3, smooth=0.3)

    def examine(self, sweep: LidarSweep, base_from_sensor: Float64 | None) -> tuple[Float32, tuple[str, ...]]:
        """Coverage (SECTORS,) 0..1 and remarks, of the newest sweep."""
        stride = max(step for step in STRIDES if step == 1 or step * SAMPLED_POINTS <= len(sweep.xyz))
        xy = sweep.xyz[::stride, :2]
        if base_from_sensor is not None:
            xy = sweep.xyz[::stride] @ base_from_sensor[:2, :3].T.astype(np.float32)
        sector = sector_of(np.arctan2(xy[:, 1], xy[:, 0]))
        count = np.bincount(sector, minlength=SECTORS).astype(np.float64) * stride
        coverage = ramp(self._baseline.share(count), 0.05, 0.3).astype(np.float32)
        return coverage, _blocked(coverage)


class RadarCondition:
    """Number of returns beside how many there used to be, all directions as one."""

    def __init__(self) -> None:
        self._baseline = Baseline(1, warm_up=10, least=5.0, low=0.15, smooth=0.3)

    def examine(self, scan: RadarScan) -> tuple[Float32, tuple[str, ...]]:
        """Coverage (SECTORS,) 0..1 and remarks, of the newest scan."""
        share = self._baseline.share(np.array([len(scan.xyz)], np.float64))
        coverage = np.full(SECTORS, ramp(share, 0.02, 0.15)[0], np.float32)
        return coverage, (f"few returns: {len(scan.xyz)}",) if coverage[0] < 0.99 else ()


class CameraCondition:
    """Texture by vertical band of a thumbnail beside how much there used to be, and how much is saturated."""

    def __init__(self, first_look: int) -> None:
        self._baseline = Baseline(BANDS, warm_up=3, least=0.5, low=0.3, smooth=0.5, pace=LOOK_EVERY)
        self._until_look = first_look
        self._bands = np.ones(BANDS)
        self._remarks: tuple[str, ...] = ()

    def examine(
        self, image: CameraImage, model: CameraModel | None, base_from_sensor: Float64 | None
    ) -> tuple[Float32, tuple[str, ...]]:
        """Coverage (SECTORS,) 0..1 and remarks; the image is looked at once in `LOOK_EVERY` times."""
        self._until_look -= 1
        if self._until_look < 0:
            self._until_look = LOOK_EVERY - 1
            self._look(image)
        return self._by_sector(model, base_from_sensor), self._remarks

    def _look(self, image: CameraImage) -> None:
        try:
            green = decode_pixels(image, 8)[:, :, 1].astype(np.int16)
        except MeasurementError:
            return
        if green.shape[0] < 2 or green.shape[1] < 2 * BANDS:
            return
        bands = np.array_split(green, BANDS, axis=1)
        sharp = ramp(self._baseline.share(np.array([_texture(band) for band in bands])), 0.1, 0.3)
        saturated = np.array([np.mean((band <= DARK) | (band >= BRIGHT)) for band in bands])
        exposed = ramp(-saturated, -0.95, -0.6)
        self._bands = sharp * exposed
        blurred, glaring = int(np.sum(sharp < 0.99)), int(np.sum(exposed < 0.99))
        remarks = [f"blurred or covered: {blurred} of {BANDS} parts of the image"] * (blurred > 0)
        remarks += [f"saturated: {glaring} of {BANDS} parts of the image"] * (glaring > 0)
        self._remarks = tuple(remarks)

    def _by_sector(self, model: CameraModel | None, base_from_sensor: Float64 | None) -> Float32:
        coverage = np.ones(SECTORS, np.float32)
        if model is None or base_from_sensor is None or np.all(self._bands >= 0.99):
            return coverage
        azimuth = np.append(sector_centers(), np.arctan2(base_from_sensor[1, 2], base_from_sensor[0, 2]))
        rays = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1) @ base_from_sensor[:2, :3]
        ahead = rays[:, 2] > 1e-6
        column = model.matrix[0, 2] + model.matrix[0, 0] * rays[:, 0] / np.where(ahead, rays[:, 2], 1.0)
        seen = ahead & (column >= 0) & (column < model.width_px)
        band = (column[seen] / model.width_px * BANDS).astype(np.int64)
        np.minimum.at(coverage, sector_of(azimuth[seen]), self._bands[band].astype(np.float32))
        return coverage


def _texture(band: NDArray[np.int16]) -> float:
    """Mean absolute difference of neighbouring pixels, in grey levels."""
    return float(np.abs(np.diff(band, axis=0)).mean() + np.abs(np.diff(band, axis=1)).mean())


def sector_of(azimuth: np.ndarray) -> NDArray[np.int64]:
    """Index (N,) of the sector that each azimuth (N,) rad lies in; sector 0 begins at -pi."""
    return np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS).astype(np.int64) % SECTORS


def sector_centers() -> Float64:
    """Azimuth (SECTORS,) rad of each sector's middle."""
    return (np.arange(SECTORS) + 0.5) / SECTORS * 2 * np.pi - np.pi


def _blocked(coverage: Float32) -> tuple[str, ...]:
    low = np.flatnonzero(coverage < 0.99)
    if not len(low):
        return ()
    named = ", ".join(f"{round(np.degrees(center))}" for center in sector_centers()[low])
    return (f"blocked: few returns around {named} deg",)

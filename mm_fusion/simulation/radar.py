"""What a radar measures in the world: cells that stand out of the noise, with their errors and ghosts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.motion import wrap_velocity
from mm_fusion.measurements import Float64, RadarScan
from mm_fusion.simulation.radar_paths import GHOST, Scatterers, View, join, scatterers_of
from mm_fusion.simulation.radar_units import RadarUnit, radar_unit
from mm_fusion.simulation.scene import Scene
from mm_fusion.simulation.sensor_motion import sensor_velocity
from mm_fusion.simulation.world import World

REFERENCE_RANGE = 30.0
EDGE_LOSS_DB = 4.0
"""Two-way loss of the antenna at the edge of its field, falling with the square of the angle."""
RAIN_LOSS_DB = 0.0004
"""Two-way loss per metre and mm/h at 77 GHz; fog costs a radar nothing."""
DAMPED_RANGE = 14.0
SIDELOBE = 0.01
"""Power of the antenna's sidelobes in azimuth: what is weaker beside a strong echo is not told from them."""
SPREAD_RANGE = 25.0
"""Elevation scatters by what the unit says up to here, and less beyond, where echoes are single ones."""
BURST_RETURNS = (40, 160)
BURST_WIDTH_DEG = 12.0


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """Answers in the sensor's own terms, (N,) each; power: over the detection threshold, 1 is just seen."""

    distance: Float64
    azimuth: Float64
    elevation: Float64
    velocity: Float64
    power: Float64
    owner: NDArray[np.int32]

    def select(self, keep: NDArray[np.int64], power: Float64) -> _Answers:
        """The answers at `keep`, with other power."""
        return _Answers(
            self.distance[keep],
            self.azimuth[keep],
            self.elevation[keep],
            self.velocity[keep],
            power,
            self.owner[keep],
        )


class RadarSimulator:
    """One radar of a vehicle file. Raises `ConfigurationError` for a unit that is not known."""

    def __init__(self, name: str, sensor: SensorConfig, base_from_radar: Float64) -> None:
        try:
            self.unit: RadarUnit = radar_unit(sensor.unit)
        except ConfigurationError as error:
            raise ConfigurationError(f"sensors.{name}: {error}") from None
        self.ambiguity_mps = sensor.ambiguity_mps or self.unit.ambiguity_mps
        self._base_from_radar = base_from_radar
        self._strength_kind = self.unit.strength_kind

    def scan(
        self, world: World, t_s: float, stamp_ns: int, frame_id: str, rng: np.random.Generator
    ) -> tuple[RadarScan, NDArray[np.int32]]:
        """One raw cycle at `t_s`, receding positive, and the actor of each return: -1 static, -2 ghosts.

        Order of the returns: by range cell. Recordings multiply velocities by `doppler_sign`.
        """
        view = View(
            world,
            Scene(world, t_s),
            t_s,
            world.world_from_base(t_s) @ self._base_from_radar,
            sensor_velocity(world, self._base_from_radar, t_s),
            self.unit,
        )
        answers = join([scatterers_of(view, rng), self._false_alarms(view, rng)])
        cells = self._merged(self._received(view, answers, rng))
        return self._measured(view, cells, stamp_ns, frame_id, rng)

    def _false_alarms(self, view: View, rng: np.random.Generator) -> Scatterers:
        """Noise peaks anywhere, and now and then a burst of another radar in one direction."""
        unit = self.unit
        count = int(rng.poisson(unit.false_alarms))
        azimuth = rng.uniform(-unit.azimuth_deg, unit.azimuth_deg, count)
        if rng.random() < unit.interference_chance:
            burst = int(rng.integers(*BURST_RETURNS))
            middle = rng.uniform(-unit.azimuth_deg, unit.azimuth_deg)
            azimuth = np.append(azimuth, middle + rng.normal(0, BURST_WIDTH_DEG / 2, burst))
        a, e = np.radians(azimuth), np.radians(rng.normal(0, unit.elevation_deg / 3, len(azimuth)))
        local = np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
        distance = rng.uniform(1.0, unit.reach, len(azimuth))
        section = 10 ** (
            (-self._level_db(distance) + self._edge_loss_db(local) + rng.exponential(4, len(azimuth))) / 10
        )
        return Scatterers(
            distance,
            local @ view.world_from_radar[:3, :3].T,
            rng.uniform(-30, 30, len(azimuth)),
            # Not an echo: it does not fluctuate as one, so it gets through the noise by a margin.
            2 * section,
            np.full(len(azimuth), GHOST, np.int32),
        )

    def _received(self, view: View, answers: Scatterers, rng: np.random.Generator) -> _Answers:
        """Power of each scatterer over the threshold: radar equation, antenna, Swerling's fluctuation."""
        unit = self.unit
        local = answers.ray @ view.world_from_radar[:3, :3]
        fading = rng.exponential(1.0, len(local)).clip(1e-6)
        level = self._level_db(answers.distance) - self._edge_loss_db(local)
        level = level - RAIN_LOSS_DB * view.world.weather.rain_mm_h * answers.distance
        power = 10 ** (level / 10) * answers.section * fading
        azimuth, elevation = np.arctan2(local[:, 1], local[:, 0]), np.arcsin(local[:, 2].clip(-1, 1))
        usable = (answers.distance < unit.reach) & (np.abs(azimuth) < np.radians(unit.azimuth_deg))
        usable &= (np.abs(elevation) < np.radians(unit.elevation_deg)) & (power > 1e-4)
        velocity = wrap_velocity(answers.velocity, self.ambiguity_mps)
        whole = _Answers(answers.distance, azimuth, elevation, velocity, power, answers.owner)
        chosen = np.flatnonzero(usable)
        return whole.select(chosen, power[chosen])

    def _level_db(self, distance: Float64) -> Float64:
        """Level over the threshold of 1 m^2 in the middle of the field; the receiver is damped close by."""
        decay = self.unit.decay_db * np.log10(distance.clip(0.3) / REFERENCE_RANGE)
        damped: Float64 = self.unit.snr_db - decay + 20 * np.log10((distance / DAMPED_RANGE).clip(0.05, 1))
        return damped

    def _edge_loss_db(self, local: Float64) -> Float64:
        azimuth = np.degrees(np.arctan2(local[:, 1], local[:, 0])) / self.unit.azimuth_deg
        elevation = np.degrees(np.arcsin(local[:, 2].clip(-1, 1))) / self.unit.elevation_deg
        loss: Float64 = EDGE_LOSS_DB * (azimuth**2 + elevation**2)
        return loss

    def _merged(self, answers: _Answers) -> _Answers:
        """One answer for each cell of range, Doppler and azimuth: their power, where the strongest stands."""
        unit = self.unit
        keys = np.column_stack(
            [
                answers.distance / unit.range_cell,
                answers.velocity / unit.doppler_cell,
                np.degrees(answers.azimuth) / unit.azimuth_cell_deg,
            ]
        )
        packed = (np.floor(keys).astype(np.int64) + 4096) @ np.array([1 << 26, 1 << 13, 1])
        order = np.lexsort((-answers.power, packed))
        if not len(order):
            return answers
        starts = np.flatnonzero(np.diff(packed[order], prepend=-1))
        best = order[starts]
        total = np.add.reduceat(answers.power[order], starts)
        # Cells of one range and Doppler follow each other: the strongest one's sidelobes cover the weak.
        beams = np.flatnonzero(np.diff(packed[best] >> 13, prepend=-1))
        strongest = np.maximum.reduceat(total, beams)
        covered = np.repeat(strongest * SIDELOBE, np.diff(beams, append=len(best)))
        keep = (total > 1.0) & (total >= covered)
        return answers.select(best[keep], total[keep])

    def _measured(
        self, view: View, cells: _Answers, stamp_ns: int, frame_id: str, rng: np.random.Generator
    ) -> tuple[RadarScan, NDArray[np.int32]]:
        """The strongest `most` cells as returns with measurement errors, on the unit's grids."""
        unit = self.unit
        keep = np.sort(np.argsort(-cells.power, kind="stable")[: unit.most])
        cells = cells.select(keep, cells.power[keep])
        count = len(keep)
        distance = _on_grid(cells.distance + rng.normal(0, unit.range_sigma, count), unit.range_step)
        azimuth = cells.azimuth + np.radians(rng.normal(0, unit.azimuth_sigma_deg, count))
        elevation = self._elevation(cells, rng)
        velocity = cells.velocity + rng.normal(0, unit.doppler_sigma, count)
        level = np.cos(elevation)
        ray = np.column_stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
        scan = RadarScan(
            stamp_ns,
            frame_id,
            (ray * distance.clip(0.1)[:, None]).astype(np.float32),
            self._wrapped(velocity),
            self._strength_db(cells).astype(np.float32),
            self._strength_kind,
            ambiguity_mps=self.ambiguity_mps,
        )
        return scan, cells.owner

    def _elevation(self, cells: _Answers, rng: np.random.Generator) -> Float64:
        unit, count = self.unit, len(cells.power)
        noise, wild = rng.normal(0, 1, count), rng.random(count) < unit.wild_share
        if unit.elevation_sigma_deg is None:
            return np.zeros(count)
        spread = (cells.distance / SPREAD_RANGE).clip(0.1) ** -0.4
        sigma = np.where(wild, unit.wild_sigma_deg, unit.elevation_sigma_deg) * spread.clip(0.6, 1.1)
        limit = np.radians(1.2 * unit.elevation_deg)
        return (cells.elevation + np.radians(sigma * noise)).clip(-limit, limit)

    def _wrapped(self, velocity: Float64) -> NDArray[np.float32]:
        """Doppler on its grid within the interval; the grid divides the interval evenly."""
        step = self.unit.doppler_step
        if self.ambiguity_mps is None:
            return _on_grid(velocity, step).astype(np.float32)
        bins = round(self.ambiguity_mps / step) if step else 0
        grid = self.ambiguity_mps / bins if bins else 0.0
        wrapped: NDArray[np.float32] = wrap_velocity(
            wrap_velocity(_on_grid(velocity, grid), self.ambiguity_mps).astype(np.float32), self.ambiguity_mps
        )
        return wrapped

    def _strength_db(self, cells: _Answers) -> Float64:
        unit = self.unit
        over_db = 10 * np.log10(cells.power)
        if self._strength_kind == "rcs":
            over_db = over_db - self._level_db(cells.distance)
        return _on_grid(unit.floor_db + over_db, unit.strength_step_db)


def _on_grid(values: Float64, step: float) -> Float64:
    return np.round(values / step) * step if step else values

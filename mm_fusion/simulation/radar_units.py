"""What tells one automotive radar from another, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import StrengthKind

RADAR_UNITS = ("ars408", "astyx", "ars548")


@dataclass(frozen=True, slots=True)
class RadarUnit:
    """A radar's field, cells, accuracy and sensitivity.

    azimuth_deg, elevation_deg: half fields. reach: m. *_cell: what lies in one cell of range (m), Doppler
    (m/s) and azimuth (degrees) is one return. *_step: grid of the reported value, 0 for none.
    snr_db: of 1 m^2 at 30 m, above the detection threshold; decay_db: loss per decade of range (40: radar
    equation; less where sensitivity follows range). elevation_sigma_deg: None for a flat (3D) unit;
    wild_share of returns has `wild_sigma_deg`. floor_db: strength of what is just detected, for `power`.
    rays, rays_per_actor, per_patch: how finely the scene is sampled. most: returns in one scan.
    """

    name: str
    azimuth_deg: float
    elevation_deg: float
    reach: float
    range_cell: float
    doppler_cell: float
    azimuth_cell_deg: float
    range_sigma: float
    range_step: float
    doppler_sigma: float
    doppler_step: float
    ambiguity_mps: float | None
    azimuth_sigma_deg: float
    elevation_sigma_deg: float | None
    snr_db: float
    strength_kind: StrengthKind
    decay_db: float = 40.0
    floor_db: float = 0.0
    strength_step_db: float = 0.5
    wild_share: float = 0.0
    wild_sigma_deg: float = 0.0
    most: int = 250
    rays: int = 1200
    rays_per_actor: int = 32
    per_patch: int = 1
    false_alarms: float = 2.0
    interference_chance: float = 0.01


def radar_unit(name: str | None) -> RadarUnit:
    """The unit of a vehicle file's `unit`; raises `ConfigurationError` with the names there are.

    Sources: Continental's data sheets of ARS 408-21 (near field, clusters) and ARS 548 RDI; the Astyx unit
    as measured on its data set: 128 Doppler bins of 0.0812 m/s, ranges on 0.075 m, strength in steps of
    0.5 dB above a floor that does not depend on range and 9 dB a decade lower on cars, 3-4 degrees of
    elevation error, 1,000-4,300 returns a scan.
    """
    match name:
        case "ars408":
            return RadarUnit(
                name,
                azimuth_deg=60.0,
                elevation_deg=9.0,
                reach=100.0,
                range_cell=0.4,
                doppler_cell=0.1,
                azimuth_cell_deg=2.0,
                range_sigma=0.1,
                range_step=0.2,
                doppler_sigma=0.03,
                doppler_step=0.25,
                ambiguity_mps=None,
                azimuth_sigma_deg=0.6,
                elevation_sigma_deg=None,
                snr_db=12.0,
                strength_kind="rcs",
                decay_db=30.0,
                most=125,
                rays=1000,
                rays_per_actor=24,
            )
        case "astyx":
            return RadarUnit(
                name,
                azimuth_deg=62.0,
                elevation_deg=16.0,
                reach=102.0,
                range_cell=0.15,
                doppler_cell=0.0812,
                azimuth_cell_deg=1.0,
                range_sigma=0.05,
                range_step=0.075,
                doppler_sigma=0.06,
                doppler_step=0.0812,
                ambiguity_mps=10.3936,
                azimuth_sigma_deg=0.5,
                elevation_sigma_deg=1.7,
                snr_db=21.5,
                strength_kind="power",
                decay_db=9.0,
                floor_db=45.5,
                wild_share=0.2,
                wild_sigma_deg=6.5,
                most=6000,
                rays=9000,
                per_patch=3,
                rays_per_actor=190,
                false_alarms=25.0,
                interference_chance=0.03,
            )
        case "ars548":
            return RadarUnit(
                name,
                azimuth_deg=60.0,
                elevation_deg=14.0,
                reach=300.0,
                range_cell=0.22,
                doppler_cell=0.1,
                azimuth_cell_deg=1.2,
                range_sigma=0.06,
                range_step=0.0,
                doppler_sigma=0.04,
                doppler_step=0.0,
                ambiguity_mps=None,
                azimuth_sigma_deg=0.3,
                elevation_sigma_deg=0.5,
                snr_db=14.0,
                strength_kind="rcs",
                decay_db=30.0,
                most=800,
                rays=2000,
                rays_per_actor=48,
                false_alarms=4.0,
            )
        case _:
            raise ConfigurationError(
                f"radar unit {name!r}: the simulator knows {', '.join(RADAR_UNITS)}; set unit to one of them"
            )

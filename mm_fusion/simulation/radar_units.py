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
                name, 60.0, 9.0, 100.0, 0.4, 0.1, 2.0, 0.1, 0.2, 0.03, 0.25, None, 0.6, None, 16.0, "rcs",
                most=125, rays=1000, rays_per_actor=24,
            )  # fmt: skip
        case "astyx":
            return RadarUnit(
                name, 62.0, 16.0, 102.0, 0.15, 0.0812, 1.0, 0.05, 0.075, 0.06, 0.0812, 10.3936, 0.5, 2.2,
                30.0, "power", decay_db=9.0, floor_db=45.5, wild_share=0.2, wild_sigma_deg=6.5, most=6000,
                rays=3600, rays_per_actor=96, false_alarms=25.0, interference_chance=0.03,
            )  # fmt: skip
        case "ars548":
            return RadarUnit(
                name, 60.0, 14.0, 300.0, 0.22, 0.1, 1.2, 0.06, 0.0, 0.04, 0.0, None, 0.3, 0.5, 18.0, "rcs",
                most=800, rays=2000, rays_per_actor=48, false_alarms=4.0,
            )  # fmt: skip
        case _:
            raise ConfigurationError(
                f"radar unit {name!r}: the simulator knows {', '.join(RADAR_UNITS)}; set unit to one of them"
            )

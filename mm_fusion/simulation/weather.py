"""The weather of a drive: what light there is and what hangs in the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import Float64

WEATHERS = ("clear", "fog", "rain", "night")


@dataclass(frozen=True, slots=True, eq=False)
class Weather:
    """Light and air. visibility_m: range at which contrast has fallen to 5 %; rain_mm_h: 0 for none.

    sun (3,): unit, from the ground towards the sun, world axes; None where no shadow is cast. ambient: 0..1,
    light of the whole sky relative to a clear day.
    """

    name: str
    visibility_m: float
    rain_mm_h: float
    sun: Float64 | None
    ambient: float


def make_weather(name: str, rng: np.random.Generator) -> Weather:
    """One weather of that kind; `ConfigurationError` for a kind that does not exist."""
    match name:
        case "clear":
            return Weather(
                name, float(rng.uniform(4_000, 20_000)), 0.0, _sun(rng), float(rng.uniform(0.7, 1.0))
            )
        case "fog":
            return Weather(name, float(np.exp(rng.uniform(np.log(40), np.log(300)))), 0.0, None, 0.75)
        case "rain":
            rain = float(np.exp(rng.uniform(np.log(3), np.log(40))))
            return Weather(
                name, float(np.clip(6_000 / rain, 200, 2_000)), rain, None, float(rng.uniform(0.4, 0.65))
            )
        case "night":
            return Weather(name, float(rng.uniform(3_000, 15_000)), 0.0, None, float(rng.uniform(0.01, 0.04)))
        case _:
            raise ConfigurationError(f"weather: expected one of {', '.join(WEATHERS)}, got {name!r}")


def _sun(rng: np.random.Generator) -> Float64:
    azimuth, height = rng.uniform(-np.pi, np.pi), np.radians(rng.uniform(18, 62))
    return np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])

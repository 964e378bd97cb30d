"""Light on surfaces, pixel by pixel: sun, sky, headlights, reflections and texture, as linear radiance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.weather import Weather

SUN_LIGHT = (1.0, 0.95, 0.86)
_ZENITH_CLEAR, _HORIZON_CLEAR = (0.22, 0.42, 0.80), (0.68, 0.80, 0.92)
_GREY = (0.70, 0.73, 0.77)
_NIGHT_ZENITH, _NIGHT_HORIZON = (0.06, 0.07, 0.10), (0.30, 0.24, 0.17)
HEADLIGHT = 28.0
"""Radiance of a white surface 1 m in front of the car's own lamps; 1 is white in full sun."""
GLOW = 4.0
SKY_BRIGHTNESS = 1.5
"""The sky as seen, over what it gives as light: it is often overexposed above a street."""
SKY = 1e6
"""Distance that stands for the sky, finite: the loop is compiled for finite numbers."""


class Light(NamedTuple):
    """What lights the scene. sun (3,) unit world (zeros: none), sun_light and sky colours (3,) linear.

    extinction: 1/m of the air. wet: 0..1, upward surfaces mirror the sky. lamps: strength of headlights.
    """

    sun: Float64
    sun_light: Float64
    zenith: Float64
    horizon: Float64
    clouds: float
    extinction: float
    wet: float
    lamps: float


def light_of(weather: Weather) -> Light:
    """The light of a weather: night is where the sky gives less than a tenth of a clear day."""
    sun = np.zeros(3) if weather.sun is None else np.asarray(weather.sun, np.float64)
    ambient, dark = weather.ambient, weather.ambient < 0.1
    overcast = weather.sun is None and not dark
    if dark:
        zenith, horizon = np.array(_NIGHT_ZENITH), np.array(_NIGHT_HORIZON)
    elif overcast:
        zenith = horizon = np.array(_GREY)
    else:
        zenith, horizon = np.array(_ZENITH_CLEAR), np.array(_HORIZON_CLEAR)
    strength = 0.0 if weather.sun is None else 1.1 * float(np.clip(3 * sun[2], 0.3, 1))
    return Light(
        sun,
        strength * np.array(SUN_LIGHT),
        zenith * ambient,
        horizon * ambient,
        0.0 if dark else 0.5,
        3.0 / weather.visibility_m,
        float(weather.rain_mm_h > 0),
        # Day-time lamps do not light anything that the sky does not light better.
        HEADLIGHT if dark else 0.0,
    )


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _hash(x: int, y: int, z: int) -> float:
    h = (x * 73856093) ^ (y * 19349663) ^ (z * 83492791)
    h = (h ^ (h >> 13)) * 1274126177
    h = (h ^ (h >> 16)) & 0xFFFF
    return h / 65535.0


@njit(cache=True, nogil=True, fastmath=True)
def _noise(x: float, y: float, z: float) -> float:
    # Value noise in 0..1, trilinear between hashed corners.
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                total += weight * _hash(i + a, j + b, k + c)
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _sky(x: float, y: float, z: float, light: Light) -> tuple[float, float, float]:
    horizon, zenith = light.horizon, light.zenith
    up = min(max(z, 0.0), 1.0) ** 0.55
    cover = 0.0
    if light.clouds > 0 and z > 0.02:
        reach = 1.2 / (z + 0.12)
        u, v = x * reach, y * reach
        field = 0.65 * _noise(u, v, 3.0) + 0.35 * _noise(2.7 * u, 2.7 * v, 9.0)
        cover = light.clouds * min(max((field - 0.45) * 4, 0.0), 1.0) * min(z * 6, 1.0)
    white = 1.05 * cover * (horizon[0] + horizon[1] + horizon[2]) / 3
    red = (horizon[0] * (1 - up) + zenith[0] * up) * (1 - cover) + white
    green = (horizon[1] * (1 - up) + zenith[1] * up) * (1 - cover) + white
    blue = (horizon[2] * (1 - up) + zenith[2] * up) * (1 - cover) + white
    return red, green, blue


@njit(cache=True, nogil=True, fastmath=True)
def _lamp(x: float, y: float, z: float) -> float:
    # Low beam: irradiance at a place in base axes (of a surface square to the light), for 1 at 1 m.
    total = 0.0
    for side in (-0.6, 0.6):
        dx, dy, dz = x - 3.5, y - side, z - 0.65
        if dx <= 0.1:
            continue
        square = dx * dx + dy * dy + dz * dz
        bearing, height = dy / dx, dz / dx
        beam = np.exp(-((bearing / 0.38) ** 2))
        beam *= 1.0 if height < -0.012 else 0.05 + 0.95 * np.exp(-(((height + 0.012) / 0.02) ** 2))
        total += beam / square
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _texture(x: float, y: float, z: float, footprint: float, roughness: float) -> float:
    # Factor on the colour; grain finer than a pixel is left out, so that it does not flicker.
    grain = 0.0
    for size in (0.9, 0.23, 0.06, 0.015):
        if size > footprint:
            grain += (_noise(x / size, y / size, z / size) - 0.5) * min(1.0, size / footprint - 1.0)
    # What is roughest, leaves and grass, is full of small shadows.
    return max(1 + (0.12 + 0.5 * roughness + 2.2 * roughness**24) * grain, 0.05)


@njit(cache=True, nogil=True, fastmath=True)
def _fill_sky(x: float, y: float, z: float, light: Light, out: Float32) -> None:
    red, green, blue = _sky(x, y, z, light)
    towards = max(x * light.sun[0] + y * light.sun[1] + z * light.sun[2], 0.0)
    glare = 0.35 * towards**24 + 4.0 * towards**1500
    haze = 1 - np.exp(-light.extinction * 60.0 / max(z, 0.01))
    out[0], out[1], out[2] = SKY_BRIGHTNESS * red, SKY_BRIGHTNESS * green, SKY_BRIGHTNESS * blue
    for c in range(3):
        air = (light.zenith[c] + light.horizon[c]) / 2
        out[c] = (out[c] + glare * light.sun_light[c]) * (1 - haze) + air * haze


class Eye(NamedTuple):
    """Where the camera is on the car: origin_base (3,), base_from_world (3, 3); pixel_angle: rad a pixel."""

    origin_base: Float64
    base_from_world: Float64
    pixel_angle: float


@njit(cache=True, nogil=True, fastmath=True)
def shade(
    rays: Float32,
    distance: Float32,
    normals: Float32,
    colour: np.ndarray,
    point: Float32,
    optics: Float32,
    lit: Float32,
    eye: Eye,
    light: Light,
) -> Float32:
    """Linear radiance (N, 3) f32, 1 for white in full sun, of what rays met.

    rays, normals (N, 3) world; distance (N,), above `SKY` for the sky; colour (N, 3) uint8; point (N, 3) m
    in the surface's own axes; optics (N, 4): reflectivity, rcs, roughness, glow; lit (N,): share of the sun
    that comes through.
    """
    out = np.empty((len(rays), 3), np.float32)
    sun, turn = light.sun, eye.base_from_world
    for i in range(len(rays)):
        x, y, z, d = rays[i, 0], rays[i, 1], rays[i, 2], distance[i]
        if d > SKY:
            _fill_sky(x, y, z, light, out[i])
            continue
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        facing = -(x * nx + y * ny + z * nz)
        if facing < 0:
            nx, ny, nz, facing = -nx, -ny, -nz, -facing
        reflectivity, roughness, glow = optics[i, 0], optics[i, 2], optics[i, 3]
        texture = _texture(point[i, 0], point[i, 1], point[i, 2], eye.pixel_angle * d, roughness)
        sunny = max(nx * sun[0] + ny * sun[1] + nz * sun[2], 0.0) * lit[i]
        head = 0.0
        if light.lamps > 0:
            bx = eye.origin_base[0] + d * (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z)
            by = eye.origin_base[1] + d * (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z)
            bz = eye.origin_base[2] + d * (turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z)
            head = light.lamps * _lamp(bx, by, bz)
        # A retroreflector sends the lamps' light straight back; a lamp shines by itself.
        back = head * (0.15 + 0.85 * facing) + (12.0 * head if reflectivity > 0.95 else 0.0)
        back += glow * (GLOW if light.lamps > 0 else 0.3)
        wet = light.wet if nz > 0.8 else 0.0
        rx, ry, rz = x + 2 * facing * nx, y + 2 * facing * ny, z + 2 * facing * nz
        mirror = max(max(0.0, 1 - 2.5 * roughness), 0.4 * wet)
        fresnel = mirror * (0.04 + 0.96 * (1 - facing) ** 5)
        above = min(max(0.5 + 4 * rz, 0.0), 1.0) * fresnel
        shine = max(rx * sun[0] + ry * sun[1] + rz * sun[2], 0.0) ** 90 * lit[i] * mirror * 2.0
        sky = _sky(rx, ry, rz, light) if fresnel > 0.01 else (0.0, 0.0, 0.0)
        clear = np.exp(-light.extinction * d)
        # Light that the air scatters into the view: the sky's, and at night that of the own lamps.
        veil = 0.3 * light.lamps * light.extinction / (1 + 0.1 * d)
        for c in range(3):
            albedo = (colour[i, c] / 255.0) ** 2.2 * texture * (1 - 0.35 * wet)
            ambient = 0.55 * light.zenith[c] + 0.45 * light.horizon[c]
            falling = sunny * light.sun_light[c] + ambient * (0.5 + 0.42 * nz) + back
            value = albedo * falling * (1 - fresnel) + above * sky[c] + (fresnel - above) * 0.2 * ambient
            value += shine * light.sun_light[c]
            air = (light.zenith[c] + light.horizon[c]) / 2 + veil
            out[i, c] = value * clear + air * (1 - clear)
    return out

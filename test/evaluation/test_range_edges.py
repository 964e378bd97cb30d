"""Edges of scans of simple scenes, whose places are known."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.evaluation.range_edges import range_edges
from mm_fusion.measurements import LidarSweep

STEP = np.deg2rad(0.5)
AZIMUTHS = np.arange(-np.pi + STEP / 2, np.pi, STEP)
ELEVATIONS = np.deg2rad(np.arange(-10, 11, 1.0))


def sweep(distance: np.ndarray, with_ring: bool = True) -> LidarSweep:
    """A scan (rings, azimuths) of ranges; NaN is no return."""
    elevation, azimuth = np.meshgrid(ELEVATIONS, AZIMUTHS, indexing="ij")
    flat = distance * np.cos(elevation)
    xyz = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), distance * np.sin(elevation)], axis=-1)
    seen = np.isfinite(distance)
    ring = np.broadcast_to(np.arange(len(ELEVATIONS))[:, None], distance.shape)[seen].astype(np.int16)
    count = int(seen.sum())
    return LidarSweep(
        0,
        "lidar",
        xyz[seen].astype(np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.int32),
        ring if with_ring else None,
    )


def wall() -> np.ndarray:
    return np.full((len(ELEVATIONS), len(AZIMUTHS)), 30.0)


def with_block(distance: np.ndarray) -> np.ndarray:
    """A box front at 10 m, azimuth -5 to 5 degrees, below 4.5 degrees."""
    block = distance.copy()
    inside = np.abs(AZIMUTHS) < np.deg2rad(5)
    block[np.ix_(np.rad2deg(ELEVATIONS) < 4.5, inside)] = 10.0
    return block


def angles(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arctan2(xyz[:, 1], xyz[:, 0]), np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))


def test_no_points_and_too_few_rings_have_no_edges() -> None:
    nothing = np.full((len(ELEVATIONS), len(AZIMUTHS)), np.nan)
    assert len(range_edges(sweep(nothing)).xyz) == 0
    nothing[:2] = 10.0
    assert len(range_edges(sweep(nothing)).xyz) == 0


def test_a_wall_all_round_has_no_edges() -> None:
    assert len(range_edges(sweep(wall())).xyz) == 0


@pytest.mark.parametrize("with_ring", [True, False])
def test_a_block_before_a_wall_has_its_outline_at_its_own_range(with_ring: bool) -> None:
    edges = range_edges(sweep(with_block(wall()), with_ring))
    np.testing.assert_allclose(np.linalg.norm(edges.xyz, axis=1), 10.0, atol=1e-4)
    azimuth, elevation = angles(edges.xyz)
    side = ~edges.between_rings
    np.testing.assert_allclose(np.abs(azimuth[side]), np.deg2rad(5), atol=0.02 * STEP)
    np.testing.assert_allclose(elevation[edges.between_rings], np.deg2rad(4.5), atol=1e-4)
    assert side.sum() == 30, "both sides in the 15 rings from -10 to 4 degrees"


def test_the_way_along_an_edge_is_up_at_the_side_and_level_at_the_top() -> None:
    edges = range_edges(sweep(with_block(wall())))
    up = np.abs(edges.along[:, 2])
    assert (up[~edges.between_rings] > 0.98).all() and (up[edges.between_rings] < 0.02).all()


def test_against_the_sky_a_block_has_the_same_outline() -> None:
    sky = with_block(np.full_like(wall(), np.nan))
    far = np.deg2rad(90) < np.abs(AZIMUTHS)
    sky[:, far] = 60.0
    edges = range_edges(sweep(sky))
    near = np.linalg.norm(edges.xyz, axis=1) < 20
    azimuth, _ = angles(edges.xyz[near & ~edges.between_rings])
    np.testing.assert_allclose(np.abs(azimuth), np.deg2rad(5), atol=0.3 * STEP)
    assert len(azimuth) == 30


def test_slanted_ground_makes_no_edges() -> None:
    """Rings on the ground jump in range by more than a tenth, but stay on one plane."""
    ground = np.full_like(wall(), np.nan)
    below = np.deg2rad(-1.5) > ELEVATIONS
    ground[below] = (2.0 / np.sin(-ELEVATIONS[below]))[:, None]
    assert len(range_edges(sweep(ground)).xyz) == 0


def test_lone_points_before_a_wall_make_no_edges() -> None:
    leaves = wall()
    rng = np.random.default_rng(0)
    leaves[rng.integers(0, len(ELEVATIONS), 60), rng.integers(0, len(AZIMUTHS), 60)] = 12.0
    assert len(range_edges(sweep(leaves)).xyz) < 6

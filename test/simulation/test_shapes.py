"""Shapes stay within what they are given."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import CLASSES
from mm_fusion.simulation.bodies import SIZES, Part, build, draw_size
from mm_fusion.simulation.shapes import EMPTY, METAL, ball, cuboid, join, loft, sheet, tube


def spun(part: Part, travelled: float) -> np.ndarray:
    """Vertices of a part in the actor's axes after a distance, written out anew."""
    if part.radius:
        angle = travelled / part.radius
    else:
        angle = part.swing * np.sin(2 * np.pi * travelled / part.stride + part.phase)
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = part.mesh.vertices.T
    return np.column_stack([c * x + s * z, y, c * z - s * x]) + part.pivot


def volume(mesh) -> float:  # type: ignore[no-untyped-def]
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles].astype(float), 1, 0)
    return float(np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6)


def test_no_meshes_join_to_the_empty_one() -> None:
    assert len(join([]).triangles) == 0 and join([EMPTY, EMPTY]).vertices.shape == (0, 3)


def test_a_box_has_its_volume_and_middle() -> None:
    box = cuboid((1, 2, 3), (4, 5, 6), METAL)
    assert abs(volume(box)) == pytest.approx(120)
    assert np.allclose(box.vertices.mean(0), (1, 2, 3))


def test_a_tube_with_many_sides_is_a_cylinder() -> None:
    column = tube((0, 0, 0), (0, 3, 0), 0.5, METAL, sides=64)
    assert abs(volume(column)) == pytest.approx(np.pi * 0.25 * 3, rel=0.01)
    assert column.vertices[:, 1].min() == 0 and column.vertices[:, 1].max() == 3


def test_a_loft_is_closed_and_a_ball_within_its_radii() -> None:
    body = loft([(0, 0, 1, 1, 1), (2, 0, 1, 1, 1)], METAL)
    assert abs(volume(body)) == pytest.approx(4)
    round_body = ball((1, 1, 1), (1, 2, 3), METAL)
    assert np.all(((round_body.vertices - 1) / (1, 2, 3)) ** 2 @ np.ones(3) <= 1.0001)


def test_a_sheet_faces_up() -> None:
    x, y = np.meshgrid(np.arange(3.0), np.arange(4.0), indexing="ij")
    mesh = sheet(np.dstack([x, y, np.zeros_like(x)]), METAL)
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    assert len(mesh.triangles) == 12 and (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_the_ten_classes_have_sizes() -> None:
    assert set(SIZES) == set(CLASSES) - {"unknown"}
    with pytest.raises(KeyError):
        build("unknown", (1, 1, 1), np.random.default_rng(0))


@pytest.mark.parametrize("class_name", list(SIZES))
@pytest.mark.parametrize("moving", [True, False])
def test_wheels_and_limbs_stay_within_the_box_and_it_is_filled(class_name: str, moving: bool) -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        size = draw_size(class_name, rng, ridden=moving)
        parts = build(class_name, size, rng, moving)
        for travelled in (0.0, 0.3, 0.9, 1.7, 12.1):
            there = np.concatenate([spun(part, travelled) for part in parts])
            assert np.all(np.abs(there[:, :2]) <= np.array(size[:2]) / 2 + 1e-3)
            assert there[:, 2].min() >= -1e-3 and there[:, 2].max() <= size[2] + 1e-3
        extent = np.ptp(np.concatenate([spun(part, 0.0) for part in parts]), axis=0)
        still = class_name == "pedestrian"
        least = np.array([0.25 if still else 0.93, 0.85, 0.93])
        assert np.all(extent >= least * size), (extent, size)


def test_limbs_swing_only_while_moving_and_wheels_roll_by_their_radius() -> None:
    rng = np.random.default_rng(0)
    walker = build("pedestrian", (0.8, 0.6, 1.8), rng, moving=True)
    assert {part.name for part in walker} == {"body", "leg", "arm"}
    assert sum(part.swing > 0 for part in walker) == 4
    assert not any(part.swing for part in build("pedestrian", (0.8, 0.6, 1.8), rng, moving=False))
    for part in build("car", (4.5, 1.8, 1.5), rng):
        if part.name == "wheel":
            assert part.radius == pytest.approx(np.abs(part.mesh.vertices[:, 2]).max(), rel=0.06)
            assert part.pivot[2] == pytest.approx(part.radius)

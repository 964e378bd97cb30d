"""Edges of drawn pictures, and the distance to those that run the same way."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.evaluation.image_edges import image_edges, way_across


def bar(first: int, last: int, shade: int = 200) -> np.ndarray:
    """A bright upright bar on grey, 200 x 300 px."""
    picture = np.full((200, 300, 3), 60, np.uint8)
    picture[:, first:last] = shade
    return picture


def test_an_even_image_has_no_edges_and_large_distances() -> None:
    edges = image_edges(np.full((20, 30, 3), 80, np.uint8))
    assert not edges.mask.any()
    np.testing.assert_allclose(edges.distance_px, np.hypot(20, 30), rtol=1e-6)


def test_an_upright_edge_is_found_where_it_is_and_only_by_what_runs_upright() -> None:
    edges = image_edges(bar(100, 160))
    row = edges.distance_px[:, 100]
    assert row[0, 120] == pytest.approx(20, abs=1) and row[0, 200] == pytest.approx(40, abs=1)
    assert row[2].min() > 90, "nothing runs across in the middle of the picture"


def test_a_dark_image_has_the_same_edges_as_a_bright_one() -> None:
    bright, dark = image_edges(bar(100, 160)), image_edges((bar(100, 160) * 0.15).astype(np.uint8))
    assert dark.mask[100].sum() == bright.mask[100].sum() == 2


WAYS = [((1, 0), 0), ((-1, 0.1), 0), ((1, 1), 1), ((0, 1), 2), ((0.1, -1), 2), ((-1, 1), 3), ((1, -1), 3)]


@pytest.mark.parametrize(("normal", "way"), WAYS)
def test_directions_across_are_told_apart_every_45_degrees(normal: tuple[float, float], way: int) -> None:
    assert way_across(np.array([normal], float)).tolist() == [way]

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID
from mm_fusion.detectors.geometric.box_fit import Rectangles
from mm_fusion.detectors.geometric.class_claims import PriorTable, View, claims_of
from mm_fusion.model_config import load_geometric

PRIORS = PriorTable.of(load_geometric().classes)
CAR = CLASSES.index("car")
LENGTH, WIDTH, HEIGHT = PRIORS.mean[0]


def claimed(low, high, top, sensor=(0.0, 0.0), ends=None, yaw=0.0):
    rectangle = Rectangles(np.array([yaw]), np.array([low], float), np.array([high], float), np.ones(1))
    view = View.of(rectangle, np.array(sensor), ends)
    return claims_of(rectangle, np.array([top]), view, PRIORS)


def better(pair):
    return min(pair, key=lambda claims: claims.rank[0])


def test_no_rectangles():
    nothing = Rectangles(np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
    first, second = claims_of(nothing, np.zeros(0), View.of(nothing, np.zeros(2)), PRIORS)
    assert len(first.cost) == len(second.cost) == 0


def test_a_whole_car_keeps_its_size():
    claims = better(claimed((10, -WIDTH / 2), (10 + LENGTH, WIDTH / 2), HEIGHT))
    assert claims.class_id[0] == CAR
    np.testing.assert_allclose(claims.size[0], [LENGTH, WIDTH, HEIGHT])
    np.testing.assert_allclose(claims.center_xy[0], [10 + LENGTH / 2, 0])
    assert claims.cost[0] < 0.1 and claims.unseen[0].max() < 1e-9


def test_a_rear_grows_away_from_the_sensor():
    """1.8 m of a car seen from behind: its length lies behind what is seen."""
    claims = better(claimed((20, -WIDTH / 2), (20.2, WIDTH / 2), HEIGHT))
    assert claims.class_id[0] == CAR and claims.yaw[0] == 0
    np.testing.assert_allclose(claims.center_xy[0], [20 + LENGTH / 2, 0], atol=1e-6)
    assert claims.unseen[0, 0] == pytest.approx(LENGTH - 0.2)


def test_a_front_behind_us_grows_backwards():
    claims = better(claimed((-20.2, -WIDTH / 2), (-20, WIDTH / 2), HEIGHT))
    np.testing.assert_allclose(claims.center_xy[0], [-20 - LENGTH / 2, 0], atol=1e-6)


def test_a_side_grows_away_across():
    claims = better(claimed((-LENGTH / 2, 10), (LENGTH / 2, 10.1), HEIGHT))
    assert claims.class_id[0] == CAR and claims.yaw[0] == 0
    np.testing.assert_allclose(claims.center_xy[0], [0, 10 + WIDTH / 2], atol=1e-6)


def test_what_is_hidden_grows_behind_what_hides_it():
    """Half of a side ahead of us; something nearer stands beside its left end, at higher x."""
    left_hidden = np.array([[True, False]])
    first, _ = claimed((-1.0, 10), (1.0, 10.1), HEIGHT, ends=left_hidden)
    np.testing.assert_allclose(first.center_xy[0, 0], -1 + LENGTH / 2, atol=0.05)
    assert first.rank[0] < claimed((-1.0, 10), (1.0, 10.1), HEIGHT)[0].rank[0]


def test_what_fits_no_class_is_unknown_as_seen():
    for claims in claimed((10, -6), (22, 6), 1.0):
        assert claims.class_id[0] == UNKNOWN_CLASS_ID
        np.testing.assert_allclose(claims.size[0, :2], [12, 12])


def test_a_tall_thin_thing_is_a_pedestrian():
    claims = better(claimed((5, -0.25), (5.4, 0.25), 1.75))
    assert CLASSES[claims.class_id[0]] == "pedestrian"


def test_without_heights_the_class_gives_one():
    claims = better(claimed((10, -WIDTH / 2), (10 + LENGTH, WIDTH / 2), np.nan))
    assert claims.size[0, 2] == HEIGHT and np.isfinite(claims.cost[0])


def test_a_turned_rectangle_is_claimed_alike():
    """The same rear, with rectangle and sensor turned by 0.5 rad."""
    claims = better(claimed((20, -WIDTH / 2), (20.2, WIDTH / 2), HEIGHT, yaw=0.5))
    place = 20 + LENGTH / 2
    np.testing.assert_allclose(claims.center_xy[0], [place * np.cos(0.5), place * np.sin(0.5)], atol=1e-6)

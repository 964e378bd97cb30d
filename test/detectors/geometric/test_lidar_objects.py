from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import UNKNOWN_CLASS_ID
from mm_fusion.detectors.geometric.class_claims import PriorTable
from mm_fusion.detectors.geometric.lidar_objects import lidar_objects, scene_of
from mm_fusion.detectors.geometric.points import lidar_points
from mm_fusion.geometry.boxes import boxes_of, iou_3d
from mm_fusion.model_config import load_geometric
from test.detectors.scene import CARS, PEDESTRIAN, frame, sweep

CONFIG = load_geometric()
PRIORS = PriorTable.of(CONFIG.classes)


def found(boxes):
    points = lidar_points(frame({"lidar": sweep(boxes)}), None)
    return lidar_objects(scene_of(points, CONFIG.lidar), points.sensor_xy, PRIORS, CONFIG.lidar)


def test_an_empty_plane_has_no_objects():
    assert len(found(np.zeros((0, 7)))) == 0


def test_no_points():
    points = lidar_points(frame({}), None)
    scene = scene_of(points, CONFIG.lidar)
    assert len(lidar_objects(scene, points.sensor_xy, PRIORS, CONFIG.lidar)) == 0


def test_cars_are_found_where_they_stand():
    objects = found(CARS)
    cars = objects.select(np.array(objects.class_names()) == "car")
    overlap = iou_3d(CARS, boxes_of(cars))
    assert (overlap.max(axis=1) > 0.6).all()
    assert (cars.score[overlap.argmax(axis=1)] > 0.7).all()
    np.testing.assert_allclose(cars.contribution, np.tile([0, 1, 0], (len(cars), 1)))
    assert np.isnan(cars.velocity).all()


def test_a_pedestrian_is_no_car():
    objects = found(np.vstack([CARS, PEDESTRIAN]))
    nearest = int(np.hypot(*(objects.center[:, :2] - PEDESTRIAN[:2]).T).argmin())
    assert objects.class_names()[nearest] == "pedestrian"
    np.testing.assert_allclose(objects.center[nearest, :2], PEDESTRIAN[:2], atol=0.3)


def test_a_wall_is_not_an_object():
    assert len(found([[20, 15, 1.5, 60, 0.3, 3.0, 0.0]])) == 0


def test_what_no_class_claims_is_unknown():
    objects = found([[15, 0, 1.0, 6.0, 6.0, 2.0, np.pi / 4]])
    assert len(objects) == 1
    assert objects.class_id.tolist() == [UNKNOWN_CLASS_ID]


@pytest.mark.parametrize("distance", [10.0, 25.0, 35.0])
def test_sparse_cars_hold_together(distance):
    objects = found([[distance, 3.0, 0.8, 4.2, 1.8, 1.6, 0.1]])
    assert len(objects) == 1 and objects.class_names() == ["car"]


def test_fewer_points_are_believed_less():
    near, far = (found([[x, 0, 0.8, 4.2, 1.8, 1.6, 0.0]]).score[0] for x in (10, 35))
    assert near > far


def test_neighbours_settle_how_a_half_hidden_car_stands():
    """A row parked across the road: each hides half of the next, the row tells how they all stand."""
    row = np.array([[12.0, y, 0.8, 4.2, 1.8, 1.6, np.pi / 2 * 0 + 0.0] for y in (3.0, 5.6, 8.2, 10.8)])
    objects = found(row)
    cars = boxes_of(objects.select(np.array(objects.class_names()) == "car"))
    assert (iou_3d(row, cars).max(axis=1) > 0.5).sum() >= 3

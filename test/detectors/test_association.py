from __future__ import annotations

import numpy as np

from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.detectors.association import FORBIDDEN, match, may_be_one, pair_costs
from mm_fusion.model_config import LateFusionConfig

CONFIG = LateFusionConfig()


def cars(*xy, name="car", sigma=0.5):
    count = len(xy)
    return make_detections(
        count,
        center=[(*p, 0.8) for p in xy],
        size=np.tile([4.2, 1.8, 1.6], (count, 1)),
        position_cov=np.tile([sigma**2, 0, sigma**2], (count, 1)),
        class_id=np.full(count, CLASSES.index(name)),
        score=np.full(count, 0.5),
    )


def test_nothing_to_match():
    for a, b in ((empty_detections(), cars((0, 0))), (cars((0, 0)), empty_detections())):
        rows, columns = match(a, b, CONFIG)
        assert len(rows) == len(columns) == 0


def test_one_to_one_by_least_total_cost():
    """The greedy pair (0, 0) would leave the other two apart."""
    a, b = cars((0, 0), (1.6, 0)), cars((0.7, 0), (-0.9, 0))
    rows, columns = match(a, b, CONFIG)
    assert dict(zip(rows.tolist(), columns.tolist())) == {0: 1, 1: 0}


def test_beyond_the_gate_is_another_object():
    assert len(match(cars((0, 0)), cars((5, 0)), CONFIG)[0]) == 0
    assert len(match(cars((0, 0), sigma=3), cars((5, 0)), CONFIG)[0]) == 1


def test_a_pedestrian_is_no_car_but_unknown_may_be_either():
    car, pedestrian, unknown = (cars((0, 0), name=name) for name in ("car", "pedestrian", "unknown"))
    assert pair_costs(car, pedestrian, CONFIG)[0, 0] == FORBIDDEN
    assert pair_costs(car, unknown, CONFIG)[0, 0] < FORBIDDEN
    assert pair_costs(pedestrian, unknown, CONFIG)[0, 0] < FORBIDDEN


def test_every_class_goes_with_itself():
    ids = np.arange(len(CLASSES))
    assert may_be_one(ids, ids).diagonal().all()


def test_no_overlap_costs():
    near, turned = cars((0, 0)), cars((0, 0))
    assert pair_costs(near, turned, CONFIG)[0, 0] < pair_costs(near, cars((0, 0.9), sigma=50), CONFIG)[0, 0]

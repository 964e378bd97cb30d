from __future__ import annotations

import numpy as np

from mm_fusion.training.labelled import ASTYX_REGION, EVERYWHERE, LabelledRegion, labelled_cells
from test.inputs.scene import cell_of, config, frame, image


def test_everywhere_is_all():
    assert labelled_cells(frame({}), config(), EVERYWHERE).all()


def test_bounds():
    mask = labelled_cells(frame({}), config(), LabelledRegion(0, 10, -5, 5))
    assert mask.sum() == 100 and mask[cell_of(9.5, -4.5)] and not mask[cell_of(10.5, 0.5)]
    turned = labelled_cells(frame({}), config(), LabelledRegion(0, 10, 0, 5), np.diag([1.0, -1, 1, 1]))
    assert turned[cell_of(5.5, -2.5)] and not turned[cell_of(5.5, 2.5)]


def test_only_what_the_camera_sees():
    mask = labelled_cells(frame({"camera": image()}), config(), ASTYX_REGION)
    assert mask[cell_of(20.5, 0.5)] and not mask[cell_of(2.5, 10.5)] and not mask[cell_of(-2.5, 0.5)]
    assert not labelled_cells(frame({}), config(), ASTYX_REGION).any()

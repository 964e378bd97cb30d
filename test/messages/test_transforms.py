from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import StampedTransform
from mm_fusion.messages.encode import encode_transforms
from mm_fusion.messages.transforms import decode_transforms

EDGE = StampedTransform(5, "base_link", "lidar", from_rpy_deg((1, 2, 30), (1, 2, 3)))


def test_empty(types):
    assert decode_transforms(encode_transforms((), types), static=True) == ()


@pytest.mark.parametrize("static", [False, True])
def test_round_trip(types, on_the_wire, static):
    (got,) = decode_transforms(on_the_wire(encode_transforms((EDGE,), types)), static)
    assert (got.stamp_ns, got.parent_frame, got.child_frame, got.static) == (5, "base_link", "lidar", static)
    assert got.parent_from_child == pytest.approx(EDGE.parent_from_child)


def spoiled(types, **changed):
    message = encode_transforms((EDGE, EDGE), types)
    for name, value in changed.items():
        setattr(message.transforms[0], name, value)
    return message


def test_one_bad_edge_leaves_the_others(types):
    message = spoiled(types)
    message.transforms[0].transform.rotation.w = np.nan
    assert len(decode_transforms(message, static=False)) == 1


@pytest.mark.parametrize("child", ["", "base_link"])
def test_nothing_usable_is_said(types, child):
    message = spoiled(types, child_frame_id=child)
    message.transforms.pop()
    with pytest.raises(
        MeasurementError, match="/tf_static: expected two different frames, got 'base_link' <- "
    ):
        decode_transforms(message, static=True)


def test_old_slashes(types):
    assert decode_transforms(spoiled(types, child_frame_id="/lidar"), static=False)[0].child_frame == "lidar"

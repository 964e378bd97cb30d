"""tf2_msgs/TFMessage to `Transforms`."""

from __future__ import annotations

from typing import Any

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.transforms import from_quaternion
from mm_fusion.measurements import StampedTransform, Transforms
from mm_fusion.messages.header import frame_name, header_ns, reading


def decode_transforms(message: Any, static: bool) -> Transforms:
    """The usable edges of a TFMessage; raises `MeasurementError` where there are some and none is usable.

    One bad edge does not take down those beside it; where it is needed, the look-up names it.
    """
    problems: list[MeasurementError] = []
    edges: list[StampedTransform] = []
    with reading("TFMessage", "/tf_static" if static else "/tf"):
        for transform in message.transforms:
            try:
                edges.append(_edge(transform, static))
            except MeasurementError as error:
                problems.append(error)
        if problems and not edges:
            raise problems[0]
    return tuple(edges)


def _edge(message: Any, static: bool) -> StampedTransform:
    parent, child = frame_name(message.header.frame_id), frame_name(message.child_frame_id)
    if not parent or not child or parent == child:
        raise MeasurementError(
            f"expected two different frames, got {parent!r} <- {child!r}; check the transform's sender"
        )
    offset, q = message.transform.translation, message.transform.rotation
    matrix = from_quaternion((q.x, q.y, q.z, q.w), (offset.x, offset.y, offset.z))
    return StampedTransform(header_ns(message), parent, child, matrix, static)

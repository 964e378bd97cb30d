"""Frames as the pipeline would show them with sensors gone, replaced or elsewhere than calibrated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mm_fusion.detections import SENSOR_GROUPS
from mm_fusion.frame import Calibration, Frame
from mm_fusion.measurements import Deferred, Float64, Measurement
from mm_fusion.pipeline import GROUP_OF_KIND


def names_of_groups(frame: Frame, groups: Collection[str]) -> list[str]:
    """Sensors of `camera`, `lidar`, `radar` (objects that one of them formed count to it)."""
    return [name for name, kind in frame.kinds.items() if GROUP_OF_KIND[kind] in groups]


def groups_of_subset(subset: str) -> set[str]:
    """Groups of sensors that the letters of a mode name: CL is camera and lidar."""
    return {group for group in SENSOR_GROUPS if group[0].upper() in subset}


def without(frame: Frame, names: Collection[str], ego_from_radar: bool = False) -> Frame:
    """The frame as it would be had these sensors sent nothing.

    ego_from_radar: ego motion has no other source, so it goes with the last radar.
    """
    gone = set(names)
    left = {name: item for name, item in frame.measurements.items() if name not in gone}
    known = frame.calibration
    blind = ego_from_radar and not any(frame.kinds[name] == "radar" for name in left)
    return replace(
        frame,
        measurements=left,
        earlier={name: items for name, items in frame.earlier.items() if name not in gone},
        available={name: there and name not in gone for name, there in frame.available.items()},
        age_ns={name: age for name, age in frame.age_ns.items() if name not in gone},
        calibration=Calibration(
            {name: place for name, place in known.base_from_sensor.items() if name not in gone},
            {name: model for name, model in known.camera_models.items() if name not in gone},
        ),
        ego=None if blind else frame.ego,
    )


def subset_of(frame: Frame, subset: str, ego_from_radar: bool = False) -> Frame:
    """The frame with only the groups of sensors that a mode such as CR names."""
    groups = groups_of_subset(subset)
    lost = names_of_groups(frame, [group for group in SENSOR_GROUPS if group not in groups])
    return without(frame, lost, ego_from_radar) if lost else frame


def with_measurement(
    frame: Frame, name: str, item: Measurement, earlier: tuple[Measurement | Deferred, ...] = ()
) -> Frame:
    """The frame with another newest measurement of a sensor, and others before it; its age follows."""
    older = {key: items for key, items in frame.earlier.items() if key != name}
    return replace(
        frame,
        measurements={key: item if key == name else kept for key, kept in frame.measurements.items()},
        age_ns={**frame.age_ns, name: frame.stamp_ns - item.stamp_ns},
        earlier={**older, name: earlier} if earlier else older,
    )


def with_mount_error(frame: Frame, name: str, error: Float64) -> Frame:
    """The frame with a sensor's calibration off by `error` (4, 4) in the sensor's own axes."""
    places = dict(frame.calibration.base_from_sensor)
    places[name] = places[name] @ error
    return replace(frame, calibration=replace(frame.calibration, base_from_sensor=places))


def restamped(item: Measurement, stamp_ns: int) -> Measurement:
    """The measurement under another stamp."""
    return replace(item, stamp_ns=stamp_ns)

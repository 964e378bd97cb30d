"""A whole vehicle file written from what a recording shows; what it does not show is marked by a comment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from mm_fusion.bags.report import BagReport, SensorReport
from mm_fusion.bags.sensors_found import REFERENCE_ORDER
from mm_fusion.bags.warnings_found import clock_shifts
from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.errors import BagError
from mm_fusion.measurements import CameraModel, Float64

RATES_HZ = (1.0, 2.0, 5.0, 10.0)
"""Frame rates to choose from: the highest that the reference keeps up with."""
DEFAULT_BUDGET_MS, MOST_BUDGET_MS = 60.0, 500.0
DEFAULT_MAX_AGE_MS = 150.0
AGE_PERIODS = 0.75
"""The nearest measurement is at most half a period away, and a little more with jitter."""


MODEL = "model: tiny  # trained on simulation; geometric needs no training"


def vehicle_yaml(report: BagReport) -> str:
    """The text of a vehicle file that `load_vehicle` takes as it is; raises `BagError` where no sensor is
    known.
    """
    if not report.sensors:
        raise BagError(
            f"{report.path}: holds no sensor to write a vehicle file of; expected images, clouds or "
            f"radar scans"
        )
    text = "\n".join([*_head(report), *_sensors(report), *_alignment(report), "", MODEL, ""])
    parse_config(yaml.safe_load(text), VehicleConfig, f"vehicle file of {report.path}")
    return text


def _head(report: BagReport) -> Iterator[str]:
    yield "# Written from a recording by `mm-fusion info --write-vehicle`. Check what is marked unknown."
    base = report.base_frame or "base_link"
    note = "" if report.base_frame else "  # unknown: the recording's transforms name no vehicle frame"
    yield f"base_frame: {_text(base)}{note}"
    yield f"output_frame: {_text(base)}"
    yield ""
    if not report.ego:
        yield "ego_motion: []  # unknown: the recording has no odometry, twist, moving transform or radar"
        return
    yield "ego_motion:"
    for source in report.ego:
        yield f"  - kind: {source.kind}"
        if source.kind in ("odometry", "twist"):
            yield f"    topic: {_text(source.name)}"
        if source.kind == "tf":
            yield f"    frame: {_text(source.name)}"


def _sensors(report: BagReport) -> Iterator[str]:
    shifts = clock_shifts(report)
    yield ""
    yield "sensors:"
    for sensor in report.sensors:
        yield f"  {_text(sensor.name)}:"
        for line in _sensor(sensor, shifts.get(sensor.name)):
            yield f"    {line}"
    yield ""
    yield (
        "# ego_box: {min: [-1.0, -1.0, -0.2], max: [4.0, 1.0, 2.0]}  # unknown: the car's own body in "
        "base_frame"
    )


def _sensor(sensor: SensorReport, shift_ms: float | None) -> Iterator[str]:
    yield f"kind: {sensor.kind}"
    yield f"topic: {_text(sensor.topic)}"
    if sensor.replaces:
        yield f"# the same measurements are on {', '.join(sensor.replaces)}"
    if sensor.info_topic:
        yield f"info_topic: {_text(sensor.info_topic)}"
    if not sensor.frame_id:
        yield f"frame: {_text(sensor.name)}  # unknown: its messages name no frame"
    if shift_ms is not None:
        yield f"stamp_offset_ms: {shift_ms:.0f}  # its clock is off the other sensors'"
    if AGE_PERIODS * (sensor.timing.brisk_ms or 0) > DEFAULT_MAX_AGE_MS:
        yield f"max_age_ms: {min(AGE_PERIODS * (sensor.timing.brisk_ms or 0), 60000):.0f}"
    match sensor.kind:
        case "camera" | "image_detections":
            yield from _camera(sensor)
        case "lidar":
            yield from _lidar(sensor)
        case "radar":
            yield from _radar(sensor)
    yield from _mount(sensor.base_from_sensor)


def _mount(base_from_sensor: Float64 | None) -> Iterator[str]:
    if base_from_sensor is None:
        yield (
            "mount: {xyz: [0.0, 0.0, 0.0], rpy_deg: [0.0, 0.0, 0.0]}  # unknown: no transform leads "
            "to its frame"
        )
        return
    # for the simulator alone: where transforms name the frame, they count
    xyz = [round(float(value), 4) for value in base_from_sensor[:3, 3]]
    turned = Rotation.from_matrix(base_from_sensor[:3, :3]).as_euler("xyz", degrees=True)
    yield f"mount: {{xyz: {xyz}, rpy_deg: {[round(float(value), 3) for value in turned]}}}"


def _camera(sensor: SensorReport) -> Iterator[str]:
    if sensor.kind == "camera":
        yield "stamp_at: middle  # unknown: where in the exposure the stamp lies"
    if sensor.model is not None:
        yield from _intrinsics(sensor.model)
    if sensor.model is None:
        yield (
            "# camera: {width_px: ..., height_px: ..., matrix: [...], distortion: [...]}  # unknown: "
            "no CameraInfo"
        )


def _intrinsics(model: CameraModel) -> Iterator[str]:
    yield "camera:"
    yield f"  width_px: {model.width_px}"
    yield f"  height_px: {model.height_px}"
    yield f"  matrix: {np.asarray(model.matrix).ravel().tolist()}"
    yield f"  distortion: {np.asarray(model.distortion).tolist()}"
    yield f"  distortion_model: {model.distortion_model}"


def _lidar(sensor: SensorReport) -> Iterator[str]:
    lidar = sensor.lidar
    if lidar and lidar.stamp_at and lidar.duration_ms:
        yield f"stamp_at: {lidar.stamp_at}"
        yield f"duration_ms: {min(lidar.duration_ms, 1000):.1f}"
    else:
        yield "stamp_at: middle  # unknown: its points carry no time"
    yield "min_range_m: 1.0  # unknown: how near the car itself is seen"


def _radar(sensor: SensorReport) -> Iterator[str]:
    radar = sensor.radar
    if radar is None or radar.compensated:
        yield "# its Doppler is already compensated for ego motion"
        return
    if radar.sign is None:
        yield "doppler_sign: 1  # unknown: 1 where receding is positive, -1 where approaching is"
    else:
        yield f"doppler_sign: {radar.sign}  # from static returns, assuming forward motion"
    if radar.ambiguity_mps is None:
        yield (
            "# ambiguity_mps: 10.0  # unknown: full interval in which the Doppler wraps; unset where "
            "it does not"
        )
    else:
        yield f"ambiguity_mps: {radar.ambiguity_mps:.4g}  # the interval that its Doppler fills"


def _alignment(report: BagReport) -> Iterator[str]:
    ordered = sorted(
        report.sensors, key=lambda s: (s.name != report.reference, REFERENCE_ORDER.index(s.kind), s.name)
    )
    yield ""
    yield "alignment:"
    yield f"  reference: [{', '.join(_text(sensor.name) for sensor in ordered)}]"
    brisk_ms = ordered[0].timing.brisk_ms
    known = [rate for rate in RATES_HZ if brisk_ms and rate <= 1050 / brisk_ms]
    note = "" if known else "  # unknown: the reference sends less than once a second"
    yield f"  rate_hz: {known[-1] if known else RATES_HZ[-1]}{note}"
    yield f"  budget_ms: {_budget_ms(report):.0f}"


def _budget_ms(report: BagReport) -> float:
    """Long enough for the sensor with the latest delivery, as far as clocks agree."""
    delays = [s.timing.latency_ms for s in report.sensors if s.timing.latency_ms is not None]
    spread = max(delays, default=0.0) - min(delays, default=0.0)
    return (
        min(max(DEFAULT_BUDGET_MS, 1.2 * spread), MOST_BUDGET_MS)
        if not clock_shifts(report)
        else DEFAULT_BUDGET_MS
    )


def _text(value: str) -> str:
    """A string as a YAML scalar, quoted only where it must be."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
        .removesuffix("\n...\n")
        .strip()
    )

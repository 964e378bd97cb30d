"""`mm-fusion info`: what a recording holds, whether it can be fused, and a vehicle file written from it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mm_fusion.bags.report import BagReport, SensorReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which recording, and what to write of it."""
    parser.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--write-vehicle", type=Path, metavar="FILE", help="write a vehicle file that `run` takes"
    )


def run(args: argparse.Namespace) -> int:
    """Inspect and print; with --write-vehicle, write the file as well."""
    import sys

    from tqdm import tqdm

    from mm_fusion.bags.info import inspect_bag, vehicle_yaml

    with tqdm(unit="msg", desc="info", file=sys.stderr, leave=False, delay=0.5) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = inspect_bag(args.bag, show)
    print(as_json(report) if args.json else "\n".join(page(report)))
    if args.write_vehicle:
        _write(args.write_vehicle, vehicle_yaml(report))
        print(f"{args.write_vehicle}: written", file=sys.stderr if args.json else sys.stdout)
    return 0


def _write(path: Path, text: str) -> None:
    """Write beside the name and rename; raises `BagError` where that fails."""
    from mm_fusion.errors import BagError

    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BagError(f"{path}: cannot be written: {error}") from error


def as_json(report: BagReport) -> str:
    """The report as JSON; arrays as lists, numbers that are not finite as null."""
    import dataclasses
    import json

    return json.dumps(_plain({**dataclasses.asdict(report), "duration_s": report.duration_s}), indent=1)


def _plain(value: Any) -> Any:
    import math

    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def page(report: BagReport) -> Iterator[str]:
    """The report as lines for a terminal."""
    count = sum(topic.timing.count for topic in report.topics)
    yield f"{report.path}: {count} messages in {report.duration_s:.1f} s"
    yield ""
    yield (
        f"{'topic':40s} {'type':38s} {'n':>6s} {'Hz':>7s} {'gaps':>5s} {'max gap s':>9s} "
        f"{'latency ms':>14s} {'kB':>8s}"
    )
    for topic in report.topics:
        timing = topic.timing
        latency = f"{_number(timing.latency_ms)} ± {_number(timing.latency_spread_ms, half=True)}"
        yield (
            f"{topic.name:40s} {topic.type:38s} {timing.count:6d} {_number(timing.rate_hz, 2):>7s} "
            f"{timing.gaps:5d} "
            f"{_number(timing.largest_gap_s, 2):>9s} {latency:>14s} {topic.size_bytes / 1e3:8.1f}"
        )
    yield ""
    yield f"frames: {', '.join(report.frames) or 'none'}; base: {report.base_frame or 'none'}"
    ego = ", ".join(f"{source.kind} {source.name}".strip() for source in report.ego)
    yield f"ego motion: {ego or 'none'}"
    for sensor in report.sensors:
        yield ""
        yield from _sensor_lines(sensor, report.reference)
    yield ""
    yield from (f"problem: {problem}" for problem in report.problems)
    yield from (f"warning: {warning}" for warning in report.warnings)


def _sensor_lines(sensor: SensorReport, reference: str | None) -> Iterator[str]:
    place = "placed" if sensor.placed else "NOT placed"
    yield f"{sensor.name} ({sensor.kind}) {sensor.topic}, frame {sensor.frame_id or 'none'}, {place}"
    if sensor.replaces:
        yield f"  the same measurements: {', '.join(sensor.replaces)}"
    jitter = _number(sensor.timing.jitter_ms)
    yield f"  period {_number(sensor.timing.period_ms)} ms ± {jitter}"
    if sensor.name != reference and sensor.offset_ms is not None:
        spread = _number(sensor.offset_spread_ms, half=True)
        yield f"  stamps {sensor.offset_ms:+.1f} ms ± {spread} from the nearest of {reference}"
    yield from _camera_lines(sensor)
    yield from _lidar_lines(sensor)
    yield from _radar_lines(sensor)


def _camera_lines(sensor: SensorReport) -> Iterator[str]:
    if sensor.kind not in ("camera", "image_detections"):
        return
    model = sensor.model
    if model is None:
        yield "  calibration: none"
        return
    terms = sum(1 for value in model.distortion if value)
    yield (
        f"  calibration: {sensor.info_topic}, {model.width_px}x{model.height_px} px, f "
        f"{model.matrix[0, 0]:.0f} px, "
        f"{model.distortion_model} with {terms} terms"
    )


def _lidar_lines(sensor: SensorReport) -> Iterator[str]:
    lidar = sensor.lidar
    if lidar is None:
        return
    scan = (
        f"{lidar.duration_ms:.0f} ms, stamped at its {lidar.stamp_at}"
        if lidar.duration_ms
        else "no time per point"
    )
    yield f"  scans: {lidar.points} points, {lidar.rings or 'no'} rings, {scan}"
    if lidar.ground:
        ground = lidar.ground
        yield (
            f"  ground: tilt {ground.tilt_deg:.2f} deg, height {ground.height_m:+.2f} m (median of "
            f"{ground.scans} scans)"
        )


def _radar_lines(sensor: SensorReport) -> Iterator[str]:
    radar = sensor.radar
    if radar is None:
        return
    if radar.compensated:
        yield f"  scans: {radar.returns} returns, Doppler already compensated for ego motion"
        return
    sign = {1: "receding positive", -1: "approaching positive"}.get(radar.sign or 0, "sign unknown")
    interval = f"{radar.ambiguity_mps:.2f} m/s" if radar.ambiguity_mps else "unknown"
    yield (
        f"  scans: {radar.returns} returns; Doppler {sign} (confidence {radar.confidence:.2f}), "
        f"interval {interval}"
    )
    found = f"  ego speed from this radar alone: in {radar.estimates} of {radar.scans} scans"
    if radar.estimates:
        found += f", median {radar.speed_mps:.1f} m/s, inliers {100 * (radar.inlier_share or 0):.0f} %, "
        found += f"residual {radar.residual_mps:.2f} m/s"
    yield found


def _number(value: float | None, digits: int = 1, half: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value / 2 if half else value:.{digits}f}"

"""Hours in minutes to read: `python -m test.benchmarks.bench_soak --minutes 60 --model tiny`.

A simulated drive with random faults on every sensor is played in a loop to the fusion node. Watched are
memory, threads and handles of its process, the p99 of detection by window, and whether every frame that was
made is either published or counted as dropped. --out FILE gets everything as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.context import Context

from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.nodes.processes import Child, own_domain
from test.benchmarks.live import Listener, Sample, Watch, fusion_node, growth_per_minute, machine

VEHICLE, SCENARIO, SEED = "nuscenes_like", "urban", 21
FAULT_S = 0.8
AIM_MB_PER_MINUTE = 1.0
QUARTERS = 4
LEEWAY = 2
"""Threads and handles that may be more at the end by chance: a listener that came, a file being read."""
SETTLED = 0.25
"""Share of the time after which buffers have their size: growth is taken from then on."""


def make_drive(path: Path, seconds: float, camera_width_px: int) -> Path:
    """The faulty drive as a bag, made where it is not there yet."""
    from mm_fusion.simulation.bag import write_bag
    from mm_fusion.simulation.rig import RigOptions
    from mm_fusion.simulation.simulator import Simulator

    if not path.exists():
        print(f"simulating {seconds} s of a drive with faults to {path}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        vehicle, options = load_vehicle(VEHICLE), RigOptions(camera_width_px=camera_width_px)
        plan = random_faults(vehicle, seconds)
        write_bag(path, Simulator(vehicle, SCENARIO, SEED, faults=plan, options=options), seconds)
    return path


def random_faults(vehicle: VehicleConfig, seconds: float, seed: int = SEED):  # type: ignore[no-untyped-def]
    """Each sensor has one random fault after another, with pauses of the same length between them."""
    from mm_fusion.simulation.faults import FAULT_NAMES, Fault, FaultPlan

    rng, faults = random.Random(seed), []
    for name in vehicle.sensors:
        start_s = rng.uniform(0.5, 0.5 + FAULT_S)
        while start_s < seconds:
            kind, severity = rng.choice(FAULT_NAMES), rng.randint(1, 3)
            end_s = start_s + FAULT_S
            faults.append(Fault(fault=kind, sensor=name, start_s=start_s, end_s=end_s, severity=severity))
            start_s = end_s + rng.uniform(0, 2 * FAULT_S)
    return FaultPlan(faults=faults)


def soak(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of one run."""
    bag = make_drive(options.drive, options.drive_seconds, options.camera_width)
    environment = own_domain(10 + os.getpid() % 90)
    os.environ.update(environment)
    parameters = {"vehicle": VEHICLE, "model": options.model, "backend": options.backend}
    context = Context()
    rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
    listener = Listener(context)
    arguments = [str(bag), "--loop", "--wait-for", "20", "--rate", str(options.rate)]
    try:
        with fusion_node(environment, folder / "fusion.log", **parameters, use_sim_time="true") as (node, _):
            watch = Watch(node.pid)
            watch.start()
            with Child(
                "mm_fusion.nodes.player_node", arguments, environment, folder / "player.log"
            ) as player:
                windows = listen(listener, options, lambda: (node.check(), player.check()))
            time.sleep(3.0)  # what is under way, and the last diagnostics
            node.check()
            samples, said = watch.stop(), node.text()
    finally:
        listener.close()
        rclpy.shutdown(context=context)
    return {
        **growth(samples),
        "windows": windows,
        "p99_by_quarter": by_quarter(windows),
        **accounts(listener.about(), listener.drops()),
        "unexpected_errors": said.count("unexpected error"),
        "about": listener.about(),
        "drops": listener.drops(),
        "minutes": options.minutes,
        "rate": options.rate,
        "machine": machine(),
    }


def listen(listener: Listener, options: argparse.Namespace, check: Any) -> list[dict[str, float]]:
    """The node's own p99 at the end of each window, while the recording plays."""
    windows: list[dict[str, float]] = []
    ends_s = time.monotonic() + 60 * options.minutes
    while time.monotonic() < ends_s:
        time.sleep(min(options.window, max(0.0, ends_s - time.monotonic())))
        check()
        stages = listener.stages()
        window = {name: stages[name]["p99_ms"] for name in ("detect", "after_last") if name in stages}
        windows.append({**window, "results": float(listener.about().get("results", 0))})
        print(f"{len(windows) * options.window:6.0f} s  {windows[-1]}", flush=True)
    return windows


def growth(samples: Sequence[Sample]) -> dict[str, Any]:
    """Slopes of memory, threads and handles per minute once buffers have their size, and where they end."""
    settled = [each for each in samples if each.seconds >= SETTLED * samples[-1].seconds] if samples else []
    seconds = [each.seconds for each in settled]
    found: dict[str, Any] = {}
    for name in ("rss_mb", "threads", "handles"):
        values = [float(getattr(each, name)) for each in settled]
        found[f"{name}_per_minute"] = round(growth_per_minute(seconds, values), 3)
        found[name] = {"first": values[0], "last": values[-1], "most": max(values)} if values else {}
    return found


def by_quarter(windows: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Mean of the windows' p99 in each quarter of the time, ms, by what is timed; a stable one stays."""
    found: dict[str, list[float]] = {}
    for name in ("detect", "after_last"):
        values = [window[name] for window in windows if name in window]
        if len(values) >= QUARTERS:
            found[name] = [round(float(np.mean(part)), 2) for part in np.array_split(values, QUARTERS)]
    return found


def accounts(about: dict[str, str], drops: dict[str, dict[str, int]]) -> dict[str, int]:
    """Frames made, published, dropped for a reason, and those of which nothing is known (one: under way)."""
    made, published = int(about.get("frames", 0)), int(about.get("results", 0))
    dropped = sum(sum(drops.get(name, {}).values()) for name in ("frames", "shed frames"))
    return {
        "frames": made,
        "published": published,
        "dropped": dropped,
        "unaccounted": made - published - dropped,
    }


def is_sound(found: dict[str, Any]) -> bool:
    """Whether nothing grew, every frame is accounted for and nothing raised."""
    more = [found[name]["last"] - found[name]["first"] for name in ("threads", "handles") if found[name]]
    flat = found["rss_mb_per_minute"] < AIM_MB_PER_MINUTE and all(each <= LEEWAY for each in more)
    return flat and abs(found["unaccounted"]) <= 1 and not found["unexpected_errors"]


def print_table(found: dict[str, Any]) -> None:
    """The figures for people."""
    per_minute, aim = found["rss_mb_per_minute"], AIM_MB_PER_MINUTE
    print(f"memory {found['rss_mb']}: {per_minute:+.3f} MB a minute, aim below {aim}")
    for name in ("threads", "handles"):
        print(f"{name} {found[name]}: {found[f'{name}_per_minute']:+.3f} a minute, aim 0")
    for name, values in found["p99_by_quarter"].items():
        print(f"p99 of {name} by quarter of the time: " + ", ".join(f"{ms:.1f}" for ms in values) + " ms")
    words = ", ".join(f"{name} {found[name]}" for name in ("frames", "published", "dropped", "unaccounted"))
    print(f"{words}; unexpected errors {found['unexpected_errors']}")
    print(f"drops: {found['drops'] or 'none'}")


def parse(args: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m test.benchmarks.bench_soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long to play (default 60)")
    parser.add_argument("--rate", type=float, default=1.0, help="speed of play (default 1: 10 Hz)")
    parser.add_argument("--window", type=float, default=60.0, help="seconds of a window (default 60)")
    parser.add_argument("--model", default="tiny", help="as `mm-fusion run --model` (default tiny)")
    parser.add_argument("--backend", default="auto", help="what runs it (default auto)")
    parser.add_argument("--drive", type=Path, default=Path("out/bench/soak_drive"), help="kept recording")
    parser.add_argument("--drive-seconds", type=float, default=20.0, help="its length where it is made")
    parser.add_argument(
        "--camera-width", type=int, default=704, help="px of its images, 0: as in the vehicle"
    )
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    return parser.parse_args(args)


def main(args: Sequence[str] | None = None) -> int:
    """Play, watch, print, write; 1 where something grew, was lost unaccounted or raised."""
    options = parse(args)
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("ROS_LOG_DIR", name)
        found = soak(options, Path(name))
    print_table(found)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if is_sound(found) else 1


if __name__ == "__main__":
    sys.exit(main())

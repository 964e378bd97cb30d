"""A tiny data set in nuScenes' own layout, whose every value is known: 2 scenes of 3 samples, all sensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.geometry.motion import exp_twist
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, to_quaternion, transform_points

VEHICLE: VehicleConfig = load_vehicle("nuscenes_like")
START_US = 1_600_000_000_000_000
STEP_US = 500_000
SCENES = ("scene-0001", "scene-0003")
"""The first is an official training scene, the second an official validation scene."""
TWISTS = (((10.0, 0.0, 0.0), (0.0, 0.0, 0.0)), ((8.0, 0.5, 0.0), (0.0, 0.0, 0.3)))
START = from_rpy_deg((0, 0, 30), (1000.0, 2000.0, 0.0))
MATRIX = [[80.0, 0, 80.0], [0, 80.0, 45.0], [0, 0, 1]]
LATE_US = {"camera": -20_000, "lidar": 0, "radar": -30_000}
"""When a sensor's key frame was measured, from its sample's time."""
SWEEP_US = {"camera": 80_000, "lidar": 50_000, "radar": 75_000}
POINTS_BASE = np.array([[10.0, 2.0, 0.5], [-5.0, -3.0, 1.0], [0.0, 40.0, 2.0]])
"""What every LiDAR file shows, in `base_link` at its time; intensity 0, 51, 102 and ring 0, 1, 2."""
RADAR_XYZ = np.array([[20.0, 0.0, 0.0], [30.0, 40.0, 0.0], [15.0, 5.0, 0.0], [60.0, -5.0, 0.0]])
"""Of every scan, in the radar's frame: standing, receding at 5 m/s, invalid, ambiguous."""
BOXES: tuple[dict[str, Any], ...] = (
    {"category": "vehicle.car", "xyz": (1030, 2010, 0.8), "v": (6, 1), "wlh": (1.9, 4.5, 1.6), "yaw": 40},
    {"category": "human.pedestrian.child", "xyz": (1012, 1998, 0.6), "v": (0, 0), "wlh": (0.5, 0.6, 1.2)},
    {"category": "movable_object.trafficcone", "xyz": (1005, 2015, 0.3), "v": (0, 0), "wlh": (0.3, 0.4, 0.6)},
    {"category": "animal", "xyz": (1020, 1990, 0.3), "v": (1, 0), "wlh": (0.3, 0.8, 0.5)},
    {"category": "vehicle.bus.rigid", "xyz": (1050, 2030, 2), "v": (0, 5), "wlh": (3, 11, 3.4), "only": 1},
)
"""Objects of every scene at its start; `only`: seen in that sample alone."""


def pose_at(scene: int, stamp_us: int) -> np.ndarray:
    """global_from_base (4, 4)."""
    linear, angular = TWISTS[scene]
    return START @ exp_twist(linear, angular, (stamp_us - scene_start_us(scene)) * 1e-6)


def scene_start_us(scene: int) -> int:
    """Time of a scene's first sample."""
    return START_US + scene * 60_000_000


def write_set(root: Path, version: str = "v1.0-trainval") -> Path:
    """The data set below `root`, which is given back."""
    writer = _Writer(root)
    writer.sensors()
    for scene in range(len(SCENES)):
        writer.scene(scene)
    tables = root / version
    tables.mkdir(parents=True)
    for name, rows in writer.tables.items():
        (tables / f"{name}.json").write_text(json.dumps(rows, indent=0))
    return root


class _Writer:
    def __init__(self, root: Path) -> None:
        self.root = root
        names = (
            "attribute", "calibrated_sensor", "category", "ego_pose", "instance", "log", "map", "sample",
            "sample_annotation", "sample_data", "scene", "sensor", "visibility",
        )  # fmt: skip
        self.tables: dict[str, list[dict]] = {name: [] for name in names}
        (root / "maps").mkdir(parents=True)
        cv2.imwrite(str(root / "maps/m.png"), np.zeros((4, 4), np.uint8))
        self.add("log", token="log", logfile="", vehicle="", date_captured="", location="singapore-onenorth")
        self.add("map", token="map", log_tokens=["log"], category="semantic_prior", filename="maps/m.png")
        for level in range(1, 5):
            self.add("visibility", token=str(level), description="", level=f"v{level}")
        for box in BOXES:
            self.add("category", token=f"category-{box['category']}", name=box["category"], description="")

    def add(self, table: str, **row: Any) -> None:
        self.tables[table].append(row)

    def sensors(self) -> None:
        for name, sensor in VEHICLE.sensors.items():
            self.add("sensor", token=f"sensor-{name}", channel=name, modality=sensor.kind)
            place = base_from(name)
            matrix = MATRIX if sensor.kind == "camera" else []
            self.add(
                "calibrated_sensor", token=f"place-{name}", sensor_token=f"sensor-{name}",
                translation=place[:3, 3].tolist(), rotation=_wxyz(place), camera_intrinsic=matrix,
            )  # fmt: skip

    def scene(self, scene: int) -> None:
        tokens = [f"sample-{scene}-{k}" for k in range(3)]
        self.add(
            "scene", token=f"scene-{scene}", log_token="log", nbr_samples=3, first_sample_token=tokens[0],
            last_sample_token=tokens[-1], name=SCENES[scene], description="",
        )  # fmt: skip
        for k, token in enumerate(tokens):
            stamp_us = scene_start_us(scene) + k * STEP_US
            around = {"prev": tokens[k - 1] if k else "", "next": tokens[k + 1] if k < 2 else ""}
            self.add("sample", token=token, timestamp=stamp_us, scene_token=f"scene-{scene}", **around)
        for name, sensor in VEHICLE.sensors.items():
            self._files(scene, name, sensor.kind, tokens)
        for number, box in enumerate(BOXES):
            self._track(scene, number, box, tokens)

    def _files(self, scene: int, name: str, kind: str, samples: list[str]) -> None:
        """Of each sample the key frame and two sweeps before it, but for the first, which has none."""
        times = [
            (scene_start_us(scene) + k * STEP_US + LATE_US[kind] - back * SWEEP_US[kind], k, back == 0)
            for k in range(3)
            for back in ((2, 1, 0) if k else (0,))
        ]
        tokens = [f"data-{name}-{stamp_us}" for stamp_us, _, _ in times]
        for place, (stamp_us, k, key) in enumerate(times):
            suffix = {"camera": "jpg", "lidar": "pcd.bin", "radar": "pcd"}[kind]
            path = f"{'samples' if key else 'sweeps'}/{name}/n__{name}__{stamp_us}.{suffix}"
            pose = pose_at(scene, stamp_us)
            self.add(
                "ego_pose", token=f"pose-{tokens[place]}", timestamp=stamp_us, rotation=_wxyz(pose),
                translation=pose[:3, 3].tolist(),
            )  # fmt: skip
            self.add(
                "sample_data", token=tokens[place], sample_token=samples[k], is_key_frame=key,
                ego_pose_token=f"pose-{tokens[place]}", calibrated_sensor_token=f"place-{name}",
                timestamp=stamp_us, fileformat=suffix, filename=path,
                height=90 if kind == "camera" else 0, width=160 if kind == "camera" else 0,
                prev=tokens[place - 1] if place else "", next=[*tokens, ""][place + 1],
            )  # fmt: skip
            self._write(path, {"camera": image, "lidar": cloud, "radar": radar}[kind](name))

    def _write(self, path: str, payload: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(payload)

    def _track(self, scene: int, number: int, box: dict[str, Any], samples: list[str]) -> None:
        seen = [box["only"]] if "only" in box else [0, 1, 2]
        tokens = {k: f"note-{scene}-{number}-{k}" for k in seen}
        self.add(
            "instance", token=f"instance-{scene}-{number}", category_token=f"category-{box['category']}",
            nbr_annotations=len(seen), first_annotation_token=tokens[seen[0]],
            last_annotation_token=tokens[seen[-1]],
        )  # fmt: skip
        for k in seen:
            self.add(
                "sample_annotation", token=tokens[k], sample_token=samples[k],
                instance_token=f"instance-{scene}-{number}", visibility_token=str(number % 4 + 1),
                attribute_tokens=[], translation=center_of(box, k).tolist(), size=list(box["wlh"]),
                rotation=_wxyz(from_rpy_deg((0, 0, box.get("yaw", 0)))), prev=tokens.get(k - 1, ""),
                next=tokens.get(k + 1, ""), num_lidar_pts=10 * number, num_radar_pts=number,
            )  # fmt: skip


def center_of(box: dict[str, Any], sample: int) -> np.ndarray:
    """Where one of `BOXES` is in the world in a scene's sample; it does not keep its speed exactly."""
    seconds = sample * STEP_US * 1e-6
    return np.array(box["xyz"], float) + seconds * np.array([*box["v"], 0]) * (1 + 0.1 * sample)


def base_from(name: str) -> np.ndarray:
    """Where a sensor sits."""
    mount = VEHICLE.sensors[name].mount
    assert mount is not None
    return from_rpy_deg(mount.rpy_deg, mount.xyz)


def _wxyz(matrix: np.ndarray) -> list[float]:
    x, y, z, w = to_quaternion(matrix).tolist()
    return [w, x, y, z]


def image(name: str) -> bytes:
    """A grey JPEG of 160x90 px."""
    return cv2.imencode(".jpg", np.full((90, 160, 3), 120, np.uint8))[1].tobytes()


def cloud(name: str) -> bytes:
    """`POINTS_BASE` as the LiDAR sees them."""
    xyz = transform_points(inverse(base_from(name)), POINTS_BASE)
    number = np.arange(len(xyz))[:, None]
    return np.hstack([xyz, 51.0 * number, number]).astype("<f4").tobytes()


def radar(name: str) -> bytes:
    """`RADAR_XYZ` in the layout of the data set."""
    fields = (
        "x y z dyn_prop id rcs vx vy vx_comp vy_comp is_quality_valid ambig_state x_rms y_rms invalid_state"
    )
    fields += " pdh0 vx_rms vy_rms"
    sizes = "4 4 4 1 2 4 4 4 4 4 1 1 1 1 1 1 1 1".split()
    kinds = "F F F I I F F F F F I I I I I I I I".split()
    names = fields.split()
    points = np.zeros(len(RADAR_XYZ), [(n, f"<{t.lower()}{s}") for n, t, s in zip(names, kinds, sizes)])
    points["x"], points["y"], points["z"] = RADAR_XYZ.T
    points["rcs"] = [10.0, -5.0, 3.0, 4.0]
    points["vx"] = -9.0
    points["vx_comp"], points["vy_comp"] = [0.0, 3.0, 1, 1], [0.0, 4.0, 1, 1]
    points["ambig_state"], points["invalid_state"] = [3, 3, 3, 4], [0, 0, 1, 0]
    count = len(points)
    header = (
        f"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {fields}\nSIZE {' '.join(sizes)}\n"
        f"TYPE {' '.join(kinds)}\nCOUNT {' '.join(['1'] * len(names))}\nWIDTH {count}\nHEIGHT 1\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA binary\n"
    )
    # the devkit wants a byte after the last point
    return header.encode() + points.tobytes() + b"\n"

"""Both layouts give the same recording: level, on the ground, one frame per source frame."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mm_fusion.bags.convert.astyx import GROUND_PLANES, START_NS, boxes_in_base, calibration_key, convert
from mm_fusion.bags.convert.astyx_source import assign_runs, list_frames
from mm_fusion.bags.convert.levelling import base_from_plane
from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.config import load_vehicle
from mm_fusion.errors import BagError
from mm_fusion.geometry.ground import fit_ground
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.geometry.transforms import transform_points

SLOPE_X, SLOPE_Y, HEIGHT = 0.05, -0.03, -1.5
"""Ground of the made-up frames in the radar's axes."""
CLOCKS_US = (3_599_950_000, 50_000, 900_000_000)
"""The clock wraps 100 ms after the first frame; the third frame is another run."""


def ground_in_lidar() -> np.ndarray:
    """Points of a flat ground in firing order, in the LiDAR's frame 0.1 m above the radar's."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-38.5, 39, 1.1), np.arange(-38.5, 39, 1.3)))
    return np.stack([x, y, SLOPE_X * x + SLOPE_Y * y + HEIGHT - 0.1], axis=1)


def radar_rows() -> np.ndarray:
    """Returns `x y z V_r Mag` of which the second approaches at 1 m/s."""
    return np.array([[10, 1, 0, 0, 50], [20, -2, 0.5, 1, 60], [30, 0, 1, -2, 45.5]], np.float64)


def calibration(turned: bool) -> dict[str, dict[str, Any]]:
    lidar = np.eye(4)
    lidar[2, 3] = 0.1
    camera = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)
    camera[0, 3] = 0.2 if turned else 0.0
    return {
        "radar_6455": {"T_to_ref_COS": np.eye(4).tolist()},
        "lidar_vlp16": {"T_to_ref_COS": lidar.tolist()},
        "camera_front": {"K": [[60, 0, 32], [0, 60, 12], [0, 0, 1]], "T_to_ref_COS": camera.tolist()},
    }


def car_on_the_ground() -> dict[str, Any]:
    """A car 20 m ahead that stands level with the ground, heading along it."""
    base_from_ref = base_from_plane(SLOPE_X, SLOPE_Y, HEIGHT)
    center = np.linalg.solve(base_from_ref, np.array([20, 2, 0.75, 1]))[:3]
    rows = base_from_ref[:3, :3].T  # ref_from_base
    w = np.sqrt(1 + np.trace(rows)) / 2
    xyz = np.array([rows[2, 1] - rows[1, 2], rows[0, 2] - rows[2, 0], rows[1, 0] - rows[0, 1]]) / (4 * w)
    return {
        "classname": "Car",
        "center3d": center.tolist(),
        "dimension3d": [4.0, 1.8, 1.5],
        "orientation_quat": [float(w), *xyz.tolist()],
        "occlusion": 1,
    }


def write_split(folder: Path) -> Path:
    """Three frames in the layout of a split folder."""
    folder.mkdir(parents=True)
    xyz = ground_in_lidar()
    for index, clock_us in enumerate(CLOCKS_US):
        step_us = np.full(len(xyz), 24, np.int32)
        step_us[0] = 0
        np.savez(
            folder / f"{index:06d}.npz",
            lidar_xyz_cm=np.round(xyz.T * 100).astype(np.int16),
            lidar_intensity=np.full(len(xyz), 51, np.uint8),
            lidar_ring=(np.arange(len(xyz)) % 16).astype(np.uint8),
            lidar_t0_us=np.int64(clock_us),
            lidar_dt_us=step_us,
            radar=radar_rows().T.astype(np.float32),
        )
        label = {
            "index": index,
            "run": [0, 0, 4][index],
            "calibration": calibration(turned=index == 2),
            "objects": [car_on_the_ground()],
        }
        (folder / f"{index:06d}.json").write_text(json.dumps(label))
        cv2.imwrite(str(folder / f"{index:06d}.jpg"), np.full((24, 64, 3), 40 * index, np.uint8))
    return folder


def write_original(root: Path) -> Path:
    """The same frames as the download has them."""
    folders = ("camera_front", "lidar_vlp16", "radar_6455", "groundtruth_obj3d", "calibration")
    for name in folders:
        (root / name).mkdir(parents=True)
    xyz = ground_in_lidar()
    for index, clock_us in enumerate(CLOCKS_US):
        name = f"{index:06d}"
        times = (clock_us + 24 * np.arange(len(xyz))) % 3_600_000_000
        lines = [
            f"{x:.2f} {y:.2f} {z:.2f} 51 {i % 16} {t}" for i, ((x, y, z), t) in enumerate(zip(xyz, times))
        ]
        header = "X Y Z Reflectivity LaserID Timestamp \n"
        (root / "lidar_vlp16" / f"{name}.txt").write_text(header + "\n".join(lines) + "\n")
        rows = "\n".join(" ".join(map(repr, map(float, row))) for row in radar_rows())
        (root / "radar_6455" / f"{name}.txt").write_text("\nX Y Z V_r Mag\n" + rows + "\n")
        sensors = [
            {"sensor_uid": uid, "calib_data": data} for uid, data in calibration(turned=index == 2).items()
        ]
        (root / "calibration" / f"{name}.json").write_text(json.dumps({"sensors": sensors}))
        (root / "groundtruth_obj3d" / f"{name}.json").write_text(
            json.dumps({"objects": [car_on_the_ground()]})
        )
        cv2.imwrite(str(root / "camera_front" / f"{name}.jpg"), np.full((24, 64, 3), 40 * index, np.uint8))
    return root


@pytest.fixture(params=["split", "original"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "split":
        return write_split(tmp_path / "val")
    write_original(tmp_path / "download" / "dataset_astyx_hires2019")
    return tmp_path / "download"


def read_items(bag: Path) -> dict[str, list[Any]]:
    """Everything that the shipped vehicle file takes from a recording, by sensor."""
    found: dict[str, list[Any]] = {}
    with open_bag(bag) as reader:
        assert reader.problems == []
        for sensor, item, _ in bag_items(reader, load_vehicle("astyx")):
            found.setdefault(sensor, []).append(item)
    return found


def test_frames_keep_their_times_and_runs_are_20_s_apart(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = convert(source, tmp_path / "bag", progress=lambda done, total: seen.append((done, total)))
    assert (report.frames, report.runs, report.objects) == (3, 2, {"car": 3})
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert report.messages["/tf_static"] == 2  # the camera's place changes with the third frame
    assert any("known" in note for note in report.notes)
    stamps = [frame.stamp_ns - START_NS for frame in read_truth(tmp_path / "bag")]
    assert stamps == [0, 100_000_000, 20_100_000_000]


def test_some_frames_alone_are_a_recording_too(source: Path, tmp_path: Path) -> None:
    first, _, third = (frame.index for frame in list_frames(source))
    report = convert(source, tmp_path / "bag", numbers={first, third})
    assert (report.frames, report.runs) == (2, 2)
    with pytest.raises(BagError, match="expected frame 99999"):
        convert(source, tmp_path / "other", numbers={first, 99_999})
    assert not (tmp_path / "other").exists()


def test_measurements_survive(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "bag", storage="sqlite3")
    found = read_items(tmp_path / "bag")
    sweep = found["lidar"][1].get()
    xyz = ground_in_lidar()
    far = np.linalg.norm(np.round(xyz, 2), axis=1) > 2.0  # the vehicle file cuts nearer returns
    np.testing.assert_allclose(sweep.xyz, xyz[far], atol=0.006)
    np.testing.assert_allclose(sweep.intensity, 0.2, atol=1e-6)
    np.testing.assert_array_equal(sweep.ring, (np.arange(len(xyz)) % 16)[far])
    assert abs(int(sweep.time_offset_ns[0]) + int(sweep.time_offset_ns[-1])) <= 1000
    assert np.diff(sweep.time_offset_ns).min() == 24_000
    radar = found["radar"][0].get()
    np.testing.assert_allclose(radar.xyz, radar_rows()[:, :3], atol=1e-6)
    np.testing.assert_allclose(radar.radial_velocity, -radar_rows()[:, 3], atol=1e-6)  # receding is positive
    np.testing.assert_allclose(radar.strength_db, radar_rows()[:, 4])
    assert radar.ambiguity_mps == 10.4
    stamps = {name: [item.stamp_ns for item in found[name]] for name in ("lidar", "radar")}
    assert stamps["lidar"] == stamps["radar"]


def test_base_is_level_and_on_the_ground(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "bag")
    found = read_items(tmp_path / "bag")
    buffer = TransformBuffer()
    for transforms in found["/tf"]:
        buffer.add(transforms)
    sweep = found["lidar"][2].get()
    plane = fit_ground(transform_points(buffer.lookup("base_link", "lidar_vlp16", sweep.stamp_ns), sweep.xyz))
    assert plane is not None and plane.tilt_deg < 0.1 and abs(plane.offset) < 0.02
    truth = read_truth(tmp_path / "bag")[0]
    assert truth.frame_id == "base_link"
    np.testing.assert_allclose(truth.objects.center, [[20, 2, 0.75]], atol=0.03)
    np.testing.assert_allclose(truth.objects.size, [[4.0, 1.8, 1.5]], atol=1e-6)
    np.testing.assert_allclose(truth.objects.yaw, [0.0], atol=0.002)
    assert truth.objects.class_names() == ["car"] and np.isnan(truth.objects.velocity).all()
    assert truth.extra["occlusion"].tolist() == [1] and truth.extra["visibility"].tolist() == [3]
    assert truth.extra["truncation"].tolist() == [0] and truth.extra["num_radar_points"].tolist() == [0]


def test_boxes_keep_only_their_heading_over_the_ground() -> None:
    half = np.radians(30) / 2
    entry = {
        "center3d": [1, 2, 3],
        "dimension3d": [4, 5, 6],
        "orientation_quat": [np.cos(half), 0, 0, np.sin(half)],
    }
    assert boxes_in_base([], np.eye(4)).shape == (0, 7)
    np.testing.assert_allclose(
        boxes_in_base([entry], np.eye(4)), [[1, 2, 3, 4, 5, 6, np.radians(30)]], atol=1e-12
    )


def test_stopped_conversion_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    source = write_split(tmp_path / "val")
    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "bag", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["val"]


@pytest.mark.parametrize("broken", ["image", "json", "npz"])
def test_broken_sources_are_named_and_leave_nothing(tmp_path: Path, broken: str) -> None:
    source = write_split(tmp_path / "val")
    match broken:
        case "image":
            (source / "000001.jpg").unlink()
        case "json":
            (source / "000001.json").write_text('{"index": 1}')
        case _:
            content = (source / "000001.npz").read_bytes()
            (source / "000001.npz").write_bytes(content[:100])
    with pytest.raises(BagError, match="000001"):
        convert(source, tmp_path / "bag")
    assert [path.name for path in tmp_path.iterdir()] == ["val"]


def test_wrong_folders_say_what_to_name(tmp_path: Path) -> None:
    write_split(tmp_path / "astyx" / "val")
    with pytest.raises(BagError, match="val"):
        list_frames(tmp_path / "astyx")
    with pytest.raises(BagError, match="no such folder"):
        list_frames(tmp_path / "absent")


def some_real_frames(folder: Path, every: int, target: Path) -> Path:
    """Links to every n-th frame of a split."""
    target.mkdir()
    for path in sorted(folder.glob("*.npz"))[::every]:
        for suffix in (".npz", ".jpg", ".json"):
            shutil.copyfile(path.with_suffix(suffix), target / (path.stem + suffix))
    return target


def test_real_frames_are_level_and_cars_stand_on_the_ground(astyx: Path, tmp_path: Path) -> None:
    source = some_real_frames(astyx / "val", 6, tmp_path / "some")
    report = convert(source, tmp_path / "bag")
    frames = list_frames(source)
    assert {calibration_key(frame.calibration) for frame in frames} == set(GROUND_PLANES)
    assert report.messages["/tf_static"] == 2
    found, buffer, planes = read_items(tmp_path / "bag"), TransformBuffer(), []
    assert len(found["lidar"]) == len(found["radar"]) == report.frames
    with open_bag(tmp_path / "bag") as reader:
        for sensor, item, _ in bag_items(reader, load_vehicle("astyx")):
            if sensor == "/tf":
                buffer.add(item)  # type: ignore[arg-type]
            elif sensor == "lidar":
                sweep = item.get()  # type: ignore[union-attr]
                base_from_lidar = buffer.lookup("base_link", "lidar_vlp16", sweep.stamp_ns)
                planes.append(fit_ground(transform_points(base_from_lidar, sweep.xyz)))
    normal = np.median([plane.normal for plane in planes if plane], axis=0)
    assert np.degrees(np.hypot(normal[0], normal[1])) < 0.5
    truth = read_truth(tmp_path / "bag")
    bottoms = np.concatenate([t.objects.center[:, 2] - t.objects.size[:, 2] / 2 for t in truth])
    cars = np.concatenate([t.objects.class_id for t in truth]) == 0
    assert abs(np.median(bottoms[cars])) < 0.15
    assert all(np.diff([t.stamp_ns for t in truth]) > 0)


def test_runs_of_the_split_are_found_without_being_told(astyx: Path) -> None:
    frames = list_frames(astyx / "val")
    told = [run for run, _, _ in assign_runs(frames)]
    untold = [run for run, _, _ in assign_runs([replace(frame, run=None) for frame in frames])]
    assert told == untold

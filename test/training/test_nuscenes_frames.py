from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.detections import CLASSES
from mm_fusion.errors import BagError
from mm_fusion.frame import decoded
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.inputs.network_inputs import make_inputs
from mm_fusion.measurements import CameraImage, LidarSweep, RadarScan
from mm_fusion.network_config import load_learned
from mm_fusion.training.datasets import SampleDataset, open_frames
from mm_fusion.training.nuscenes_frames import NuscenesFrames
from test.training import nuscenes_set as made

CLASS_NAMES = ["car", "pedestrian", "traffic_cone", "unknown", "bus"]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return made.write_set(tmp_path_factory.mktemp("nuscenes"))


@pytest.fixture
def copy(tmp_path) -> Path:
    return made.write_set(tmp_path / "set")


def stamp_ns(scene: int, sample: int) -> int:
    return (made.scene_start_us(scene) + sample * made.STEP_US) * 1000


def test_an_empty_folder_is_no_nuscenes(tmp_path):
    with pytest.raises(BagError, match="expected the tables of nuScenes"):
        NuscenesFrames(tmp_path)


def test_the_folder_is_recognised(root):
    frames = open_frames(root)
    assert isinstance(frames, NuscenesFrames) and len(frames) == 3
    assert len(open_frames(root / "v1.0-trainval", "val")) == 3
    with pytest.raises(IndexError):
        frames[3]


@pytest.mark.parametrize("scene", [0, 1])
def test_every_sensor_is_there_with_its_own_time(root, scene):
    frame, _ = open_frames(root, ("train", "val")[scene])[1]
    assert frame.stamp_ns == stamp_ns(scene, 1)
    assert list(frame.measurements) == list(made.VEHICLE.sensors) and all(frame.available.values())
    kinds = [frame.kinds[name] for name in frame.measurements]
    assert (kinds.count("camera"), kinds.count("lidar"), kinds.count("radar")) == (6, 1, 5)
    for name, item in frame.measurements.items():
        assert item.stamp_ns == stamp_ns(scene, 1) + 1000 * made.LATE_US[frame.kinds[name]]
        assert frame.age_ns[name] == frame.stamp_ns - item.stamp_ns
        assert np.allclose(frame.calibration.base_from_sensor[name], made.base_from(name), atol=1e-6)
    model = frame.calibration.camera_models["CAM_BACK"]
    assert model.matrix.tolist() == made.MATRIX and (model.width_px, model.height_px) == (160, 90)


def test_lidar_points_are_where_they_were_put(root):
    frame, _ = open_frames(root)[1]
    sweep = frame.measurements["LIDAR_TOP"]
    assert isinstance(sweep, LidarSweep) and not sweep.time_offset_ns.any()
    xyz = transform_points(frame.calibration.base_from_sensor["LIDAR_TOP"], sweep.xyz)
    assert np.allclose(xyz, made.POINTS_BASE, atol=1e-4)
    assert sweep.intensity == pytest.approx([0, 0.2, 0.4], abs=1e-6) and sweep.ring.tolist() == [0, 1, 2]


def test_radar_returns_are_filtered_and_compensated(root):
    scan = open_frames(root)[1][0].measurements["RADAR_BACK_LEFT"]
    assert isinstance(scan, RadarScan) and scan.compensated and scan.strength_kind == "rcs"
    assert np.allclose(scan.xyz, made.RADAR_XYZ[:2])
    # (3, 4) m/s along the ray towards (30, 40) is 5 m/s
    assert scan.radial_velocity == pytest.approx([0, 5]) and scan.strength_db.tolist() == [10, -5]


def test_sweeps_are_the_earlier_files_newest_first(root):
    frames = open_frames(root)
    assert not frames[0][0].earlier["LIDAR_TOP"]
    frame, _ = frames[2]
    steps = [[0, 50, 100, 500, 550, 600, 1000], [0, 75, 150, 500, 575, 650]]
    for name, ages_ms in zip(("LIDAR_TOP", "RADAR_FRONT"), steps):
        newest, earlier = frame.measurements[name], frame.earlier[name]
        assert [(newest.stamp_ns - item.stamp_ns) // 1_000_000 for item in earlier] == ages_ms[1:]
        assert all(decoded(item).stamp_ns == item.stamp_ns for item in earlier)
    assert isinstance(decoded(frame.earlier["LIDAR_TOP"][0]), LidarSweep)
    assert not frame.earlier["CAM_FRONT"]


@pytest.mark.parametrize("scene", [0, 1])
@pytest.mark.parametrize("sample", [0, 1, 2])
def test_ego_motion_is_the_difference_of_poses(root, scene, sample):
    frame, _ = open_frames(root, ("train", "val")[scene])[sample]
    linear, angular = made.TWISTS[scene]
    assert np.allclose(frame.ego.linear_velocity, linear, atol=1e-5)
    assert np.allclose(frame.ego.angular_velocity, angular, atol=1e-6)
    wanted = made.pose_at(scene, frame.stamp_ns // 1000)
    assert np.allclose(frame.ego.odom_from_base, wanted, atol=1e-5)


@pytest.mark.parametrize("scene", [0, 1])
@pytest.mark.parametrize("sample", [0, 1, 2])
def test_truth_has_known_places_classes_and_velocities(root, scene, sample):
    _, truth = open_frames(root, ("train", "val")[scene])[sample]
    seen = [box for box in made.BOXES if box.get("only", sample) == sample]
    objects, pose = truth.objects, made.pose_at(scene, stamp_ns(scene, sample) // 1000)
    assert objects.class_names() == CLASS_NAMES[: len(seen)] and truth.stamp_ns == stamp_ns(scene, sample)
    for row, box in enumerate(seen):
        centre = inverse(pose) @ [*made.center_of(box, sample), 1]
        assert np.allclose(objects.center[row], centre[:3], atol=1e-4)
        width, length, height = box["wlh"]
        assert objects.size[row] == pytest.approx([length, width, height])
        yaw = np.radians(box.get("yaw", 0)) - np.arctan2(pose[1, 0], pose[0, 0])
        assert np.sin(objects.yaw[row] - yaw) == pytest.approx(0, abs=1e-5)
        assert np.cos(objects.yaw[row] - yaw) == pytest.approx(1, abs=1e-5)
        velocity = pose[:3, :3].T @ over_ground(box, sample)
        assert objects.velocity[row] == pytest.approx(velocity[:2], abs=1e-4, nan_ok=True)
    assert truth.extra["num_lidar_points"].tolist() == [10 * n for n in range(len(seen))]
    assert truth.extra["num_radar_points"].tolist() == list(range(len(seen)))
    assert truth.extra["visibility"].tolist() == [n % 4 + 1 for n in range(len(seen))]


def over_ground(box: dict, sample: int) -> np.ndarray:
    """From the sample before to the one after; at an end of a track from or to the sample itself."""
    if "only" in box:
        return np.full(3, np.nan)
    first, last = max(sample - 1, 0), min(sample + 1, 2)
    way = made.center_of(box, last) - made.center_of(box, first)
    return way / ((last - first) * made.STEP_US * 1e-6)


def test_classes_are_known_without_reading_files(root):
    frames = NuscenesFrames(root)
    wanted = [frames[number][1].objects.class_id.tolist() for number in range(len(frames))]
    assert [ids.tolist() for ids in frames.class_ids()] == wanted


def test_all_ten_classes_are_mapped():
    from mm_fusion.training.nuscenes_truth import CLASS_OF_CATEGORY

    assert set(CLASS_OF_CATEGORY.values()) == set(CLASSES[:-1])


def test_networks_take_its_frames(root):
    frames, config = open_frames(root), load_learned("tiny")
    inputs = make_inputs(frames[1][0], frames.vehicle, config)
    assert inputs["available"].tolist() == [1, 1, 1] and inputs["camera_present"].all()
    # both samples' standing returns are seen, the earlier ones where the car has come to
    assert inputs["radar"].any() and (inputs["lidar"][0, :5] > 0).sum() == 3
    sample = SampleDataset(frames, config)[2]
    assert len(sample.truth.objects) == 4 and sample.labelled.all()


def _front_image(frames: NuscenesFrames) -> int:
    image = frames[1][0].measurements["CAM_FRONT"]
    return image.stamp_ns if isinstance(image, CameraImage) else 0


def test_forked_and_spawned_processes_read_the_same(root):
    frames = open_frames(root)
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(_front_image, (frames,)) == _front_image(frames)


def test_a_missing_file_is_counted_and_its_sensor_absent(copy):
    frames = open_frames(copy)
    (copy / "samples" / "CAM_FRONT" / f"n__CAM_FRONT__{stamp_ns(0, 1) // 1000 - 20_000}.jpg").unlink()
    (copy / "sweeps" / "LIDAR_TOP" / f"n__LIDAR_TOP__{stamp_ns(0, 1) // 1000 - 50_000}.pcd.bin").unlink()
    for _ in range(2):  # looked for twice, counted once
        frame, truth = frames[1]
    assert not frame.available["CAM_FRONT"] and "CAM_FRONT" not in frame.measurements
    assert frame.ego is not None and len(frame.earlier["LIDAR_TOP"]) == 2 and len(truth.objects) == 5
    assert frames.missing == {"CAM_FRONT": 1, "LIDAR_TOP": 1}


@pytest.mark.parametrize(
    ("sensor", "cut", "text"),
    [
        ("LIDAR_TOP", 7, "5 float32 a point"),
        ("RADAR_FRONT", 10, "expected 4 points of"),
        ("RADAR_FRONT", 10_000, "expected a PCD file"),
        ("CAM_FRONT", 10, "no end"),
        ("CAM_FRONT", 10_000, "JPEG"),
    ],
)
def test_a_broken_file_is_named(copy, sensor, cut, text):
    path = sorted((copy / "samples" / sensor).iterdir())[0]
    raw = path.read_bytes()
    path.write_bytes(raw[: max(3, len(raw) - cut)])
    with pytest.raises(BagError, match=text) as caught:
        open_frames(copy)[0]
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("table", "change", "text"),
    [
        ("sample_data", lambda text: text[:-30], "sample_data.json: broken after row"),
        ("ego_pose", lambda text: text[:-1], "without a closing bracket"),
        ("ego_pose", lambda text: "[]", "lacks"),
        ("instance", lambda text: "[]", "sample_annotation.json: row 0 refers to or lacks"),
        ("sample", lambda text: text.replace('"timestamp"', '"time"'), "sample.json: row 0 .* 'timestamp'"),
        ("calibrated_sensor", lambda text: text.replace("0.9437", "[]"), "row 0 cannot be read"),
        ("scene", lambda text: text.replace("scene-0001", "scene-0012"), "none of its 2 scenes"),
    ],
)
def test_broken_tables_are_named(copy, table, change, text):
    path = copy / "v1.0-trainval" / f"{table}.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(BagError, match=text):
        open_frames(copy)


def test_scenes_without_files_are_left_out(copy):
    for path in list(copy.glob("s*s/*/*")):
        if int(path.name.split("__")[2].split(".")[0]) > made.scene_start_us(1) - 10**6:
            path.unlink()
    assert len(open_frames(copy)) == 3
    with pytest.raises(BagError, match="none of the files of 1 scenes"):
        open_frames(copy, "val")


def test_scenes_can_be_named(root):
    assert len(NuscenesFrames(root, scenes=made.SCENES)) == 6
    with pytest.raises(BagError, match="no scene scene-9"):
        NuscenesFrames(root, scenes=["scene-9"])


def test_splits_beside_the_tables_stand_over_the_official_ones(copy):
    with pytest.raises(BagError, match="no split 'mine'; there are train, val"):
        open_frames(copy, "mine")
    (copy / "v1.0-trainval" / "splits.json").write_text(json.dumps({"mine": ["scene-0003"]}))
    assert open_frames(copy, "mine")[0][0].stamp_ns == stamp_ns(1, 0)
    with pytest.raises(BagError, match="no split 'train'; there are mine"):
        open_frames(copy)


def test_several_versions_want_a_choice(copy):
    (copy / "v1.0-trainval").rename(copy / "v1.0-mini")
    assert len(NuscenesFrames(copy, scenes=["scene-0003"])) == 3
    made.write_set(copy / "other", "v1.0-test")
    (copy / "other" / "v1.0-test").rename(copy / "v1.0-test")
    with pytest.raises(BagError, match="v1.0-mini, v1.0-test"):
        open_frames(copy)


def test_the_devkit_reads_the_same(root):
    pytest.importorskip("nuscenes.nuscenes", reason="nuscenes-devkit, or what it imports, is not installed")
    from nuscenes.nuscenes import NuScenes
    from nuscenes.utils.data_classes import LidarPointCloud, RadarPointCloud

    devkit = NuScenes("v1.0-trainval", str(root), verbose=False)
    frames = NuscenesFrames(root, scenes=made.SCENES)
    for (frame, truth), sample in zip((frames[n] for n in range(6)), devkit.sample):
        token = sample["data"]["LIDAR_TOP"]
        _, boxes, _ = devkit.get_sample_data(token)
        base_from_lidar = frame.calibration.base_from_sensor["LIDAR_TOP"]
        centres = transform_points(base_from_lidar, np.array([box.center for box in boxes]))
        assert np.allclose(truth.objects.center, centres, atol=1e-4)
        forward = [base_from_lidar[:3, :3] @ box.rotation_matrix[:, 0] for box in boxes]
        assert np.allclose([np.arctan2(y, x) for x, y, _ in forward], truth.objects.yaw, atol=1e-5)
        turn = frame.ego.odom_from_base[:3, :3]
        speeds = np.array([devkit.box_velocity(name) for name in sample["anns"]]) @ turn
        assert np.allclose(truth.objects.velocity, speeds[:, :2], atol=1e-4, equal_nan=True)
        cloud = LidarPointCloud.from_file(str(devkit.get_sample_data_path(token))).points
        assert np.allclose(cloud[:3].T, frame.measurements["LIDAR_TOP"].xyz)
        scan = RadarPointCloud.from_file(str(devkit.get_sample_data_path(sample["data"]["RADAR_FRONT"])))
        assert np.allclose(scan.points[:3].T, frame.measurements["RADAR_FRONT"].xyz)


def test_splits_are_the_devkits():
    splits = pytest.importorskip("nuscenes.utils.splits", reason="nuscenes-devkit is not installed")
    from mm_fusion.training.nuscenes_splits import MINI_VAL, OFFICIAL_VAL

    official = splits.create_splits_scenes()
    assert {int(name[6:]) for name in official["val"]} == OFFICIAL_VAL
    assert {int(name[6:]) for name in official["mini_val"]} == set(MINI_VAL)
